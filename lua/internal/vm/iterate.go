package vm

import (
	"cmp"
	"reflect"
	"slices"
	"sort"
	"time"

	golua "github.com/Shopify/go-lua"
)

// Tables are traversed in a fixed order: positive integers, other numbers,
// strings, booleans, then tables and functions, each ascending. The order needs
// no state, so that next works whatever the script does between two calls,
// clearing fields included, and a run is repeatable. The VM's own next searches
// all keys at each step and cannot go on from a key that has been cleared.

// rank is the place of a key's kind in the order.
func rank(k Value) int {
	switch k := k.(type) {
	case float64:
		if k >= 1 && k == float64(int64(k)) {
			return 0
		}
		return 1
	case string:
		return 2
	case bool:
		return 3
	}
	return 4
}

func compareKeys(a, b Value) int {
	ra, rb := rank(a), rank(b)
	if ra != rb {
		return ra - rb
	}
	switch a := a.(type) {
	case float64:
		return cmp.Compare(a, b.(float64))
	case string:
		return cmp.Compare(a, b.(string))
	case bool:
		switch {
		case a == b.(bool):
			return 0
		case a:
			return 1
		}
		return -1
	}
	return cmp.Compare(address(a), address(b))
}

func address(v Value) uintptr { return reflect.ValueOf(v).Pointer() }

// tableLayout is what we know of the VM's table type: where its array and its
// hash are. Reading them by reflection finds all keys at once, which the VM's
// interface can only do in quadratic time. A release with another layout falls
// back to that.
var tableLayout = func() (layout struct{ array, hash []int }) {
	l := golua.NewState()
	l.NewTable()
	t := reflect.TypeOf(l.ToValue(-1))
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return layout
	}
	hash, okH := t.Elem().FieldByName("hash")
	array, okA := t.Elem().FieldByName("array")
	if okH && okA && hash.Type.Kind() == reflect.Map && hash.Type.Key().Kind() == reflect.Interface &&
		array.Type.Kind() == reflect.Slice && array.Type.Elem().Kind() == reflect.Interface {
		layout.array, layout.hash = array.Index, hash.Index
	}
	return layout
}()

// keys returns the keys of the table at index that come after a key, nil for
// all, in order.
func (s *State) keys(l *golua.State, index int, after Value) []Value {
	index = l.AbsIndex(index)
	v := l.ToValue(index)
	if v == s.proxy {
		return s.globalKeys(l)
	}
	if s.isLazy(l, index) {
		s.fill(l, index)
	}
	keys, ok := s.fastKeys(v, after)
	if !ok {
		keys = s.slowKeys(l, index)
	}
	s.step(2 * len(keys))
	s.alloc(32 * len(keys))
	slices.SortFunc(keys, s.comparing())
	return keys
}

// comparing compares keys, and lets others compute now and then.
func (s *State) comparing() func(a, b Value) int {
	n := 0
	return func(a, b Value) int {
		if n++; n%8192 == 0 {
			if err := s.breathe(time.Now()); err != nil {
				s.endRun(err)
			}
		}
		return compareKeys(a, b)
	}
}

// fastKeys works for tables whose keys are numbers, strings and booleans.
func (s *State) fastKeys(t Value, after Value) ([]Value, bool) {
	if tableLayout.hash == nil {
		return nil, false
	}
	table := reflect.ValueOf(t).Elem()
	array, hash := table.FieldByIndex(tableLayout.array), table.FieldByIndex(tableLayout.hash)
	first := 0
	if n, ok := after.(float64); ok && rank(n) == 0 {
		first = int(min(n, float64(array.Len())))
	} else if after != nil {
		first = array.Len()
	}
	if hash.Len() == 0 && first >= array.Len() {
		return nil, true
	}
	keys := make([]Value, 0, hash.Len()+array.Len()-first)
	for i := first; i < array.Len(); i++ {
		if !array.Index(i).IsNil() {
			keys = append(keys, float64(i+1))
		}
	}
	for iter := hash.MapRange(); iter.Next(); {
		switch k := iter.Key().Elem(); k.Kind() {
		case reflect.String:
			keys = append(keys, k.String())
		case reflect.Float64:
			keys = append(keys, k.Float())
		case reflect.Bool:
			keys = append(keys, k.Bool())
		default:
			return nil, false
		}
	}
	return keys, true
}

// slowKeys asks the VM.
func (s *State) slowKeys(l *golua.State, index int) []Value {
	var keys []Value
	for l.PushNil(); l.Next(index); l.Pop(1) {
		s.step(1 + len(keys)/4) // it searches
		if l.TypeOf(-2) != golua.TypeNone {
			keys = append(keys, l.ToValue(-2))
		}
	}
	return keys
}

// globalKeys are those that _G shows.
func (s *State) globalKeys(l *golua.State) []Value {
	s.push(s.globals)
	keys := s.keys(l, -1, nil)
	l.Pop(1)
	if !s.loading() {
		s.push(s.overlay)
		keys = append(keys, s.keys(l, -1, nil)...)
		l.Pop(1)
		if s.shadow != nil {
			s.push(s.shadow) // also of what is gone: who goes over the keys finds nothing
			keys = append(keys, s.keys(l, -1, nil)...)
			l.Pop(1)
		}
		slices.SortFunc(keys, compareKeys)
		keys = slices.Compact(keys)
	}
	return keys
}

// An iterator remembers where a traversal stands, so that its next step need
// not search. It is only a cache.
type iterator struct {
	table Value
	keys  []Value
	at    int
}

func (it *iterator) reset() {
	clear(it.keys)
	it.table, it.keys, it.at = nil, it.keys[:0], 0
}

func basePairs(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	if golua.MetaField(l, 1, "__pairs") {
		l.PushValue(1)
		l.Call(1, 3)
		return 3
	}
	s.checkTable(l, 1)
	s.push(s.Get(s.globals, "next"))
	l.PushValue(1)
	l.PushNil()
	return 3
}

func baseNext(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	l.SetTop(2)
	if i, ok := l.ToValue(2).(float64); ok && rank(i) == 0 || l.IsNil(2) { // as in an array
		l.PushNumber(i + 1)
		l.RawGetInt(1, int(i)+1)
		if !l.IsNil(-1) {
			return 2
		}
		l.SetTop(2)
	}
	it := s.iterator(l)
	for ; it.at < len(it.keys); it.at++ {
		k := it.keys[it.at]
		s.push(k)
		s.push(k)
		s.rawGet(l, 1)
		if !l.IsNil(-1) {
			it.at++
			return 2
		}
		l.Pop(2) // cleared meanwhile
	}
	it.reset()
	l.SetTop(2)
	l.PushNil()
	return 1
}

// iterator returns one that stands after the key at 2.
func (s *State) iterator(l *golua.State) *iterator {
	t, k := l.ToValue(1), l.ToValue(2)
	for i := range s.iters {
		it := &s.iters[i]
		if it.table == t && it.at > 0 && it.at <= len(it.keys) && it.keys[it.at-1] == k {
			return it
		}
	}
	copy(s.iters[1:], s.iters[:len(s.iters)-1])
	s.iters[0] = iterator{table: t, keys: s.keys(l, 1, k)}
	it := &s.iters[0]
	if k != nil {
		it.at = sort.Search(len(it.keys), func(i int) bool { return compareKeys(it.keys[i], k) > 0 })
		s.checkKey(l, it, k)
	}
	return it
}

// checkKey refuses a key that the table never had, if it is none that a
// traversal may have cleared: a scalar.
func (s *State) checkKey(l *golua.State, it *iterator, k Value) {
	if it.at > 0 && it.keys[it.at-1] == k || rank(k) < 4 {
		return
	}
	s.errorf("invalid key to 'next'")
}
