package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing/fstest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// ours is the gateway.
type ours struct{ gw *gateway.Handler }

// options are the defaults, and what a workload asks for.
func options(cfg Config) *gateway.Options {
	opts := &gateway.Options{Compression: cfg.Deflate, RestAfter: cfg.Rest}
	opts.PingInterval = cfg.Ping
	if cfg.Flood {
		opts.MessagesPerSecond = -1
	}
	return opts
}

// newGateway is the gateway with its defaults. Only the limit of messages per
// second is off, in workloads that exceed it.
func newGateway(cfg Config) (server, error) { return onGateway(options(cfg), echo), nil }

// newGatewayLua is the same with an endpoint in Lua.
func newGatewayLua(cfg Config) (server, error) {
	s := &ours{gw: gateway.New(options(cfg))}
	_, err := lua.New(s.gw, nil).Deploy(context.Background(), fstest.MapFS{"echo.lua": {Data: []byte(
		"--#ENDPOINT WEBSOCKET /ws\nif websocketInfo.type == 'data' then return websocketInfo.message " +
			"end\n")}})
	return s, err
}

// newGatewayFull has everything on that costs something per message. The limit
// of messages is never reached, but is there.
func newGatewayFull(cfg Config) (server, error) {
	opts := options(cfg)
	opts.MaxSocketsPerAddr = 100_000
	opts.Authorize = func(r *http.Request) (*gateway.Admission, error) {
		return &gateway.Admission{Values: map[string]string{"user": "bench"},
			Groups: []string{"room", "user"}}, nil
	}
	opts.MessagesPerSecond = 1e6
	opts.IdleTimeout = time.Hour
	return onGateway(opts, echo), nil
}

// newGatewayBare has everything off that can be.
func newGatewayBare(cfg Config) (server, error) {
	opts := options(cfg)
	opts.KeepMessage, opts.MaxSockets, opts.MaxSocketsPerAddr = -1, -1, -1
	opts.MessagesPerSecond = -1
	opts.PingInterval, opts.MessageTimeout, opts.WriteTimeout = -1, -1, -1
	return onGateway(opts, echo), nil
}

func onGateway(opts *gateway.Options, e gateway.Endpoint) *ours {
	s := &ours{gw: gateway.New(opts)}
	s.gw.Handle("/ws", e)
	return s
}

// echo sends back what it gets.
var echo = gateway.Callbacks{
	OnData: func(ctx context.Context, c *gateway.Socket, m gateway.Message) error {
		defer m.Release() // as gws and nbio take their buffers back
		return c.Send(ctx, m)
	},
}

func (s *ours) serve(l net.Listener) error { return serveHTTP(l, s.gw) }

func (s *ours) resting() int { return s.gw.Stats().Resting }

func (s *ours) ids() []string {
	ids, _ := s.gw.List(context.Background()) // of one process, which cannot fail
	return ids
}

// broadcast leaves out a socket that is full: the clients notice if it should
// not have been.
func (s *ours) broadcast(m []byte) error {
	_, err := s.gw.All().Send(context.Background(), gateway.Text(m))
	return err
}

// send waits where the client does not keep up: the program has nothing better
// to do.
func (s *ours) send(id string, m []byte) error {
	ctx := context.Background()
	err := s.gw.Send(ctx, id, gateway.Text(m))
	if errors.Is(err, gateway.ErrQueueFull) {
		err = s.gw.SendSync(ctx, id, gateway.Text(m))
	}
	return err
}
