package serve

import (
	"net"
	"net/http"

	"github.com/olahol/melody"
)

// onMelody is a program on olahol/melody, which brings its own pumps and
// broadcast.
type onMelody struct {
	registry[*melody.Session]
	m *melody.Melody
}

const melodyKey = "id"

func newMelody(cfg Config) (server, error) {
	s := &onMelody{m: melody.New()}
	s.m.Config.MaxMessageSize = 1 << 20
	if cfg.Buffer > 0 {
		s.m.Config.MessageBufferSize = cfg.Buffer
	}
	s.m.Upgrader.EnableCompression = cfg.Deflate
	s.m.HandleConnect(func(c *melody.Session) { c.Set(melodyKey, s.add(c)) })
	s.m.HandleDisconnect(func(c *melody.Session) {
		if id, ok := c.Get(melodyKey); ok {
			s.remove(id.(string))
		}
	})
	s.m.HandleMessage(func(c *melody.Session, m []byte) { c.Write(m) })
	s.m.HandleMessageBinary(func(c *melody.Session, m []byte) { c.WriteBinary(m) })
	return s, nil
}

func (s *onMelody) serve(l net.Listener) error { return serveHTTP(l, s) }

func (s *onMelody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// An error has been answered, or is the end of the connection.
	_ = s.m.HandleRequest(w, r)
}

func (s *onMelody) broadcast(m []byte) error { return s.m.Broadcast(m) }

func (s *onMelody) send(id string, m []byte) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	return c.Write(m)
}
