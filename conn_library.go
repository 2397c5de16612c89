package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// This is the one file that imports the WebSocket library. The library reads the
// messages that fastframe.go does not: those in several frames, and whatever breaks
// the protocol. Data frames and close frames are written by the outbox; the
// handshake's request is checked, and answered, in upgrade.go.

// controlBufSize holds a whole control frame, so that each reaches port.Write in
// one call. The library's reader needs next to nothing: the link buffers.
const (
	controlBufSize = 2 + maxControl + 1
	minReadBufSize = 16
)

// errIdle is what the library reads between two messages when nothing has come.
// It hands it on and is none the worse for it: a frame has not begun.
var errIdle = errors.New("gateway: no message has begun")

// A library is a connection of the WebSocket library. It belongs to a socket only
// while that is reading a message, and an idle socket has none: between two
// messages a connection remembers nothing. One that inflates would, when a message
// has bytes behind its last DEFLATE block; so it reads deflated messages as they
// are, and compress.go inflates them.
type library struct {
	conn     *websocket.Conn
	br       *bufio.Reader
	port     port
	handed   scanner // watches the bytes that the connection gets
	deflated bool    // the message is
}

// A libraryPool is that of one gateway. It is not shared among gateways: in a
// bubble of testing/synctest, nothing may be used that another bubble made.
type libraryPool struct{ sync.Pool }

func (p *libraryPool) get(l *link) *library {
	lib, ok := p.Get().(*library)
	if !ok {
		lib = newLibrary()
	}
	lib.port.l, lib.handed, lib.deflated = l, scanner{limit: -1}, false
	return lib
}

func (p *libraryPool) put(lib *library) {
	lib.port.l = nil
	p.Put(lib)
}

// newLibrary has the library accept a handshake of our own making: there is no
// other way to get a connection from it.
func newLibrary() *library {
	lib := new(library)
	header := http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	r := &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Header: header}
	conn, err := websocket.Accept(acceptWriter{lib, http.Header{}}, r,
		&websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		panic(fmt.Sprintf("gateway: the WebSocket library refuses a handshake that is right: %v", err))
	}
	// Its finalizer would close what is not its own, and in a synctest bubble
	// from outside.
	runtime.SetFinalizer(conn, nil)
	conn.SetReadLimit(-1) // the scanner's is earlier
	lib.conn = conn
	return lib
}

// An acceptWriter gives the library its port for a hijacked connection.
type acceptWriter struct {
	lib    *library
	header http.Header
}

func (w acceptWriter) Header() http.Header         { return w.header }
func (w acceptWriter) WriteHeader(int)             {}
func (w acceptWriter) Write(p []byte) (int, error) { return len(p), nil }

func (w acceptWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	port := &w.lib.port
	w.lib.br = bufio.NewReaderSize(port, minReadBufSize)
	return port, bufio.NewReadWriter(w.lib.br, bufio.NewWriterSize(port, controlBufSize)), nil
}

// A port is what a library takes for its client's connection. It leads to the
// link of the socket that the library reads for.
type port struct{ l *link }

func (p *port) Read(b []byte) (int, error)  { return p.l.Read(b) }
func (p *port) Write(b []byte) (int, error) { return p.l.Write(b) }

// Close changes nothing: the socket closes its connection itself.
func (p *port) Close() error {
	if p.l != nil {
		p.l.dropped = true
	}
	return nil
}

func (p *port) LocalAddr() net.Addr              { return p.l.conn.LocalAddr() }
func (p *port) RemoteAddr() net.Addr             { return p.l.conn.RemoteAddr() }
func (p *port) SetDeadline(time.Time) error      { return nil }
func (p *port) SetReadDeadline(time.Time) error  { return nil }
func (p *port) SetWriteDeadline(time.Time) error { return nil }

// hand copies to p what the connection may have of in, and returns its length: no
// byte of a second message, and the first without the bit that says it is deflated.
func (lib *library) hand(p, in []byte, deflate bool) (n int) {
	sc := &lib.handed
	most := min(len(p), len(in))
	for n < most && (sc.messages == 0 || !sc.idle()) {
		size := 1 // a header goes byte by byte
		if sc.remain > 0 {
			size = int(min(sc.remain, int64(most-n)))
		}
		begins := sc.idle()
		part := p[n : n+copy(p[n:], in[n:n+size])]
		if begins && deflate && part[0]&rsv1Bit != 0 && part[0]&controlBit == 0 {
			part[0] &^= rsv1Bit
			lib.deflated = true
		}
		sc.scan(part) // has been let pass before
		n += size
	}
	return n
}

// next waits for a message. A context that could end would cost a timer for
// each frame, and close the connection; the socket ends a read by cutting it.
func (l *link) next() (MessageType, io.Reader, error) {
	l.lib = l.s.h.libraries.get(l)
	t, r, err := l.lib.conn.Reader(context.Background())
	return MessageType(t), r, err
}

// rest gives the library back after a message, or when there was none after all.
func (l *link) rest() {
	l.s.h.libraries.put(l.lib)
	l.lib = nil
}

// release throws the library away after the last message.
func (l *link) release() {
	if l.lib != nil {
		l.lib.conn.CloseNow()
		l.lib = nil
	}
}

// end says what the error of next, or of its reader, means.
func (l *link) end(err error) Closed {
	if ours, ok := err.(*peerClosed); ok {
		return Closed{Cause: CauseClient, Code: ours.code, Reason: ours.reason}
	}
	var peer websocket.CloseError
	var v *violation
	switch {
	case errors.As(err, &peer):
		c := Closed{Cause: CauseClient, Code: int(peer.Code), Reason: cleanReason(peer.Reason)}
		if c.Reason != peer.Reason { // RFC 6455, section 5.5.1: the reason is UTF-8
			return Closed{Cause: CauseInvalidUTF8, Code: closeInvalidUTF8, Err: errBadUTF8}
		}
		return c
	case errors.As(err, &v):
		return Closed{Cause: v.cause, Code: v.code, Err: v}
	case l.closing == 0 && l.err != nil:
		return Closed{Cause: CauseConnectionLost, Code: closeAbnormal, Err: l.err}
	case l.closing == 0 && l.dropped: // half a control frame, and then nothing for seconds
		return Closed{Cause: CauseMessageTimeout, Code: closePolicy, Err: err}
	}
	return Closed{Cause: CauseProtocolError, Code: closeProtocol, Err: err}
}
