package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

const (
	nameA = "aaaaaaaaaa"
	nameB = "bbbbbbbbbb"
)

var tail = strings.Repeat("x", idTail)

// A nowhere is a transport that takes everything and passes nothing on.
type nowhere struct{ frames [][]byte }

func (*nowhere) Start(context.Context, string, Handler) error { return nil }
func (w *nowhere) Send(_ string, _ uint64, frame []byte) error {
	w.frames = append(w.frames, append([]byte(nil), frame...))
	return nil
}
func (*nowhere) Beat([]byte) error           { return nil }
func (*nowhere) MaxFrame() int               { return 1 << 20 }
func (*nowhere) Close(context.Context) error { return nil }

// A stand is a node that is fed by hand; what it carries out is written down.
func stand(tb testing.TB, name string) (n *Node, out *nowhere, ops *[]gateway.Op) {
	out, ops = &nowhere{}, new([]gateway.Op)
	o, err := (&Options{Name: name, Heartbeat: time.Minute, GoneAfter: time.Hour, MaxGroups: 100,
		Logger: slog.New(slog.DiscardHandler)}).check()
	if err != nil {
		tb.Fatal(err)
	}
	n = &Node{
		opts: o, log: o.Logger, name: name, incarnation: 1, transport: out, maxFrame: out.MaxFrame(),
		slow: make(chan struct{}, 1), min: oldestVersion, max: codecVersion, peers: map[string]*peer{},
		answerHello: make(chan struct{}, 1), flushSoon: make(chan struct{}, 1), states: make(chan change,
			1),
		stop: make(chan struct{}), closed: make(chan struct{}),
	}
	n.interest.groups = map[groupHash]struct{}{}
	n.up.Store(true)
	n.started.Store(true)
	held := 0
	tb.Cleanup(func() {
		if held != 0 {
			tb.Errorf("the gateway is held back %d times more than let go", held)
		}
	})
	n.Bind(func(ctx context.Context, op gateway.Op) (gateway.Result, error) {
		switch op.Kind {
		case gateway.OpHold:
			held++
		case gateway.OpGo:
			held--
		case gateway.OpStatus, gateway.OpMember:
		case gateway.OpSendSync, gateway.OpSendWait, gateway.OpList, gateway.OpGroups, gateway.OpMembers:
		default:
			*ops = append(*ops, op)
		}
		return gateway.Result{}, nil
	})
	tb.Cleanup(func() {
		close(n.stop)
		n.running.Wait()
	})
	return n, out, ops
}

// frameOf is a frame from a to b with the records that write appends.
func frameOf(number uint64, count int, write func(b []byte) []byte) []byte {
	f := outFrame{number: number}
	f.begin()
	f.b = write(f.b)
	f.count = count
	f.seal(codecVersion, nameA, nameB, 5)
	return f.b
}

func request(id uint64, op gateway.Op) func(b []byte) []byte {
	return func(b []byte) []byte {
		at := len(b)
		b = appendRequest(beginRecord(b, recRequest), id, time.Second, &op)
		endRecord(b, at)
		return b
	}
}

var everyOp = gateway.Op{
	Kind: gateway.OpGroupSend, Socket: nameB + tail,
	Message: gateway.Message{Type: gateway.MessageText, Data: []byte("hello"), Key: "k"},
	Group:   "room", All: true, Except: []string{nameA + tail,
		"any"}, Refuse: true, Code: 4000, Reason: "why", Page: "\x01p", Limit: 9,
	Expires: time.Unix(7, 8),
}

func TestOpsTravel(t *testing.T) {
	for _, op := range []gateway.Op{{}, everyOp, {Kind: gateway.OpSend, Socket: nameB + tail,
		Message: gateway.Binary([]byte{})}} {
		r := reader{b: appendOp(nil, &op)}
		if got := r.op(nameB); r.bad || len(r.b) != 0 || !reflect.DeepEqual(got, op) {
			t.Errorf("the operation %+v arrives as %+v (bad %v, %d bytes left)", op, got, r.bad, len(r.b))
		}
		if n := opSize(&op); n < headerLen+len(appendRequest(beginRecord(nil, 1), 1<<63, time.Hour,
			&op)) {
			t.Errorf("opSize of %+v = %d, which is too little", op, n)
		}
	}
}

func TestResultsTravel(t *testing.T) {
	info := gateway.Info{
		SocketID: nameA + tail, Node: nameA, URI: "ws://h/p?q=1", Route: "/p", RemoteAddr: "1.2.3.4:5",
		Subprotocol: "s",
		Header:      http.Header{"Host": {"h"}, "X": {"1", "2"}},
		Parameters:  gateway.Parameters{"q": {"1"}},
		Values:      map[string]string{"u": "v"}, Groups: []string{"g"}, Opened: time.Unix(1,
			234567).UTC(), LastSize: 3,
		Last: gateway.Event{
			Type: gateway.EventClose, Time: time.Unix(9, 1).UTC(), Message: gateway.Binary([]byte{0xff, 0}),
			Closed: gateway.Closed{Cause: gateway.CauseIdle, Code: 1001, Reason: "r",
				Err: errors.New("lost")},
		},
	}
	for _, res := range []gateway.Result{
		{}, {N: 5, Next: "n", Draining: true}, {IDs: []string{nameA + tail}}, {Names: []string{"a",
			""}}, {Info: &info},
		{Members: []gateway.Member{{SocketID: nameA + tail, Opened: time.Unix(3, 4),
			Values: map[string]string{"a": "b"}}, {SocketID: nameA + tail, Opened: time.Unix(0, 0)}}},
		{Refused: []gateway.Refusal{{SocketID: nameA + tail, Err: gateway.NewError(gateway.ErrQueueFull,
			"full")}}},
	} {
		b, err := appendResult(nil, &res)
		if err != nil {
			t.Fatal(err)
		}
		r := reader{b: b}
		if got := r.result(nameA); r.bad || len(r.b) != 0 || !reflect.DeepEqual(got, res) {
			t.Errorf("the result\n%+v arrives as\n%+v (bad %v, %d bytes left)", res, got, r.bad, len(r.b))
		}
	}
}

// A frame that is cut anywhere, or has bytes too many, does nothing and is counted.
func TestTruncatedFrames(t *testing.T) {
	n, _, ops := stand(t, nameB)
	whole := frameOf(1, 2, func(b []byte) []byte {
		return request(2, everyOp)(request(1,
			everyOp)(b))
	})
	for i := range whole {
		n.Frame(whole[:i])
	}
	n.Frame(append(whole[:len(whole):len(whole)], 0))
	if d := n.Stats().Dropped; len(*ops) != 0 || d["malformed"] != uint64(len(whole)+1) ||
		len(n.list()) != 0 {
		t.Errorf("%d operations, dropped %v, %d peers; want none, all and none", len(*ops), d,
			len(n.list()))
	}
	n.Frame(whole)
	n.Frame(whole)
	if d := n.Stats().Dropped; len(*ops) != 2 || d["replayed"] != 1 {
		t.Errorf("%d operations, dropped %v; want 2 and one as replayed", len(*ops), d)
	}
}

// No other node can have this one hold back what is written.
func TestHoldsComeFromTheNodeItself(t *testing.T) {
	n, _, _ := stand(t, nameB) // which checks that all ends well
	n.Frame(frameOf(1, 1, request(1, gateway.Op{Kind: gateway.OpHold})))
	n.Frame(frameOf(2, 1, request(2, gateway.Op{Kind: gateway.OpGo})))
	n.Frame(frameOf(3, 3, func(b []byte) []byte {
		b = request(3, everyOp)(b)
		b = request(4, gateway.Op{Kind: gateway.OpHold})(b)
		return append(b, 0, 0, 1) // and the frame ends too early
	}))
}

func TestFramesThatAreNotOurs(t *testing.T) {
	n, out, ops := stand(t, nameB)
	change := func(at int, with string) []byte {
		f := frameOf(1, 1, request(1, everyOp))
		copy(f[at:], with)
		return f
	}
	for reason, f := range map[string][]byte{
		"version":   change(0, "\x63"),
		"misrouted": change(offTo, "cccccccccc"),
		"malformed": change(offFrom, "a.*.>aaaaa"),
	} {
		n.Frame(f)
		if got := n.Stats().Dropped[reason]; got != 1 {
			t.Errorf("dropped as %s = %d, want 1", reason, got)
		}
	}
	n.Frame(change(offFrom, nameB)) // from itself
	bye := frameOf(3, 1, func(b []byte) []byte { return beginRecord(b, recBye) })
	n.Frame(bye)
	n.Frame(frameOf(4, 1, request(1, everyOp)))
	beat := make([]byte, beatLen)
	copy(beat[1:], "\x01"+nameA)
	beat[28], beat[29] = oldestVersion, codecVersion
	n.Beat(beat)
	n.Beat(beat[:20])
	copy(beat[2:], "a.*.>aaaaa")
	n.Beat(beat)
	if d := n.Stats().Dropped; len(*ops) != 0 || d["departed"] != 2 || d["misrouted"] != 2 ||
		d["malformed"] != 3 {
		t.Errorf("%d operations, dropped %v; want none, 2 of the departed, 2 misrouted, 3 malformed",
			len(*ops), d)
	}
	for _, f := range out.frames {
		if to := string(f[offTo:offIncarnation]); to != nameA {
			t.Errorf("a frame went to %q", to)
		}
	}
}

// A peer that tells of ever more groups is not remembered, but taken for one that may
// have them all.
func TestGroupsOfAPeerAreBounded(t *testing.T) {
	n, _, _ := stand(t, nameB)
	hash := make([]byte, 16)
	snapshot := func(flags byte, first, count int) func([]byte) []byte {
		return func(b []byte) []byte {
			at := len(b)
			b = append(binary.AppendUvarint(beginRecord(b, recSnapshot), 1), flags)
			for i := range count {
				binary.BigEndian.PutUint64(hash, uint64(first+i))
				b = append(b, hash...)
			}
			endRecord(b, at)
			return b
		}
	}
	n.Frame(frameOf(1, 1, snapshot(snapshotFirst|snapshotLast, 0, 10)))
	p := n.peers[nameA]
	if !p.groups.mayHave(groupHash{7: 3}) || p.groups.mayHave(groupHash{1}) {
		t.Error("the groups of a snapshot, and no others, must be known")
	}
	n.Frame(frameOf(2, 1, snapshot(snapshotFirst, 0, 60)))
	n.Frame(frameOf(3, 1, snapshot(0, 60, 60)))
	n.Frame(frameOf(4, 1, snapshot(snapshotLast, 120, 60)))
	if g := &p.groups; g.known || !g.tooMany || len(g.groups)+len(g.building) != 0 ||
		!g.mayHave(groupHash{1}) {
		t.Errorf("after too many groups: known %v, %d kept; want none kept and all possible", g.known,
			len(g.groups))
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(frameOf(1, 2, func(b []byte) []byte { return request(2, everyOp)(request(1, everyOp)(b)) }),
		uint16(0), byte(0))
	for kind := byte(1); kind <= 7; kind++ {
		f.Add(frameOf(1, 1, func(b []byte) []byte {
			at := len(b)
			b = append(beginRecord(b, kind), "\x01\x03some bytes that mean nothing"...)
			endRecord(b, at)
			return b
		}), uint16(3), byte(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16, with byte) {
		n, out, _ := stand(t, nameB)
		b = append([]byte(nil), b...)
		if len(b) > 0 {
			b[int(at)%len(b)] ^= with
		}
		n.Frame(b)
		n.Frame(b)
		n.Beat(b)
		served := n.Stats().Served
		n.Frame(b)
		if n.Stats().Served != served && len(b) > 0 {
			t.Errorf("a frame that came again was carried out again: %q", b)
		}
		for _, f := range out.frames {
			if _, _, ok := parseHeader(f); !ok {
				t.Errorf("the answer to %q is no frame: %q", b, f)
			}
		}
	})
}
