package vm

import (
	golua "github.com/Shopify/go-lua"
)

// On the original platform a capitalised name that nobody has defined is a service,
// and a call of any of its functions fails. Scripts for services that the host does
// not have rely on it: they hang their own functions into such a table, or never come
// to the call.

// IsServiceName reports whether a name is such as services have: a capital letter,
// and small ones with it. DEBUG is none.
func IsServiceName(name string) bool {
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	small := false
	for i := range len(name) {
		if !isWordByte(name[i]) {
			return false
		}
		small = small || 'a' <= name[i] && name[i] <= 'z'
	}
	return small
}

func (s *State) openServices() {
	if s.cfg.NoService == "" {
		return
	}
	l := s.l
	l.NewTable()
	s.missing = l.ToValue(-1)
	s.pushFunction("index", missingService)
	l.SetField(-2, "__index")
	s.push(s.globals)
	l.Insert(-2)
	l.SetMetaTable(-2)
	l.Pop(1)
	s.stubs = s.NewTable(0)
}

// missingService is __index of the globals.
func missingService(s *State, l *golua.State) int {
	name, ok := l.ToValue(2).(string)
	if !ok || !IsServiceName(name) {
		return 0
	}
	if v := s.Get(s.stubs, name); v != nil {
		s.push(v)
		return 1
	}
	kept := s.stubs
	if !s.loading() {
		if s.runStubs == nil {
			s.runStubs = s.NewTable(0)
		}
		if kept = s.runStubs; s.Get(kept, name) != nil {
			s.push(s.Get(kept, name))
			return 1
		}
	}
	stub := s.newStub(name)
	s.Set(kept, name, stub)
	s.push(stub)
	return 1
}

// newStub makes the table of a service that the host does not have. It is the
// script's own as soon as that has assigned it to the name.
func (s *State) newStub(name string) Value {
	l := s.l
	l.NewTable()
	stub := l.ToValue(-1)
	l.CreateTable(0, 2)
	s.pushFunction("index", func(s *State, l *golua.State) int {
		field, ok := l.ToValue(2).(string)
		if !ok || s.assigned(name) == stub {
			return 0
		}
		s.pushFunction(name+"."+field, func(s *State, _ *golua.State) int {
			s.errorf("%s.%s: %s", name, field, s.cfg.NoService)
			return 0
		})
		return 1
	})
	l.SetField(-2, "__index")
	s.pushFunction(name, func(s *State, _ *golua.State) int {
		s.errorf("%s: %s", name, s.cfg.NoService)
		return 0
	})
	l.SetField(-2, "__call")
	l.SetMetaTable(-2)
	l.Pop(1)
	return stub
}

// assigned returns the global that a script has assigned, or nil.
func (s *State) assigned(name string) Value {
	l := s.l
	l.PushString(name)
	s.rawGlobal(l)
	return s.pop()
}

// Defined returns the global that holds in every run, or nil: not the table of a
// service that is not there.
func (s *State) Defined(name string) Value { return s.Get(s.globals, name) }
