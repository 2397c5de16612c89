package workloads

import (
	"math"
	"slices"

	"github.com/wsgateway/gateway/bench/internal/measure"
)

// Results are the samples of a run: by workload, server and round. A round that
// failed, or has not run, is nil.
type Results map[string]map[string][]Sample

// Put keeps a sample; round counts from zero.
func (r Results) Put(workload, server string, round int, s Sample) {
	if r[workload] == nil {
		r[workload] = make(map[string][]Sample)
	}
	for len(r[workload][server]) <= round {
		r[workload][server] = append(r[workload][server], nil)
	}
	r[workload][server][round] = s
}

// Rounds are the values of a metric, NaN where a round has none.
func (r Results) Rounds(workload, server string, m Metric) []float64 {
	var out []float64
	for _, s := range r[workload][server] {
		v, ok := s[m]
		if !ok {
			v = math.NaN()
		}
		out = append(out, v)
	}
	return out
}

// Median is that of the rounds, NaN where there are none.
func (r Results) Median(workload, server string, m Metric) float64 {
	return measure.Median(r.Rounds(workload, server, m))
}

// Best is the peer with the lowest median, "" where no peer has one.
func (r Results) Best(workload string, m Metric) string {
	best, lowest := "", math.Inf(1)
	for _, p := range Peers {
		if v := r.Median(workload, p, m); v < lowest {
			best, lowest = p, v
		}
	}
	return best
}

// Has says whether any round of the server has the metric.
func (r Results) Has(workload, server string, m Metric) bool {
	return slices.ContainsFunc(r[workload][server], func(s Sample) bool { _, ok := s[m]; return ok })
}
