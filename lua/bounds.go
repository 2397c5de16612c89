package lua

import (
	"math"
	"runtime"
	"time"

	"github.com/wsgateway/gateway/lua/internal/vm"
)

// HostLimits bound what all runs of a [Host] do together. A zero field means the
// default; a negative one means no limit.
type HostLimits struct {
	// Computing is how many runs compute at the same time. Others take turns with
	// them, of about a millisecond; those that have computed little come first, and
	// routes are served in turn. A run that waits for an operation or a service does
	// not count. Zero means GOMAXPROCS.
	Computing int

	// Waiting is how many events may wait to begin, because of Computing or Memory.
	// Beyond it an event does not run: its failure is logged with the budget
	// "waiting". Close events wait in any case. Zero means 10,000.
	Waiting int

	// Memory in bytes that all VMs may hold together, idle ones included,
	// approximately. When it is short, idle VMs go, runs that ask for more wait,
	// and then the run that holds most is ended with the budget "host memory". A quarter
	// is for runs that hold less than 128 KiB only. The process takes up to about three
	// times as much while memory is short. Zero means 128 MiB.
	Memory int64

	// LinesPerSecond is how many lines scripts may print and log, and as many
	// failures of scripts may be logged. Those beyond are dropped; a warning says so,
	// once a second. Zero means 1,000.
	LinesPerSecond int

	// OutputPerSecond in bytes that scripts may send and print; what they send to a
	// group counts once. Runs wait while it is exceeded. Zero means 64 MiB.
	OutputPerSecond int64
}

func (l HostLimits) withDefaults() HostLimits {
	number := func(v *int, def int) {
		if *v == 0 {
			*v = def
		} else if *v < 0 {
			*v = math.MaxInt32
		}
	}
	bytes := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		} else if *v < 0 {
			*v = math.MaxInt64 / 4
		}
	}
	number(&l.Computing, runtime.GOMAXPROCS(0))
	number(&l.Waiting, 10_000)
	number(&l.LinesPerSecond, 1000)
	bytes(&l.Memory, 128<<20)
	bytes(&l.OutputPerSecond, 64<<20)
	return l
}

// bounds are the limits of a host at work. Each part has its own lock.
type bounds struct {
	turns    turns
	memory   ledger
	output   bucket
	lines    window
	failures window
}

// setBounds makes the bounds that the options ask for.
func (h *Host) setBounds() {
	if d := h.opts.Limits.vm().WithDefaults().Total; d < vm.Unlimited {
		h.total = d
	}
	l := h.opts.HostLimits.withDefaults()
	h.bounds = &bounds{
		turns:    turns{most: l.Computing, mostWaiting: l.Waiting},
		memory:   ledger{limit: l.Memory, dropIdle: h.dropIdle},
		output:   bucket{perSecond: l.OutputPerSecond},
		lines:    window{most: l.LinesPerSecond},
		failures: window{most: l.LinesPerSecond},
	}
}

// dropIdle gives up the VMs that wait for events.
func (h *Host) dropIdle() {
	if p := h.current.Load(); p != nil {
		p.pool.drop()
	}
}

// A resettable is a timer that runs a function once for each time that it is set.
// Its owner's lock guards it, and the function clears set.
type resettable struct {
	timer *time.Timer
	set   bool
}

func (r *resettable) after(d time.Duration, f func()) {
	if r.set {
		return
	}
	r.set = true
	if r.timer == nil {
		r.timer = time.AfterFunc(d, f)
	} else {
		r.timer.Reset(d)
	}
}
