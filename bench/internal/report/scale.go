package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// A cost is something that is measured for one socket and computed for many.
type cost struct {
	what     string
	workload string
	metric   workloads.Metric
	share    float64 // the part of the measured figure that counts
	per      string  // what the measured figure is of, and how it is multiplied
	every    float64 // seconds between two times that a socket costs it; 0: once
	bytes    bool    // else µs of CPU
}

// pingInterval is the default of the gateway, in seconds.
const pingInterval = 30

var costs = []cost{
	{what: "memory of the process", workload: "idlenow", metric: workloads.Resident, share: 1,
		per: "bytes a socket", bytes: true},
	{what: "memory of the kernel", workload: "talkers", metric: workloads.Kernel, share: 0.5,
		per: "bytes a connection, half of them for our end", bytes: true},
	{what: "looking at silent sockets", workload: "idlenow", metric: workloads.Quiet, share: 1,
		per: "µs a socket and second", every: 1},
	{what: "a ping every 30 s, and its pong", workload: "pings", metric: workloads.CPU, share: 1,
		per: "µs each", every: pingInterval},
	{what: "a message a minute from each, and its echo", workload: "wake", metric: workloads.CPU,
		share: 1, per: "µs each", every: 60},
	{what: "a message of 128 B to all", workload: "broadcast", metric: workloads.CPU, share: 1,
		per: "µs a delivery"},
	{what: "all lost and back", workload: "storm", metric: workloads.CPU, share: 1,
		per: "µs a socket"},
}

// sizes are the numbers of sockets for which costs are computed.
var sizes = []float64{100_000, 1_000_000}

// scale is what many sockets cost, computed from what was measured of few. It is ""
// where the memory of an idle socket was not measured.
func scale(r Run) string {
	if math.IsNaN(r.Results.Median("idlenow", workloads.Ours, workloads.Resident)) {
		return ""
	}
	head := []string{"what", "measured"}
	for _, n := range sizes {
		head = append(head, grouped(n)+" sockets")
	}
	var rows [][]string
	for _, c := range costs {
		v := r.Results.Median(c.workload, workloads.Ours, c.metric)
		if math.IsNaN(v) {
			continue
		}
		row := []string{c.what, fmt.Sprintf("%s %s (%s)", figureOf(c.metric, v), c.per, c.workload)}
		for _, n := range sizes {
			row = append(row, c.of(v, n))
		}
		rows = append(rows, row)
	}
	return "### A million sockets, computed\n\nEach figure is the measured cost of one, in the " +
		"workload named in brackets, times the number of sockets; what happens again and again, " +
		"divided by its interval. A core is one of this machine.\n\n" + table(head, rows) +
		peersAtScale(r) + measuredAtScale(r)
}

func figureOf(m workloads.Metric, v float64) string { return metrics[m].format(v) }

// of is what n sockets cost, of which one costs v.
func (c cost) of(v, n float64) string {
	v *= c.share * n
	switch {
	case c.bytes:
		return gigabytes(v)
	case c.every > 0:
		return number(v/1e6/c.every) + " cores"
	}
	return number(v/1e6) + " s of CPU"
}

func gigabytes(v float64) string { return number(v/1e9) + " GB" }

// peersAtScale is the memory that the others would need.
func peersAtScale(r Run) string {
	var others []string
	for _, s := range append(append([]string{}, workloads.Peers...), serve.Bun) {
		if v := r.Results.Median("idlenow", s, workloads.Resident); !math.IsNaN(v) {
			others = append(others, fmt.Sprintf("%s %s", s, gigabytes(v*1e6)))
		}
	}
	if others == nil {
		return ""
	}
	return "\nThe process of the others would need, for a million: " + strings.Join(others, ", ") +
		".\n"
}

// measuredAtScale compares what was computed with the largest number of sockets measured.
func measuredAtScale(r Run) string {
	many := r.Results.Median("many", workloads.Ours, workloads.Resident)
	if math.IsNaN(many) {
		return ""
	}
	n := r.Results.Median("many", workloads.Ours, workloads.Sockets)
	few := r.Results.Median("idlenow", workloads.Ours, workloads.Resident)
	return fmt.Sprintf("\nMeasured with %s sockets: %s in the process, where %s are computed.\n",
		grouped(n), gigabytes(many*n), gigabytes(few*n))
}
