package vm

import (
	"errors"
	"iter"

	golua "github.com/Shopify/go-lua"
)

// The VM has no coroutines. Ours have a goroutine and a State of the VM each, between
// which control passes as between the two sides of an iterator (iter.Pull), so that one
// runs at a time. The values of one State may be used in another: they are plain
// Go values, captured variables included, and all code gets its globals and our
// functions from upvalues. What the States do not share is the metatable of strings,
// which each is given, and two traps:
//
//   - The code of a function remembers the closure that it made last, by its place on
//     the stack, whichever stack that is (see closures.go).
//   - Whatever of our State belongs to one stack is switched with it.
//
// Coroutines end with the run, those that have not finished too: they are made to
// fail where they wait.

// A thread is one coroutine. Its value in Lua is its State of the VM.
type thread struct {
	l      *golua.State
	status string // as coroutine.status says; "normal" is one that has resumed another
	f      Value  // until it begins
	by     *thread

	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool

	values []Value // that pass in or out
	failed bool    // values is the error that ended it

	handler, protects int // of the State, while it does not run
}

const (
	resumeCost = 50       // of a switch, in instructions
	createCost = 500      // of a coroutine
	threadSize = 16 << 10 // about what a goroutine and a State take
	maxNested  = 150      // coroutines that have resumed each other
)

// errKilled ends a coroutine that has not finished when its run has.
var errKilled = errors.New("the run is over")

// newThread makes a coroutine of the function at index.
func (s *State) newThread(l *golua.State, index int) *thread {
	if len(s.threads) >= s.cfg.Limits.Coroutines {
		s.errorf("too many coroutines (limit %d)", s.cfg.Limits.Coroutines)
	}
	if !closureCaches.ok {
		s.errorf("coroutines are not supported")
	}
	s.step(createCost)
	s.alloc(threadSize)
	t := &thread{l: golua.NewState(), status: "suspended", f: l.ToValue(index), protects: 1}
	l.PushString("")
	if l.MetaTable(-1) {
		mt := l.ToValue(-1)
		t.l.PushString("")
		t.l.PushLightUserData(mt)
		t.l.SetMetaTable(-2)
		t.l.SetTop(0)
	}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		s.body(t)
	})
	if s.threads == nil {
		s.threads = make(map[*golua.State]*thread)
	}
	s.threads[t.l] = t
	return t
}

// body is what the goroutine of a coroutine does.
func (s *State) body(t *thread) {
	l := t.l
	s.handler = 1
	s.pushFunction("handler", traceHandler)
	s.push(t.f)
	t.f = nil
	n := len(t.values)
	t.push(l)
	err := l.ProtectedCall(n, golua.MultipleReturns, s.handler)
	switch {
	case s.killing:
		return
	case err != nil:
		s.noteGoError(err)
		t.failed, t.values = true, []Value{l.ToValue(-1)}
		return
	}
	t.values = t.values[:0]
	for i := 2; i <= l.Top(); i++ {
		t.values = append(t.values, l.ToValue(i))
	}
}

// push pushes what passes, on the stack of either side.
func (t *thread) push(l *golua.State) {
	for _, v := range t.values {
		l.PushLightUserData(v)
	}
	clear(t.values)
	t.values = t.values[:0]
}

// take takes what passes from the stack, from an index on.
func (t *thread) take(l *golua.State, from int) {
	t.values = t.values[:0]
	for i := from; i <= l.Top(); i++ {
		t.values = append(t.values, l.ToValue(i))
	}
}

// switchTo makes the State work on another stack: that of t, or of the run if it is
// nil.
func (s *State) switchTo(t *thread) {
	r := &s.run
	r.used += int64(r.interval - golua.DebugHookCount(s.l))
	s.current, s.l = t, s.main
	if t != nil {
		s.l = t.l
	}
	golua.SetDebugHook(s.l, s.hookFn, golua.MaskCount, r.interval)
	s.forgetClosures()
}

// resume runs a coroutine until it yields, ends or fails: then it reports false, and
// values are what it failed with. The values are in t.
func (s *State) resume(t *thread) bool {
	s.step(resumeCost)
	before, handler, protects := s.current, s.handler, s.run.protects
	t.by, t.status = before, "running"
	if before != nil {
		before.status = "normal"
	}
	s.switchTo(t)
	s.handler, s.run.protects = t.handler, t.protects
	_, alive := t.next()
	t.handler, t.protects = s.handler, s.run.protects
	s.switchTo(before)
	s.handler, s.run.protects = handler, protects
	if before != nil {
		before.status = "running"
	}
	t.by = nil
	if t.status = "suspended"; !alive {
		t.status = "dead"
		delete(s.threads, t.l)
	}
	if s.run.abort != nil {
		s.stop()
	}
	return !t.failed
}

// killThreads ends the coroutines that have not finished. The run is over.
func (s *State) killThreads() {
	s.l, s.current = s.main, nil
	if len(s.threads) == 0 {
		return
	}
	s.killing = true
	for l, t := range s.threads {
		golua.SetDebugHook(l, nil, 0, 0)
		s.l, s.handler = l, 1
		t.stop()
		t.status = "dead"
	}
	clear(s.threads)
	s.killing, s.l = false, s.main
}

// threadArg is the coroutine at index 1.
func (s *State) threadArg(l *golua.State) (t *thread, status string) {
	v, ok := l.ToValue(1).(*golua.State)
	if !ok || l.Top() < 1 {
		s.argError(1, "coroutine expected")
	}
	if t = s.threads[v]; t == nil {
		return nil, "dead"
	}
	return t, t.status
}

var coroutineLibrary = library{
	{"create", coCreate}, {"resume", coResume}, {"running", coRunning}, {"status", coStatus},
	{"wrap", coWrap}, {"yield", coYield}, {"isyieldable", coIsYieldable},
}

func coCreate(s *State, l *golua.State) int {
	s.checkLuaFunction(l)
	s.push(s.newThread(l, 1).l)
	return 1
}

func (s *State) checkLuaFunction(l *golua.State) {
	if l.Top() < 1 || !l.IsFunction(1) {
		s.argError(1, "function expected")
	}
}

func coResume(s *State, l *golua.State) int {
	t, status := s.threadArg(l)
	if text := s.unresumable(status); text != "" {
		l.PushBoolean(false)
		l.PushString(text)
		return 2
	}
	t.take(l, 2)
	l.SetTop(0)
	ok := s.resume(t)
	s.grow(l, len(t.values)+1, "too many results")
	l.PushBoolean(ok)
	t.push(l)
	return l.Top()
}

// unresumable says why a coroutine cannot be resumed, or "".
func (s *State) unresumable(status string) string {
	if status != "suspended" {
		return "cannot resume " + status + " coroutine"
	}
	n := 0
	for t := s.current; t != nil; t = t.by {
		if n++; n >= maxNested {
			return "C stack overflow"
		}
	}
	return ""
}

func coWrap(s *State, l *golua.State) int {
	s.checkLuaFunction(l)
	t := s.newThread(l, 1)
	s.pushFunction("wrap", func(s *State, l *golua.State) int {
		status := "dead"
		if s.threads[t.l] == t {
			status = t.status
		}
		if text := s.unresumable(status); text != "" {
			s.errorf("%s", text)
		}
		t.take(l, 1)
		l.SetTop(0)
		if s.resume(t) {
			s.grow(l, len(t.values), "too many results")
			t.push(l)
			return l.Top()
		}
		if text, ok := t.values[0].(string); ok {
			s.errorf("%s", text) // as in Lua: with the position in front
		}
		t.push(l)
		s.throw()
		return 0
	})
	return 1
}

func coYield(s *State, l *golua.State) int {
	t := s.current
	if t == nil {
		s.errorf("attempt to yield outside a coroutine")
	}
	s.step(resumeCost)
	t.take(l, 1)
	l.SetTop(0)
	if !t.yield(struct{}{}) {
		panic(errKilled)
	}
	if s.run.abort != nil {
		s.stop()
	}
	s.grow(l, len(t.values), "too many results")
	t.push(l)
	return l.Top()
}

func coStatus(s *State, l *golua.State) int {
	_, status := s.threadArg(l)
	l.PushString(status)
	return 1
}

// coRunning returns nothing outside of coroutines, as in Lua 5.1.
func coRunning(s *State, l *golua.State) int {
	if s.current == nil {
		l.PushNil()
	} else {
		s.push(s.current.l)
	}
	return 1
}

func coIsYieldable(s *State, l *golua.State) int {
	l.PushBoolean(s.current != nil)
	return 1
}
