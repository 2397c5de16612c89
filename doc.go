// Package gateway is an embeddable WebSocket gateway: an http.Handler that keeps
// every connected browser or device addressable by its socket id.
//
//	gw := gateway.New(nil)
//	gw.Handle("/echo", gateway.Callbacks{
//		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
//			return s.Send(ctx, m)
//		},
//	})
//	log.Fatal(http.ListenAndServe("localhost:8080", gw))
//
// # A socket's life
//
// A request that names a route, is a valid upgrade (RFC 6455), comes from an
// allowed origin, finds room under the caps and is admitted by Authorize becomes
// a [Socket]. It is registered, the handshake is answered, and ServeHTTP returns.
// From then on one goroutine reads for the socket and calls its [Endpoint]: the
// open event, a data event for each message, and at the end exactly one close
// event. The calls for one socket never overlap; different sockets run
// concurrently.
//
// A socket closes for one of the reasons in [Cause]. It leaves [Handler.List] and
// its groups, and takes no more messages; what was accepted before is written;
// the close frame follows; the peer has the close timeout to answer; TCP is
// dropped; the endpoint gets its close event; and the id is gone for ever.
//
// # What a send means
//
// A nil error of [Handler.Send] means that the message is in the socket's bounded
// queue, in the order of its sender. It never waits for a slow client: where the
// queue is full the error is [ErrQueueFull] (or the route's [QueuePolicy] makes
// room). Replies are the exception. A send to the own socket with the context of
// its event waits for room, and meanwhile nothing is read from that client: the
// pressure goes back to where it came from, and an echo loses nothing.
//
// # Errors
//
// Every operation fails with an *[Error], the object that programs outside Go
// receive too. Compare with errors.Is(err, gateway.ErrNotFound).
//
// # Contexts
//
// The operations take a context for the day when a socket lives on another node.
// The context of an open or data event ends when its socket begins to close.
// Events do not see the values of the upgrade request's context: routers reuse
// what they put there. What an endpoint needs of the request is in [Info], or is
// attached by Authorize as an [Admission].
//
// # Logging
//
// The gateway logs to Options.Logger with the fields socket_id and route:
//
//   - Error: an endpoint panicked, with its stack; the connection could
//     not be taken over; Authorize failed with something that is not an *Error.
//   - Warn: an endpoint returned an error; messages above the rate, at most once
//     a second for a socket.
//   - Info: a socket was closed for a reason that an operator may look for, such
//     as slow_consumer or protocol_error; with cause, code and error.
//   - Debug: every other open, close and refused upgrade.
//
// Messages, headers and URIs, which may hold secrets, are never logged.
package gateway
