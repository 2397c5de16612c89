package clustertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway/cluster"
)

// Patience is how long the tests of [TestTransport] wait for what must happen, before
// they fail. It is no measure of speed.
const Patience = 30 * time.Second

// TestTransport runs the tests that every transport must pass. Each of them calls network
// for a network of its own, and then the function that it got for every node's transport.
// What a network needs cleared away belongs into t.Cleanup.
func TestTransport(t *testing.T, network func(t *testing.T) func() cluster.Transport) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s *suite)
	}{
		{"frames arrive in order, and are the receiver's", order},
		{"frames of many senders arrive, each in order", manySenders},
		{"the largest frame arrives, a larger one is refused", largest},
		{"a frame for nobody comes back as undelivered", undelivered},
		{"a name is given once", taken},
		{"a beat reaches every other node, and overtakes", beats},
		{"Close sends what was handed over", closeSends},
		{"after Close nothing comes and nothing goes", closed},
		{"Start with an ended context leaves nothing", ended},
		{"nodes find each other and carry operations", nodes},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, &suite{t: t, next: network(t)}) })
	}
}

type suite struct {
	t    *testing.T
	next func() cluster.Transport
}

// Names of the suite's nodes.
var names = []string{"aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"}

const nobody = "zzzzzzz222"

// start starts a transport with a handler that writes everything down.
func (s *suite) start(name string) (cluster.Transport, *record) {
	s.t.Helper()
	r := &record{t: s.t, changed: make(chan struct{}, 1)}
	tr := s.next()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := tr.Start(ctx, name, r); err != nil {
		s.t.Fatalf("Start(%s) = %v, want nil", name, err)
	}
	s.t.Cleanup(func() { s.stop(tr) })
	return tr, r
}

func (s *suite) stop(tr cluster.Transport) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := tr.Close(ctx); err != nil {
		s.t.Errorf("Close = %v, want nil", err)
	}
}

func (s *suite) send(tr cluster.Transport, to string, number uint64, frame []byte) {
	s.t.Helper()
	if err := tr.Send(to, number, frame); err != nil {
		s.t.Fatalf("Send(%s, %d) of %d bytes = %v, want nil", to, number, len(frame), err)
	}
}

// A record is a Handler that writes down what comes.
type record struct {
	t       *testing.T
	changed chan struct{}
	hold    chan struct{} // if not nil, Frame waits for it

	mu          sync.Mutex
	frames      [][]byte
	beats       [][]byte
	undelivered []uint64
	inFrame     int
	shut        bool // nothing may come any more
}

func (r *record) note(fn func()) {
	r.mu.Lock()
	if r.shut {
		r.t.Error("the handler was called after Close had returned")
	}
	fn()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *record) Frame(b []byte) {
	if r.hold != nil {
		<-r.hold
	}
	r.note(func() {
		if r.inFrame++; r.inFrame != 1 {
			r.t.Error("two calls of Frame at a time")
		}
		r.frames = append(r.frames, bytes.Clone(b))
	})
	r.note(func() { r.inFrame-- })
}

func (r *record) Beat(b []byte) { r.note(func() { r.beats = append(r.beats, bytes.Clone(b)) }) }

func (r *record) Undelivered(to string, number uint64) {
	r.note(func() {
		if to != nobody && !slices.Contains(names, to) {
			r.t.Errorf("undelivered to %q", to)
		}
		r.undelivered = append(r.undelivered, number)
	})
}

func (r *record) State(bool, error) { r.note(func() {}) }

// wait waits until done says so, under the lock.
func (r *record) wait(what string, done func() bool) {
	r.t.Helper()
	over := time.After(Patience)
	for {
		r.mu.Lock()
		ok := done()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.changed:
		case <-over:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("%s: not within %v; %d frames, %d beats, undelivered %v", what, Patience,
				len(r.frames), len(r.beats), r.undelivered)
		}
	}
}

const orderFrames = 2000

// numbered writes who sent a frame and its number over the whole of it.
func numbered(b []byte, sender, i uint32) []byte {
	b = b[:0]
	for range 8 {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, sender), i)
	}
	return b
}

// wantOrder checks that of each sender all frames have come, in order and whole.
func (s *suite) wantOrder(r *record, senders int) {
	s.t.Helper()
	r.wait("all frames", func() bool { return len(r.frames) >= senders*orderFrames })
	next := map[uint32]uint32{}
	for _, f := range r.frames {
		if len(f) != 64 {
			s.t.Fatalf("a frame of %d bytes came, want 64", len(f))
		}
		sender, i := binary.BigEndian.Uint32(f), binary.BigEndian.Uint32(f[4:])
		if i != next[sender] || !bytes.Equal(f, numbered(nil, sender, i)) {
			s.t.Fatalf("of sender %d came %x, want number %d", sender, f, next[sender])
		}
		next[sender]++
	}
}

func order(t *testing.T, s *suite) {
	a, _ := s.start(names[0])
	_, b := s.start(names[1])
	frame := make([]byte, 0, 64)
	for i := range uint32(orderFrames) {
		frame = numbered(frame, 7, i) // the same memory, again and again
		s.send(a, names[1], uint64(i+1), frame)
	}
	clear(frame[:cap(frame)])
	s.wantOrder(b, 1)
}

func manySenders(t *testing.T, s *suite) {
	_, sink := s.start(names[3])
	var senders sync.WaitGroup
	for k, name := range names[:3] {
		tr, _ := s.start(name)
		senders.Go(func() {
			for i := range uint32(orderFrames) {
				if err := tr.Send(names[3], uint64(i+1), numbered(nil, uint32(k), i)); err != nil {
					t.Errorf("Send = %v, want nil", err)
				}
			}
		})
	}
	senders.Wait()
	s.wantOrder(sink, 3)
}

func largest(t *testing.T, s *suite) {
	a, _ := s.start(names[0])
	_, b := s.start(names[1])
	frame := bytes.Repeat([]byte("x"), a.MaxFrame())
	s.send(a, names[1], 1, frame)
	if err := a.Send(names[1], 2, append(frame, 'y')); !errors.Is(err, cluster.ErrFrameSize) {
		t.Errorf("Send of MaxFrame and a byte = %v, want ErrFrameSize", err)
	}
	s.send(a, names[1], 3, []byte("small"))
	b.wait("both", func() bool { return len(b.frames) == 2 })
	if !bytes.Equal(b.frames[0], frame) || string(b.frames[1]) != "small" {
		t.Errorf("frames of %d and %d bytes came, want the largest and the small one", len(b.frames[0]),
			len(b.frames[1]))
	}
}

func undelivered(t *testing.T, s *suite) {
	a, ra := s.start(names[0])
	b, rb := s.start(names[1])
	s.send(a, nobody, 5, []byte("x"))
	s.send(a, names[1], 6, []byte("x"))
	s.send(a, nobody, 7, []byte("x"))
	ra.wait("undelivered", func() bool { return len(ra.undelivered) == 2 })
	rb.wait("the frame for somebody", func() bool { return len(rb.frames) == 1 })
	if ra.undelivered[0] != 5 || ra.undelivered[1] != 7 {
		t.Errorf("undelivered are %d, want 5 and 7", ra.undelivered)
	}
	s.stop(b)
	s.send(a, names[1], 8, []byte("x"))
	ra.wait("undelivered to who has left", func() bool { return slices.Contains(ra.undelivered, 8) })
}

func taken(t *testing.T, s *suite) {
	a, _ := s.start(names[0])
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	second := s.next()
	if err := second.Start(ctx, names[0], &record{t: t, shut: true}); !errors.Is(err,
		cluster.ErrNameTaken) {
		t.Fatalf("Start under a name that is taken = %v, want ErrNameTaken", err)
	}
	s.stop(a)
	s.start(names[0]) // it is free again
}

func beats(t *testing.T, s *suite) {
	a, _ := s.start(names[0])
	_, rb := s.start(names[1])
	_, rc := s.start(names[2])
	rb.hold = make(chan struct{})
	for i := range 100 {
		s.send(a, names[1], uint64(i+1), []byte("in the way"))
	}
	if err := a.Beat([]byte("alive")); err != nil {
		t.Fatalf("Beat = %v, want nil", err)
	}
	for _, r := range []*record{rb, rc} {
		r.wait("the beat", func() bool { return len(r.beats) == 1 })
		if string(r.beats[0]) != "alive" {
			t.Errorf("the beat is %q", r.beats[0])
		}
	}
	close(rb.hold)
	rb.wait("what was in the way", func() bool { return len(rb.frames) == 100 })
}

func closeSends(t *testing.T, s *suite) {
	a, _ := s.start(names[0])
	_, b := s.start(names[1])
	for i := range uint32(orderFrames) {
		s.send(a, names[1], uint64(i+1), numbered(nil, 1, i))
	}
	s.stop(a)
	s.wantOrder(b, 1)
}

func closed(t *testing.T, s *suite) {
	a, ra := s.start(names[0])
	b, _ := s.start(names[1])
	s.stop(a)
	s.stop(a) // it may be called again
	ra.mu.Lock()
	ra.shut = true
	ra.mu.Unlock()
	if err := a.Send(names[1], 1, []byte("x")); !errors.Is(err, cluster.ErrDown) {
		t.Errorf("Send after Close = %v, want ErrDown", err)
	}
	for i := range 10 {
		s.send(b, names[0], uint64(i+1), []byte("x"))
		b.Beat([]byte("x"))
	}
}

func ended(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.next().Start(ctx, names[0], &record{t: t, shut: true}); err == nil {
		t.Fatal("Start with an ended context = nil, want an error")
	}
	s.start(names[0]) // the name is free
}

func nodes(t *testing.T, s *suite) {
	all := make([]*cluster.Node, len(names))
	failed := make([]error, len(names))
	var joining sync.WaitGroup
	for i, name := range names {
		tr := s.next()
		joining.Go(func() { all[i], failed[i] = join(t, tr, name) })
	}
	joining.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatalf("Join: %v", err)
	}
	for _, n := range all {
		waitNodes(t, n, len(names))
	}
	if err := crossTalk(all); err != nil {
		t.Error(err)
	}
	if err := all[3].Close(context.Background()); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	waitNodes(t, all[0], len(names)-1)
}

func describe(nodes any, err error) string { return fmt.Sprintf("%+v, %v", nodes, err) }
