package frameq_test

import (
	"testing"

	"github.com/wsgateway/gateway/internal/budget"
	"github.com/wsgateway/gateway/internal/frameq"
)

var large = frameq.Limits{Messages: 1 << 20, Bytes: 1 << 20}

func push(q *frameq.Queue, size int, key string, join bool) {
	q.Push(frameq.New(text, make([]byte, size), key), join)
}

// room looks for room for a message and makes it.
func room(q *frameq.Queue, size int, key string, lim frameq.Limits, order frameq.Order,
	last bool) (b frameq.Bound, lost []string) {
	r, b := q.Room(&frameq.Want{N: size, Key: key}, lim, order, last)
	if b == frameq.None {
		q.Make(&r, func(f *frameq.Frame, replaced bool) { lost = append(lost, f.Key) })
	}
	return b, lost
}

// A queue says which bound it is full by, and nobody leaves for a message that is refused.
func TestRoomSaysWhichBound(t *testing.T) {
	for _, c := range []struct {
		name   string
		fill   func(q *frameq.Queue)
		lim    frameq.Limits
		budget int64
		want   frameq.Bound
	}{
		{"messages", func(q *frameq.Queue) { push(q, 10, "a", false) }, frameq.Limits{Messages: 1,
			Bytes: 1000}, -1, frameq.ByMessages},
		{"bytes", func(q *frameq.Queue) { push(q, 950, "a", false) }, frameq.Limits{Messages: 9,
			Bytes: 1000}, -1, frameq.ByBytes},
		{"memory", func(q *frameq.Queue) {
			for range 200 { // of 1 byte, with buffers of 128 and what a frame needs
				push(q, 1, "a", false)
			}
		}, frameq.Limits{Messages: 1 << 20, Bytes: 10_000}, -1, frameq.ByMemory},
		{"budget", func(q *frameq.Queue) { push(q, 5000, "a", false) }, large, 8 << 10, frameq.ByBudget},
		{"budget of an empty queue", func(q *frameq.Queue) {}, large, 4 << 10, frameq.ByBudget},
		{"no bound", func(q *frameq.Queue) { push(q, 10, "a", false) }, large, -1, frameq.None},
	} {
		q := frameq.Queue{Budget: budget.New(c.budget)}
		c.fill(&q)
		before := q.Count()
		if got, _ := room(&q, 5000, "other", c.lim, frameq.Nobody, true); got != c.want ||
			q.Count() != before {
			t.Errorf("%s: Room = %d and %d messages left, want %d and none", c.name, got, before-q.Count(),
				c.want)
		}
	}
}

// Where the budget is short, waiting messages leave only in the last resort.
func TestRoomInTheLastResort(t *testing.T) {
	for _, order := range []frameq.Order{frameq.Oldest, frameq.Newest} {
		q := frameq.Queue{Budget: budget.New(40 << 10)}
		for range 5 {
			push(&q, 8000, "a", false) // a buffer of 8 KiB each
		}
		if b, lost := room(&q, 8000, "b", large, order, false); b != frameq.ByBudget || lost != nil {
			t.Errorf("order %d: Room = %d and %d messages leave, want ByBudget and none", order, b,
				len(lost))
		}
		if b, lost := room(&q, 8000, "b", large, order, true); b != frameq.None || len(lost) == 0 {
			t.Errorf("order %d, last resort: Room = %d and %d messages leave, want room", order, b,
				len(lost))
		}
	}
}

// A latest value takes the place of the older one of its key only if it finds room.
func TestRoomOfALatestValue(t *testing.T) {
	fill := func() *frameq.Queue {
		q := new(frameq.Queue)
		push(q, 400, "", true)
		push(q, 100, "price", true)
		push(q, 300, "", true)
		return q
	}
	for _, c := range []struct {
		size int
		lim  frameq.Limits
		ok   bool
	}{
		{200, frameq.Limits{Messages: 3, Bytes: 1000}, true},
		// the queue is full by messages but for the older one
		{300, frameq.Limits{Messages: 3, Bytes: 1000}, false},
		{300, frameq.Limits{Messages: 9, Bytes: 1000}, false},
	} {
		q := fill()
		b, lost := room(q, c.size, "price", c.lim, frameq.Nobody, true)
		if (b == frameq.None) != c.ok || len(lost) == 1 != c.ok || q.Count() != 3-len(lost) {
			t.Errorf("%d bytes of the key in %+v: bound %d, %d left, %d wait, want room: %v",
				c.size, c.lim, b, len(lost), q.Count(), c.ok)
		}
	}
}

// Frames that are kept, and those that the writer has begun, never leave for others.
func TestRoomKeeps(t *testing.T) {
	q := new(frameq.Queue)
	push(q, 100, "begun", false)
	f := frameq.New(text, make([]byte, 100), "kept")
	f.Keep = true
	q.Push(f, false)
	push(q, 100, "gives way", false)
	q.Take(1)
	lim := frameq.Limits{Messages: 3, Bytes: 1000}
	for _, order := range []frameq.Order{frameq.Oldest, frameq.Newest} {
		r, b := q.Room(&frameq.Want{N: 100}, lim, order, true)
		if b != frameq.None {
			t.Fatalf("order %d: Room = %d, want room where one message gives way", order, b)
		}
		_ = r
		if b, _ := room(q, 950, "", lim, order, true); b != frameq.ByBytes {
			t.Errorf("order %d: Room for more than can leave = %d, want ByBytes", order, b)
		}
	}
	if _, lost := room(q, 100, "", lim, frameq.Oldest, true); len(lost) != 1 ||
		lost[0] != "gives way" {
		t.Errorf("%q left, want the one that gives way", lost)
	}
}

// Small messages that wait share few buffers.
func TestChunks(t *testing.T) {
	q := new(frameq.Queue)
	for range 1000 {
		push(q, 50, "", true)
	}
	if n := len(q.Waiting()); n > 8 {
		t.Errorf("1000 messages of 52 bytes wait in %d buffers, want at most 8", n)
	}
	if q.Held() > 2*q.Size() {
		t.Errorf("they hold %d bytes for %d", q.Held(), q.Size())
	}
}
