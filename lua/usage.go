package lua

import (
	"time"

	"github.com/wsgateway/gateway/lua/internal/vm"
)

// Usage is what a run has used of what [Limits] bound.
type Usage struct {
	Instructions int64         // of the VM
	Time         time.Duration // that it computed
	Total        time.Duration // from its beginning to its end
	Memory       int64         // in bytes, about; small runs are not looked at and show 0
	Output       int64         // in bytes
	Lines        int           // printed and logged
}

// most keeps the larger one of each.
func (m *Usage) most(u vm.Usage) {
	m.Instructions = max(m.Instructions, u.Instructions)
	m.Time = max(m.Time, u.Time)
	m.Total = max(m.Total, u.Total)
	m.Memory = max(m.Memory, u.Memory)
	m.Output = max(m.Output, u.Output)
	m.Lines = max(m.Lines, u.Lines)
}

// Limits returns the bounds of each run as they hold: defaults are filled in, and what
// has no limit is negative.
func (h *Host) Limits() Limits {
	l := h.opts.Limits.vm().WithDefaults()
	whole := func(n int64) int64 {
		if n >= vm.Unlimited {
			return -1
		}
		return n
	}
	number := func(n int) int {
		if n >= 1<<30 {
			return -1
		}
		return n
	}
	return Limits{
		Instructions: whole(l.Instructions),
		Time:         time.Duration(whole(int64(l.Time))),
		Total:        time.Duration(whole(int64(l.Total))),
		Memory:       whole(l.Memory),
		String:       int(whole(int64(l.String))),
		Depth:        number(l.Depth),
		Output:       whole(l.Output),
		Lines:        number(l.Lines),
		Coroutines:   number(l.Coroutines),
	}
}
