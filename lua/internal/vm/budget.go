package vm

import (
	"time"

	golua "github.com/Shopify/go-lua"
)

// Limits bound one run. A zero field means the default; a negative one means no
// limit.
type Limits struct {
	Instructions int64         // of the VM, and units of work of the libraries; 10 million
	Time         time.Duration // that the run computes; 5 s
	Total        time.Duration // from its beginning to its end, waiting included; 60 s
	Memory       int64         // bytes that the State holds, more than after loading; 32 MiB
	String       int           // bytes of one string; 4 MiB, or Memory where that is less
	Depth        int           // nested calls of Lua functions; 10,000
	Output       int64         // bytes that the run sends and prints; 16 MiB
	Lines        int           // that it prints and logs; 10,000
	Coroutines   int           // that it has at the same time; 1,000
}

// Unlimited is what a negative limit means.
const Unlimited = 1 << 62

// WithDefaults returns the limits that zero and negative fields mean.
func (lim Limits) WithDefaults() Limits {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		} else if *v < 0 {
			*v = Unlimited
		}
	}
	set(&lim.Instructions, 10_000_000)
	set((*int64)(&lim.Time), int64(5*time.Second))
	set((*int64)(&lim.Total), int64(time.Minute))
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
	for _, f := range []struct {
		v   *int
		def int
	}{{&lim.Lines, 10_000}, {&lim.Coroutines, 1000}} {
		if *f.v == 0 {
			*f.v = f.def
		} else if *f.v < 0 {
			*f.v = 1 << 30
		}
	}
	return lim
}

const (
	firstInterval = 256 // instructions between two looks at the budgets, at first
	minInterval   = 8
	maxInterval   = 1024
	deep          = 1000 // a stack as deep makes a State too big to keep
	shortLook     = 100 * time.Microsecond
)

// run meters one run.
type run struct {
	started   time.Time
	meter     meter         // of what it computes
	slice     time.Time     // when its turn began
	sliceUsed int64         // at used, then
	whole     time.Duration // from beginning to end
	last      time.Time     // when the hook last looked at the budgets
	used      int64         // instructions, up to the last firing
	interval  int           // of the hook
	most      int           // that it may be
	unlooked  int           // instructions since the hook last looked at the budgets
	nextDepth int64         // at used: when the hook looks at the stack and the heap
	steps     int           // library work since the last check
	output    int64
	lines     int
	pauses    int

	building  int64  // bytes of results that libraries are at work on
	allocated int64  // bytes of strings and tables that libraries have made
	nextLook  int64  // at allocated
	lookedAt  int64  // at allocated
	heap      uint64 // of the process, at the last reading; 0: not read in this stretch
	maybe     int64  // bytes that the run may have allocated since the last look
	quota     int64  // of maybe: when to look
	held      int64  // bytes, at the last look, beside those after loading
	lookAfter time.Time

	hooked    bool // the hook runs
	protects  int  // nested pcalls
	abort     *Error
	traceback string
}

func (r *run) start(s *State) {
	now := time.Now()
	*r = run{
		started: now, slice: now, last: now, most: mostInterval(s.longest),
		held: r.held, nextLook: s.cfg.Limits.Memory, quota: s.cfg.Limits.Memory / 2,
	}
	r.interval = min(firstInterval, r.most)
	r.meter.begin(now, false)
	if s.Guard != nil && s.grant > 0 {
		r.nextLook = min(r.nextLook, s.grant)
		r.quota = min(r.quota, s.grant)
	}
	golua.SetDebugHook(s.l, s.hookFn, golua.MaskCount, r.interval)
}

// Grant says how many bytes the next run may hold, beside what the State holds
// already, before it has to ask its Guard.
func (s *State) Grant(n int64) { s.grant = n }

func (r *run) stop(s *State) {
	r.used += int64(r.interval - golua.DebugHookCount(s.l) + r.steps)
	r.steps = 0
	now := time.Now()
	r.meter.end(now)
	r.whole = now.Sub(r.started)
}

func (r *run) usage() Usage {
	return Usage{
		Instructions: r.used, Time: r.meter.computed, Total: r.whole,
		Output: r.output, Lines: r.lines, Memory: r.held,
	}
}

// hook is called every interval instructions.
func (s *State) hook(l *golua.State, _ golua.Debug) {
	r := &s.run
	r.hooked = true
	r.used += int64(r.interval)
	if r.most == hugeInterval {
		s.checkOperands(l)
	}
	now := time.Now()
	elapsed := now.Sub(r.last)
	// Where it fires often, for strings are long, most of the times nothing has happened.
	if r.unlooked += r.interval; r.unlooked >= maxInterval || elapsed >= shortLook {
		s.lookInHook(l, now, elapsed)
	}
	r.hooked = false // not deferred: an overrun is told with the flag on
}

func (s *State) lookInHook(l *golua.State, now time.Time, elapsed time.Duration) {
	r := &s.run
	r.last, r.unlooked = now, 0
	s.check(now)
	if err := s.breathe(now); err != nil {
		s.endRun(err)
	}
	// Single instructions may take long, on long strings: look more often then.
	s.setInterval(min(r.most, nextInterval(r.interval, elapsed)))
	if r.used < r.nextDepth {
		return
	}
	r.nextDepth = r.used + firstInterval
	s.checkDepth(l)
	s.lookAtHeap(r.last)
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

func nextInterval(interval int, elapsed time.Duration) int {
	switch {
	case elapsed > 400*time.Microsecond:
		return max(minInterval, interval/8)
	case elapsed < shortLook:
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
		now := time.Now()
		s.check(now)
		if err := s.breathe(now); err != nil {
			s.endRun(err)
		}
	}
}

func (s *State) check(now time.Time) {
	r, lim := &s.run, &s.cfg.Limits
	if r.used > lim.Instructions {
		s.overrun("instructions", "more than %d instructions", lim.Instructions)
	}
	if r.meter.total(now) > lim.Time {
		s.overrun("time", "computed for more than %v", lim.Time)
	}
	s.checkTotal(now)
}

func (s *State) checkTotal(now time.Time) {
	if lim := s.cfg.Limits.Total; now.Sub(s.run.started) > lim {
		s.overrun("total", "took more than %v in all", lim)
	}
}

// Spend counts n instructions for work that the host has done.
func (s *State) Spend(n int) { s.step(n) }

// exceeded reports whether check would end the run.
func (s *State) exceeded(now time.Time) bool {
	r, lim := &s.run, &s.cfg.Limits
	return r.used > lim.Instructions || r.meter.total(now) > lim.Time || now.Sub(r.started) > lim.Total
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

// A builder meters a result that grows piece by piece. It counts as held until it is
// done: a run may wait for its turn, or for memory, in between.
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
	b.s.run.building += int64(n - b.metered)
	b.metered = n
}

// done is told that the result is a string now, or that there is none.
func (b *builder) done() { b.s.run.building -= int64(b.metered) }

// Output counts n bytes that the run sends or prints. It does not return if
// they are too many.
func (s *State) Output(n int) {
	if s.run.output += int64(n); s.run.output > s.cfg.Limits.Output {
		s.overrun("output", "sends or prints more than %d bytes", s.cfg.Limits.Output)
	}
	s.step(n / 64)
	if s.Guard != nil {
		if err := s.Guard.Output(n); err != nil {
			s.endRun(err)
		}
	}
}

// line counts a line that the run prints or logs.
func (s *State) line() {
	if s.run.lines++; s.run.lines > s.cfg.Limits.Lines {
		s.overrun("lines", "prints or logs more than %d lines", s.cfg.Limits.Lines)
	}
}
