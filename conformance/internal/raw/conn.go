package raw

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// A Conn is the client's side of an open WebSocket connection. One goroutine may
// read while others write.
type Conn struct {
	nc      net.Conn
	br      *bufio.Reader
	deflate *Deflate // nil: not agreed

	wmu sync.Mutex

	// Of the message that is being received.
	opcode     byte
	compressed bool
	message    []byte
}

// A Kind says what came from the server.
type Kind int

// What Next returns.
const (
	Message Kind = iota + 1 // a whole text or binary message
	Ponged                  // a pong frame
	Closed                  // a close frame
	End                     // the end of TCP, after a close frame or without
	Reset                   // TCP was reset
)

func (k Kind) String() string {
	return [...]string{"nothing", "message", "pong", "close", "end", "reset"}[k]
}

// An Event is what came from the server.
type Event struct {
	Kind   Kind
	Opcode byte   // of a message
	Data   []byte // of a message, inflated, or of a pong
	Code   int    // of a close frame; 1005 if it has none
	Reason string
}

// Net returns the TCP connection below.
func (c *Conn) Net() net.Conn { return c.nc }

// Deflate returns what was agreed about compression, or nil.
func (c *Conn) Deflate() *Deflate { return c.deflate }

// Write sends bytes as they are.
func (c *Conn) Write(b []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_ = c.nc.SetWriteDeadline(time.Now().Add(Timeout))
	_, err := c.nc.Write(b)
	return err
}

// WriteCut sends bytes in segments of n bytes; 0 sends them in one.
func (c *Conn) WriteCut(b []byte, n int) error {
	if n <= 0 {
		n = max(1, len(b))
	}
	for _, part := range Cut(b, n) {
		if err := c.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Send sends frames in one write.
func (c *Conn) Send(frames ...Frame) error { return c.Write(Encode(frames...)) }

// SendMessage sends a message in one frame, compressed if that was agreed.
func (c *Conn) SendMessage(opcode byte, p []byte) error {
	f := Whole(opcode, p)
	if c.deflate != nil {
		f.RSV, f.Payload = RSV1, c.deflate.Compress(p)
	}
	return c.Send(f)
}

// Next returns what the server sends next, within Timeout. Pings it answers and
// passes over. An error means that the server was silent or broke the protocol;
// the end of the connection is an Event.
func (c *Conn) Next() (Event, error) { return c.NextWithin(Timeout) }

// NextWithin is Next with a time limit of its own.
func (c *Conn) NextWithin(d time.Duration) (Event, error) {
	_ = c.nc.SetReadDeadline(time.Now().Add(d))
	for {
		f, err := readFrame(c.br)
		if err != nil {
			return ended(err)
		}
		if f.RSV != 0 && (f.RSV != RSV1 || c.deflate == nil || (f.Opcode != Text && f.Opcode != Binary)) {
			return Event{}, broken("reserved bits %03b in frame of opcode %#x", f.RSV, f.Opcode)
		}
		switch f.Opcode {
		case Ping:
			_ = c.Send(Whole(Pong, f.Payload)) // an end shows when reading
		case Pong:
			return Event{Kind: Ponged, Data: f.Payload}, nil
		case CloseOp:
			return closeEvent(f.Payload)
		case Text, Binary, Continuation:
			if ev, err := c.data(f); err != nil || ev.Kind != 0 {
				return ev, err
			}
		default:
			return Event{}, broken("opcode %#x", f.Opcode)
		}
	}
}

// data adds a data frame to its message. The event is zero until the message is
// whole.
func (c *Conn) data(f Frame) (Event, error) {
	if (f.Opcode == Continuation) != (c.opcode != 0) {
		return Event{}, broken("opcode %#x, message open: %v", f.Opcode, c.opcode != 0)
	}
	if f.Opcode != Continuation {
		c.opcode, c.compressed, c.message = f.Opcode, f.RSV == RSV1, nil
	}
	if c.message == nil {
		c.message = f.Payload
	} else {
		c.message = append(c.message, f.Payload...)
	}
	if !f.Fin {
		return Event{}, nil
	}
	ev := Event{Kind: Message, Opcode: c.opcode, Data: c.message}
	c.opcode, c.message = 0, nil
	if c.compressed {
		var err error
		if ev.Data, err = c.deflate.Decompress(ev.Data); err != nil {
			return Event{}, err
		}
	}
	if ev.Opcode == Text && !utf8.Valid(ev.Data) {
		return Event{}, broken("text that is not UTF-8: %.40q", ev.Data)
	}
	return ev, nil
}

func closeEvent(p []byte) (Event, error) {
	if len(p) == 0 {
		return Event{Kind: Closed, Code: 1005}, nil
	}
	if len(p) == 1 {
		return Event{}, broken("close frame of one byte")
	}
	ev := Event{Kind: Closed, Code: int(binary.BigEndian.Uint16(p)), Reason: string(p[2:])}
	if !utf8.ValidString(ev.Reason) {
		return ev, broken("close reason is not UTF-8: %q", ev.Reason)
	}
	if !ValidCode(ev.Code) {
		return ev, broken("close code %d", ev.Code)
	}
	return ev, nil
}

// ValidCode reports whether a close frame may carry the code (RFC 6455, section
// 7.4, and the IANA registry).
func ValidCode(code int) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// ended makes an Event of the end of TCP, and leaves other errors.
func ended(err error) (Event, error) {
	switch {
	case errors.Is(err, io.EOF):
		return Event{Kind: End}, nil
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Event{Kind: Reset}, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Event{}, errors.New("the server was silent")
	}
	return Event{}, err
}

// Echo sends a message and waits for the same one to come back.
func (c *Conn) Echo(opcode byte, p []byte) error {
	if err := c.SendMessage(opcode, p); err != nil {
		return err
	}
	ev, err := c.Next()
	switch {
	case err != nil:
		return err
	case ev.Kind != Message || ev.Opcode != opcode || !bytes.Equal(ev.Data, p):
		return broken("echo of %d bytes: %v, %d bytes, code %d", len(p), ev.Kind, len(ev.Data), ev.Code)
	}
	return nil
}

// Shut closes with 1000, reads on until the server's close frame and the end of
// TCP, and frees the connection. Messages and pongs on the way are passed over.
func (c *Conn) Shut() error {
	defer c.Cut()
	if err := c.Send(Close(1000, "")); err != nil {
		return err
	}
	closed := false
	for {
		ev, err := c.Next()
		switch {
		case err != nil:
			return err
		case ev.Kind == Closed && (closed || ev.Code != 1000):
			return broken("close frame %d %q, the second: %v", ev.Code, ev.Reason, closed)
		case ev.Kind == Closed:
			closed = true
		case ev.Kind == End && closed:
			return nil
		case ev.Kind >= End:
			return broken("%v, close frame before: %v", ev.Kind, closed)
		case closed:
			return broken("%v after the close frame", ev.Kind)
		}
	}
}

// Cut drops TCP without a close frame.
func (c *Conn) Cut() { _ = c.nc.Close() }

// Abort resets TCP.
func (c *Conn) Abort() {
	if tc, ok := c.nc.(*net.TCPConn); ok {
		_ = tc.SetLinger(0)
	}
	_ = c.nc.Close()
}
