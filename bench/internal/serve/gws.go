package serve

import (
	"net"
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

// onGWS is a program on lxzan/gws, after its "best practice", but without
// parallel handling of one socket's messages, which would lose their order.
type onGWS struct {
	gws.BuiltinEventHandler
	registry[*gws.Conn]
	upgrader *gws.Upgrader
}

const (
	gwsKey = "id"
	// gwsDeadline is longer than any test: the clients do not ping.
	gwsDeadline = 5 * time.Minute
)

func newGWS(cfg Config) (server, error) {
	s := &onGWS{}
	s.upgrader = gws.NewUpgrader(s, &gws.ServerOption{
		Recovery:          gws.Recovery,
		PermessageDeflate: gws.PermessageDeflate{Enabled: cfg.Deflate},
	})
	return s, nil
}

func (s *onGWS) serve(l net.Listener) error { return serveHTTP(l, s) }

func (s *onGWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := s.upgrader.Upgrade(w, r)
	if err != nil {
		return
	}
	go c.ReadLoop() // so that the request can be collected
}

func (s *onGWS) OnOpen(c *gws.Conn) {
	c.SetDeadline(time.Now().Add(gwsDeadline))
	c.Session().Store(gwsKey, s.add(c))
}

func (s *onGWS) OnClose(c *gws.Conn, _ error) {
	if id, ok := c.Session().Load(gwsKey); ok {
		s.remove(id.(string))
	}
}

func (s *onGWS) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	// The library handles errors of writes itself.
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

func (s *onGWS) broadcast(m []byte) error {
	b := gws.NewBroadcaster(gws.OpcodeText, m)
	defer b.Close()
	for _, c := range s.all() {
		_ = b.Broadcast(c)
	}
	return nil
}

func (s *onGWS) send(id string, m []byte) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	return c.WriteMessage(gws.OpcodeText, m)
}
