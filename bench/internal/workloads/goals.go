package workloads

import (
	"math"

	"github.com/wsgateway/gateway/bench/internal/measure"
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
	{Workload: "echo16", Metric: CPU, Against: BestPeer, Limit: 0.5},
	{Workload: "broadcast", Metric: CPU, Against: BestPeer, Limit: 0.2},
	{Workload: "single", Metric: Last, Against: BestPeer, Limit: 1},
	{Workload: "send", Metric: CPU, Against: BestPeer, Limit: 0.25},
	{Workload: "idle", Metric: Resident, Limit: 8192},
	{Workload: "idle", Metric: Resident, Against: BestPeer, Limit: 0.75},
	{Workload: "idle", Metric: Resident, Limit: 4096, Stretch: true},
	{Workload: "idleused", Metric: Resident, Limit: 8192},
	{Workload: "idleused", Metric: Resident, Against: BestPeer, Limit: 0.75},
	{Workload: "connect", Metric: CPU, Against: "gorilla", Limit: 1.1},
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
