package serve

import (
	"context"
	"net"
	"net/http"

	"github.com/wsgateway/gateway"
)

// The variants are the gateway without one of the things that make it cheap. Nothing of
// the gateway is changed for it: they use what it offers in such a way that this one thing
// does not apply. What differs is what that thing is worth.

// newGatewayNoRest lets silent sockets keep their goroutines.
func newGatewayNoRest(cfg Config) (server, error) {
	cfg.Rest = -1
	return newGateway(cfg)
}

// newGatewayKeep does not give the memory of received messages back.
func newGatewayKeep(cfg Config) (server, error) {
	return onGateway(options(cfg), gateway.Callbacks{
		OnData: func(ctx context.Context, c *gateway.Socket, m gateway.Message) error {
			return c.Send(ctx, m)
		},
	}), nil
}

// newGatewayIndirect sends its replies as if another goroutine did: the workers write them.
func newGatewayIndirect(cfg Config) (server, error) {
	return onGateway(options(cfg), gateway.Callbacks{
		OnData: func(_ context.Context, c *gateway.Socket, m gateway.Message) error {
			defer m.Release()
			return c.Send(context.Background(), m)
		},
	}), nil
}

// hooked is a gateway behind a server that watches its connections: then messages are
// not served inside the read.
type hooked struct{ *ours }

func newGatewayHooked(cfg Config) (server, error) {
	return hooked{onGateway(options(cfg), echo)}, nil
}

func (s hooked) serve(l net.Listener) error {
	srv := &http.Server{Handler: s.gw, ConnState: func(net.Conn, http.ConnState) {}}
	return srv.Serve(l)
}

// wrapped is a gateway whose connections do not show their descriptors: they are read and
// written as those under TLS and in memory are.
type wrapped struct{ *ours }

func newGatewayWrapped(cfg Config) (server, error) {
	return wrapped{onGateway(options(cfg), echo)}, nil
}

func (s wrapped) serve(l net.Listener) error { return s.ours.serve(hiding{l}) }

type hiding struct{ net.Listener }

func (h hiding) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

// syncing waits for each write before the next.
type syncing struct{ *ours }

func newGatewaySync(cfg Config) (server, error) {
	return syncing{onGateway(options(cfg), gateway.Callbacks{
		OnData: func(ctx context.Context, c *gateway.Socket, m gateway.Message) error {
			defer m.Release()
			return c.SendSync(ctx, m)
		},
	})}, nil
}

func (s syncing) send(id string, m []byte) error {
	return s.gw.SendSync(context.Background(), id, gateway.Text(m))
}

// keyed sends messages with keys, each of which keeps a frame of its own while it waits.
type keyed struct{ *ours }

func newGatewayKeyed(cfg Config) (server, error) {
	return keyed{onGateway(options(cfg), echo)}, nil
}

func (s keyed) send(id string, m []byte) error {
	one := gateway.Text(m)
	one.Key = string(m[:8]) // its number: none replaces another
	return s.gw.SendWait(context.Background(), id, one)
}

// each sends a broadcast to one socket after the other.
type each struct{ *ours }

func newGatewayEach(cfg Config) (server, error) {
	return each{onGateway(options(cfg), echo)}, nil
}

func (s each) broadcast(m []byte) error {
	for _, id := range s.ids() {
		if err := s.send(id, m); err != nil {
			return err
		}
	}
	return nil
}
