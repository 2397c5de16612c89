package clients

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	xnet "golang.org/x/net/websocket"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
)

// A peer is a connection of one of Go's WebSocket packages.
type peer interface {
	subprotocol() string
	send(text bool, p []byte) error
	// receive returns the next message; after the close frame an error, and
	// from then on closed its code and reason.
	receive() (text bool, p []byte, err error)
	closed() (code int, reason string)
	// shut closes with a code and waits for the answer.
	shut(code int, reason string) error
}

// talk holds the conversation.
func talk(t *testing.T, lab *labproc.Lab, dial func(url string) (peer, error)) {
	open := func(path string) peer {
		t.Helper()
		p, err := dial("ws://" + lab.Addr + path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return p
	}
	p := open("/echo")
	if got := p.subprotocol(); got != "lab.v1" {
		t.Errorf("subprotocol %q", got)
	}
	for _, m := range []struct {
		text bool
		p    string
	}{{true, "hello"}, {true, ""}, {true, "grüß dich, κόσμε 😀"}, {true, strings.Repeat("x", 1<<20)},
		{false, "\xff\x00"}, {false, strings.Repeat("\xfe\x01", 1<<19)}} {
		if err := p.send(m.text, []byte(m.p)); err != nil {
			t.Fatal(err)
		}
		text, got, err := p.receive()
		if err != nil || text != m.text || string(got) != m.p {
			t.Fatalf("%d bytes came back as %d, text %v, %v", len(m.p), len(got), text, err)
		}
	}
	for i := range 200 {
		if err := p.send(true, fmt.Append(nil, "burst ", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		if _, got, err := p.receive(); err != nil || !bytes.Equal(got, fmt.Append(nil, "burst ", i)) {
			t.Fatalf("message %d is %q, %v", i, got, err)
		}
	}
	if err := p.shut(4001, "done"); err != nil {
		t.Errorf("our close: %v", err)
	}
	p = open("/hello")
	if _, got, err := p.receive(); err != nil || string(got) != "welcome" {
		t.Errorf("/hello said %q, %v", got, err)
	}
	_ = p.shut(1000, "")
	for _, end := range []struct {
		path, send, reason string
		code               int
	}{
		{"/verdict", `{"code":4002,"reason":"grüß"}`, "grüß", 4002},
		{"/panic", "now", "panic", 1011},
		{"/rate", strings.Repeat("x", 70000), "too_large", 1009},
	} {
		p := open(end.path)
		if err := p.send(true, []byte(end.send)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := p.receive(); err == nil {
			t.Errorf("%s answered %q", end.path, got)
		}
		if code, reason := p.closed(); code != end.code || reason != end.reason {
			t.Errorf("%s closed with %d %q, want %d %q", end.path, code, reason, end.code, end.reason)
		}
	}
	if p, err := dial("ws://" + lab.Addr + "/nothing"); err == nil {
		_ = p.shut(1000, "")
		t.Error("a path without a route opened")
	}
}

var offered = []string{"foo", "lab.v1"}

func TestGorilla(t *testing.T) {
	each(t, func(t *testing.T, lab *labproc.Lab) {
		talk(t, lab, func(url string) (peer, error) {
			d := gorilla.Dialer{Subprotocols: offered, EnableCompression: true}
			c, _, err := d.Dial(url, nil)
			return &gorillaPeer{Conn: c}, err
		})
	})
}

type gorillaPeer struct {
	*gorilla.Conn
	last gorilla.CloseError
}

func (p *gorillaPeer) subprotocol() string { return p.Subprotocol() }

func (p *gorillaPeer) send(text bool, b []byte) error {
	typ := gorilla.BinaryMessage
	if text {
		typ = gorilla.TextMessage
	}
	return p.WriteMessage(typ, b)
}

func (p *gorillaPeer) receive() (bool, []byte, error) {
	typ, b, err := p.ReadMessage()
	if closed := (*gorilla.CloseError)(nil); errors.As(err, &closed) {
		p.last = *closed
	}
	return typ == gorilla.TextMessage, b, err
}

func (p *gorillaPeer) closed() (int, string) { return p.last.Code, p.last.Text }

func (p *gorillaPeer) shut(code int, reason string) error {
	defer p.Close()
	err := p.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason),
		time.Now().Add(20*time.Second))
	if err != nil {
		return err
	}
	_, _, _ = p.receive()
	if p.last.Code != code {
		return fmt.Errorf("answered with %+v", p.last)
	}
	return nil
}

func TestCoder(t *testing.T) {
	each(t, func(t *testing.T, lab *labproc.Lab) {
		talk(t, lab, func(url string) (peer, error) {
			c, _, err := coder.Dial(t.Context(), url,
				&coder.DialOptions{Subprotocols: offered, CompressionMode: coder.CompressionContextTakeover})
			if err == nil {
				c.SetReadLimit(-1)
			}
			return &coderPeer{Conn: c, t: t}, err
		})
	})
}

type coderPeer struct {
	*coder.Conn
	t    *testing.T
	last coder.CloseError
}

func (p *coderPeer) subprotocol() string { return p.Subprotocol() }

func (p *coderPeer) send(text bool, b []byte) error {
	typ := coder.MessageBinary
	if text {
		typ = coder.MessageText
	}
	return p.Write(p.t.Context(), typ, b)
}

func (p *coderPeer) receive() (bool, []byte, error) {
	typ, b, err := p.Read(p.t.Context())
	_ = errors.As(err, &p.last)
	return typ == coder.MessageText, b, err
}

func (p *coderPeer) closed() (int, string) { return int(p.last.Code), p.last.Reason }
func (p *coderPeer) shut(code int, reason string) error {
	return p.Close(coder.StatusCode(code), reason)
}

func TestGWS(t *testing.T) {
	each(t, func(t *testing.T, lab *labproc.Lab) {
		talk(t, lab, func(url string) (peer, error) {
			p := &gwsPeer{messages: make(chan gwsMessage, 1000), end: make(chan struct{})}
			var err error
			p.conn, _, err = gws.NewClient(p, &gws.ClientOption{
				Addr:          url,
				RequestHeader: http.Header{"Sec-Websocket-Protocol": {strings.Join(offered, ", ")}},
				PermessageDeflate: gws.PermessageDeflate{Enabled: true, ServerContextTakeover: true,
					ClientContextTakeover: true, Threshold: 1},
			})
			if err == nil {
				go p.conn.ReadLoop()
			}
			return p, err
		})
	})
}

type gwsMessage struct {
	text bool
	p    []byte
}

type gwsPeer struct {
	gws.BuiltinEventHandler
	conn     *gws.Conn
	messages chan gwsMessage
	end      chan struct{}
	err      error // read after end
}

func (p *gwsPeer) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	p.messages <- gwsMessage{m.Opcode == gws.OpcodeText, bytes.Clone(m.Bytes())}
}

func (p *gwsPeer) OnClose(_ *gws.Conn, err error) {
	p.err = err
	close(p.end)
}

func (p *gwsPeer) subprotocol() string { return p.conn.SubProtocol() }

func (p *gwsPeer) send(text bool, b []byte) error {
	if text {
		return p.conn.WriteMessage(gws.OpcodeText, b)
	}
	return p.conn.WriteMessage(gws.OpcodeBinary, b)
}

func (p *gwsPeer) receive() (bool, []byte, error) {
	select {
	case m := <-p.messages:
		return m.text, m.p, nil
	case <-p.end:
		return false, nil, p.err
	case <-time.After(20 * time.Second):
		return false, nil, errors.New("nothing came")
	}
}

func (p *gwsPeer) closed() (int, string) {
	closed := (*gws.CloseError)(nil)
	if !errors.As(p.err, &closed) {
		return 1006, ""
	}
	return int(closed.Code), string(closed.Reason)
}

func (p *gwsPeer) shut(code int, reason string) error {
	return p.conn.WriteClose(uint16(code), []byte(reason))
}

// golang.org/x/net/websocket knows neither close codes nor compression. It is
// old, still in use, and sends an Origin with every request.
func TestXNet(t *testing.T) {
	lab := labproc.Get(t)
	cfg, err := xnet.NewConfig("ws://"+lab.Addr+"/echo", "http://"+lab.Addr)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Protocol = []string{"lab.v1"}
	c, err := cfg.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []string{"hello", "grüß dich", strings.Repeat("x", 1<<20)} {
		var got string
		if err := xnet.Message.Send(c, want); err != nil {
			t.Fatal(err)
		}
		if err := xnet.Message.Receive(c, &got); err != nil || got != want {
			t.Errorf("%d bytes came back as %d, %v", len(want), len(got), err)
		}
	}
	var bin []byte
	if err := xnet.Message.Send(c, []byte{0xff, 0}); err != nil {
		t.Fatal(err)
	}
	if err := xnet.Message.Receive(c, &bin); err != nil || !bytes.Equal(bin, []byte{0xff, 0}) {
		t.Errorf("binary came back as %x, %v", bin, err)
	}
	cfg.Origin.Host = "evil.example"
	if c, err := cfg.DialContext(t.Context()); err == nil {
		_ = c.Close()
		t.Error("a foreign origin was accepted")
	}
}
