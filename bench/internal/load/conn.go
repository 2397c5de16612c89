package load

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A Target is a server to connect to.
type Target struct {
	Addr    string
	Dialect Dialect
	TLS     bool
	Path    string        // of the WebSocket; empty: "/ws"
	Deflate bool          // offer permessage-deflate without context takeover
	Timeout time.Duration // for everything a connection does after its last [Conn.Extend]; 0: 30 s
	Buffer  int           // size in bytes of the read buffer at first; 0: 2 KiB
	RcvBuf  int           // SO_RCVBUF; 0: the system's
	Spread  bool          // connect from many addresses: one has ports for some 28,000
}

// A Conn is one client. It is for one goroutine, except that one may read
// while another writes.
type Conn struct {
	target Target
	nc     net.Conn
	buf    []byte // buf[r:w] has been read and not been used
	r, w   int

	fragments []byte // the beginning of a message of several frames
	first     frame  // its first frame

	pinged func(payload []byte) error // nil: pings are not answered
}

// Dial connects, and opens the WebSocket where the dialect has one.
func Dial(ctx context.Context, t Target) (*Conn, error) {
	d := net.Dialer{Timeout: t.timeout(), Control: receiveBuffer(t.RcvBuf)}
	if t.Spread {
		d.LocalAddr = nextSource()
	}
	nc, err := d.DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	if t.TLS {
		// The server's certificate is made when it starts.
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	}
	return Open(nc, t)
}

func (t Target) timeout() time.Duration { return cmp.Or(t.Timeout, 30*time.Second) }

// Open is the rest of Dial, on a connection that was made elsewhere.
func Open(nc net.Conn, t Target) (*Conn, error) {
	c := &Conn{target: t, nc: nc, buf: make([]byte, cmp.Or(t.Buffer, 2<<10))}
	if err := c.open(); err != nil {
		nc.Close()
		return nil, fmt.Errorf("open: %w", err)
	}
	return c, nil
}

func (c *Conn) open() error {
	c.Extend()
	if c.target.Dialect == Raw {
		return nil
	}
	if err := c.upgrade(); err != nil {
		return err
	}
	if c.target.Dialect != Centrifuge {
		return nil
	}
	hello := AppendFrame(nil, final|opText, []byte(centrifugeConnect), maskOf(1))
	if _, err := c.nc.Write(hello); err != nil {
		return err
	}
	f, err := c.wait()
	if err == nil && f.op != opText {
		err = fmt.Errorf("opcode %d in place of the answer to connect", f.op)
	}
	return err
}

// Extend lets what follows take the target's timeout again.
func (c *Conn) Extend() { c.nc.SetDeadline(time.Now().Add(c.target.timeout())) }

// NetConn is the connection below, for what this package does not do. Who reads from it
// misses what c has read.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Receive returns the payload of the next message, which is valid until the next call.
func (c *Conn) Receive() ([]byte, error) {
	f, err := c.wait()
	if err == nil && f.op != opText && f.op != opBinary {
		err = fmt.Errorf("a %s frame (%.100q) in place of a message", opName(f.op), f.payload)
	}
	return f.payload, err
}

// Cut drops the connection without a close handshake.
func (c *Conn) Cut() error { return c.nc.Close() }

// fill reads once, whatever there is.
func (c *Conn) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		c.grow()
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// grow makes room behind w: by moving what is there, or in a larger buffer.
func (c *Conn) grow() {
	b := c.buf
	if c.r < len(b)/2 {
		b = make([]byte, 2*len(b))
	}
	c.w = copy(b, c.buf[c.r:c.w])
	c.r, c.buf = 0, b
}

// message returns the next message that is buffered as a whole, or false. The
// payload is valid until the next fill.
func (c *Conn) message() (f frame, ok bool, err error) {
	if c.target.Dialect == Raw {
		return c.rawMessage()
	}
	for {
		f, size, err := parseFrame(c.buf[c.r:c.w])
		if err != nil {
			if err == errShort {
				err = nil
			}
			return f, false, err
		}
		c.r += size
		switch f.op {
		case opPing:
			if c.pinged == nil {
				continue // this does not last as long as a server waits for a pong
			}
			if err := c.pinged(f.payload); err != nil {
				return f, false, err
			}
			continue
		case opPong:
			continue
		case opClose:
			return f, true, nil
		}
		if whole, ok := c.assemble(f); ok {
			return whole, true, nil
		}
	}
}

// assemble puts messages of several frames together.
func (c *Conn) assemble(f frame) (frame, bool) {
	if f.fin && f.op != opContinuation {
		return f, true
	}
	if f.op != opContinuation {
		c.first, c.fragments = f, nil
	}
	c.fragments = append(c.fragments, f.payload...)
	if !f.fin {
		return f, false
	}
	whole := c.first
	whole.fin, whole.payload = true, c.fragments
	return whole, true
}

func (c *Conn) rawMessage() (frame, bool, error) {
	b := c.buf[c.r:c.w]
	if len(b) < 4 {
		return frame{}, false, nil
	}
	n := int(binary.BigEndian.Uint32(b))
	if n > 1<<24 {
		return frame{}, false, fmt.Errorf("message of %d bytes", n)
	}
	if len(b) < 4+n {
		return frame{}, false, nil
	}
	c.r += 4 + n
	return frame{op: opText, fin: true, payload: b[4 : 4+n]}, true, nil
}

// wait reads until there is a message.
func (c *Conn) wait() (frame, error) {
	for {
		f, ok, err := c.message()
		if ok || err != nil {
			return f, err
		}
		if err := c.fill(); err != nil {
			return f, err
		}
	}
}

// Close does the close handshake and waits for the server to drop TCP, as a
// browser does.
func (c *Conn) Close() error {
	defer c.nc.Close()
	c.Extend()
	if c.target.Dialect == Raw {
		return c.finish()
	}
	if err := c.goodbye(); err != nil {
		return err
	}
	if err := c.untilClose(); err != nil {
		return err
	}
	return c.untilEnd()
}

// AwaitClose waits until the server closes, passing over messages, and answers it.
func (c *Conn) AwaitClose() error {
	defer c.nc.Close()
	if err := c.untilClose(); err != nil {
		return err
	}
	if err := c.goodbye(); err != nil {
		return err
	}
	return c.untilEnd()
}

func (c *Conn) goodbye() error {
	_, err := c.nc.Write(AppendFrame(nil, final|opClose, []byte{0x03, 0xe8}, maskOf(2)))
	return err
}

func (c *Conn) untilClose() error {
	for {
		f, err := c.wait()
		if err != nil {
			return fmt.Errorf("wait for the close frame: %w", err)
		}
		if f.op == opClose {
			return nil
		}
	}
}

func (c *Conn) finish() error {
	if tc, ok := c.nc.(*net.TCPConn); ok {
		if err := tc.CloseWrite(); err != nil {
			return err
		}
	}
	return c.untilEnd()
}

func (c *Conn) untilEnd() error {
	for {
		c.r = c.w
		if err := c.fill(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("wait for the end: %w", err)
		}
	}
}
