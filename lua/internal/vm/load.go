package vm

import (
	"fmt"
	"strings"
	"time"

	golua "github.com/Shopify/go-lua"
)

// maxLoad bounds source that is compiled during a run.
const maxLoad = 16 << 10

func baseLoad(s *State, l *golua.State) int {
	if l.TypeOf(1) == golua.TypeFunction {
		return s.loadSource(l, s.readAll(l), s.optString(l, 2, "=(load)"))
	}
	return baseLoadstring(s, l)
}

func baseLoadstring(s *State, l *golua.State) int {
	source := s.checkString(l, 1)
	return s.loadSource(l, source, s.optString(l, 2, source))
}

// readAll calls the reader function at 1 until it returns nil or "".
func (s *State) readAll(l *golua.State) string {
	var b strings.Builder
	for {
		l.PushValue(1)
		l.Call(0, 1)
		part, ok := l.ToValue(-1).(string)
		if !ok && !l.IsNil(-1) {
			s.errorf("reader function must return a string")
		}
		l.Pop(1)
		if part == "" {
			return b.String()
		}
		if b.Len()+len(part) > maxLoad {
			return b.String() + part // too long, as loadSource says
		}
		b.WriteString(part)
	}
}

func (s *State) loadSource(l *golua.State, source, name string) int {
	fail := func(text string) int {
		l.PushNil()
		l.PushString(text)
		return 2
	}
	name = chunkName(name)
	switch {
	case len(source) > maxLoad:
		return fail(fmt.Sprintf("%s: source of %d bytes is too long (limit %d)", name, len(source),
			maxLoad))
	case strings.HasPrefix(source, golua.Signature[:1]):
		return fail(name + ": binary chunks are not loaded")
	}
	s.step(len(source) * 4)
	s.alloc(len(source) * 16)
	if err := checkJumps(source, name, maxLoadJumps); err != nil {
		return fail(err.Error())
	}
	code, err := compile(l, source, name, s.compiling(), plain)
	s.check(time.Now())
	if err != nil && s.Guard != nil { // it may be what has stopped the compiler
		if err := s.Guard.Turn(s.run.meter.total(time.Now())); err != nil {
			s.endRun(err)
		}
	}
	if err != nil {
		return fail(err.Error())
	}
	if err := s.loadChunk(code); err != nil {
		return fail(err.Error())
	}
	s.noteClosures(l.ToValue(-1), true)
	if l.IsTable(4) { // load(chunk, name, mode, env)
		f := l.Top()
		if golua.LoadBuffer(l, anchorCode(), "=anchor", "b") == nil {
			l.PushValue(4)
			golua.SetUpValue(l, f+1, upvalueEnv)
			golua.UpValueJoin(l, f, upvalueEnv, f+1, upvalueEnv)
			l.SetTop(f)
		}
	}
	return 1
}

// compiling returns what the compiler asks every few bytes. Pieces that it is
// quick with are paid for by their length. The slow ones cost what would take as
// long: up to a millisecond each, so that a run does not pay for it if the
// machine is busy with something else.
func (s *State) compiling() func() error {
	const quick, slowest, perStep = 50 * time.Microsecond, time.Millisecond, 25 * time.Nanosecond
	last := time.Now()
	return func() error {
		now := time.Now()
		if took := now.Sub(last); took > quick {
			s.run.used += int64(min(took, slowest) / perStep)
		}
		last = now
		if s.exceeded(now) {
			return errCompileTime
		}
		began := s.run.slice
		err := s.breathe(now)
		if s.run.slice != began {
			last = s.run.last // it may have waited
		}
		return err
	}
}

// chunkName is how messages show the name of a chunk that load was given.
func chunkName(name string) string {
	if name != "" && (name[0] == '=' || name[0] == '@') {
		return name[1:min(len(name), MaxName)]
	}
	line, _, more := strings.Cut(name, "\n")
	if len(line) > 40 {
		line, more = line[:40], true
	}
	if more {
		line += "..."
	}
	return `[string "` + line + `"]`
}

// baseRequire runs a module of the solution, once, and returns what it
// returned, or true. Otherwise it returns the library of this name: a solution
// that brings a module "json" of its own means that one.
func baseRequire(s *State, l *golua.State) int {
	name := s.checkString(l, 1)
	var chunk *Chunk
	key := name
	if s.cfg.Require != nil {
		chunk, key = s.cfg.Require(name)
	}
	if v := s.Get(s.loaded, key); v != nil {
		s.push(v)
		return 1
	}
	if chunk == nil {
		if !isLibrary(name) {
			s.errorf("module '%s' not found: the solution has no such file", name)
		}
		s.push(s.Get(s.globals, name))
		return 1
	}
	s.push(s.RunModule(chunk, key))
	return 1
}

func isLibrary(name string) bool {
	switch name {
	case "string", "table", "math", "os", "json", "bit", "bit32", "base64", "hex", "url", "hash":
		return true
	}
	return false
}

// RunModule runs a module's code unless it has run, and returns what require
// returns. It must be called inside Run or Setup.
func (s *State) RunModule(c *Chunk, key string) Value {
	if v := s.Get(s.loaded, key); v != nil {
		return v
	}
	s.Set(s.loaded, key, true) // also for modules that require each other
	f, err := s.LoadLinked(c)
	if err != nil {
		s.errorf("%v", err)
	}
	v := s.Call(f, key)
	if v == nil {
		v = true
	}
	s.Set(s.loaded, key, v)
	return v
}
