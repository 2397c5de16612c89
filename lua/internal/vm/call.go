package vm

import (
	golua "github.com/Shopify/go-lua"
)

// A Call is one call of a function of the host.
type Call struct {
	s       *State
	args    int
	results int
}

// Count returns the number of arguments.
func (c *Call) Count() int { return c.args }

// Arg returns argument i, from 1; nil if there is none.
func (c *Call) Arg(i int) Value {
	if i > c.args {
		return nil
	}
	return c.s.l.ToValue(i)
}

// Return adds a result.
func (c *Call) Return(v Value) {
	c.s.push(v)
	c.results++
}

// Function returns a Lua function that calls f. An error of f's is raised in the
// script.
func (s *State) Function(name string, f func(c *Call) error) Value {
	return s.function(name, func(s *State, l *golua.State) int {
		c := Call{s: s, args: l.Top()}
		if err := f(&c); err != nil {
			s.errorf("%s: %v", name, err)
		}
		return c.results
	})
}

// ParseJSON returns the value of a JSON text, as from_json does.
func (s *State) ParseJSON(text string) (Value, error) {
	if err := s.pushJSON(text); err != nil {
		return nil, err
	}
	return s.pop(), nil
}

// NewArray returns an empty table that is written as an array in JSON.
func (s *State) NewArray() Value {
	s.pushArray()
	return s.pop()
}

func (s *State) pushArray() {
	s.l.NewTable()
	s.markTop("array")
}

// Each calls f for the fields of a table, in order, until it fails.
func (s *State) Each(t Value, f func(k, v Value) error) error {
	l := s.l
	s.push(t)
	keys := s.keys(l, -1, nil)
	l.Pop(1)
	for _, k := range keys {
		s.push(t)
		s.push(k)
		s.rawGet(l, -2)
		v := l.ToValue(-1)
		l.Pop(2)
		if err := f(k, v); err != nil {
			return err
		}
	}
	return nil
}

// Length returns the length of a table that can be an array: its keys are 1 to
// n, but for some gaps. The length of an empty table is 0.
func (s *State) Length(t Value) (int, bool) {
	s.push(t)
	n, ok := arrayLength(s.keys(s.l, -1, nil), s.markOf(s.l, s.l.Top()) == "array")
	s.l.Pop(1)
	return n, ok
}

// IsArray reports whether a table is marked as an array.
func (s *State) IsArray(t Value) bool {
	s.push(t)
	array := s.markOf(s.l, s.l.Top()) == "array"
	s.l.Pop(1)
	return array
}

// GetIndex returns t[i].
func (s *State) GetIndex(t Value, i int) Value {
	s.push(t)
	s.l.RawGetInt(-1, i)
	v := s.l.ToValue(-1)
	s.l.Pop(2)
	return v
}
