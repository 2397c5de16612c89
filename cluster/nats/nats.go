// Package nats joins a gateway to a cluster over NATS. It needs core NATS and nothing
// else: no JetStream, no headers of its own, no other state in the servers than one
// subscription for each node.
//
//	node, err := nats.Join(ctx, "nats://10.0.0.5:4222", nil)
//	if err != nil {
//		log.Fatal(err)
//	}
//	gw := gateway.New(&gateway.Options{Engine: node})
//
// All subjects begin with Options.Prefix, also those of answers, so one permission, to
// publish and to subscribe to "gateway.>", is all that a node needs, and all that keeps
// two applications on one server apart.
package nats

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway/cluster"
)

// Options configure [Join] and [NewTransport]. Nil, like the zero value, is all defaults.
type Options struct {
	// Cluster are the options of the node itself.
	Cluster *cluster.Options

	// Prefix is what all subjects begin with: one or more tokens of letters, digits, -
	// and _, separated by dots. Applications with different prefixes know nothing of
	// each other. Empty means "gateway".
	Prefix string

	// Conn is a connection of your own to use instead of a new one. It is never closed
	// here, and its handlers are left alone. With it, the URL must be empty. It should
	// reconnect for ever, nats.MaxReconnects(-1).
	Conn *nats.Conn

	// Connect are further options of the new connection: TLS, credentials, NKeys, names.
	// They come after those that are set here: to reconnect for ever, to buffer nothing
	// while there is no connection, and to notice a dead one within ten seconds.
	Connect []nats.Option

	// MaxPendingMessages and MaxPendingBytes bound what has been received and not been
	// looked at; frames beyond are lost, and logged. Zero means 524,288 and 256 MiB.
	MaxPendingMessages, MaxPendingBytes int
}

const (
	defaultPrefix   = "gateway"
	defaultMessages = 512 << 10
	defaultBytes    = 256 << 20
	maxPrefix       = 128 // bytes
)

// Join connects to NATS and makes this process a node. The URL is one or more servers,
// separated by commas. It fails with a sentence that says what to change if an option is
// wrong, if no server can be reached, or if a permission is missing: then it names the
// subject.
func Join(ctx context.Context, url string, opts *Options) (*cluster.Node, error) {
	t, err := NewTransport(url, opts)
	if err != nil {
		return nil, err
	}
	var o *cluster.Options
	if opts != nil {
		o = opts.Cluster
	}
	return cluster.Join(ctx, t, o)
}

// NewTransport returns the transport that [Join] uses, for [cluster.Join]. It does not
// connect yet. One transport is for one node.
func NewTransport(url string, opts *Options) (cluster.Transport, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return nil, err
	}
	if o.MaxPendingMessages < 0 || o.MaxPendingBytes < 0 {
		return nil, fmt.Errorf("nats: Options: MaxPendingMessages and MaxPendingBytes must not be " +
			"negative; leave them at 0 for the defaults")
	}
	if o.MaxPendingMessages == 0 {
		o.MaxPendingMessages = defaultMessages
	}
	if o.MaxPendingBytes == 0 {
		o.MaxPendingBytes = defaultBytes
	}
	switch {
	case o.Conn != nil && url != "":
		return nil, fmt.Errorf("nats: give either a URL or Options.Conn, not both")
	case o.Conn != nil && len(o.Connect) > 0:
		return nil, fmt.Errorf("nats: Options.Connect is for a new connection; set the options of " +
			"Options.Conn where it is made")
	case o.Conn == nil && url == "":
		url = nats.DefaultURL
	}
	return &transport{url: url, opts: o, nc: o.Conn, subject: o.Prefix + ".n.",
		beats: o.Prefix + ".beat"}, nil
}

func checkPrefix(prefix string) error {
	for token := range strings.SplitSeq(prefix, ".") {
		if token == "" || strings.Trim(token,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return fmt.Errorf("nats: Options.Prefix %.60q: it must be tokens of letters, digits, - and _, "+
				"separated by dots", prefix)
		}
	}
	if len(prefix) > maxPrefix {
		return fmt.Errorf("nats: Options.Prefix has %d bytes; it must have at most %d", len(prefix),
			maxPrefix)
	}
	return nil
}

// connect makes the connection, unless the program has brought its own.
func (t *transport) connect(ctx context.Context) error {
	if t.opts.Conn != nil {
		return nil
	}
	timeout := 5 * time.Second
	if at, ok := ctx.Deadline(); ok {
		timeout = min(timeout, max(time.Millisecond, time.Until(at)))
	}
	options := []nats.Option{
		nats.Name("gateway " + t.name), nats.Timeout(timeout),
		nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 200*time.Millisecond),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // seen where they matter
	}
	nc, err := nats.Connect(t.url, append(options, t.opts.Connect...)...)
	if err != nil {
		return fmt.Errorf("nats: connect to %s: %w", redacted(t.url), err)
	}
	t.nc = nc
	return nil
}

// redacted is a list of URLs without what stands before an @: it goes into logs.
func redacted(urls string) string {
	list := strings.Split(urls, ",")
	for i, url := range list {
		if at := strings.LastIndex(url, "@"); at >= 0 {
			scheme, _, _ := strings.Cut(url, "://")
			list[i] = scheme + "://…@" + url[at+1:]
		}
	}
	return strings.Join(list, ",")
}
