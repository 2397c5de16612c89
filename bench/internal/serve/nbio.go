package serve

import (
	"net"
	"net/http"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// onNBIO is a program on lesismal/nbio, in its mode without a goroutine for each
// connection, after its example of a WebSocket server.
type onNBIO struct {
	registry[*websocket.Conn]
	upgrader *websocket.Upgrader
}

func newNBIO(cfg Config) (server, error) {
	s := &onNBIO{upgrader: websocket.NewUpgrader()}
	s.upgrader.CheckOrigin = func(*http.Request) bool { return true } // as the example does
	s.upgrader.EnableCompression(cfg.Deflate)
	s.upgrader.OnOpen(func(c *websocket.Conn) {
		c.EnableWriteCompression(cfg.Deflate)
		c.SetSession(s.add(c))
	})
	s.upgrader.OnMessage(func(c *websocket.Conn, typ websocket.MessageType, m []byte) {
		// The library handles errors of writes itself.
		_ = c.WriteMessage(typ, m)
	})
	s.upgrader.OnClose(func(c *websocket.Conn, _ error) {
		if id, ok := c.Session().(string); ok {
			s.remove(id)
		}
	})
	return s, nil
}

func (s *onNBIO) serve(l net.Listener) error { return s.start(l, nbhttp.Config{}) }

// serveTLS implements ownTLS: the library brings a crypto/tls that never blocks.
func (s *onNBIO) serveTLS(l net.Listener, cert, key []byte) error {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	return s.start(l, nbhttp.Config{AddrsTLS: []string{addr},
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}})
}

func (s *onNBIO) start(l net.Listener, conf nbhttp.Config) error {
	logging.SetLevel(logging.LevelNone) // it would write to our standard output
	conf.Network = "tcp"
	if conf.AddrsTLS == nil {
		conf.Addrs = []string{l.Addr().String()}
	}
	conf.Listen = func(string, string) (net.Listener, error) { return l, nil }
	conf.IOMod = nbhttp.IOModNonBlocking
	conf.ReleaseWebsocketPayload = true
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		_, _ = s.upgrader.Upgrade(w, r, nil) // an error has been answered
	})
	conf.Handler = mux
	engine := nbhttp.NewEngine(conf)
	s.upgrader.Engine = engine
	if err := engine.Start(); err != nil {
		return err
	}
	select {} // its goroutines end with the process
}

func (s *onNBIO) broadcast(m []byte) error {
	for _, c := range s.all() {
		_ = c.WriteMessage(websocket.TextMessage, m)
	}
	return nil
}

func (s *onNBIO) send(id string, m []byte) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	return c.WriteMessage(websocket.TextMessage, m)
}
