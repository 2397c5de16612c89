//go:build unix && !aix

package gateway

import (
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
)

// A rawConn reads and writes a TCP or Unix connection's descriptor without
// blocking in the system call, so that a buffer is held only while there are
// bytes to put into it, and a write that would wait for a slow client returns
// instead.
type rawConn struct {
	rc    syscall.RawConn
	try   func(fd uintptr) bool // c.tryRead, bound once: a closure for each read would be an allocation
	stays bool                  // the sink may be done, see read

	// Of the read that is under way; owned by the reader.
	sink readSink
	buf  *[readBufSize]byte
	n    int
	err  error
}

// A readSink takes what rawConn.read has read. It reports whether it is done with
// the bytes, and the reader would only come back to wait for the next ones.
type readSink interface{ took(p []byte) (done bool) }

// init reports false for a connection that has no descriptor of its own, as
// under TLS or in memory.
func (c *rawConn) init(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		rc, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			return false
		}
		c.rc, c.try = rc, c.tryRead
		_, tcp := conn.(*net.TCPConn)
		c.stays = tcp && runtime.GOOS == "linux" // where it is known and tested
		return true
	}
	return false
}

// read waits for bytes and hands them to the sink, which has them in *buf. That is
// taken from the pool if it is nil, and given back while there is nothing to read.
//
// As long as the sink is done with what it gets, read goes on. It then waits for
// the poller without the read that would find nothing: what comes after a read that
// did not fill its buffer, the poller reports. What had come before, it has reported
// already, and such a read has most of it: all but an end of the connection, and what
// is behind urgent data. See more.
func (c *rawConn) read(buf **[readBufSize]byte, sink readSink) error {
	c.sink, c.buf, c.n, c.err = sink, *buf, 0, nil
	*buf = nil // lest it be given back twice when an endpoint ends the goroutine inside the read
	err := c.rc.Read(c.try)
	*buf, c.buf, c.sink = c.buf, nil, nil
	switch {
	case err != nil:
		return err
	case c.err != nil:
		return c.err
	case c.n == 0:
		return io.EOF
	}
	return nil
}

func (c *rawConn) tryRead(fd uintptr) bool {
	if c.buf == nil {
		c.buf = readBufs.Get().(*[readBufSize]byte)
	}
	for {
		n, err := syscall.Read(int(fd), c.buf[:])
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			c.release()
			return false
		}
		c.n, c.err = max(n, 0), err
		if c.n == 0 || !c.sink.took(c.buf[:c.n]) {
			return true
		}
		if c.n < len(c.buf) {
			c.release()
			return false
		}
	}
}

func (c *rawConn) release() {
	readBufs.Put(c.buf)
	c.buf = nil
}

// more reports whether there is something to be read, be it the connection's end.
func (c *rawConn) more() (more bool) {
	var next [1]byte
	c.rc.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		more = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return more
}

// A rawWriter is one write in progress.
type rawWriter struct {
	src   writeSource // or nil, and then p is all there is
	p     []byte
	n     int // of p, written
	wait  bool
	stuck bool
	err   error
	call  func(fd uintptr) bool // bound once
}

var rawWriters = sync.Pool{New: func() any {
	w := new(rawWriter)
	w.call = w.write
	return w
}}

// writeAll writes what src has until there is no more. When the client does not
// read it waits, if wait is true, or else reports stuck.
func (c *rawConn) writeAll(src writeSource, wait bool) (stuck bool, err error) {
	w := rawWriters.Get().(*rawWriter)
	w.src, w.wait, w.stuck, w.err = src, wait, false, nil
	err = c.rc.Write(w.call)
	if err == nil {
		err = w.err
	}
	stuck = w.stuck
	w.src = nil
	rawWriters.Put(w)
	return stuck, err
}

// tryWrite writes p as far as the client reads.
func (c *rawConn) tryWrite(p []byte) (n int, err error) {
	w := rawWriters.Get().(*rawWriter)
	w.p, w.n, w.err = p, 0, nil
	err = c.rc.Write(w.call)
	if err == nil {
		err = w.err
	}
	n = w.n
	w.p = nil
	rawWriters.Put(w)
	return n, err
}

func (w *rawWriter) write(fd uintptr) bool {
	if w.src == nil {
		w.n, w.err = writeOnce(fd, w.p)
		return true
	}
	for p := w.src.next(0); p != nil; {
		n, err := writeOnce(fd, p)
		switch {
		case err != nil:
			w.err = err
			return true
		case n < len(p):
			w.src.blocked(n)
			w.stuck = !w.wait
			return !w.wait
		}
		p = w.src.next(n)
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
