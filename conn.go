package gateway

import (
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/internal/rawio"
	"github.com/wsgateway/gateway/internal/ws"
)

const (
	smallBufSize = 512              // of the buffer of a connection that only blocks
	directRead   = 4 << 10          // payloads that are missing this much are read into their message
	directShare  = 8                // as many of their bytes are the work of one of small messages
	mostLayers   = 8                // of wrapped connections that are looked through
	mostRead     = math.MaxInt >> 2 // of a read limit: what is added to it must not overflow
)

// A conn is the connection of a socket: received bytes come in here, and what is sent
// goes out.
type conn struct {
	s   *Socket
	nc  net.Conn    // what was taken over; immutable, like raw and fd
	raw *rawio.Conn // reads and writes without blocking; nil where nc cannot
	fd  rawio.Conn  // the descriptor: nc's own, or the one right under its TLS; not valid: none

	*reading // of the reader; nil where there is none

	cutting atomic.Bool // somebody closes nc, or has; of everyone
	broken  atomic.Bool // a write has failed; of everyone
}

// A reading is where the socket's reader stands in what the client sends. The reader owns
// it, and gives it to the next; a socket that rests has none. It holds a buffer only while
// there is something in it.
type reading struct {
	read   rawio.Reader
	buf    *rawio.Buffer // where in points into, or nil
	small  []byte        // the same where nothing but nc can be read
	in     []byte        // received and not taken yet
	at     time.Time     // when the latest bytes came
	inside bool          // the bytes are served inside the read that brought them
	early  bool          // the socket may rest now
	err    error         // what ended reading

	frames frameState // conn_frames.go
	ahead  ahead      // ahead.go
	parked *parked    // socket_read.go

	discarded int // bytes read since the socket began to close
	unbroken  int // bytes read without a wait for the client
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// beginReading gives the reader what it needs.
func (c *conn) beginReading() {
	s := c.s
	c.reading = readings.Get().(*reading)
	c.at = s.h.epoch.Add(time.Duration(s.lastIn.Load()))
	c.frames.judge = ws.Judge{Limit: mostRead, Deflate: s.deflate}
	if limit := s.route.lim.ReadLimit; limit >= 0 {
		c.frames.judge.Limit = min(limit, mostRead)
	}
}

// endReading is the opposite.
func (c *conn) endReading() {
	c.freeBuf()
	r := c.reading
	c.reading = nil
	*r = reading{read: r.read, small: r.small}
	readings.Put(r)
}

// init makes the conn that of a connection that was taken over; early are bytes that
// came with the upgrade request. With alone, nobody else can have got hold of nc.
func (c *conn) init(s *Socket, nc net.Conn, alone bool, early []byte, deflate bool) {
	c.s, c.nc = s, nc
	s.known = !alone
	if c.fd.Init(nc, alone) {
		c.raw = &c.fd
	} else if t, secure := nc.(*tls.Conn); secure {
		c.fd.Init(t.NetConn(), false)
	}
	s.deflate = deflate
	c.beginReading()
	if len(early) > 0 {
		c.in = append([]byte(nil), early...)
	}
}

// tcp returns the connection under TLS and what else there is, or nc.
func (c *conn) tcp() net.Conn {
	tcp := c.nc
	for range mostLayers {
		if t, ok := tcp.(interface{ NetConn() net.Conn }); ok && t.NetConn() != nil {
			tcp = t.NetConn() // of TLS, or of what wraps it
		}
	}
	return tcp
}

// wait receives the next bytes. Before it may block, everything that was collected for
// the client is on its way. It waits on a short stack, so that the stack of an idle
// socket's goroutine stays small.
func (c *conn) wait() error {
	if c.err != nil {
		return c.err
	}
	c.s.beforeWait(c.frames.boundary())
	c.in = nil // it is empty, but would keep the buffer that it was in
	if c.ahead.buf != nil {
		if c.err = c.dropAhead(); c.err != nil {
			return c.err
		}
	}
	c.yield()
	began := c.messageBegan()
	if began != 0 {
		c.s.msgStart.Store(began)
	}
	err := c.receive()
	if began != 0 {
		c.s.msgStart.Store(0)
	}
	if err != nil && err != errAbandoned && err != errRest {
		c.err = err
		c.freeBuf()
	}
	return err
}

// messageBegan returns since when the client is in the middle of a message or a control
// frame, in nanoseconds since the gateway's start; 0 if it is not. The time in which
// the endpoint ran, and nothing was read, does not count.
func (c *conn) messageBegan() int64 {
	f := &c.frames
	if f.idle() {
		f.began = 0
		return 0
	}
	if f.began == 0 {
		f.began = c.s.h.since(time.Now())
	}
	return f.began
}

// receive reads once, into the message that is arriving or into a buffer. Where the socket
// closes, and the read was woken, what has come of the message is given up; the library's
// reading of it ends with errAbandoned.
func (c *conn) receive() error {
	for {
		if c.broken.Load() || c.cutting.Load() { // a deadline that told so may have been replaced
			return errWriting
		}
		var err error
		if room := c.frames.directRoom(); room != nil {
			err = c.readInto(room)
		} else if c.raw != nil {
			err = c.raw.Read(&c.read, &c.buf, c)
		} else {
			err = c.readSmall()
		}
		if !c.woken(err) {
			return err
		}
		if c.s.isClosing() {
			if c.frames.assembling {
				return errAbandoned
			}
			c.drop()
		}
		if c.s.dozing.CompareAndSwap(true, false) && c.frames.idle() {
			return errRest
		}
	}
}

// readInto receives into the message's own memory.
func (c *conn) readInto(room []byte) error {
	n, err := readSome(c.nc, room)
	if err != nil {
		return err
	}
	c.came()
	c.filled(n/directShare, n == len(room))
	return c.frames.cameDirect(n)
}

// readSmall receives where a read can only block.
func (c *conn) readSmall() error {
	if c.small == nil {
		c.small = make([]byte, smallBufSize)
	}
	n, err := readSome(c.nc, c.small)
	if err == nil {
		c.Took(c.small[:n])
	}
	return err
}

func readSome(r io.Reader, p []byte) (n int, err error) {
	n, err = r.Read(p)
	if n > 0 {
		return n, nil // an error comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}

// Took implements rawio.Sink: it takes the next bytes. While messages come one soon
// after the other, it has them served right here, inside the read.
func (c *conn) Took(p []byte) (done bool) {
	before := c.at
	room := len(c.small)
	if c.raw != nil {
		room = rawio.BufferSize
	}
	c.came()
	c.filled(len(p), len(p) == room)
	c.in = p
	if c.raw == nil || !c.raw.Stays() || c.frames.assembling || c.s.isClosing() ||
		c.at.Sub(before) >= slowTalker {
		return false
	}
	c.inside = true
	err := c.s.serveHere()
	c.inside = false
	if err != nil {
		c.err = err
		return false
	}
	if !c.s.rests() {
		return false
	}
	c.yield()
	return true
}

// came notes that bytes have come.
func (c *conn) came() {
	c.at = time.Now()
	c.s.lastIn.Store(c.s.h.since(c.at))
}

func (c *conn) freeBuf() {
	if c.buf != nil {
		rawio.PutBuffer(c.buf)
		c.buf = nil
	}
	c.in = nil
}

// maxDiscarded, and a message of the read limit, bound what is read from a client whose
// socket closes. It covers what was on its way when the close frame left. A client that
// sends more is not listening.
const maxDiscarded = 4 << 20

var (
	errDiscarded = errors.New("gateway: the client goes on sending after the close frame")
	errWriting   = errors.New("gateway: the connection takes no more")
)

// discard counts bytes that were read in vain.
func (c *conn) discard(n int) error {
	if c.discarded += n; int64(c.discarded) > maxDiscarded+c.frames.judge.Limit {
		return errDiscarded
	}
	return nil
}

// discardAll reads and drops what the client still sends, until it ends or the
// connection is cut. What was sent is not lost then to the reset that closing a
// connection with unread bytes causes.
func (c *conn) discardAll() {
	c.err = nil
	c.frames = frameState{judge: c.frames.judge}
	for {
		err := c.wait()
		if err == errRest { // not while it closes
			continue
		}
		if err != nil || c.discard(len(c.in)) != nil {
			break
		}
	}
	c.freeBuf()
}

// wake makes a read that waits return, or the next one: somebody has set what the
// reader looks for then.
func (c *conn) wake() { c.nc.SetReadDeadline(time.Unix(1, 0)) }

// woken reports whether a read ended because of wake, and is to be done again. Nobody
// else sets a deadline for reads.
func (c *conn) woken(err error) bool {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.nc.SetReadDeadline(time.Time{})
	return true
}

// closeWrite ends our half of the connection.
func (c *conn) closeWrite() {
	if t, ok := c.tcp().(interface{ CloseWrite() error }); ok {
		t.CloseWrite()
	}
}

// cut closes the connection, unless abort has. With reset, what is not sent is thrown
// away, so that a client that does not read holds no memory of ours. Only the reader
// calls it: it waits for whoever uses the descriptor, and under TLS until the client has
// been told or abort is called.
func (c *conn) cut(reset bool) {
	t, secure := c.nc.(*tls.Conn)
	if secure && !reset {
		t.CloseWrite() // its alert; Close would send it too, and not be stopped by abort
	}
	first := !c.cutting.Swap(true)
	if first && reset {
		c.linger()
	}
	if first || c.fd.Valid() { // abort leaves it to us, for its number must not be used anew before
		c.outermost().Close()
	}
}

// abort is cut for others than the reader. It does not wait for the endpoint that may
// be running inside the read: the client sees the end at once, and the reader closes
// what is left.
func (c *conn) abort(reset bool) {
	first := !c.cutting.Swap(true)
	if first && reset {
		c.linger() // first: once the connection is ended, the reader may close it
	}
	if c.tcp() != c.nc { // whose Close may wait to tell the client
		c.endBelow()
	}
	if !first {
		return
	}
	if c.fd.Valid() {
		c.fd.Shutdown()
		c.wake()
		return
	}
	c.outermost().Close()
}

// endBelow ends both directions of the connection below, which is closed with what is
// above it.
func (c *conn) endBelow() {
	if t, ok := c.tcp().(interface{ CloseRead() error }); ok {
		t.CloseRead()
		c.closeWrite()
		return
	}
	c.tcp().SetDeadline(time.Unix(1, 0))
}

// outermost is what is to be closed, once: what was taken over, so that whoever wraps
// connections learns of it. Of TLS's own it is the connection below, for that one's
// Close may wait for the client.
func (c *conn) outermost() net.Conn {
	if t, secure := c.nc.(*tls.Conn); secure {
		return t.NetConn()
	}
	return c.nc
}

func (c *conn) linger() {
	if t, ok := c.tcp().(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
}
