package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/works"
)

// A column is how a metric is shown.
type column struct {
	label string // %s is the unit of the work, %ss its plural
	whole bool   // without decimals, in groups of three digits
}

func (c column) name(w *works.Work) string {
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
var order = []works.Metric{
	works.CPU, works.Slowdown, works.Held, works.Last, works.Rate, works.P50, works.P99, works.P999,
	works.Allocs, works.AllocBytes, works.Resident, works.Heap, works.Stack, works.Goroutines,
}

var metrics = map[works.Metric]column{
	works.CPU:        {label: "CPU µs/%s"},
	works.Slowdown:   {label: "time, stalled / not"},
	works.Held:       {label: "heap kept, KiB", whole: true},
	works.Last:       {label: "last has it, ms"},
	works.Rate:       {label: "%ss/s", whole: true},
	works.P50:        {label: "p50 µs", whole: true},
	works.P99:        {label: "p99 µs", whole: true},
	works.P999:       {label: "p99.9 µs", whole: true},
	works.Allocs:     {label: "allocs/%s"},
	works.AllocBytes: {label: "bytes allocated/%s", whole: true},
	works.Resident:   {label: "bytes resident/%s", whole: true},
	works.Heap:       {label: "bytes of heap/%s", whole: true},
	works.Stack:      {label: "bytes of stack/%s", whole: true},
	works.Goroutines: {label: "goroutines/%s"},
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
