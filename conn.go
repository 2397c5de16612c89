package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	readBufSize  = 8 << 10 // of the pooled buffers that received bytes wait in
	smallBufSize = 512     // of the buffer of a connection that only blocks
	directRead   = 4 << 10 // reads of this size go past the buffer
	mostRead     = 1 << 56 // of a read limit: what is added to it must not overflow
)

var readBufs = sync.Pool{New: func() any { return new([readBufSize]byte) }}

// A link is the connection under the WebSocket library. Every byte in both
// directions passes it:
//
//   - what is received is read into pooled buffers that are held only while
//     there is something in them, scanned, and then given to the library;
//   - what the library writes are control frames only. Pongs go into the
//     socket's outbox; close frames are noted and not sent, for the socket sends
//     its own.
//
// All fields are owned by the socket's reader, except conn and raw, which are
// immutable.
type link struct {
	conn   net.Conn
	raw    *rawConn // reads and writes without blocking; nil where conn cannot
	ownRaw rawConn  // what raw points to

	s       *Socket
	lib     *library           // nil between two messages
	buf     *[readBufSize]byte // where in points into, or nil
	small   []byte             // the same where raw is nil
	in      []byte             // received and scanned, not yet read by the library
	at      time.Time          // when the latest bytes came
	scan    scanner
	err     error // what ended reading
	refused bool  // err is a violation: the client may be sending still
	closing int   // the code of the close frame that the library meant to send
	dropped bool  // the library closed the connection
	drained int   // bytes read since the socket began to close
}

// init makes the link that of a hijacked connection; early are bytes that came
// with the upgrade request.
func (l *link) init(s *Socket, conn net.Conn, early []byte, deflate bool) {
	l.conn, l.s, s.deflate = conn, s, deflate
	if l.ownRaw.init(conn) {
		l.raw = &l.ownRaw
	}
	l.scan.limit, l.scan.deflate = min(s.route.lim.ReadLimit, mostRead), deflate
	l.at = time.Now()
	if len(early) > 0 {
		p := append([]byte(nil), early...)
		l.in = p[:l.scanned(p)]
	}
}

// answer writes what completes the handshake. A new connection of the kernel's
// has room for it.
func (l *link) answer(p []byte) error {
	if l.raw == nil {
		l.conn.SetWriteDeadline(time.Now().Add(defaultLimits.WriteTimeout))
		defer l.conn.SetWriteDeadline(time.Time{})
	}
	_, err := l.conn.Write(p)
	return err
}

// waiting returns the number of received bytes that the library has not used.
func (l *link) waiting() int {
	if l.lib == nil {
		return len(l.in)
	}
	return len(l.in) + l.lib.br.Buffered()
}

// await returns when there is something for the library to read. It waits on a
// short stack, so that the stack of an idle socket's goroutine stays small.
func (l *link) await() error {
	if l.waiting() > 0 {
		return nil
	}
	return l.fill()
}

// Read gives the library what was received. It waits for more in the middle of a
// message only; there the end of the connection is no ordinary one, and io.EOF
// would be the message's.
func (l *link) Read(p []byte) (int, error) {
	n, err := l.read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (l *link) read(p []byte) (int, error) {
	if len(l.in) == 0 {
		if l.scan.idle() && l.err == nil {
			return 0, errIdle
		}
		if len(p) >= directRead && int64(len(p)) <= l.lib.handed.remain {
			n, err := l.readDirect(p)
			l.lib.handed.remain -= int64(n)
			return n, err
		}
		if err := l.fill(); err != nil {
			return 0, err
		}
	}
	n := l.lib.hand(p, l.in, l.scan.deflate)
	l.in = l.in[n:]
	return n, nil
}

// fill receives the next bytes. Before it may block, everything that was
// collected for the client is on its way.
func (l *link) fill() error {
	if err := l.beforeRead(); err != nil {
		return err
	}
	l.in = nil // it is empty, but would keep the buffer that it was in
	if err := l.receive(l); err != nil {
		return l.ended(err)
	}
	if len(l.in) == 0 {
		return l.err
	}
	return nil
}

// receive reads into a buffer of the link's own.
func (l *link) receive(sink readSink) error {
	if l.raw != nil {
		err := l.raw.read(&l.buf, sink)
		for l.knocked(err) {
			err = l.raw.read(&l.buf, sink)
		}
		return err
	}
	if l.small == nil {
		l.small = make([]byte, smallBufSize)
	}
	p, err := readSome(l.conn, l.small)
	if err == nil {
		sink.took(p)
	}
	return err
}

// took implements readSink: it takes the next bytes. Between two messages, and while
// they come one soon after the other, it has them served right here, inside the read.
func (l *link) took(p []byte) (done bool) {
	before := l.at
	l.at = time.Now()
	l.in = p[:l.scanned(p)]
	if l.raw == nil || !l.raw.stays || l.lib != nil || l.err != nil || l.at.Sub(before) >= slowTalker {
		return false
	}
	if !l.s.serveWhole() {
		return false
	}
	l.in = nil
	return true
}

// wholeFrame is simpleFrame for a message of which all is here, so that taking it
// does not read.
func (l *link) wholeFrame() (f simpleFrame, ok bool) {
	f, ok = l.simpleFrame()
	return f, ok && f.size <= len(l.in)-f.header
}

// readDirect receives into the caller's buffer.
func (l *link) readDirect(p []byte) (int, error) {
	if err := l.beforeRead(); err != nil {
		return 0, err
	}
	got, err := readSome(l.conn, p)
	for l.knocked(err) {
		got, err = readSome(l.conn, p)
	}
	if err != nil {
		return 0, l.ended(err)
	}
	l.at = time.Now()
	n := l.scanned(got)
	if n == 0 {
		return 0, l.err
	}
	return n, nil
}

func readSome(r io.Reader, p []byte) ([]byte, error) {
	n, err := r.Read(p)
	if n > 0 {
		return p[:n], nil // an error comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

func (l *link) beforeRead() error {
	if l.err != nil {
		return l.err
	}
	l.s.beforeRead(l.scan.boundary())
	return nil
}

// scanned returns how many of the received bytes the library may have, and
// tells the sweeper what it needs to know.
func (l *link) scanned(p []byte) int {
	wasIdle, before := l.scan.idle(), l.scan.messages
	n, v := l.scan.scan(p)
	if v != nil {
		l.refuse(v)
	}
	s := l.s
	now := l.s.h.since(l.at)
	s.lastIn.Store(now)
	switch idle := l.scan.idle(); {
	case idle && !wasIdle:
		s.msgStart.Store(0)
	case !idle && (wasIdle || before != l.scan.messages):
		s.msgStart.Store(now)
	}
	return n
}

// refuse ends the reading of messages because of what the client sent.
func (l *link) refuse(err error) { l.refused, l.err, l.in = true, err, nil }

func (l *link) ended(err error) error {
	l.err = err
	l.releaseBuf()
	return err
}

func (l *link) releaseBuf() {
	if l.buf != nil {
		readBufs.Put(l.buf)
		l.buf = nil
	}
	l.in = nil
}

// Write takes a control frame of the library, a whole one with each call.
func (l *link) Write(p []byte) (int, error) {
	if len(p) >= 2 {
		switch p[0] &^ finBit {
		case opClose:
			l.closing = closeNoStatus
			if len(p) >= 4 {
				l.closing = int(p[2])<<8 | int(p[3])
			}
		case opPong:
			l.s.out.pong(p[2:])
		}
	}
	return len(p), nil
}

// maxDrained, and a message of the read limit, bound what is read from a client
// whose socket closes. It is there for what was on its way when the close frame
// left; who sends more does not listen.
const maxDrained = 4 << 20

var errDrained = errors.New("gateway: the client goes on sending after the close frame")

// drain counts bytes that were read in vain.
func (l *link) drain(n int) error {
	if l.drained += n; int64(l.drained) > maxDrained+max(l.scan.limit, 0) {
		return errDrained
	}
	return nil
}

// discard reads and drops what the client still sends, until it ends or the
// connection is cut. What was sent is not lost then to the reset that closing
// a connection with unread bytes causes.
func (l *link) discard() {
	if l.err != nil && !l.refused {
		return
	}
	l.in = nil
	d := discarder{l: l}
	for {
		err := l.receive(&d)
		if err != nil || d.err != nil {
			l.releaseBuf()
			return
		}
	}
}

// A discarder drops what it gets.
type discarder struct {
	l   *link
	err error
}

func (d *discarder) took(p []byte) bool {
	d.err = d.l.drain(len(p))
	return false
}

// knock has the reader read if there is something that the poller does not report any
// more; see rawConn.read. A deadline that has passed wakes it.
func (l *link) knock() {
	if l.raw.more() {
		l.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// knocked reports whether a read ended because of knock, and is to be done again.
// Nobody else sets a deadline for reads.
func (l *link) knocked(err error) bool {
	if l.raw == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	l.conn.SetReadDeadline(time.Time{})
	return true
}

// closeWrite ends our half of the connection.
func (l *link) closeWrite() {
	if c, ok := l.conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}

// cut closes the connection. With reset, what is not sent is thrown away, so
// that a client that does not read holds no memory of ours.
func (l *link) cut(reset bool) {
	if reset {
		if c, ok := l.conn.(interface{ SetLinger(int) error }); ok {
			c.SetLinger(0)
		}
	}
	l.conn.Close()
}

// abort is cut for others than the reader. It waits for the endpoint that runs inside
// the read, but the client does not.
func (l *link) abort(reset bool) {
	if l.raw != nil {
		l.closeWrite()
	}
	l.cut(reset)
}
