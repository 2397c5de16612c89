package gateway

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// Options configure a [Handler]. A nil *Options, like the zero value, is all
// defaults. [New] copies them: a later change has no effect.
type Options struct {
	// Logger receives the gateway's log lines; the package documentation lists levels and
	// fields. Nil means slog.Default(), asked anew for each line.
	Logger *slog.Logger

	// LogsPerSecond is how many lines of one kind, which is a text and the cause of a close,
	// are written within a second, from level Info on. One line after that second says how
	// many more there were. Zero means 20; negative writes all.
	LogsPerSecond int

	// Authorize is asked before the upgrade, after every other check. It sees
	// a copy of the request in which Pattern and PathValue are the gateway's
	// own, and RemoteAddr (host:port, with port 0 if unknown), Host, URL.Host and
	// URL.Scheme ("ws" or "wss") are the client's, where a trusted proxy is
	// between. An *Error with a status of 400 to 599 refuses with that status and
	// is sent as JSON, see also [Error.WithHeader]. Any other error is logged, not sent, and
	// refuses with 500, or with 504 if it says that a context has ended. Nil
	// admits everyone.
	Authorize func(r *http.Request) (*Admission, error)

	// AllowOrigins lists the origins whose pages may connect besides those of
	// the request's own host and port: "scheme://host" or "scheme://host:port",
	// with international domain names in either form. "null" admits sandboxed
	// pages and local files, "file://" the pages of some WebViews. An entry that
	// no page can have panics; so does "*": see InsecureAnyOrigin.
	AllowOrigins []string

	// InsecureAnyOrigin lets every page on the web open sockets as its visitor,
	// with the visitor's cookies. Only for endpoints that need no identity.
	InsecureAnyOrigin bool

	// TrustedProxies are the addresses of proxies whose forwarding headers count for the URI,
	// the host that an origin is compared with, the remote address and the cap per address.
	// Nil means that nobody's count.
	TrustedProxies []netip.Prefix

	// TrustUnixSockets makes every peer that connects over a Unix socket a trusted
	// proxy. Otherwise such a peer has no address, and so no cap.
	TrustUnixSockets bool

	// ForwardedHeaders names the headers that count, of X-Forwarded-For,
	// X-Forwarded-Proto, X-Forwarded-Host and Forwarded (RFC 7239). Every trusted
	// proxy must write each of them in every request, or remove it: what a client
	// sends under that name would be believed. Others count for nothing. Nil means
	// X-Forwarded-For and X-Forwarded-Proto. Forwarded beside one of the others,
	// and any other name, panics.
	ForwardedHeaders []string

	// RedactHeaders names request headers, besides Authorization, Cookie and
	// Proxy-Authorization, whose values only the socket's own endpoint sees. Of
	// Sec-WebSocket-Protocol, where pages put tokens, others see the subprotocol
	// that was agreed on.
	RedactHeaders []string

	// KeepMessage is the size in bytes up to which the latest message of a
	// socket is kept for Info. Zero means 4 KiB; negative keeps none.
	KeepMessage int

	// Compression negotiates permessage-deflate (RFC 7692) without context
	// takeover, and compresses messages of 512 bytes and more.
	Compression bool

	// MaxSockets caps the open sockets, and with them the requests that Authorize is still
	// asked about. Zero means 100,000; negative means no cap.
	MaxSockets int

	// MaxSocketsPerAddr caps the open sockets of one remote IP address; of IPv6, of the /64
	// that one line has. Loopback addresses and trusted proxies do not count. Zero means
	// 1,000; negative means no cap.
	MaxSocketsPerAddr int

	// MaxGroupsPerSocket caps the groups that one socket is in. Zero means 100; negative
	// means no cap.
	MaxGroupsPerSocket int

	// Engine makes this process a node of a cluster: every operation then acts on the
	// sockets of all nodes, see package cluster. Shutdown closes it. Nil: there is one
	// node. An engine whose node name is not valid, or that serves another Handler,
	// panics.
	Engine Engine

	// MaxQueuedBytes bounds the memory in bytes of all outgoing queues together, and of
	// the latest messages and the long requests that are kept of sockets; a few kilobytes
	// of each socket do not count. The fuller it is, the less each socket may have of it.
	// When it is short, sockets whose clients have read nothing for a second are closed,
	// those that hold most first; only where there are none is a message refused with
	// ErrQueueFull. Kept messages and requests get half of it: beyond, a message is not
	// kept, and an upgrade with more than 4 KiB of header and URI is refused with
	// ErrTooMany. Zero means 256 MiB; negative: no bound.
	MaxQueuedBytes int64

	// MaxReceivingBytes bounds the memory in bytes of all messages together that have
	// come in part; the first kilobytes of each do not count. The fuller it is, the less
	// each may have of it. When it is short, sockets whose message has been arriving for
	// more than a second are closed, those that hold most first; where there are none,
	// clients are not read from until there is room, for Limits.MessageTimeout at most.
	// Zero means 64 MiB, or 16 times the largest ReadLimit of a route; negative: no bound.
	MaxReceivingBytes int64

	// Observer is told what happens. Its zero value tells nobody.
	Observer Observer

	// RestAfter is the silence after which a socket gives up its goroutine, which needs
	// more memory than everything else of an idle socket; it gets another one when
	// something comes. It concerns Linux, and connections over TCP or a Unix socket, also
	// under TLS; of those that the server wraps in a type of its own, each keeps its goroutine.
	// With more than 256 sockets that have a goroutine, the others give theirs up as soon as
	// their clients have said one thing, which may be all they say for long; after that, the
	// silence counts. Zero means 5 seconds; a negative value keeps the goroutines.
	RestAfter time.Duration

	// Limits are those of every route that does not set its own.
	Limits
}

// Limits bound what one socket may do and use. A zero field means the default
// (in a [Route]: the value of the [Options]); a negative one means no limit.
type Limits struct {
	// MessagesPerSecond is the rate of incoming messages; pings do not count.
	// Zero means 5.
	MessagesPerSecond float64
	// Burst is how many messages may come at once. Zero means 5, or the rate
	// where that is higher.
	Burst int
	// OnRateExceeded is what happens to a message above the rate. Zero means
	// RateDelay.
	OnRateExceeded RatePolicy

	// ReadLimit is the size in bytes, after inflating, of the largest message
	// that is received; 1009 beyond. Zero means 64 KiB.
	ReadLimit int64
	// SendLimit is the size in bytes of the largest message that is sent;
	// ErrTooLarge beyond. Zero means 1 MiB.
	SendLimit int64

	// QueueMessages and QueueBytes bound the messages that wait for a socket's
	// client to read. Zero means 256 and 1 MiB. An empty queue takes any
	// message up to SendLimit.
	QueueMessages int
	QueueBytes    int
	// OnQueueFull is what happens to a message for which there is no room. Zero
	// means QueueRefuse.
	OnQueueFull QueuePolicy

	// PingInterval is the time without a received byte after which a ping is
	// sent, and the time its answer may take. Zero means 30 seconds; a negative
	// value sends no pings.
	PingInterval time.Duration
	// IdleTimeout closes a socket with no message in either direction. Zero means no limit.
	// In a Route, zero means the Options' limit, and a negative value means none.
	IdleTimeout time.Duration
	// WriteTimeout closes a socket whose queue stays full, or whose write does
	// not finish, for this long. Zero means 10 seconds.
	WriteTimeout time.Duration
	// MessageTimeout is the time one message may take from its first byte to
	// its last. Zero means 60 seconds.
	MessageTimeout time.Duration
	// CloseTimeout is how long a closing socket waits for its peer's close
	// frame. Zero means 2 seconds; negative does not wait.
	CloseTimeout time.Duration
}

// A RatePolicy says what happens to messages above the rate. In each case it
// is counted in [Stats] and logged, not more than once a second per socket.
type RatePolicy uint8

const (
	// RateDelay has messages wait until they are due: nothing is lost. Up to 16 KiB
	// behind them are read ahead, in which pings are answered; a close frame and the
	// end of the connection keep their place. Beyond, TCP pushes back. The default.
	RateDelay RatePolicy = iota + 1
	// RateDrop drops the message.
	RateDrop
	// RateClose closes the socket with 1008, cause rate_limited.
	RateClose
)

// A QueuePolicy says what happens when a message finds the queue full.
type QueuePolicy uint8

const (
	// QueueRefuse refuses the message: the sender gets ErrQueueFull. The
	// default.
	QueueRefuse QueuePolicy = iota + 1
	// QueueClose refuses the message and closes the socket with 1008, cause
	// slow_consumer.
	QueueClose
	// QueueDropOldest drops the oldest waiting messages to make room.
	QueueDropOldest
	// QueueDropNewest drops the newest waiting messages to make room.
	QueueDropNewest
)

// String returns the word for the policy.
func (p RatePolicy) String() string {
	switch p {
	case RateDelay:
		return "delay"
	case RateDrop:
		return "drop"
	case RateClose:
		return "close"
	}
	return "default"
}
