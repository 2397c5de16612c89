package serve

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// writeWait is what the example of gorilla/websocket allows a write to take.
const writeWait = 10 * time.Second

// gorilla is a program on gorilla/websocket: a mutex makes writes of several
// goroutines one after another, as its documentation demands, and a broadcast
// is one PreparedMessage.
type gorilla struct {
	registry[*gorillaConn]
	upgrader websocket.Upgrader
}

type gorillaConn struct {
	*websocket.Conn
	mu sync.Mutex // around writes
}

func newGorilla(cfg Config) (server, error) {
	return &gorilla{upgrader: websocket.Upgrader{EnableCompression: cfg.Deflate}}, nil
}

func (s *gorilla) serve(l net.Listener) error { return serveHTTP(l, s) }

func (s *gorilla) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	wc, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	defer wc.Close()
	wc.SetReadLimit(1 << 20)
	c := &gorillaConn{Conn: wc}
	id := s.add(c)
	defer s.remove(id)
	for {
		typ, m, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.write(typ, m); err != nil {
			return
		}
	}
}

func (c *gorillaConn) write(typ int, m []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.SetWriteDeadline(time.Now().Add(writeWait))
	return c.WriteMessage(typ, m)
}

func (c *gorillaConn) writePrepared(m *websocket.PreparedMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.SetWriteDeadline(time.Now().Add(writeWait))
	return c.WritePreparedMessage(m)
}

func (s *gorilla) broadcast(m []byte) error {
	prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, m)
	if err != nil {
		return err
	}
	for _, c := range s.all() {
		if err := c.writePrepared(prepared); err != nil {
			c.Close()
		}
	}
	return nil
}

func (s *gorilla) send(id string, m []byte) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	return c.write(websocket.TextMessage, m)
}
