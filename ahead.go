package gateway

import (
	"errors"
	"os"
	"time"

	"github.com/wsgateway/gateway/internal/frameq"
	"github.com/wsgateway/gateway/internal/ws"
)

// Reading ahead. While a message waits for the rate, or an endpoint takes its time, what
// the client sends behind it is read up to maxAhead bytes. Pings are answered. Messages, a
// close frame and the end of the connection keep their place: nothing is lost or
// reordered, and they are acted on when what came before them has been served. Only where
// nothing came before them does the socket close at once, for its endpoint may be waiting
// for just that.

const (
	maxAhead   = 16 << 10 // bytes of messages that are read ahead
	firstAhead = 512      // bytes of the first buffer for them
	aheadPart  = 2        // reading ahead uses this part of Options.MaxReceivingBytes at most
)

// heard is the value of Socket.bare while somebody else than the reader may read.
const heard = 1 << 31

// An ahead is what was read ahead. It belongs to whoever may read: the reader, or who has
// set Socket.bare to heard.
type ahead struct {
	buf   []byte   // conn.in is a part of it; nil: nothing was read ahead
	judge ws.Judge // of the frames that were looked at
	rest  int      // bytes at the end of conn.in that were not looked at
	skip  int64    // bytes of a data frame that have not come
	over  bool     // no more is read: what comes next ends the socket
	quiet bool     // pings are not answered yet
	err   error    // that ended reading
}

// readAhead reads ahead until a time, or until the socket closes.
func (c *conn) readAhead(until time.Time) {
	s := c.s
	c.moveAhead()
	c.lookAhead()
	c.countAhead(len(c.ahead.buf))
	for !s.isClosing() && time.Now().Before(until) {
		unread := s.out.flushOwn() // it does not read its pongs
		room := c.aheadRoom()
		if room == nil || unread || c.nc.SetReadDeadline(until) != nil {
			s.pause(time.Until(until))
			break
		}
		if s.isClosing() { // or close woke the reader before there was a deadline to replace
			break
		}
		c.tookAhead(readSome(c.nc, room))
	}
	c.nc.SetReadDeadline(time.Time{})
	c.countAhead(0)
}

// moveAhead moves what has come to the front of the buffer for reading ahead.
func (c *conn) moveAhead() {
	a := &c.ahead
	if a.buf != nil && a.rest <= len(c.in) {
		c.in = a.buf[:copy(a.buf, c.in)]
		return
	}
	buf := make([]byte, max(firstAhead, len(c.in)))
	in := buf[:copy(buf, c.in)]
	c.freeBuf()
	c.in = in
	*a = ahead{buf: buf, judge: c.frames.judge, rest: len(in), err: a.err}
}

// aheadRoom returns where more can be read to, or nil if no more is to be.
func (c *conn) aheadRoom() []byte {
	a := &c.ahead
	if size := min(4*len(a.buf), maxAhead); len(c.in) == len(a.buf) && size > len(a.buf) {
		p := &c.s.h.memory.received
		if p.Most() >= 0 && p.Used()+int64(size) > p.Most()/aheadPart {
			return nil
		}
		c.countAhead(size)
		buf := make([]byte, size)
		c.in = buf[:copy(buf, c.in)]
		a.buf = buf
	}
	if a.over || len(c.in) == len(a.buf) {
		return nil
	}
	return a.buf[len(c.in):]
}

// countAhead has the pool count size bytes that are read ahead. No message is arriving.
func (c *conn) countAhead(size int) {
	if size <= frameq.Allowance {
		size = 0
	}
	c.s.h.memory.received.Add(size - int(c.s.arriving.Swap(int64(size))))
}

// tookAhead takes note of n bytes that were read, or of why there are none.
func (c *conn) tookAhead(n int, err error) {
	a := &c.ahead
	switch {
	case err == nil:
		if n > 0 {
			c.came()
		}
		a.rest += n
		c.in = a.buf[:len(c.in)+n]
		c.lookAhead()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		a.err, a.over = err, true
	}
}

// lookAhead takes the pings and pongs out of what was not looked at yet.
func (c *conn) lookAhead() {
	a := &c.ahead
	w := len(c.in) - a.rest // what is before it stays
	for rest := c.in[w:]; ; {
		if a.skip > 0 {
			n := int(min(a.skip, int64(len(rest))))
			w += copy(c.in[w:], rest[:n])
			a.skip -= int64(n)
			rest = rest[n:]
		}
		h, size := a.next(rest)
		if size == 0 {
			a.rest = copy(c.in[w:], rest)
			c.in = c.in[:w+a.rest]
			return
		}
		if h.Opcode() == ws.OpPing {
			p := rest[h.Len:size]
			ws.Unmask(p, h.Mask, 0)
			c.s.out.pong(p)
		}
		if h.Control() {
			rest = rest[size:]
		}
	}
}

// next returns the header of the next frame, and the size of the frame if all of it is
// there and it is a ping or a pong; any size but 0 if it is a data frame.
func (a *ahead) next(rest []byte) (h ws.Header, size int) {
	h, whole, v := ws.ParseHeader(rest)
	if a.over || !whole && v == nil {
		return h, 0
	}
	if v == nil {
		v = a.judge.Next(&h)
	}
	switch {
	case v != nil:
		a.over = true
		return h, 0
	case !h.Control():
		a.skip = int64(h.Len) + h.Size
		return h, h.Len
	case int64(len(rest)-h.Len) < h.Size, a.quiet && h.Opcode() != ws.OpClose:
		return h, 0
	case h.Opcode() == ws.OpClose:
		a.over = true
		return h, 0
	}
	return h, h.Len + int(h.Size)
}

// dropAhead is called when all that was read ahead has been taken. It returns what ended
// reading, if something did.
func (c *conn) dropAhead() error {
	err := c.ahead.err
	c.ahead = ahead{}
	return err
}

// listen looks what the client sends while the endpoint runs, if nothing had come behind
// its message; for the sweeper. Where that can look again, a ping is not answered before
// the second look: its pong should not overtake the reply of an event that is soon over.
func (s *Socket) listen() {
	event := s.bare.Load()
	if event == 0 || event == heard {
		return
	}
	r := s.rare()
	r.listening.Add(1)
	switch {
	case !s.bare.CompareAndSwap(event, heard):
		r.listening.Done()
	case s.conn.raw == nil:
		go s.listenLong(r)
	default:
		s.conn.moveAhead()
		s.conn.ahead.quiet = r.event != event
		r.event = event
		if room := s.listenRoom(); room != nil {
			s.overheard(s.conn.raw.ReadNow(room))
		}
		s.bare.CompareAndSwap(heard, event)
		r.listening.Done()
	}
}

// listenLong is listen where a read can only block.
func (s *Socket) listenLong(r *rareState) {
	defer r.listening.Done()
	s.conn.moveAhead()
	for room := s.listenRoom(); room != nil && s.bare.Load() == heard; room = s.listenRoom() {
		n, err := readSome(s.conn.nc, room)
		s.overheard(n, err)
		if err != nil && !s.conn.woken(err) { // who wakes it may have meant the reader of before
			return
		}
	}
}

// listenRoom is aheadRoom while the endpoint runs, and nil if too many pongs wait.
func (s *Socket) listenRoom() []byte {
	if s.out.unreadPongs() {
		return nil
	}
	return s.conn.aheadRoom()
}

// overheard takes what listen has read.
func (s *Socket) overheard(n int, err error) {
	c := &s.conn
	c.tookAhead(n, err)
	s.out.uncork()
	a := &c.ahead
	if !a.over || a.rest < len(c.in) {
		return // messages come before the end
	}
	if len(c.in) == 0 && a.err != nil {
		s.close(closedBy(a.err))
		return
	}
	h, whole, v := ws.ParseHeader(c.in)
	if !whole || v != nil || h.Opcode() != ws.OpClose || int64(len(c.in)-h.Len) < h.Size {
		return
	}
	p := append([]byte(nil), c.in[h.Len:h.Len+int(h.Size)]...)
	ws.Unmask(p, h.Mask, 0)
	if code, reason, v := ws.ParseClose(p); v == nil {
		s.close(Closed{Cause: CauseClient, Code: code, Reason: reason})
	}
}

// readsAgain ends listening: what comes next is the reader's.
func (s *Socket) readsAgain() {
	if s.bare.Load() == 0 {
		return
	}
	if s.bare.Swap(0) == heard {
		blocks := s.conn.raw == nil
		if blocks {
			s.conn.wake()
		}
		s.rare().listening.Wait()
		if blocks {
			s.conn.nc.SetReadDeadline(time.Time{})
		}
	}
	if s.conn.ahead.buf != nil {
		s.conn.countAhead(0)
	}
}
