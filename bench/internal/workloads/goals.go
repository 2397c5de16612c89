package workloads

import (
	"math"

	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// A Goal is what we want to reach in a workload: at most Limit times what the
// server Against takes, or at most Limit itself.
type Goal struct {
	Workload string
	Of       string // the server that is to reach it; "": ours
	Metric   Metric
	Against  string // "": Limit is absolute; BestPeer: whichever is best
	Limit    float64
	Stretch  bool // it would be nice
}

// BestPeer stands for the peer that is best in the workload.
const BestPeer = "best peer"

// Goals is every goal, in the order of the table.
var Goals = []Goal{
	{Workload: "echo", Metric: CPU, Against: "raw", Limit: 1.05},
	{Workload: "echo", Metric: CPU, Against: BestPeer, Limit: 1},
	{Workload: "echo", Metric: CPU, Against: serve.Bun, Limit: 1.05},
	{Workload: "echo16", Metric: CPU, Against: BestPeer, Limit: 0.5},
	{Workload: "echo16", Metric: CPU, Against: serve.Bun, Limit: 1.1},
	{Workload: "echo64k", Metric: CPU, Against: "gws", Limit: 1.2},
	{Workload: "echo64k", Metric: CPU, Against: "raw", Limit: 1.5},
	{Workload: "deflate", Metric: CPU, Against: "gws", Limit: 1},
	{Workload: "mixed", Metric: CPU, Against: "gws", Limit: 1},
	{Workload: "broadcast", Metric: CPU, Against: BestPeer, Limit: 0.2},
	{Workload: "broadcast", Metric: CPU, Against: serve.Bun, Limit: 1},
	{Workload: "single", Metric: Last, Against: BestPeer, Limit: 1},
	{Workload: "send", Metric: CPU, Against: BestPeer, Limit: 0.25},
	{Workload: "send", Metric: CPU, Against: serve.Bun, Limit: 1},
	{Workload: "idlenow", Metric: Resident, Limit: 3000},
	{Workload: "idlenow", Metric: Resident, Against: serve.Bun, Limit: 1, Stretch: true},
	{Workload: "idletls", Metric: Resident, Against: "gws", Limit: 0.5},
	{Workload: "idle", Metric: Resident, Limit: 8192},
	{Workload: "idle", Metric: Resident, Against: "gws", Limit: 0.75},
	{Workload: "idle", Metric: Resident, Limit: 4096, Stretch: true},
	{Workload: "idleused", Metric: Resident, Limit: 8192},
	{Workload: "idleused", Metric: Resident, Against: "gws", Limit: 0.75},
	{Workload: "wake", Metric: CPU, Against: noRest, Limit: 1.5},
	{Workload: "talkers", Metric: P99, Against: noRest, Limit: 1},
	{Workload: "connect", Metric: CPU, Against: "gorilla", Limit: 1},
	{Workload: "storm", Metric: CPU, Against: "gorilla", Limit: 1},
	{Workload: "features", Metric: CPU, Of: "gateway-full", Against: "gateway-bare", Limit: 1.1},
	{Workload: "stalled", Metric: Slowdown, Limit: 1.05},
	{Workload: "stalled", Metric: Held, Limit: 2048}, // twice the queue that a socket has
	{Workload: "registered", Metric: CPU, Of: "gateway-10k", Against: "gateway-1k", Limit: 1.5},
	{Workload: "registered", Metric: CPU, Of: "gateway-100k", Against: "gateway-1k", Limit: 1.5},
}

// An Outcome is what came of a goal.
type Outcome struct {
	Value   float64 // of the server that is to reach it
	Against string  // the server it was compared with, "" with none
	Ratio   measure.Ratio
	Reached bool
}

// Check compares the results with a goal. It is false where they do not
// contain what it takes.
func (g Goal) Check(r Results) (o Outcome, ok bool) {
	of := g.Of
	if of == "" {
		of = Ours
	}
	o.Value = r.Median(g.Workload, of, g.Metric)
	if math.IsNaN(o.Value) {
		return o, false
	}
	if g.Against == "" {
		o.Reached = o.Value <= g.Limit
		return o, true
	}
	o.Against = g.Against
	if g.Against == BestPeer {
		o.Against = r.Best(g.Workload, g.Metric)
	}
	o.Ratio = measure.Ratios(r.Rounds(g.Workload, of, g.Metric),
		r.Rounds(g.Workload, o.Against, g.Metric))
	o.Reached = o.Ratio.Median <= g.Limit
	return o, o.Ratio.Rounds > 0
}
