package works

import (
	"math"
	"slices"

	"github.com/wsgateway/gateway/bench/internal/measure"
)

// Results are the samples of a run: by work, server and round. A round that
// failed, or has not run, is nil.
type Results map[string]map[string][]Sample

// Put keeps a sample; round counts from zero.
func (r Results) Put(work, server string, round int, s Sample) {
	if r[work] == nil {
		r[work] = make(map[string][]Sample)
	}
	for len(r[work][server]) <= round {
		r[work][server] = append(r[work][server], nil)
	}
	r[work][server][round] = s
}

// Rounds are the values of a metric, NaN where a round has none.
func (r Results) Rounds(work, server string, m Metric) []float64 {
	var out []float64
	for _, s := range r[work][server] {
		v, ok := s[m]
		if !ok {
			v = math.NaN()
		}
		out = append(out, v)
	}
	return out
}

// Median is that of the rounds, NaN where there are none.
func (r Results) Median(work, server string, m Metric) float64 {
	return measure.Median(r.Rounds(work, server, m))
}

// Best is the peer with the lowest median, "" where no peer has one.
func (r Results) Best(work string, m Metric) string {
	best, lowest := "", math.Inf(1)
	for _, p := range Peers {
		if v := r.Median(work, p, m); v < lowest {
			best, lowest = p, v
		}
	}
	return best
}

// Has says whether any round of the server has the metric.
func (r Results) Has(work, server string, m Metric) bool {
	return slices.ContainsFunc(r[work][server], func(s Sample) bool { _, ok := s[m]; return ok })
}
