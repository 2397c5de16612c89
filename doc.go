// Package gateway is an embeddable WebSocket gateway: an http.Handler that keeps
// every connected browser or device addressable by its socket id.
//
//	gw := gateway.New(nil)
//	gw.Handle("/echo", gateway.Callbacks{
//		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
//			return s.Send(ctx, m)
//		},
//	})
//	srv := &http.Server{
//		Addr:              "localhost:8080",
//		Handler:           gw,
//		ReadHeaderTimeout: 5 * time.Second, // or a handshake may take for ever
//	}
//	log.Fatal(srv.ListenAndServe())
//
// # A socket's life
//
// A request becomes a [Socket] if it names a route, is a valid upgrade (RFC 6455),
// comes from an allowed origin, finds room under the caps and is admitted by
// Authorize. The socket is registered, the handshake is answered, and ServeHTTP
// returns. From then on one goroutine reads from the socket and calls its [Endpoint]:
// the open event, a data event for each message, and at the end exactly one close
// event. The calls for one socket never overlap; different sockets run
// concurrently.
//
// A socket closes for one of the reasons in [Cause]. It leaves [Handler.List] and
// its groups and takes no more messages. Then, in this order: what was accepted
// before is written; the close frame follows; the peer has the close timeout to
// answer; TCP is dropped; the endpoint gets its close event. The id is never used
// again.
//
// # What a send means
//
// A nil error of [Handler.Send] means that the message is in the socket's bounded
// queue, in the order of its sender. Send never waits for a slow client: where the
// queue is full, the error is [ErrQueueFull], or the route's [QueuePolicy] makes
// room. Replies are the exception: a send to the socket of the event, with the
// event's context, waits for room. Meanwhile nothing is read from that client, so
// it is slowed down itself, and an echo loses nothing.
//
// # Errors
//
// Every operation fails with an *[Error], which is also the object that programs
// outside Go receive. Compare with errors.Is(err, gateway.ErrNotFound).
//
// # Contexts
//
// The operations take a context because a socket may live on another node.
// The context of an open or data event ends when its socket begins to close.
// Events see the values of their connection's context, as BaseContext and ConnContext
// of the http.Server made it, but not those of the upgrade request's, because routers
// reuse what they put there. What an endpoint needs to know of the request is in
// [Info], or Authorize attaches it as an [Admission].
//
// # Logging
//
// The gateway logs to Options.Logger with the fields socket_id and route, where there is a
// socket. These are all lines:
//
//   - Error "endpoint panicked": with error and stack. The socket is closed.
//   - Error "upgrade impossible": the connection could not be taken over, for middleware
//     hides it.
//   - Error "Authorize failed": with something that is not an *Error; the client got 500.
//   - Error "Authorize chose a subprotocol that the client does not offer".
//   - Error "observer panicked": a function of Options.Observer did, with its stack.
//   - Warn "endpoint failed": an event's endpoint returned an error. The socket is closed.
//   - Warn "endpoint passed on the error of an operation": the socket stays open.
//   - Warn "message above the rate": with the policy, at most once a second for a socket.
//   - Warn "group of an admission not joined": with the group and the error.
//   - Info "socket closed": for a reason that an operator may look for, such as slow_consumer
//     or protocol_error; with cause, code and error. For other reasons it is Debug.
//   - Info "drain began": with the number of sockets and the time.
//   - Debug "socket opened", with the remote address, and "upgrade refused", with type and
//     status.
//
// Of a burst of lines of one kind, Options.LogsPerSecond are written within a second. Then
// one says "log lines left out", with the kind and how many they were.
//
// Messages, headers and URIs, which may hold secrets, are never logged.
package gateway
