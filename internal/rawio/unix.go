//go:build unix && !aix

package rawio

import (
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
)

// A Conn reads and writes a TCP or Unix connection.
type Conn struct {
	rc   syscall.RawConn
	stay bool
}

// A Reader is what a read needs besides the connection. Whoever reads has one, and may
// use it for one connection after the other. The zero value is ready.
type Reader struct {
	try func(fd uintptr) bool // tryRead, bound once: a closure for each read would be an allocation

	// Of the read that is under way.
	stay bool
	sink Sink
	buf  *Buffer
	n    int
	err  error
}

// Init reports false for a connection that has no descriptor of its own, as under TLS or
// in memory.
//
// With stay, and where that is known to be right, Read goes on as long as the sink is
// done with what it gets. Whoever closes the connection then waits until the sink
// returns, so stay is for connections that nobody else can have got hold of.
func (c *Conn) Init(conn net.Conn, stay bool) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		rc, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			return false
		}
		c.rc = rc
		_, tcp := conn.(*net.TCPConn)
		c.stay = stay && tcp && runtime.GOOS == "linux" // where it is known and tested
		return true
	}
	return false
}

// Valid reports whether Init has reported true.
func (c *Conn) Valid() bool { return c.rc != nil }

// Closed reports whether the connection has been closed.
func (c *Conn) Closed() bool { return c.rc.Control(func(uintptr) {}) != nil }

// Stays reports whether Read goes on as long as the sink is done with what it gets.
func (c *Conn) Stays() bool { return c.stay }

// Read waits for bytes and hands them to the sink, which has them in *buf. That is taken
// from the pool if it is nil, and given back while there is nothing to read.
//
// As long as the sink is done with what it gets, and the connection Stays, Read goes on.
// It then waits for the poller without the read that would find nothing: what comes
// after a read that did not fill its buffer, the poller reports. What had come before,
// it has reported already, and such a read has most of it: all but an end of the
// connection, and what is behind urgent data. See More.
func (c *Conn) Read(r *Reader, buf **Buffer, sink Sink) error {
	if r.try == nil {
		r.try = r.tryRead
	}
	r.stay, r.sink, r.buf, r.n, r.err = c.stay, sink, *buf, 0, nil
	*buf = nil // so that it is not given back twice if the sink ends the goroutine
	err := c.rc.Read(r.try)
	*buf, r.buf, r.sink = r.buf, nil, nil
	switch {
	case err != nil:
		return err
	case r.err != nil:
		return r.err
	case r.n == 0:
		return io.EOF
	}
	return nil
}

func (r *Reader) tryRead(fd uintptr) bool {
	if r.buf == nil {
		r.buf = GetBuffer()
	}
	for {
		n, err := syscall.Read(int(fd), r.buf[:])
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			r.free()
			return false
		}
		r.n, r.err = max(n, 0), err
		if r.n == 0 || !r.sink.Took(r.buf[:r.n]) || !r.stay {
			return true
		}
		if r.n < len(r.buf) {
			r.free()
			return false
		}
	}
}

func (r *Reader) free() {
	PutBuffer(r.buf)
	r.buf = nil
}

// More reports whether there is something to be read, be it the connection's end.
func (c *Conn) More() bool {
	var next [1]byte
	_, some := c.Peek(next[:])
	return some
}

// Peek copies what is to be read next to p without reading it, and returns how many
// bytes that are. It reports whether a read would not wait: at the connection's end it
// would not either.
func (c *Conn) Peek(p []byte) (n int, some bool) {
	c.rc.Control(func(fd uintptr) {
		m, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		n, some = max(m, 0), err != syscall.EAGAIN && err != syscall.EINTR
	})
	return n, some
}

// ReadNow reads what there is to p, and returns 0 and no error where there is nothing. It
// may be called while the reader is in its sink, and then for no others.
func (c *Conn) ReadNow(p []byte) (n int, err error) {
	cerr := c.rc.Control(func(fd uintptr) {
		n, _, err = syscall.Recvfrom(int(fd), p, syscall.MSG_DONTWAIT)
	})
	switch {
	case cerr != nil:
		return 0, cerr
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return 0, nil
	case err == nil && n == 0:
		return 0, io.EOF
	}
	return max(n, 0), err
}

// Shutdown ends both directions at once, so that every wait on the connection returns.
// It does not wait for a reader that is in its sink, as closing does.
func (c *Conn) Shutdown() {
	c.rc.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
}

// A write is one in progress.
type write struct {
	src   Source // or nil, and then p is all there is
	p     []byte
	n     int // of p, written
	wait  bool
	stuck bool
	err   error
	call  func(fd uintptr) bool // bound once
}

var writes = sync.Pool{New: func() any {
	w := new(write)
	w.call = w.write
	return w
}}

// WriteAll writes what src has until there is no more. When the client does not read
// it waits, if wait is true, or else reports stuck.
func (c *Conn) WriteAll(src Source, wait bool) (stuck bool, err error) {
	w := writes.Get().(*write)
	w.src, w.wait, w.stuck, w.err = src, wait, false, nil
	err = c.rc.Write(w.call)
	if err == nil {
		err = w.err
	}
	stuck = w.stuck
	w.src = nil
	writes.Put(w)
	return stuck, err
}

// TryWrite writes p as far as the client takes it.
func (c *Conn) TryWrite(p []byte) (n int, err error) {
	w := writes.Get().(*write)
	w.p, w.n, w.err = p, 0, nil
	err = c.rc.Write(w.call)
	if err == nil {
		err = w.err
	}
	n = w.n
	w.p = nil
	writes.Put(w)
	return n, err
}

func (w *write) write(fd uintptr) bool {
	if w.src == nil {
		w.n, w.err = writeOnce(fd, w.p)
		return true
	}
	for p := w.src.Next(0); p != nil; {
		n, err := writeOnce(fd, p)
		switch {
		case err != nil:
			w.src.Blocked(n)
			w.err = err
			return true
		case n < len(p):
			w.src.Blocked(n)
			w.stuck = !w.wait
			return !w.wait
		}
		p = w.src.Next(n)
	}
	return true
}

// writeOnce writes p until it is written or the kernel takes no more.
func writeOnce(fd uintptr, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := syscall.Write(int(fd), p[n:])
		switch err {
		case nil:
			n += m
		case syscall.EINTR:
		case syscall.EAGAIN:
			return n, nil
		default:
			return n, err
		}
	}
	return n, nil
}
