package gatewaytest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how many bytes may be on their way in each direction, as in the
// socket buffers of a real connection.
const bufferSize = 64 << 10

// A conn is one end of a connection in memory. Unlike net.Pipe it has buffers,
// so a write does not wait for the other end to read until they are full.
type conn struct {
	local, remote addr
	in, out       *stream
}

type addr string

func (a addr) Network() string { return "tcp" }
func (a addr) String() string  { return string(a) }

// newPipe returns the two ends of a connection.
func newPipe(client, server addr) (*conn, *conn) {
	a, b := newStream(), newStream()
	return &conn{local: client, remote: server, in: a, out: b},
		&conn{local: server, remote: client, in: b, out: a}
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *conn) LocalAddr() net.Addr         { return c.local }
func (c *conn) RemoteAddr() net.Addr        { return c.remote }

// CloseWrite ends what the other end reads.
func (c *conn) CloseWrite() error {
	c.out.end(io.EOF, net.ErrClosed)
	return nil
}

func (c *conn) Close() error {
	c.in.abandon()
	c.out.end(io.EOF, net.ErrClosed)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	c.in.reading.set(t)
	c.out.writing.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.reading.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.writing.set(t)
	return nil
}

// A stream is one direction of a connection.
type stream struct {
	mu       sync.Mutex
	changed  sync.Cond
	buf      []byte
	readErr  error // once buf is empty
	writeErr error
	stalled  bool // the reader gets nothing

	reading, writing deadline
}

func newStream() *stream {
	s := new(stream)
	s.changed.L = &s.mu
	s.reading.of, s.writing.of = s, s
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case errors.Is(s.readErr, net.ErrClosed):
			return 0, s.readErr
		case s.reading.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case s.stalled:
		case len(s.buf) > 0:
			n := copy(p, s.buf)
			s.buf = append(s.buf[:0], s.buf[n:]...)
			s.changed.Broadcast()
			return n, nil
		case s.readErr != nil:
			return 0, s.readErr
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch room := bufferSize - len(s.buf); {
		case s.writeErr != nil:
			return n, s.writeErr
		case s.writing.passed():
			return n, os.ErrDeadlineExceeded
		case len(p) == 0:
			return n, nil
		case room > 0:
			k := min(room, len(p))
			s.buf = append(s.buf, p[:k]...)
			n, p = n+k, p[k:]
			s.changed.Broadcast()
			continue
		}
		s.changed.Wait()
	}
}

// end is for the writer: the reader gets readErr after what is buffered.
func (s *stream) end(readErr, writeErr error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readErr == nil {
		s.readErr = readErr
	}
	if s.writeErr == nil {
		s.writeErr = writeErr
	}
	s.stop()
}

// abandon is for the reader: nobody will read any more.
func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readErr, s.buf = net.ErrClosed, nil
	if s.writeErr == nil {
		s.writeErr = syscall.EPIPE
	}
	s.stop()
}

// stop ends the timers once both sides are done.
func (s *stream) stop() {
	if s.readErr != nil && s.writeErr != nil {
		s.reading.stop()
		s.writing.stop()
	}
	s.changed.Broadcast()
}

func (s *stream) stall(stalled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = stalled
	s.changed.Broadcast()
}

// A deadline is guarded by its stream's lock.
type deadline struct {
	of    *stream
	at    time.Time // zero for none
	timer *time.Timer
}

// passed asks the clock: of two timers for the same moment, the other may run first.
func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (d *deadline) set(t time.Time) {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.stop()
	d.at = t
	if !t.IsZero() && !d.passed() {
		d.timer = time.AfterFunc(time.Until(t), d.of.wake)
	}
	d.of.changed.Broadcast()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// wake makes those who wait look again.
func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}
