// Package vm runs Lua scripts under budgets. It is the only package that knows
// the types of the VM, github.com/Shopify/go-lua: another VM, or a mended
// release of this one, is a change in here.
//
// The VM and its parser are used as they are. What they do wrong is made good
// around them: the bytecode of every chunk is rewritten before it runs (see
// rewrite.go), and every library function that is missing, wrong, quadratic or
// unbounded is a Go function of this package.
//
// A Lua value is a Go value here: nil, bool, float64, string, or something
// opaque for tables and functions that only the methods of [State] understand.
package vm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/metrics"
	"strings"
	"sync"
	"time"
	"unsafe"
	"weak"

	golua "github.com/Shopify/go-lua"
)

// A Value is a Lua value: nil, bool, float64, string, or an opaque table or
// function, which belongs to the State it came from.
type Value = any

// Config is what the States of one solution have in common.
type Config struct {
	Limits Limits

	// Print receives what print and the log functions are called with: a level
	// ("print", "debug", "info", "warn" or "error"), the text, and the chunk and
	// line of the call. Nil drops it.
	Print func(s *State, level, text, chunk string, line int)

	// Require returns the chunk of a module for the function require, and the
	// name under which its result is kept; nil if there is none.
	Require func(name string) (chunk *Chunk, key string)

	// NoService is the error of functions of a service that is not there: every
	// global that nobody has defined and that has such a name. Empty means that
	// such globals are nil.
	NoService string
}

// A State is one VM: globals, libraries, loaded code. It is for one goroutine
// at a time.
type State struct {
	// Host is for the caller: what the running event is about.
	Host any

	// Guard has a say while runs go on. Nil is none.
	Guard Guard

	// Place is "CHUNK:LINE", the position of errors that come up while no Lua
	// function runs. It may be empty.
	Place string

	cfg  Config
	l    *golua.State // whose stack runs
	main *golua.State // that of the run itself

	anchor  Value // a Lua function whose _ENV all loaded code shares
	globals Value // as the modules left them
	overlay Value // what this run adds to the globals; the value of _ENV
	shadow  Value // what this run has put in the place of globals, or nil
	gone    Value // what the shadow holds for a global that is nil now
	meta    Value // the metatable that this run has given _G, or nil
	assign  Value // __newindex of the overlay
	proxy   Value // _G: empty, and backed by the overlay
	loaded  Value // results of require
	lazy    Value // metatable of lazy tables
	concat  Value
	mod     Value
	export  Value
	holders Value // by name, the functions that hold the variables of modules

	variables map[string]variable // of modules

	missing  Value // the metatable of the globals, unless modules have given them another
	stubs    Value // by name, services that are not there and that modules have named
	runStubs Value // the same of this run, or nil

	run     run
	handler int // where the stack holds the handler of errors, counted from its base
	hookFn  golua.Hook
	iters   [4]iterator
	random  *rand.Rand
	fname   string // of the library function that was called last, for its errors
	broken  bool
	runs    int
	base    int64 // bytes held after loading
	grant   int64 // bytes that the next run may hold unasked
	growth  growth

	longest   int // bytes that a string may have; what is less than longString counts as 0
	longCount int // runs since it was last looked for

	threads map[*golua.State]*thread // coroutines that have not ended
	current *thread                  // that runs; nil: the run itself
	killing bool                     // the run is over, its coroutines end

	caches       []*unsafe.Pointer              // see closures.go
	scriptCaches []weak.Pointer[unsafe.Pointer] // of code that scripts have loaded

	sealed bool
	kept   []kept     // tables that every run finds as they are
	moved  []moved    // functions that this run gave another environment
	seed   *rand.Rand // the source of random numbers that every run finds
	sample []metrics.Sample
}

// anchorCode is the code of a function that has an _ENV.
var anchorCode = sync.OnceValue(func() string {
	c, err := Compile(context.Background(), "return x", "anchor")
	if err != nil {
		panic(err) // a constant
	}
	return string(c.code)
})

// New returns a State with all libraries and no code.
func New(cfg Config) *State {
	s := &State{
		cfg: cfg, l: golua.NewState(),
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		sample: []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}},
	}
	s.cfg.Limits = cfg.Limits.WithDefaults()
	s.hookFn = s.hook
	s.main = s.l
	l := s.l
	l.PushGlobalTable()
	s.globals = l.ToValue(-1)
	l.Pop(1)
	s.concat, s.mod = s.function("..", concat), s.function("%", mod)
	s.export, s.holders = s.function("export", exportVariables), s.NewTable(0)
	if err := golua.LoadBuffer(l, anchorCode(), "=anchor", "b"); err != nil {
		panic(fmt.Sprintf("lua: the VM refuses its own code: %v", err))
	}
	s.anchor = l.ToValue(-1)
	l.Pop(1)
	s.openLibraries()
	s.openEnvironment()
	s.openServices()
	return s
}

// pushes any value, whatever its name says
func (s *State) push(v Value) {
	if text, ok := v.(string); ok {
		s.long(len(text))
	}
	s.l.PushLightUserData(v)
}

func (s *State) pop() Value {
	v := s.l.ToValue(-1)
	s.l.Pop(1)
	return v
}

// A libraryFunction is a function of ours; it returns the number of its results,
// which are on top of the stack.
type libraryFunction func(s *State, l *golua.State) int

func (s *State) pushFunction(name string, f libraryFunction) {
	s.l.PushGoFunction(func(l *golua.State) int {
		s.fname = name
		return f(s, l)
	})
}

func (s *State) function(name string, f libraryFunction) Value {
	s.pushFunction(name, f)
	return s.pop()
}

// Load returns the chunk as a function. Its free names are the globals.
func (s *State) Load(c *Chunk) (Value, error) {
	s.long(c.longest)
	if err := s.loadChunk(c.code); err != nil {
		return nil, err
	}
	if len(c.rest) > 0 {
		s.push(s.restTable(c.rest))
		golua.SetUpValue(s.l, s.l.Top()-1, upvalueRest)
	}
	f := s.pop()
	s.noteClosures(f, false)
	return f, nil
}

// loadChunk pushes the function of rewritten code.
func (s *State) loadChunk(code []byte) error {
	l := s.l
	if err := golua.LoadBuffer(l, string(code), "=chunk", "b"); err != nil {
		l.Pop(1)
		return fmt.Errorf("lua: load: %w", err)
	}
	f := l.Top()
	s.push(s.anchor)
	golua.UpValueJoin(l, f, upvalueEnv, f+1, 1)
	l.Pop(1)
	s.push(s.concat)
	golua.SetUpValue(l, f, upvalueConcat)
	s.push(s.mod)
	golua.SetUpValue(l, f, upvalueMod)
	s.push(s.export)
	if _, ok := golua.SetUpValue(l, f, upvalueExport); !ok {
		l.Pop(1)
	}
	return nil
}

// Usage is what a run has used.
type Usage struct {
	Instructions int64
	Time         time.Duration // that it computed
	Total        time.Duration // from its beginning to its end
	Output       int64
	Lines        int
	Memory       int64 // bytes that the State was last seen to hold, beside those after loading
}

// Run runs f, which may use every method of s, under the budgets. The error is
// an *[Error] if a script failed; an error of f's own is returned as it is.
//
// Every run sees the globals as the code before the first Run, or in Setup, left
// them.
func (s *State) Run(f func() error) (Usage, error) {
	s.begin()
	defer s.end()
	return s.protected(f)
}

// Setup is Run for code whose globals stay: modules.
func (s *State) Setup(f func() error) (Usage, error) {
	tables := s.hostTables()
	s.setEnv(s.globals)
	defer func() {
		s.setEnv(s.overlay)
		s.seal(tables)
		s.sealed = true
		s.base = s.held(1 << 62)
	}()
	return s.protected(f)
}

func (s *State) protected(f func() error) (usage Usage, err error) {
	l := s.l
	top := l.Top()
	defer func() {
		s.run.stop(s)
		usage = s.run.usage()
		if p := recover(); p != nil { // not an error: it passed through the VM
			s.broken = true
			err = &Error{Message: fmt.Sprintf("internal error: %v", p), Internal: true}
		}
		s.killThreads()
		if !s.broken {
			l.SetTop(top)
		}
	}()
	s.run.start(s)
	s.handler = top + 1
	s.pushFunction("handler", traceHandler)
	var failed error
	l.PushGoFunction(func(*golua.State) int {
		failed = f()
		return 0
	})
	if vmErr := l.ProtectedCall(0, 0, s.handler); vmErr != nil {
		return usage, s.newError(vmErr)
	}
	return usage, failed
}

// begin gives the run its own globals.
func (s *State) begin() {
	s.runs++
	s.runStubs = nil
	if !s.sealed {
		s.seal(s.hostTables())
		s.sealed = true
	}
	l := s.l
	s.push(s.overlay)
	l.PushNil()
	if s.shadow != nil || l.Next(-2) { // the last run has left something
		l.SetTop(0)
		s.newOverlay()
	}
	l.SetTop(0)
}

// end drops what the run may still hold on to.
func (s *State) end() {
	for i := range s.iters {
		s.iters[i].reset()
	}
	s.Host = nil
	if !s.broken {
		s.restore()
		s.dropClosures()
	}
	s.lookForGrowth()
	if !s.broken && (s.run.allocated > 1<<18 || s.longest >= longString) {
		// Dead stack slots keep their values.
		if s.l.CheckStack(200) {
			s.l.SetTop(200)
			s.l.SetTop(0)
		}
	}
	s.forgetLong()
}

// Broken reports whether the State must not be used again: it saw a panic, a
// budget overrun or a very deep stack.
func (s *State) Broken() bool { return s.broken }

// Runs returns how often Run was called.
func (s *State) Runs() int { return s.runs }

// Call calls a function and returns its first result. It must be called inside
// Run or Setup, and does not return if the function fails.
func (s *State) Call(f Value, args ...Value) Value {
	s.push(f)
	for _, a := range args {
		s.push(a)
	}
	s.l.Call(len(args), 1)
	return s.pop()
}

// Global returns a global variable as the running code would see it.
func (s *State) Global(name string) Value {
	s.push(s.overlay)
	s.l.Field(-1, name)
	v := s.l.ToValue(-1)
	s.l.Pop(2)
	return v
}

// SetGlobal sets a global for all runs.
func (s *State) SetGlobal(name string, v Value) { s.Set(s.globals, name, v) }

// Position returns chunk and line of the innermost Lua function that runs, or
// "" and 0.
func (s *State) Position() (chunk string, line int) {
	for level := 0; level < 250; level++ {
		f, ok := golua.Stack(s.l, level)
		if !ok {
			break
		}
		if d := s.info(f, level); d.CurrentLine > 0 {
			return strings.TrimPrefix(d.Source, "="), d.CurrentLine
		}
	}
	return "", 0
}
