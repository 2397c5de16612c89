package vm

// Type returns the Lua name of v's type.
func (s *State) Type(v Value) string {
	switch v.(type) {
	case nil:
		return "nil"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	}
	s.push(v)
	t := s.l.TypeOf(-1)
	s.l.Pop(1)
	return t.String()
}

// NewTable returns an empty table with room for n fields.
func (s *State) NewTable(n int) Value {
	s.l.CreateTable(0, n)
	return s.pop()
}

// Get returns a field of a table, without metamethods. Fields of lazy tables
// are made.
func (s *State) Get(t Value, key string) Value {
	l := s.l
	s.push(t)
	if !l.IsTable(-1) {
		l.Pop(1)
		return nil
	}
	l.PushString(key)
	s.rawGet(l, -2)
	v := l.ToValue(-1)
	l.Pop(2)
	return v
}

// Set sets a field of a table, without metamethods.
func (s *State) Set(t Value, key string, v Value) {
	s.push(t)
	s.l.PushString(key)
	s.push(v)
	s.l.RawSet(-3)
	s.l.Pop(1)
}

// SetIndex sets t[i].
func (s *State) SetIndex(t Value, i int, v Value) {
	s.push(t)
	s.push(v)
	s.l.RawSetInt(-2, i)
	s.l.Pop(1)
}

// ToString returns what the function tostring does.
func (s *State) ToString(v Value) string {
	s.push(v)
	t := s.toString(s.l, s.l.Top())
	s.l.Pop(1)
	return t
}
