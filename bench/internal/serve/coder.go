package serve

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// plainCoder is the obvious program on coder/websocket: Accept, Read, Write
// and a map of sockets.
type plainCoder struct {
	registry[*websocket.Conn]
	opts *websocket.AcceptOptions
}

func newCoder(cfg Config) (server, error) {
	s := &plainCoder{opts: &websocket.AcceptOptions{}}
	if cfg.Deflate {
		s.opts.CompressionMode = websocket.CompressionNoContextTakeover
	}
	return s, nil
}

func (s *plainCoder) serve(l net.Listener) error { return serveHTTP(l, s) }

func (s *plainCoder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, s.opts)
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	id := s.add(c)
	defer s.remove(id)
	ctx := context.Background()
	for {
		typ, m, err := c.Read(ctx)
		if err != nil {
			return
		}
		if err := c.Write(ctx, typ, m); err != nil {
			return
		}
	}
}

func (s *plainCoder) broadcast(m []byte) error {
	for _, c := range s.all() {
		if err := c.Write(context.Background(), websocket.MessageText, m); err != nil {
			c.CloseNow()
		}
	}
	return nil
}

func (s *plainCoder) send(id string, m []byte) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	return c.Write(context.Background(), websocket.MessageText, m)
}
