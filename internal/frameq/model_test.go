package frameq_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wsgateway/gateway/internal/frameq"
	"github.com/wsgateway/gateway/internal/ws"
)

const text = ws.Fin | ws.OpText

// A note is what the model knows of one message, or of a frame that is none.
type note struct {
	b        []byte // the encoded frame
	key      string
	messages int
	keep     bool
	notice   *frameq.Notice
	shared   *frameq.Shared
}

// A model is a queue as simple as can be: a list of messages.
type model struct {
	notes []note
	off   int // bytes of the first that are written
}

func (m *model) count() (n int) {
	for _, e := range m.notes {
		n += e.messages
	}
	return n
}

func (m *model) size() (n int) {
	for _, e := range m.notes {
		n += len(e.b)
	}
	return n
}

func (m *model) bytes() []byte {
	var all []byte
	for _, e := range m.notes {
		all = append(all, e.b...)
	}
	return all[m.off:]
}

// room is what Room must find for a frame that the budget grants, when the writer has
// touched the first messages: which of them go.
func (m *model) room(n int, key string, lim frameq.Limits, order frameq.Order,
	touched int) (gone []int, ok bool) {
	older := -1
	for i := touched; i < len(m.notes) && key != ""; i++ {
		if m.notes[i].key == key {
			older = i
			gone = append(gone, i)
			break
		}
	}
	fits := func() bool {
		count, size := m.count(), m.size()
		for _, i := range gone {
			count -= m.notes[i].messages
			size -= len(m.notes[i].b)
		}
		return count == 0 || count < lim.Messages && size+n <= lim.Bytes
	}
	if fits() {
		return gone, true
	}
	if order == frameq.Nobody {
		return nil, false
	}
	candidates := []int{}
	for i := touched; i < len(m.notes); i++ {
		if i != older && m.notes[i].messages > 0 && !m.notes[i].keep {
			candidates = append(candidates, i)
		}
	}
	if order == frameq.Newest {
		slices.Reverse(candidates)
	}
	for _, i := range candidates {
		if gone = append(gone, i); fits() {
			return gone, true
		}
	}
	return nil, false
}

// A pair is a queue beside its model.
type pair struct {
	t      *testing.T
	r      *rand.Rand
	q      frameq.Queue
	m      model
	order  frameq.Order // of the policy; where frames are dropped one by one they do not join
	lim    frameq.Limits
	taken  int    // frames that the writer has in hand
	hand   []byte // their bytes
	serial *int   // of the messages of all queues
}

func (p *pair) join() bool { return p.order == frameq.Nobody }

// touched is how many notes the writer has begun.
func (p *pair) touched() int {
	frames := p.taken
	if frames == 0 && p.m.off > 0 {
		frames = 1
	}
	n, bytes := 0, 0
	for _, f := range p.q.Waiting()[:frames] {
		bytes += len(f.B)
	}
	for size := 0; size < bytes; n++ {
		size += len(p.m.notes[n].b)
	}
	return n
}

func (p *pair) payload() []byte {
	sizes := []int{0, 1, 20, 100, 126, 500, 1000, 1000, 5_000, 5_000, 20_000, 70_000}
	size := sizes[p.r.IntN(len(sizes))]
	if size > 0 {
		size = p.r.IntN(size) + 1
	}
	*p.serial++
	if !p.join() { // where messages give way, each can be told from others
		size = max(size, 8)
	}
	b := bytes.Repeat([]byte{byte(*p.serial)}, size)
	copy(b, fmt.Sprint(*p.serial, "|"))
	return b
}

// push offers a message that looks for room and pushes it if there is.
func (p *pair) push(shared *frameq.Shared, sharedBytes []byte) {
	e := note{messages: 1}
	payload := p.payload()
	switch {
	case shared != nil:
		e.shared, e.b, e.key = shared, sharedBytes, shared.Key()
	default:
		if p.r.IntN(4) == 0 {
			e.key = fmt.Sprint("key", p.r.IntN(3))
		}
		if p.r.IntN(6) == 0 {
			e.notice = new(frameq.Notice)
		}
		e.keep = !p.join() && p.r.IntN(5) == 0
		e.b = ws.AppendFrame(nil, text, payload)
	}
	w := frameq.Want{N: len(e.b), Shared: shared, Key: e.key}
	before := p.m.bytes()
	room, bound := p.q.Room(&w, p.lim, p.order, true)
	gone, ok := p.m.room(len(e.b), e.key, p.lim, p.order, p.touched())
	if !bytes.Equal(p.waiting(), before) {
		p.t.Fatalf("Room has changed the queue")
	}
	if ok != (bound == frameq.None) && bound != frameq.ByBudget && bound != frameq.ByMemory {
		p.t.Fatalf(
			"Room for %d bytes of key %q in a queue of %d messages, %d bytes: bound %d, the model says %v",
			len(e.b), e.key, p.m.count(), p.m.size(), bound, ok)
	}
	if bound != frameq.None {
		if full := bound == frameq.ByMessages || bound == frameq.ByBytes; full &&
			p.q.Write(text, payload, p.lim) {
			p.t.Fatalf("Write of %d bytes to a queue that is full by bound %d", len(payload), bound)
		}
		return
	}
	if !ok {
		return // the memory bound made others give way
	}
	var lost []int
	p.q.Make(&room, func(f *frameq.Frame, replaced bool) {
		i := p.find(f, lost)
		if replaced != (e.key != "" && f.Key == e.key && i == gone[0]) {
			p.t.Fatalf("a frame of key %q left for one of key %q, replaced is %v", f.Key, e.key, replaced)
		}
		lost = append(lost, i)
		f.Free()
	})
	slices.Sort(lost)
	slices.Sort(gone)
	if !slices.Equal(lost, gone) && !p.memoryBound(lost, gone) {
		p.t.Fatalf("the messages %v gave way, want %v", lost, gone)
	}
	for _, i := range slices.Backward(lost) {
		p.m.notes = slices.Delete(p.m.notes, i, i+1)
	}
	p.m.notes = append(p.m.notes, e)
	switch plain := e.key == "" && e.notice == nil && !e.keep; {
	case shared != nil:
		p.q.PushShared(shared)
	case p.join() && plain && p.r.IntN(2) == 0 && p.q.Write(text, payload, p.lim):
	default:
		f := frameq.New(text, payload, e.key)
		f.Keep, f.Notice = e.keep, e.notice
		p.q.Push(f, p.join())
	}
}

// memoryBound reports whether more had to go than the bounds that the model knows say.
func (p *pair) memoryBound(lost, gone []int) bool {
	for _, i := range gone {
		if !slices.Contains(lost, i) {
			return false
		}
	}
	return true
}

// find returns the index of the note that a lost frame is, among those not lost before.
func (p *pair) find(f *frameq.Frame, lost []int) int {
	for i, e := range p.m.notes {
		if !slices.Contains(lost, i) && bytes.Equal(e.b, f.B) && e.key == f.Key && e.notice == f.Notice {
			return i
		}
	}
	p.t.Fatalf("a frame of %d bytes gave way that was never pushed", len(f.B))
	return 0
}

func (p *pair) control() {
	payload := bytes.Repeat([]byte("c"), p.r.IntN(125))
	p.q.Push(frameq.NewControl(ws.Fin|ws.OpPong, payload), p.join())
	p.m.notes = append(p.m.notes, note{b: ws.AppendFrame(nil, ws.Fin|ws.OpPong, payload)})
}

// take has the writer take some frames in hand.
func (p *pair) take() {
	frames := p.q.Waiting()
	if p.taken > 0 || len(frames) == 0 {
		return
	}
	p.taken = 1 + p.r.IntN(len(frames))
	p.q.Take(p.taken)
	p.hand = p.inHand()
}

func (p *pair) inHand() []byte {
	var b []byte
	for i, f := range p.q.Waiting()[:p.taken] {
		from := 0
		if i == 0 {
			from = p.m.off
		}
		b = append(b, f.B[from:]...)
	}
	return b
}

// write has the writer write a part of what it has in hand.
func (p *pair) write() {
	if p.taken == 0 {
		return
	}
	if !bytes.Equal(p.hand, p.inHand()) {
		p.t.Fatal("what the writer has in hand has changed")
	}
	n := p.r.IntN(len(p.hand) + 1)
	if p.r.IntN(2) == 0 {
		n = len(p.hand)
	}
	for left := n; left > 0; {
		var f *frameq.Frame
		if left, f = p.q.Wrote(left); f == nil {
			break
		}
		f.Free()
	}
	for p.m.off += n; len(p.m.notes) > 0 && p.m.off >= len(p.m.notes[0].b) && p.wholeFrames(); {
		p.m.off -= len(p.m.notes[0].b)
		p.m.notes = p.m.notes[1:]
	}
	p.taken, p.hand = 0, nil
	p.q.Settle()
}

// wholeFrames reports whether the model is still ahead of the queue, which accounts for
// messages that share a frame when all of them are written.
func (p *pair) wholeFrames() bool { return p.m.count() > p.q.Count() || p.m.size() > p.q.Size() }

func (p *pair) unshift() {
	if !p.q.Empty() {
		return
	}
	payload := p.payload()
	f := frameq.New(text, payload, "")
	off := p.r.IntN(len(f.B))
	p.m.notes, p.m.off = []note{{b: bytes.Clone(f.B), messages: 1}}, off
	p.q.Unshift(f, off)
}

func (p *pair) dropUntouched() {
	keep := p.touched()
	p.q.DropUntouched(func(f *frameq.Frame) { f.Free() })
	p.m.notes = p.m.notes[:keep]
}

func (p *pair) clear() {
	unwritten := 0
	p.q.Clear(func(f *frameq.Frame, off int) {
		unwritten += f.Unwritten(off)
		f.Free()
	})
	want := p.m.count()
	for rest, off := p.m.notes, p.m.off; len(rest) > 0 && off >= len(rest[0].b); rest = rest[1:] {
		off -= len(rest[0].b)
		want -= rest[0].messages
	}
	if unwritten != want {
		p.t.Fatalf("%d messages are lost with the queue, the model says %d", unwritten, want)
	}
	p.m, p.taken, p.hand = model{}, 0, nil
}

func (p *pair) waiting() []byte {
	var all []byte
	for _, f := range p.q.Waiting() {
		all = append(all, f.B...)
	}
	if !p.q.Empty() {
		_, off := p.q.First()
		all = all[off:]
	}
	return all
}

// check compares what can be seen of the queue with its model.
func (p *pair) check() {
	p.t.Helper()
	if p.q.Empty() != (len(p.m.notes) == 0) || p.q.Count() != p.m.count() || p.q.Size() != p.m.size() {
		p.t.Fatalf("the queue has %d messages, %d bytes, the model %d and %d", p.q.Count(), p.q.Size(),
			p.m.count(), p.m.size())
	}
	if !bytes.Equal(p.waiting(), p.m.bytes()) {
		p.t.Fatal("the bytes that wait are not those of the model")
	}
	held := 0
	for _, f := range p.q.Waiting() {
		if !f.Shared() {
			held += cap(f.B)
		}
	}
	if p.q.Held() < held {
		p.t.Fatalf("Held() = %d, the buffers have %d", p.q.Held(), held)
	}
}
