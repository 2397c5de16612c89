package vm

import "time"

// What a run has computed is measured as well as can be had cheaply: in stretches,
// by the CPU time of the thread where the system tells it and the goroutine has
// stayed on its thread; by the clock otherwise, but no more than a stretch is
// likely to take when nothing is waited for.
const (
	stretch = 200 * time.Microsecond // it is measured no more often
	likely  = time.Millisecond       // the most that one counts whose CPU time is not known
	slice   = time.Millisecond       // a run computes as long before it asks for another turn

	// A slice ends, too, after as many instructions: where the clock stands still, as
	// in a test, runs take turns all the same.
	sliceInstructions = 200_000
)

// A meter measures what a run computes.
type meter struct {
	computed time.Duration // until since
	since    time.Time     // when the stretch began
	thread   int           // that it began on; 0 if that is not known
	cpu      time.Duration // of the thread then
}

// begin begins a stretch; exact if its CPU time is to be measured.
func (m *meter) begin(now time.Time, exact bool) {
	m.since, m.thread = now, 0
	if exact {
		m.thread, m.cpu = threadTime()
	}
}

// total returns what has been computed until now.
func (m *meter) total(now time.Time) time.Duration {
	if wall := now.Sub(m.since); wall >= stretch {
		m.next(now, wall)
	}
	return m.computed + now.Sub(m.since)
}

// next ends a stretch and begins the next.
func (m *meter) next(now time.Time, wall time.Duration) {
	thread, cpu := threadTime()
	if thread != 0 && thread == m.thread {
		m.computed += min(max(cpu-m.cpu, 0), wall)
	} else {
		m.computed += min(wall, likely)
	}
	m.since, m.thread, m.cpu = now, thread, cpu
}

// end ends the last stretch: what follows is not computed by the run.
func (m *meter) end(now time.Time) {
	m.computed = m.total(now)
	m.since = now
}
