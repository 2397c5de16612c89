package lua

import (
	"slices"
	"time"
)

// A line is the runs that wait for a turn. It is fair to the routes: every second turn
// goes to the next route that has any. And it is quick for short runs: the other turns
// go to those that have computed little, whatever their route. For that a run is in
// one of several lanes, by what it has computed; half of these turns begin to look in
// the lowest, a quarter in the second, and so on, so that long runs get on as well. Runs of
// the same route and lane are served in the order in which they came.
type line struct {
	routes  []*routeLine // those that have any, in turn
	byRoute map[*counters]*routeLine
	next    int        // of routes
	waiting [lanes]int // how many wait, by lane
	picked  uint       // how many turns were given
}

const lanes = 4

// laneOf is where a run waits that has computed for so long.
func laneOf(computed time.Duration) int {
	switch {
	case computed < 2*time.Millisecond:
		return 0
	case computed < 20*time.Millisecond:
		return 1
	case computed < 200*time.Millisecond:
		return 2
	}
	return 3
}

// A routeLine is the runs of one route. Those that have left are still in its queues
// until they would have been served.
type routeLine struct {
	route  *counters
	queues [lanes][]*turn
}

// head returns the first of a lane that still waits, or nil.
func (r *routeLine) head(lane int) *turn {
	q := r.queues[lane]
	for len(q) > 0 && (!q[0].waits || q[0].lane != lane) {
		q[0] = nil
		q = q[1:]
	}
	r.queues[lane] = q
	if len(q) == 0 {
		return nil
	}
	return q[0]
}

func (l *line) push(t *turn) {
	r := l.byRoute[t.route]
	if r == nil {
		if l.byRoute == nil {
			l.byRoute = make(map[*counters]*routeLine)
		}
		r = &routeLine{route: t.route}
		l.byRoute[t.route] = r
		l.routes = append(l.routes, r)
	}
	r.queues[t.lane] = append(r.queues[t.lane], t)
	l.waiting[t.lane]++
}

// leave is for one that waits no longer, but has no turn.
func (l *line) leave(t *turn) {
	t.waits = false
	l.waiting[t.lane]--
}

// pick takes the next out of the line; at least one must wait.
func (l *line) pick() *turn {
	l.picked++
	if l.picked&1 == 0 {
		first := 0
		for n := l.picked >> 1; n&1 == 0 && first < lanes-1; n >>= 1 {
			first++
		}
		if l.waiting[first] > 0 {
			return l.take(first, first+1)
		}
		for lane := range lanes {
			if l.waiting[lane] > 0 {
				return l.take(lane, lane+1)
			}
		}
	}
	return l.take(0, lanes)
}

// take takes the first of the lanes from one to another of the next route that has
// any there.
func (l *line) take(from, to int) *turn {
	for i := l.next; ; {
		if i >= len(l.routes) {
			i = 0
		}
		r := l.routes[i]
		for lane := from; lane < to; lane++ {
			if t := r.head(lane); t != nil {
				r.queues[lane][0] = nil
				r.queues[lane] = r.queues[lane][1:]
				l.leave(t)
				l.next = i + 1
				l.forget(r, i)
				return t
			}
		}
		if !l.forget(r, i) {
			i++
		}
	}
}

// forget drops a route that has no runs in the line.
func (l *line) forget(r *routeLine, i int) bool {
	for lane := range lanes {
		if r.head(lane) != nil {
			return false
		}
	}
	delete(l.byRoute, r.route)
	l.routes = slices.Delete(l.routes, i, i+1)
	if l.next > i {
		l.next--
	}
	if l.next >= len(l.routes) {
		l.next = 0 // or a route that comes back would be next again
	}
	return true
}
