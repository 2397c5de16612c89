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
//
// What the run takes away from the globals, or puts in their place, is in a fourth
// table, the shadow, and so is the metatable that the run gives _G. Few runs have
// one; then the overlay asks a function for what it does not hold.

func (s *State) openEnvironment() {
	l := s.l
	l.NewTable()
	s.proxy = l.ToValue(-1)
	l.NewTable()
	l.SetMetaTable(-2)
	l.Pop(1)
	s.loaded, s.gone, s.assign = s.NewTable(0), s.NewTable(0), s.function("newindex", assignGlobal)
	s.SetGlobal("_G", s.proxy)
	s.openLazy()
	s.newOverlay()
}

func (s *State) newOverlay() {
	l := s.l
	s.shadow, s.meta = nil, nil
	l.NewTable()
	s.overlay = l.ToValue(-1)
	l.NewTable()
	s.push(s.globals)
	l.SetField(-2, "__index")
	s.push(s.assign)
	l.SetField(-2, "__newindex")
	l.SetMetaTable(-2)
	l.Pop(1)
	s.setEnv(s.overlay)
}

// isEnv reports whether v is the globals to a script: _G, or _ENV.
func (s *State) isEnv(v Value) bool { return v == s.proxy || v == s.overlay }

// openShadow makes the overlay ask lookUp.
func (s *State) openShadow() {
	if s.shadow != nil {
		return
	}
	s.shadow = s.NewTable(0)
	l := s.l
	s.push(s.overlay)
	l.MetaTable(-1)
	s.pushFunction("index", lookUp)
	l.SetField(-2, "__index")
	l.Pop(2)
}

// lookUp finds a global that the overlay, at 1, does not hold.
func lookUp(s *State, l *golua.State) int {
	l.SetTop(2)
	if v, ok := s.underlying(l, 2); ok {
		s.push(v)
		return 1
	}
	if s.meta == nil { // that of the globals, if modules have given them one
		s.push(s.globals)
		l.PushValue(2)
		l.Table(-2)
		return 1
	}
	return s.metaIndex(l)
}

// underlying returns the global whose name is at index, if the overlay has none of
// this name. It is nil, true for one that the run has taken away.
func (s *State) underlying(l *golua.State, index int) (Value, bool) {
	if s.shadow != nil {
		s.push(s.shadow)
		l.PushValue(index)
		l.RawGet(-2)
		v := l.ToValue(-1)
		l.Pop(2)
		if v == s.gone {
			return nil, true
		}
		if v != nil {
			return v, true
		}
	}
	s.push(s.globals)
	l.PushValue(index)
	l.RawGet(-2)
	v := l.ToValue(-1)
	l.Pop(2)
	return v, v != nil
}

// metaIndex does what __index of the metatable that the run gave _G says.
func (s *State) metaIndex(l *golua.State) int {
	switch h := s.Get(s.meta, "__index"); s.Type(h) {
	case "nil":
		return 0
	case "function":
		s.push(h)
		s.push(s.proxy)
		l.PushValue(2)
		l.Call(2, 1)
	default:
		s.push(h)
		l.PushValue(2)
		l.Table(-2)
	}
	return 1
}

// overrides reports whether the value at 3 is a function in the place of one of the
// host's, as that of a handler which each event defines anew. Such a function goes
// into the overlay, where it costs other globals nothing. If the run makes it nil then,
// that of the host is seen again.
func (s *State) overrides(l *golua.State, v Value) bool {
	if l.TypeOf(3) != golua.TypeFunction {
		return false
	}
	s.push(v)
	host := l.IsGoFunction(-1)
	l.Pop(1)
	return host
}

// assignGlobal sets a global that the overlay, at 1, does not hold.
func assignGlobal(s *State, l *golua.State) int {
	l.SetTop(3)
	v, ok := s.underlying(l, 2)
	switch {
	case ok && (s.shadow != nil || !s.overrides(l, v)):
		s.openShadow()
		s.push(s.shadow)
		l.PushValue(2)
		if l.IsNil(3) {
			s.push(s.gone)
		} else {
			l.PushValue(3)
		}
		l.RawSet(-3)
		return 0
	case ok || s.meta == nil:
		l.RawSet(1)
		return 0
	}
	switch h := s.Get(s.meta, "__newindex"); s.Type(h) {
	case "nil":
		l.RawSet(1)
	case "function":
		s.push(h)
		l.Insert(2)
		s.push(s.proxy)
		l.Insert(3)
		l.Call(3, 0)
	default:
		s.push(h)
		l.Insert(2)
		l.SetTable(2)
	}
	return 0
}

// setMeta gives _G a metatable, or none, for the rest of the run.
func (s *State) setMeta(mt Value) {
	s.openShadow()
	if s.meta = mt; mt == nil {
		s.meta = s.NewTable(0) // not that of the globals
	}
}

// rawGlobal replaces the name on top of the stack by the global, without
// metamethods.
func (s *State) rawGlobal(l *golua.State) {
	key := l.Top()
	env := s.overlay
	if s.loading() {
		env = s.globals
	}
	s.push(env)
	l.PushValue(key)
	l.RawGet(-2)
	v := l.ToValue(-1)
	l.Pop(2)
	if v == nil {
		v, _ = s.underlying(l, key)
	}
	s.push(v)
	l.Replace(key)
}

// rawSetGlobal sets the global of the name and value on top of the stack, without
// metamethods of the script.
func (s *State) rawSetGlobal(l *golua.State) {
	if s.loading() {
		s.push(s.globals)
		l.Insert(-3)
		l.RawSet(-3)
		l.Pop(1)
		return
	}
	meta := s.meta
	s.meta = nil
	s.push(s.overlay)
	l.Insert(-3)
	l.SetTable(-3)
	l.Pop(1)
	s.meta = meta
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
		s.rawGlobal(l)
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
			s.noteMove(l, f, n)
			golua.UpValueJoin(l, f, n, f+1, upvalueEnv)
		}
	}
	l.SetTop(f)
	return 1
}

// Globals returns the names of the globals that hold in every run, in order.
func (s *State) Globals() []string {
	var names []string
	s.push(s.globals)
	for _, key := range s.keys(s.l, -1, nil) {
		if name, ok := key.(string); ok {
			names = append(names, name)
		}
	}
	s.l.Pop(1)
	return names
}

// noteMove notes the environment that the function at f has, its upvalue n, so that
// other runs find it there.
func (s *State) noteMove(l *golua.State, f, n int) {
	if s.loading() || golua.LoadBuffer(l, anchorCode(), "=anchor", "b") != nil {
		return
	}
	before := l.Top()
	golua.UpValueJoin(l, before, upvalueEnv, f, n)
	s.moved = append(s.moved, moved{function: l.ToValue(f), upvalue: n, before: l.ToValue(before)})
	l.SetTop(before - 1)
}
