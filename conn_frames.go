package gateway

import (
	"errors"
	"fmt"

	"github.com/wsgateway/gateway/internal/ws"
)

// A frameState is where the reader stands among the client's frames. Each header is
// parsed once, here; what it announces is then taken as it comes.
type frameState struct {
	judge ws.Judge

	part    [ws.MaxClientHeader]byte
	partLen int // bytes of a header that has come in part

	inFrame bool      // h is that of the frame whose payload is being taken
	h       ws.Header //
	left    int64     // bytes of its payload that are still to come

	// of the payload of a message in one frame, or of a control frame, as far as it has come
	data   []byte
	memory *received // that data is in, or nil
	valid  int       // bytes of data whose UTF-8 is checked
	began  int64     // when waiting for the rest of the message began; 0 if it did not

	assembling bool // the WebSocket library reads the message, conn_library.go
}

// boundary reports whether the client is between two frames.
func (f *frameState) boundary() bool { return !f.inFrame && f.partLen == 0 }

// idle reports whether the client is between two messages.
func (f *frameState) idle() bool { return f.boundary() && !f.judge.InMessage() }

// What take found.
type found int

const (
	nothing   found = iota // more has to come
	message                // a message in one frame
	fragments              // the first frame of a message in several
)

// errAbandoned ends the reading of a message that nobody wants any more.
var errAbandoned = errors.New("gateway: the socket closes in the middle of a message")

// take takes the next message out of the received bytes to m, if it is there as a whole and
// in one frame, and the control frames before it. It does not wait for more, but may wait
// for memory. Once the socket closes, data frames are only counted.
func (c *conn) take(m *Message) (found, error) {
	f := &c.frames
	for {
		if !f.inFrame {
			if ok, err := c.header(); !ok {
				return nothing, err
			}
		}
		switch {
		case f.h.Control():
			if ok, err := c.takeControl(); !ok || err != nil {
				return nothing, err
			}
		case c.s.isClosing():
			if ok, err := c.skip(); !ok || err != nil {
				return nothing, err
			}
		case !f.h.Fin() || f.h.Opcode() == ws.OpContinuation:
			return fragments, nil
		default:
			if ok, err := c.gather(); !ok || err != nil {
				return nothing, err
			}
			return message, c.whole(m)
		}
	}
}

// header parses and judges the next header, or reports false if it has not all come.
func (c *conn) header() (ok bool, err error) {
	f := &c.frames
	from := c.in
	if f.partLen > 0 {
		from = f.part[:f.partLen+copy(f.part[f.partLen:], c.in)]
	}
	h, ok, v := ws.ParseHeader(from)
	if v != nil {
		return false, v
	}
	if !ok {
		if f.partLen == 0 {
			copy(f.part[:], from)
		}
		f.partLen, c.in = len(from), nil
		return false, nil
	}
	c.in = c.in[h.Len-f.partLen:]
	f.partLen = 0
	if v := f.judge.Next(&h); v != nil {
		return false, v
	}
	f.h, f.left, f.inFrame = h, h.Size, true
	return true, nil
}

// endFrame is called when the payload has been taken.
func (f *frameState) endFrame() { f.inFrame, f.data, f.memory, f.valid = false, nil, nil, 0 }

// drop gives up what has come of a data frame's payload.
func (c *conn) drop() {
	if f := &c.frames; !f.h.Control() {
		c.charge(0)
		f.memory.release()
		f.data, f.memory = nil, nil
	}
}

// skip drops what has come of the payload of a data frame. It reports whether that was
// all of it.
func (c *conn) skip() (whole bool, err error) {
	f := &c.frames
	n := min(f.left, int64(len(c.in)))
	f.left -= n
	c.in = c.in[n:]
	c.drop()
	if f.left == 0 {
		f.endFrame()
	}
	return f.left == 0, c.discard(int(n))
}

// gather takes what has come of the payload. It reports whether that was all of it.
func (c *conn) gather() (whole bool, err error) {
	f := &c.frames
	n := int(min(f.left, int64(len(c.in))))
	have := len(f.data)
	if f.data == nil && int64(n) == f.left && f.judge.Deflated() {
		f.data = c.in[:n:n] // inflated where it lies; nobody gets it
	} else {
		if err := c.grow(n); err != nil {
			return false, err
		}
		f.data = append(f.data, c.in[:n]...)
	}
	c.in = c.in[n:]
	return f.came(have)
}

// firstMemory and memoryGrowth say how much memory is made for a message of which some
// bytes have come: nothing is allocated on an announced length. It is twice as much where
// memory is short.
const (
	firstMemory  = 512
	memoryGrowth = 16
)

// grow makes room for n more bytes. All of a payload that is here at once gets the
// memory it needs and no more.
func (c *conn) grow(n int) error {
	f := &c.frames
	have := len(f.data)
	if f.data == nil && int64(n) == f.left {
		f.data = []byte{} // append makes it, without clearing it first
		if c.recycles() && n >= leastReceived {
			f.makeRoom(n, true)
		}
		return nil
	}
	if have+n < cap(f.data) || int64(have) == f.h.Size {
		return nil
	}
	size := int(min(f.h.Size, max(memoryGrowth*int64(have+n), firstMemory)))
	recycles := c.recycles()
	if recycles {
		size = receivedSize(size)
	}
	if !c.s.h.memory.received.Grants(int(c.s.arriving.Load()), size) {
		size, recycles = int(min(f.h.Size, 2*int64(have+n))), false
	}
	if err := c.charge(size); err != nil {
		return err
	}
	f.makeRoom(size, recycles)
	return nil
}

// makeRoom gives the payload, of which some may have come, memory of size bytes.
func (f *frameState) makeRoom(size int, recycled bool) {
	before, had := f.memory, f.data
	f.memory, f.data = memoryFor(size, recycled)
	f.data = append(f.data, had...)
	before.release()
}

// recycles reports whether the endpoint releases messages.
func (c *conn) recycles() bool { return c.s.route.plain.gone.Load() }

// directRoom returns where the rest of the payload may be read to, past every buffer, or
// nil if that is not worth it.
func (f *frameState) directRoom() []byte {
	if !f.inFrame || f.data == nil || f.left < directRead {
		return nil
	}
	room := f.data[len(f.data):cap(f.data)]
	if len(room) < directRead {
		return nil
	}
	return room[:min(int64(len(room)), f.left)]
}

// cameDirect notes that n bytes were read to directRoom.
func (f *frameState) cameDirect(n int) error {
	have := len(f.data)
	f.data = f.data[:have+n]
	_, err := f.came(have)
	return err
}

// came unmasks and checks what has come behind the first have bytes of the payload. It
// reports whether all of the payload is there.
func (f *frameState) came(have int) (whole bool, err error) {
	f.left -= int64(len(f.data) - have)
	whole = f.left == 0
	text := f.h.Opcode() == ws.OpText && !f.judge.Deflated()
	for more := true; more; { // step by step, so that both find it in the processor's cache
		end := min(have+checkStep, len(f.data))
		more = end < len(f.data)
		ws.Unmask(f.data[have:end], f.h.Mask, have)
		if text && !ws.TextSoFar(f.data[:end], &f.valid, whole && !more) {
			return false, ws.ErrBadUTF8
		}
		have = end
	}
	return whole, nil
}

// checkStep is how many bytes are unmasked and checked at a time.
const checkStep = 8 << 10

// whole makes m the message whose payload has come.
func (c *conn) whole(m *Message) error {
	f := &c.frames
	*m = Message{Type: MessageType(f.h.Opcode()), Data: f.data, received: f.memory}
	f.endFrame()
	return c.finished(m)
}

// finished ends the arrival of a message, which is inflated.
func (c *conn) finished(m *Message) (err error) {
	if c.frames.judge.Deflated() {
		err = c.inflate(m)
	}
	if m.received == nil && len(m.Data) >= leastReceived {
		m.received = &c.s.route.plain
	}
	c.charge(0) // it is the endpoint's now
	c.arrived()
	return err
}

// inflate replaces a message that has come with what it was before it was deflated.
func (c *conn) inflate(m *Message) error {
	deflated, held := *m, int(c.s.arriving.Load())
	defer deflated.Release()
	var memory *received
	data, err := ws.Inflate(deflated.Data, c.frames.judge.Limit, m.Type == MessageText,
		func(size int) error { return c.charge(held + size) },
		func(size int) (b []byte) {
			memory, b = memoryFor(size, c.recycles())
			return b
		})
	m.Data, m.received = data, memory
	return err
}

// arrived notes that what was waited for has come as a whole. The sweeper must hear of it
// here and not only when a read returns: one that has it served inside goes on waiting.
func (c *conn) arrived() {
	if f := &c.frames; f.began != 0 {
		f.began = 0
		c.s.msgStart.Store(0)
	}
}

// takeControl takes a control frame, or reports false if it has not all come. A ping is
// answered, a pong has done its work by coming, and a close frame is the error.
func (c *conn) takeControl() (ok bool, err error) {
	f := &c.frames
	var p []byte
	if f.data == nil && int64(len(c.in)) >= f.left {
		p, c.in = c.in[:f.left], c.in[f.left:]
		ws.Unmask(p, f.h.Mask, 0)
	} else {
		if ok, err := c.gather(); !ok {
			return false, err
		}
		p = f.data
	}
	op := f.h.Opcode()
	f.endFrame()
	if !f.judge.InMessage() {
		c.arrived()
	}
	switch op {
	case ws.OpPing:
		c.s.out.pong(p)
	case ws.OpClose:
		code, reason, v := ws.ParseClose(p)
		if v != nil {
			return true, v
		}
		return true, &peerClosed{code, reason}
	}
	return true, nil
}

// A peerClosed is the end of reading by the peer's close frame.
type peerClosed struct {
	code   int
	reason string
}

func (e *peerClosed) closed() Closed {
	return Closed{Cause: CauseClient, Code: e.code, Reason: e.reason}
}

func (e *peerClosed) Error() string { return fmt.Sprintf("the peer closed with %d", e.code) }
