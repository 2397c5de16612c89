package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// A column is how a metric is shown.
type column struct {
	label string // %s is the unit of the workload, %ss its plural
	whole bool   // without decimals, in groups of three digits
}

func (c column) name(w *workloads.Workload) string {
	units := w.Unit + "s"
	if stem, ok := strings.CutSuffix(w.Unit, "y"); ok {
		units = stem + "ies"
	}
	return strings.NewReplacer("%ss", units, "%s", w.Unit).Replace(c.label)
}

// format is the value, or nothing for NaN.
func (c column) format(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case c.whole:
		return grouped(v)
	}
	return number(v)
}

// order is that of the columns.
var order = []workloads.Metric{
	workloads.CPU, workloads.Slowdown, workloads.Held, workloads.Last, workloads.Rate, workloads.P50,
	workloads.P99, workloads.P999,
	workloads.Allocs, workloads.AllocBytes, workloads.Resident, workloads.Heap, workloads.Stack,
	workloads.Goroutines, workloads.Kernel, workloads.Quiet, workloads.Sockets,
}

var metrics = map[workloads.Metric]column{
	workloads.CPU:        {label: "CPU µs/%s"},
	workloads.Slowdown:   {label: "time, stalled / not"},
	workloads.Held:       {label: "heap kept, KiB", whole: true},
	workloads.Last:       {label: "last has it, ms"},
	workloads.Rate:       {label: "%ss/s", whole: true},
	workloads.P50:        {label: "p50 µs", whole: true},
	workloads.P99:        {label: "p99 µs", whole: true},
	workloads.P999:       {label: "p99.9 µs", whole: true},
	workloads.Allocs:     {label: "allocs/%s"},
	workloads.AllocBytes: {label: "bytes allocated/%s", whole: true},
	workloads.Resident:   {label: "bytes resident/%s", whole: true},
	workloads.Heap:       {label: "bytes of heap/%s", whole: true},
	workloads.Stack:      {label: "bytes of stack/%s", whole: true},
	workloads.Goroutines: {label: "goroutines/%s"},
	workloads.Kernel:     {label: "bytes in the kernel/connection", whole: true},
	workloads.Quiet:      {label: "CPU µs/%s and second of silence"},
	workloads.Sockets:    {label: "sockets", whole: true},
}

// number has three significant digits, or all of a large one.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 1000:
		return grouped(v)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// grouped is 1,234,567.
func grouped(v float64) string {
	s := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if v < 0 && s != "0" {
		s = "-" + s
	}
	return s
}
