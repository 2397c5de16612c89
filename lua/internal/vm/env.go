package vm

import (
	golua "github.com/Shopify/go-lua"
)

// The globals of a run are three tables. Free names are fields of the overlay,
// which the run may fill and which the next run does not get if it has; what is
// not there is looked up in the globals, as the modules left them. _G is the
// proxy, always the same table, empty and backed by the overlay of the day.
//
// While modules load, the globals themselves take the place of the overlay.

func (s *State) openEnvironment() {
	l := s.l
	l.NewTable()
	s.proxy = l.ToValue(-1)
	l.NewTable()
	l.SetMetaTable(-2)
	l.Pop(1)
	s.loaded = s.NewTable(0)
	s.SetGlobal("_G", s.proxy)
	s.openLazy()
	s.newOverlay()
}

func (s *State) newOverlay() {
	l := s.l
	l.NewTable()
	s.overlay = l.ToValue(-1)
	l.NewTable()
	s.push(s.globals)
	l.SetField(-2, "__index")
	l.PushBoolean(false)
	l.SetField(-2, "__metatable")
	l.SetMetaTable(-2)
	l.Pop(1)
	s.setEnv(s.overlay)
}

// setEnv makes v the _ENV of all code, and what _G shows.
func (s *State) setEnv(v Value) {
	l := s.l
	s.push(s.anchor)
	s.push(v)
	golua.SetUpValue(l, -2, upvalueEnv)
	l.Pop(1)
	s.push(s.proxy)
	l.MetaTable(-1)
	for _, event := range []string{"__index", "__newindex"} {
		s.push(v)
		l.SetField(-2, event)
	}
	l.Pop(2)
}

// loading reports whether modules are being loaded, not a run.
func (s *State) loading() bool {
	s.push(s.anchor)
	golua.UpValue(s.l, -1, upvalueEnv)
	v := s.l.ToValue(-1)
	s.l.Pop(2)
	return v == s.globals
}

// rawGet replaces the key on top of the stack by the field of the table at
// index, without metamethods but with what the tables of ours stand for.
func (s *State) rawGet(l *golua.State, index int) {
	switch v := l.ToValue(index); {
	case v == s.proxy:
		l.Table(index)
	case s.isLazy(l, index):
		s.fill(l, index)
		l.RawGet(index)
	default:
		l.RawGet(index)
	}
}

// envOf pushes the environment of the Lua function at index.
func (s *State) envOf(l *golua.State, index int) bool {
	n := envUpvalue(l, index)
	if n == 0 {
		return false
	}
	golua.UpValue(l, index, n)
	if v := l.ToValue(-1); v == s.overlay || v == s.globals {
		l.Pop(1)
		s.push(s.proxy)
	}
	return true
}

// envUpvalue returns which upvalue of the function is its _ENV, or 0.
func envUpvalue(l *golua.State, index int) int {
	for n := 1; ; n++ {
		name, ok := golua.UpValue(l, index, n)
		if !ok {
			return 0
		}
		l.Pop(1)
		if name == "_ENV" {
			return n
		}
	}
}

// functionArg pushes the function that the first argument of getfenv or setfenv
// means: itself, or a level of the stack.
func functionArg(s *State, l *golua.State) {
	if l.IsFunction(1) {
		l.PushValue(1)
		return
	}
	level := 1
	if l.Top() >= 1 && !l.IsNil(1) {
		level = s.checkInt(l, 1)
	}
	if level <= 0 {
		s.argError(1, "level must be positive")
	}
	f, ok := golua.Stack(l, level)
	if !ok {
		s.argError(1, "invalid level")
	}
	golua.Info(l, "f", f)
}

func baseGetfenv(s *State, l *golua.State) int {
	if n, ok := l.ToNumber(1); ok && l.TypeOf(1) == golua.TypeNumber && n == 0 {
		s.push(s.proxy)
		return 1
	}
	functionArg(s, l)
	if l.IsGoFunction(-1) || !s.envOf(l, l.Top()) {
		s.push(s.proxy)
	}
	return 1
}

// baseSetfenv gives one function, and those it will create, an environment. A
// function that uses no globals has none, which is as good.
func baseSetfenv(s *State, l *golua.State) int {
	s.checkTable(l, 2)
	functionArg(s, l)
	f := l.Top()
	if l.IsGoFunction(f) {
		s.errorf("'setfenv' cannot change environment of given object")
	}
	if n := envUpvalue(l, f); n > 0 {
		// A fresh function has an _ENV of its own, which f now shares.
		if golua.LoadBuffer(l, anchorCode(), "=anchor", "b") == nil {
			l.PushValue(2)
			golua.SetUpValue(l, f+1, upvalueEnv)
			golua.UpValueJoin(l, f, n, f+1, upvalueEnv)
		}
	}
	l.SetTop(f)
	return 1
}
