package gateway

import (
	"slices"
	"sync/atomic"
)

// tracers is a set that is replaced as a whole, without a lock; nil for an empty one.
type tracers struct{ current atomic.Pointer[[]*tracer] }

func (ts *tracers) all() []*tracer {
	if list := ts.current.Load(); list != nil {
		return *list
	}
	return nil
}

func (ts *tracers) add(tr *tracer) {
	ts.change(func(list []*tracer) []*tracer {
		if slices.Contains(list, tr) {
			return list
		}
		return append(list, tr)
	})
}

func (ts *tracers) remove(tr *tracer) {
	ts.change(func(list []*tracer) []*tracer {
		return slices.DeleteFunc(list, func(x *tracer) bool { return x == tr })
	})
}

// change replaces the set by what fn makes of a copy of it.
func (ts *tracers) change(fn func(list []*tracer) []*tracer) {
	for {
		before := ts.current.Load()
		var list []*tracer
		if before != nil {
			list = slices.Clone(*before)
		}
		var after *[]*tracer
		if list = fn(list); len(list) > 0 {
			after = &list
		}
		if ts.current.CompareAndSwap(before, after) {
			return
		}
	}
}
