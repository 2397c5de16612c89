package lua

import (
	"testing"
	"time"
)

// turnsOf lets runs wait in a line, each of which comes again after its turn, and
// returns how many turns each got of so many.
func turnsOf(l *line, all []*turn, n int) map[*turn]int {
	got := make(map[*turn]int)
	for _, t := range all {
		t.waits = true
		l.push(t)
	}
	for range n {
		t := l.pick()
		got[t]++
		t.waits = true
		l.push(t)
	}
	return got
}

// A run among many long ones of other sockets gets its turns: at once if it is short,
// its route's share if it is long, and its own share if it is on the same route.
func TestLineIsFair(t *testing.T) {
	attacked, other := &counters{}, &counters{}
	for _, c := range []struct {
		name        string
		route       *counters
		lane        int
		least, most int // of 1,200 turns, beside 200 long runs of another socket each
	}{
		{"short, of another route", other, 0, 500, 1150},
		{"long, of another route", other, 3, 600, 900},
		{"short, of the same route", attacked, 0, 800, 1150},
		{"long, of the same route", attacked, 3, 5, 7},
	} {
		honest, all := &turn{route: c.route, lane: c.lane}, []*turn{}
		for range 200 {
			all = append(all, &turn{route: attacked, lane: 3})
		}
		got := turnsOf(&line{}, append(all, honest), 1200)
		if n := got[honest]; n < c.least || n > c.most {
			t.Errorf("%s: %d of 1,200 turns, want %d to %d", c.name, n, c.least, c.most)
		}
		for _, long := range all {
			if got[long] == 0 && c.lane == 3 && c.route == attacked {
				t.Errorf("%s: a run got no turn", c.name)
			}
		}
	}
}

// Long runs get turns beside any number of short ones.
func TestLineStarvesNobody(t *testing.T) {
	route := &counters{}
	long, all := &turn{route: route, lane: 3}, []*turn{}
	for i := range 300 {
		all = append(all, &turn{route: route, lane: i % 3})
	}
	if n := turnsOf(&line{}, append(all, long), 1000)[long]; n < 50 {
		t.Errorf("a long run got %d of 1,000 turns", n)
	}
}

// Those that leave are passed over, and leave nothing behind.
func TestLineForgets(t *testing.T) {
	var l line
	for n := range 50 {
		route := &counters{}
		one, two := &turn{route: route, lane: n % lanes}, &turn{route: route, lane: (n + 1) % lanes}
		one.waits, two.waits = true, true
		l.push(one)
		l.push(two)
		l.leave(one)
		if got := l.pick(); got != two {
			t.Fatalf("picked %p, want %p", got, two)
		}
	}
	if len(l.byRoute) != 0 || len(l.routes) != 0 || l.waiting != [lanes]int{} {
		t.Errorf("left behind: %d, %d routes, waiting %v", len(l.byRoute), len(l.routes), l.waiting)
	}
}

// A run that has used up its turns moves to a higher lane.
func TestLanes(t *testing.T) {
	before := -1
	for _, ms := range []time.Duration{0, 2, 20, 200} {
		d := ms * time.Millisecond
		if lane := laneOf(d); lane <= before || lane >= lanes {
			t.Errorf("laneOf(%v) = %d", d, lane)
		} else {
			before = lane
		}
	}
}
