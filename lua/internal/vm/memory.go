package vm

import (
	"runtime/metrics"
	"time"
)

// What a run holds is found by going over everything that can be reached, which
// takes long. So it is done only when the run may have allocated so much that it
// could hold more than it may. That is known from what the whole process has
// allocated while the run was computing: few compute at the same time.

// readHeap notes what the process has allocated so far.
func (s *State) readHeap() {
	metrics.Read(s.sample)
	s.run.heap = s.sample[0].Value.Uint64()
}

// countHeap adds what the process has allocated since the last reading to what the
// run may have.
func (s *State) countHeap() {
	r := &s.run
	if r.heap == 0 {
		return // a short stretch, which nobody counts
	}
	before := r.heap
	s.readHeap()
	r.maybe += int64(r.heap - before)
}

// lookAtHeap looks closer if the run may hold more than it may by now. Others may
// have allocated that: looking takes at most two thirds of the time.
func (s *State) lookAtHeap(now time.Time) {
	r := &s.run
	if r.heap == 0 {
		s.readHeap()
	}
	s.countHeap()
	if r.maybe < r.quota || now.Before(r.lookAfter) || s.blindly() {
		return
	}
	s.look(0)
	end := time.Now()
	r.lookAfter = end.Add(end.Sub(now) / 2)
}

// blindly reports whether the host lets the run hold what it may have allocated,
// without looking.
func (s *State) blindly() bool {
	r := &s.run
	if s.Guard == nil || r.held+r.maybe > s.cfg.Limits.Memory/2 {
		return false
	}
	may, err := s.Guard.Hold(s.base+r.held+r.maybe, false)
	if err != nil {
		s.endRun(err)
	}
	r.quota = may - s.base - r.held
	return r.maybe < r.quota
}

// alloc counts n bytes that a library function is about to make. It may wait until
// there is room for them.
func (s *State) alloc(n int) {
	if s.run.allocated += int64(n); s.run.allocated > s.run.nextLook && !s.blindAlloc() {
		s.look(int64(n))
	}
}

// blindAlloc is blindly for what libraries make.
func (s *State) blindAlloc() bool {
	r := &s.run
	made := r.allocated - r.lookedAt
	if s.Guard == nil || r.held+made > s.cfg.Limits.Memory/2 {
		return false
	}
	may, err := s.Guard.Hold(s.base+r.held+made, false)
	if err != nil {
		s.endRun(err)
	}
	r.nextLook = r.lookedAt + may - s.base - r.held
	return r.allocated <= r.nextLook
}

// look ends the run if the State holds more than it may; about is what is about to be
// made beside that. Looking counts as computed:
// it takes the longer, the more the run holds.
func (s *State) look(about int64) {
	r, limit := &s.run, s.cfg.Limits.Memory
	held := s.held(limit+s.base) - s.base
	if held > limit {
		s.overrun("memory", "holds more than %d bytes", limit)
	}
	more := max((limit-held)/2, limit/16)
	r.held, r.maybe, r.lookedAt = held, 0, r.allocated
	if s.Guard != nil {
		r.meter.end(time.Now())
		may, err := s.Guard.Hold(s.base+held+about, true)
		now := time.Now() // it may have waited
		r.meter.begin(now, true)
		r.last = now
		s.readHeap()
		if err != nil {
			s.endRun(err)
		}
		more = min(more, may-s.base-held-about)
	}
	r.quota, r.nextLook = more, r.allocated+more
}

// Held returns what the State holds beside what it held after loading, as far as
// has been looked, and what it held then.
func (s *State) Held() (more, base int64) { return s.run.held, s.base }

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
	s.run.held = s.held(limit+s.base) - s.base
	g.much = s.run.held > limit
	g.ran, g.made, g.next, g.heap = 0, 0, 2*time.Since(start), heap
}

// MayKeep notes that something that the State may hold on to refers to n bytes of
// the host, which nothing else counts.
func (s *State) MayKeep(n int) {
	if s.growth.host += int64(n); s.growth.host > s.cfg.Limits.Memory/2 {
		s.growth.much = true
	}
}
