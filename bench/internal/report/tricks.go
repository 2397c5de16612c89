package report

import (
	"math"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// tricks is what each trick is worth: what was measured now, and what was measured when it
// was made of those that cannot be left out. It is "" where none was measured.
func tricks(r Run) string {
	var rows [][]string
	for _, w := range ran(r) {
		if w.Trick == "" || len(w.Servers) != 2 {
			continue
		}
		with := r.Results.Median(w.Key, w.Servers[0], w.Metric)
		without := r.Results.Median(w.Key, w.Servers[1], w.Metric)
		if math.IsNaN(with) || math.IsNaN(without) {
			continue
		}
		c := metrics[w.Metric]
		rows = append(rows, []string{w.Trick, w.Title + ": " + c.name(w), c.format(with),
			c.format(without), ratio(measure.Ratios(r.Results.Rounds(w.Key, w.Servers[1], w.Metric),
				r.Results.Rounds(w.Key, w.Servers[0], w.Metric))),
			strings.TrimPrefix(w.Note, "without: ")})
	}
	if rows == nil {
		return ""
	}
	var earlier [][]string
	for _, e := range workloads.Earlier {
		earlier = append(earlier, []string{e.Trick, e.Gave})
	}
	return "### What each trick is worth\n\n" +
		table([]string{"trick", "figure", "with", "without", "without / with", "how it is left out"},
			rows) +
		"\nThese cannot be left out any more. The figures are those of ARCHITECTURE.md, from when " +
		"they were made:\n\n" + table([]string{"trick", "gave"}, earlier)
}
