// Package httpclient is a service with which scripts call HTTP servers:
//
//	client := httpclient.New(&httpclient.Options{Allow: []string{"api.example.com"}})
//	host := lua.New(gw, &lua.Options{Services: map[string]lua.Service{"Http": client.Service()}})
//
// A script then calls Http.get{url = "https://api.example.com/v1/now"}, which returns
// a table with status_code, headers and body.
//
// Only servers on a list are called, and by default none that has a private address:
// loopback, private networks, link-local ones such as the metadata services of clouds,
// and other special ranges. What counts is the address that is dialed, after DNS, and
// every redirect is held to the same rules.
package httpclient

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// Options configure a [Client]. A nil *Options, like the zero value, is all
// defaults: no server is allowed.
type Options struct {
	// Allow lists the servers that scripts may call: "api.example.com", or
	// "*.example.com" for all names below it, with the port of the URL's scheme;
	// "api.example.com:8443" with another one, "api.example.com:*" with any. "*" is
	// every server with a public address.
	Allow []string

	// InsecurePrivateAddresses lets scripts call servers with private addresses too,
	// as far as Allow has them. Whoever writes the scripts, or can make them fetch a
	// URL of his own, can reach whatever this machine can.
	InsecurePrivateAddresses bool

	// Timeout of a call, redirects and the reading of the body included. The call
	// ends sooner if the script's event does. Zero means 10 seconds; it cannot be
	// switched off.
	Timeout time.Duration

	// MaxBody in bytes of what a script sends, and of what it gets after it was
	// decompressed. More is refused with too_large. Zero means 1 MiB.
	MaxBody int64

	// Concurrent is how many calls are under way at once; further ones wait, which
	// counts against their Timeout. Zero means 16.
	Concurrent int

	// TLS configures connections to https servers. Nil means the system's roots.
	TLS *tls.Config
}

const maxRedirects = 5

// A Client makes the calls of scripts. Its methods are safe from any goroutine.
type Client struct {
	opts  Options
	allow []rule
	http  *http.Client
	slots chan struct{} // one for each call that is under way
}

// New returns a client. It panics if an entry of Allow is none.
func New(opts *Options) *Client {
	c := &Client{}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Timeout <= 0 {
		c.opts.Timeout = 10 * time.Second
	}
	if c.opts.MaxBody <= 0 {
		c.opts.MaxBody = 1 << 20
	}
	if c.opts.Concurrent <= 0 {
		c.opts.Concurrent = 16
	}
	c.allow = parseRules(c.opts.Allow)
	c.slots = make(chan struct{}, c.opts.Concurrent)
	dialer := &net.Dialer{Timeout: c.opts.Timeout, ControlContext: c.control}
	c.http = &http.Client{
		CheckRedirect: c.checkRedirect,
		Transport: &http.Transport{ // no proxy: it would dial in the place of the dialer
			DialContext:            dialer.DialContext,
			TLSClientConfig:        c.opts.TLS.Clone(),
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    c.opts.Timeout,
			MaxConnsPerHost:        c.opts.Concurrent,
			MaxIdleConns:           c.opts.Concurrent,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
	return c
}

// Close closes the connections that are idle. Calls go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Service returns the functions get, post, put, patch, delete, head and request. Their
// argument is a [Request], their result a [Response]. Failures are the error table of
// every service: forbidden if the server is not allowed, invalid_request, too_large,
// timeout, or unreachable.
func (c *Client) Service() lua.Service {
	call := func(method string) lua.Function {
		return lua.Func(func(ctx context.Context, r Request) (*Response, error) {
			if method != "" {
				r.Method = method
			}
			return c.Do(ctx, r)
		})
	}
	return lua.Service{
		"get": call("GET"), "post": call("POST"), "put": call("PUT"), "patch": call("PATCH"),
		"delete": call("DELETE"), "head": call("HEAD"), "request": call(""),
	}
}

// acquire waits for a slot.
func (c *Client) acquire(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return gateway.NewError(
			gateway.ErrTimeout,
			"%d other calls were under way all the time",
			cap(c.slots),
		)
	}
}
