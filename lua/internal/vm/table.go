package vm

import (
	"sort"

	golua "github.com/Shopify/go-lua"
)

var tableLibrary = library{
	{"concat", tabConcat}, {"insert", tabInsert}, {"remove", tabRemove}, {"sort", tabSort},
	{"getn", tabGetn}, {"maxn", tabMaxn}, {"foreach", tabForeach}, {"foreachi", tabForeachi},
	{"unpack", tabUnpack}, {"pack", tabPack},
}

// Lengths are raw: a __len that lies must not make us loop.

func tabConcat(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	sep := s.optString(l, 2, "")
	i := s.optInt(l, 3, 1)
	j := s.optInt(l, 4, l.RawLength(1))
	var b []byte
	meter := builder{s: s}
	defer meter.done()
	for k := i; k <= j; k++ {
		s.step(1)
		l.RawGetInt(1, k)
		part, ok := str(l, l.Top())
		if !ok {
			s.errorf("invalid value (%s) at index %d in table for 'concat'", l.TypeOf(-1), k)
		}
		l.Pop(1)
		b = append(b, part...)
		if k < j {
			b = append(b, sep...)
		}
		meter.grown(len(b))
	}
	s.room(len(b))
	l.PushString(string(b))
	return 1
}

func tabInsert(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	end := l.RawLength(1) + 1
	switch l.Top() {
	case 2:
		l.RawSetInt(1, end)
		return 0
	case 3:
	default:
		s.errorf("wrong number of arguments to 'insert'")
	}
	at := s.checkInt(l, 2)
	end = max(end, at)
	for i := end; i > at; i-- {
		s.step(1)
		l.RawGetInt(1, i-1)
		l.RawSetInt(1, i)
	}
	l.RawSetInt(1, at)
	return 0
}

func tabRemove(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	n := l.RawLength(1)
	at := s.optInt(l, 2, n)
	if at < 1 || at > n {
		return 0
	}
	l.RawGetInt(1, at)
	for ; at < n; at++ {
		s.step(1)
		l.RawGetInt(1, at+1)
		l.RawSetInt(1, at)
	}
	l.PushNil()
	l.RawSetInt(1, n)
	return 1
}

// A sorter sorts the first n items of the table at 1 of the stack by the
// function at 2, or by <.
type sorter struct {
	s    *State
	l    *golua.State
	vals []Value
	less bool // a function is given
}

func (t *sorter) Len() int      { return len(t.vals) }
func (t *sorter) Swap(i, j int) { t.vals[i], t.vals[j] = t.vals[j], t.vals[i] }

func (t *sorter) Less(i, j int) bool {
	t.s.step(1)
	a, b := t.vals[i], t.vals[j]
	if !t.less {
		switch a := a.(type) {
		case float64:
			if b, ok := b.(float64); ok {
				return a < b
			}
		case string:
			if b, ok := b.(string); ok {
				return a < b
			}
		}
		return t.compare(a, b)
	}
	t.l.PushValue(2)
	t.s.push(a)
	t.s.push(b)
	t.l.Call(2, 1)
	less := t.l.ToBoolean(-1)
	t.l.Pop(1)
	return less
}

// compare orders values that are not two numbers or two strings, by __lt.
func (t *sorter) compare(a, b Value) bool {
	s, l := t.s, t.l
	s.push(a)
	s.push(b)
	top := l.Top()
	if !s.binaryMeta(l, top-1, top, "__lt") {
		ta, tb := l.TypeOf(top-1).String(), l.TypeOf(top).String()
		if ta == tb {
			s.errorf("attempt to compare two %s values", ta)
		}
		s.errorf("attempt to compare %s with %s", ta, tb)
	}
	less := l.ToBoolean(-1)
	l.SetTop(top - 2)
	return less
}

// tabSort sorts values outside of the table: a comparator that lies, fails or
// changes the table leaves it as it was or sorted in some way.
func tabSort(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	if !missing(l, 2) {
		s.checkFunction(l, 2)
	}
	n := l.RawLength(1)
	s.step(n)
	s.alloc(16 * n)
	t := &sorter{s: s, l: l, vals: make([]Value, n), less: !missing(l, 2)}
	for i := range n {
		l.RawGetInt(1, i+1)
		t.vals[i] = l.ToValue(-1)
		l.Pop(1)
	}
	sort.Sort(t)
	for i, v := range t.vals {
		s.push(v)
		l.RawSetInt(1, i+1)
	}
	return 0
}

func tabGetn(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	l.PushInteger(l.RawLength(1))
	return 1
}

func tabMaxn(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	most := 0.0
	for _, k := range s.keys(l, 1, nil) {
		if n, ok := k.(float64); ok {
			most = max(most, n)
		}
	}
	l.PushNumber(most)
	return 1
}

func tabForeach(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	s.checkFunction(l, 2)
	for _, k := range s.keys(l, 1, nil) {
		l.PushValue(2)
		s.push(k)
		s.push(k)
		s.rawGet(l, 1)
		l.Call(2, 1)
		if !l.IsNil(-1) {
			return 1
		}
		l.Pop(1)
	}
	return 0
}

func tabForeachi(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	s.checkFunction(l, 2)
	for i := 1; i <= l.RawLength(1); i++ {
		l.PushValue(2)
		l.PushInteger(i)
		l.RawGetInt(1, i)
		l.Call(2, 1)
		if !l.IsNil(-1) {
			return 1
		}
		l.Pop(1)
	}
	return 0
}

func tabUnpack(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	i := s.optInt(l, 2, 1)
	j := s.optInt(l, 3, l.RawLength(1))
	if i > j {
		return 0
	}
	s.grow(l, j-i+1, "too many results to unpack")
	for k := i; k <= j; k++ {
		l.RawGetInt(1, k)
	}
	return j - i + 1
}

func tabPack(s *State, l *golua.State) int {
	n := l.Top()
	l.CreateTable(n, 1)
	l.Insert(1)
	for i := n; i >= 1; i-- {
		l.RawSetInt(1, i)
	}
	l.PushInteger(n)
	l.SetField(1, "n")
	return 1
}
