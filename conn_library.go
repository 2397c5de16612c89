package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/coder/websocket"
	"github.com/wsgateway/gateway/internal/ws"
)

// This is the one file that imports the WebSocket library. The library reads the
// messages that come in several frames. It gets their data frames and nothing else:
// control frames between them are taken before, and what breaks the protocol ends the
// socket before. It lives for one message, and writes nothing.

// minReadBufSize is of the library's reader, which needs next to nothing: the conn
// buffers. (It is the least that package bufio makes.)
const minReadBufSize = 16

// A library is a connection of the WebSocket library. What the library takes for its
// client's connection is a port to the conn of a socket.
type library struct {
	c       *conn
	ws      *websocket.Conn
	br      *bufio.Reader
	pending []byte // of a header that the library has not read yet
	header  [ws.MaxClientHeader]byte
}

// newLibrary has the library accept a handshake of our own making: there is no other
// way to get a connection from it.
func newLibrary(c *conn) *library {
	lib := &library{c: c}
	header := http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	r := &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Header: header}
	conn, err := websocket.Accept(acceptWriter{lib, http.Header{}}, r,
		&websocket.AcceptOptions{InsecureSkipVerify: true,
			CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		panic(fmt.Sprintf("gateway: the WebSocket library refuses a handshake that is right: %v", err))
	}
	// Its finalizer would close what is not its own, and in a synctest bubble
	// from outside.
	runtime.SetFinalizer(conn, nil)
	conn.SetReadLimit(-1) // the judge's is earlier
	lib.ws = conn
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
	w.lib.br = bufio.NewReaderSize(w.lib, minReadBufSize)
	return w.lib, bufio.NewReadWriter(w.lib.br, bufio.NewWriterSize(w.lib, minReadBufSize)), nil
}

// assemble reads the message whose first frame's header has come to m. It waits for the
// rest. A context that could end would cost a timer for each frame; the socket ends a
// read by cutting the connection.
func (c *conn) assemble(m *Message) error {
	f := &c.frames
	f.assembling = true
	defer func() { f.assembling = false }()
	lib := newLibrary(c)
	lib.announce()
	t, r, err := lib.ws.Reader(context.Background())
	if err == nil {
		*m = Message{Type: MessageType(t)}
		m.Data, err = ws.Gather(available{lib, r}, m.Type == MessageText && !f.judge.Deflated(), c.charge,
			nil)
	}
	if err != nil {
		c.charge(0)
		return err
	}
	f.endFrame()
	return c.finished(m)
}

// announce hands the library the header of the frame that the conn is in. Deflated
// messages are handed on as if they were not: the library keeps what a sender put behind
// its last DEFLATE block and takes it for the next message's beginning.
func (lib *library) announce() {
	h := lib.c.frames.h
	h.First &^= ws.Rsv1
	lib.pending = ws.AppendClientHeader(lib.header[:0], h)
}

// Read gives the library the frames of the message.
func (lib *library) Read(p []byte) (int, error) {
	c := lib.c
	f := &c.frames
	for {
		if len(lib.pending) > 0 {
			n := copy(p, lib.pending)
			lib.pending = lib.pending[n:]
			return n, nil
		}
		switch {
		case c.s.isClosing():
			return 0, errAbandoned
		case f.left == 0:
			if err := lib.nextFrame(); err != nil {
				return 0, err
			}
		case len(c.in) == 0:
			if err := c.waitWithin(); err != nil {
				return 0, err
			}
		default:
			n := copy(p, c.in[:min(f.left, int64(len(c.in)))])
			c.in = c.in[n:]
			f.left -= int64(n)
			return n, nil
		}
	}
}

// nextFrame goes on to the next frame of the message.
func (lib *library) nextFrame() error {
	c := lib.c
	for c.frames.endFrame(); ; {
		ok, err := c.frames.inFrame, error(nil)
		if !ok {
			ok, err = c.header()
		}
		if ok && c.frames.h.Control() {
			if ok, err = c.takeControl(); ok && err == nil {
				continue
			}
		} else if ok {
			lib.announce()
			return nil
		}
		if err == nil {
			err = c.waitWithin()
		}
		if err != nil {
			return err
		}
	}
}

// waitWithin is wait in the middle of a message, where the end of the connection is no
// ordinary one: io.EOF would be the message's.
func (c *conn) waitWithin() error {
	err := c.wait()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Write is never called with data, and what the library has to say about the protocol
// has been said.
func (lib *library) Write(p []byte) (int, error) { return len(p), nil }

// Close changes nothing: the socket closes its connection itself.
func (lib *library) Close() error { return nil }

// LocalAddr and the other methods complete a net.Conn.
func (lib *library) LocalAddr() net.Addr              { return lib.c.nc.LocalAddr() }
func (lib *library) RemoteAddr() net.Addr             { return lib.c.nc.RemoteAddr() }
func (lib *library) SetDeadline(time.Time) error      { return nil }
func (lib *library) SetReadDeadline(time.Time) error  { return nil }
func (lib *library) SetWriteDeadline(time.Time) error { return nil }

// available reads what has come of a message, so that the library does not wait for more
// while there is some that could be checked.
type available struct {
	lib *library
	r   io.Reader
}

func (a available) Read(p []byte) (int, error) {
	c := a.lib.c
	n := 1 // between two frames it is not known how many bytes the next one has
	switch buffered := a.lib.br.Buffered(); {
	case buffered > 0:
		n = buffered
	case len(a.lib.pending) == 0 && c.frames.left > 0:
		if len(c.in) == 0 {
			if err := c.waitWithin(); err != nil {
				return 0, err
			}
		}
		n = int(min(c.frames.left, int64(len(c.in))))
	}
	return a.r.Read(p[:min(n, len(p))])
}
