package vm

import (
	"runtime/metrics"
	"time"

	golua "github.com/Shopify/go-lua"
)

// Limits bound one run. A zero field means the default; a negative one means no
// limit.
type Limits struct {
	Instructions int64         // of the VM, and units of work of the libraries; 10 million
	Time         time.Duration // without that in Pause; 5 s
	Memory       int64         // bytes that the State holds, more than after loading; 32 MiB
	String       int           // bytes of one string; 4 MiB, or Memory where that is less
	Depth        int           // nested calls of Lua functions; 10,000
	Output       int64         // bytes that the run sends and prints; 16 MiB
}

func (lim Limits) withDefaults() Limits {
	const unlimited = 1 << 62
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		} else if *v < 0 {
			*v = unlimited
		}
	}
	set(&lim.Instructions, 10_000_000)
	set((*int64)(&lim.Time), int64(5*time.Second))
	set(&lim.Memory, 32<<20)
	set(&lim.Output, 16<<20)
	if lim.String <= 0 {
		lim.String = int(min(4<<20, lim.Memory))
	}
	if lim.Depth == 0 {
		lim.Depth = 10_000
	} else if lim.Depth < 0 {
		lim.Depth = 1 << 30
	}
	return lim
}

const (
	firstInterval = 256 // instructions between two looks at the budgets, at first
	minInterval   = 8
	maxInterval   = 1024

	// Where a script has strings as long as these, one instruction (arithmetic,
	// which parses them) can take 2 or 50 ms.
	longString   = 8 << 10
	longInterval = 4
	hugeString   = 256 << 10
	hugeInterval = 1
	deep         = 1000 // a stack as deep makes a State too big to keep
)

// run meters one run.
type run struct {
	started   time.Time
	last      time.Time     // when the hook last fired
	paused    time.Duration // in host functions
	used      int64         // instructions, up to the last firing
	interval  int           // of the hook
	most      int           // that it may be
	nextDepth int64         // at used: when the hook looks at the stack and the heap
	steps     int           // library work since the last check
	output    int64

	allocated int64  // bytes of strings and tables that libraries have made
	nextLook  int64  // at allocated
	heap      uint64 // of the process, at the last look
	lookAfter time.Time

	hooked    bool // the hook runs
	protects  int  // nested pcalls
	abort     *Error
	traceback string
}

func (r *run) start(s *State) {
	now := time.Now()
	*r = run{started: now, last: now, interval: firstInterval, most: maxInterval, nextLook: s.cfg.Limits.Memory}
	golua.SetDebugHook(s.l, s.hookFn, golua.MaskCount, r.interval)
}

func (r *run) stop(s *State) {
	r.used += int64(r.interval - golua.DebugHookCount(s.l) + r.steps)
	r.steps = 0
	r.last = time.Now()
}

func (r *run) usage() Usage {
	return Usage{Instructions: r.used, Time: r.last.Sub(r.started) - r.paused, Output: r.output}
}

// hook is called every interval instructions.
func (s *State) hook(l *golua.State, _ golua.Debug) {
	r := &s.run
	r.hooked = true
	s.lookInHook(l)
	r.hooked = false // not deferred: an overrun is told with the flag on
}

func (s *State) lookInHook(l *golua.State) {
	r := &s.run
	r.used += int64(r.interval)
	now := time.Now()
	elapsed := now.Sub(r.last)
	r.last = now
	s.check(now)
	// Single instructions may take long, on long strings: look more often then.
	s.setInterval(min(r.most, nextInterval(r.interval, elapsed)))
	if r.used < r.nextDepth {
		return
	}
	r.nextDepth = r.used + firstInterval
	s.checkDepth(l)
	s.lookAtHeap(now)
}

// checkDepth ends the run if its calls are nested too deep.
func (s *State) checkDepth(l *golua.State) {
	if _, ok := golua.Stack(l, min(deep, s.cfg.Limits.Depth)); !ok {
		return
	}
	s.broken = true
	if _, ok := golua.Stack(l, s.cfg.Limits.Depth); ok {
		s.overrun("depth", "stack overflow: more than %d nested calls", s.cfg.Limits.Depth)
	}
}

func (s *State) setInterval(n int) {
	if r := &s.run; n != r.interval {
		r.interval = n
		golua.SetDebugHook(s.l, s.hookFn, golua.MaskCount, n)
	}
}

// long notes that the script gets a string of n bytes.
func (s *State) long(n int) {
	most := s.run.most
	switch {
	case n >= hugeString:
		most = hugeInterval
	case n >= longString:
		most = min(most, longInterval)
	}
	if most < s.run.most {
		s.run.used += int64(s.run.interval - golua.DebugHookCount(s.l))
		s.run.most = most
		s.setInterval(most)
	}
}

func nextInterval(interval int, elapsed time.Duration) int {
	switch {
	case elapsed > 400*time.Microsecond:
		return max(minInterval, interval/8)
	case elapsed < 100*time.Microsecond:
		return min(maxInterval, interval*2)
	}
	return interval
}

// step counts n units of work of a library function: about what n instructions
// of the VM take.
func (s *State) step(n int) {
	if s.run.steps += n; s.run.steps >= 2048 {
		s.run.used += int64(s.run.steps)
		s.run.steps = 0
		s.check(time.Now())
	}
}

func (s *State) check(now time.Time) {
	r, lim := &s.run, &s.cfg.Limits
	if r.used > lim.Instructions {
		s.overrun("instructions", "more than %d instructions", lim.Instructions)
	}
	if now.Sub(r.started)-r.paused > lim.Time {
		s.overrun("time", "ran for more than %v", lim.Time)
	}
}

// Spend counts n instructions for work that the host has done.
func (s *State) Spend(n int) { s.step(n) }

// exceeded reports whether check would end the run.
func (s *State) exceeded(now time.Time) bool {
	r, lim := &s.run, &s.cfg.Limits
	return r.used > lim.Instructions || now.Sub(r.started)-r.paused > lim.Time
}

// alloc counts n bytes that a library function is about to make.
func (s *State) alloc(n int) {
	if s.run.allocated += int64(n); s.run.allocated > s.run.nextLook {
		s.look()
	}
}

// lookAtHeap looks closer if the process has allocated much since the last look.
// Others may have done that: what counts is only what this State holds. And while
// they do, looking takes at most half of the time.
func (s *State) lookAtHeap(now time.Time) {
	if now.Before(s.run.lookAfter) {
		return
	}
	metrics.Read(s.sample)
	heap := s.sample[0].Value.Uint64()
	if s.run.heap == 0 {
		s.run.heap = heap
	}
	if float64(heap-s.run.heap) > float64(s.cfg.Limits.Memory)/2 {
		s.run.heap = heap
		s.look()
		end := time.Now()
		s.run.lookAfter = end.Add(end.Sub(now))
	}
}

// look ends the run if the State holds more than it may.
func (s *State) look() {
	limit := s.cfg.Limits.Memory
	held := s.held(limit+s.base) - s.base
	if held > limit {
		s.overrun("memory", "holds more than %d bytes", limit)
	}
	s.run.nextLook = s.run.allocated + max((limit-held)/2, limit/16)
}

// growth is about what runs leave behind in the State, which no budget of a single
// run sees: entries that each adds to the table of a module.
type growth struct {
	ran  time.Duration // by runs, since the last look
	next time.Duration // at ran: when to ask what the process has allocated
	heap uint64        // of the process, at the last look
	made int64         // bytes that libraries have made, since the last look
	host int64         // bytes of the host that runs may have kept
	much bool          // the State holds so much that another had better take its place
}

// lookForGrowth is called after each run. It looks at what the State holds when the
// process has allocated much since it last did so, for a third of the time at most;
// but also when its own libraries have made a lot.
func (s *State) lookForGrowth() {
	g, limit := &s.growth, s.cfg.Limits.Memory/2
	g.ran += s.run.usage().Time
	g.made += s.run.allocated
	lot := g.made/8 > limit
	if g.ran < g.next && !lot || s.broken {
		return
	}
	g.next = g.ran + time.Millisecond
	metrics.Read(s.sample)
	heap := s.sample[0].Value.Uint64()
	if g.heap == 0 {
		g.heap = heap
	}
	if heap-g.heap < uint64(limit) && !lot {
		return
	}
	start := time.Now()
	g.much = s.held(limit+s.base)-s.base > limit
	g.ran, g.made, g.next, g.heap = 0, 0, 2*time.Since(start), heap
}

// MayKeep notes that something that the State may hold on to refers to n bytes of
// the host, which nothing else counts.
func (s *State) MayKeep(n int) {
	if s.growth.host += int64(n); s.growth.host > s.cfg.Limits.Memory/2 {
		s.growth.much = true
	}
}

// room ends the call with an error if a string of n bytes is too long, and
// counts it otherwise.
func (s *State) room(n int) {
	if n > s.cfg.Limits.String {
		s.errorf("resulting string too large (%d bytes, limit %d)", n, s.cfg.Limits.String)
	}
	s.step(n / 64)
	s.alloc(n)
	s.long(n)
}

// A builder meters a result that grows piece by piece.
type builder struct {
	s       *State
	metered int
}

// grown is told the length that the result has now. It ends the call with an error
// if that is too long, and counts what has been added.
func (b *builder) grown(n int) {
	if n-b.metered < 4096 {
		return
	}
	if limit := b.s.cfg.Limits.String; n > limit {
		b.s.errorf("resulting string too large (limit %d)", limit)
	}
	b.s.step((n - b.metered) / 64)
	b.s.alloc(2 * (n - b.metered)) // append has copied about as much
	b.metered = n
}

// Output counts n bytes that the run sends or prints. It does not return if
// they are too many.
func (s *State) Output(n int) {
	if s.run.output += int64(n); s.run.output > s.cfg.Limits.Output {
		s.overrun("output", "sends or prints more than %d bytes", s.cfg.Limits.Output)
	}
}

// pauseCost is what calling the host counts, in instructions.
const pauseCost = 100

// Pause runs f, whose time does not count: it waits for somebody else. That it is
// called counts, or a loop of calls would have no end.
func (s *State) Pause(f func()) {
	s.step(pauseCost)
	start := time.Now()
	f()
	s.run.paused += time.Since(start)
}
