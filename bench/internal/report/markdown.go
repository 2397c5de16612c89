// Package report writes results down: tables in Markdown, a chart as SVG.
package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// A Run is everything a report says.
type Run struct {
	Machine   Machine
	Date      string // day of the run
	Rounds    int
	Quick     bool
	Workloads []string // keys of those that ran
	Results   workloads.Results
	Failed    []string // what went wrong, a line each
	Skipped   []string `json:",omitempty"` // what this machine cannot do, a line each

	// several where runs were put together; of a workload that several did, the last counts
	Commands []string
}

// Summary is the goals, what came of them, and the comparison of all servers.
func Summary(r Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", intro(r))
	b.WriteString(goals(r))
	b.WriteString("\n")
	b.WriteString(comparison(r))
	if t := alone(r); t != "" {
		b.WriteString("\nWorkloads that the peers do not do:\n\n" + t)
	}
	if t := scale(r); t != "" {
		b.WriteString("\n" + t)
	}
	if t := tricks(r); t != "" {
		b.WriteString("\n" + t)
	}
	b.WriteString(lines("What this machine cannot do", r.Skipped))
	b.WriteString(lines("What failed", r.Failed))
	return b.String()
}

// headlines are the workloads that the short form shows, at most five.
var headlines = []string{"echo", "echo16", "broadcast", "send", "idlenow"}

// Short is one row for each headline: ours beside the best library for Go, and Bun.
func Short(r Run) string {
	var rows [][]string
	for _, w := range ran(r) {
		best := r.Results.Best(w.Key, w.Metric)
		if best == "" || !slices.Contains(headlines, w.Key) {
			continue
		}
		against := func(server string) string {
			return ratio(measure.Ratios(r.Results.Rounds(w.Key, workloads.Ours, w.Metric),
				r.Results.Rounds(w.Key, server, w.Metric)))
		}
		figure := func(server string) string {
			return metrics[w.Metric].format(r.Results.Median(w.Key, server, w.Metric))
		}
		rows = append(rows, []string{
			w.Title, metrics[w.Metric].name(w), figure(workloads.Ours),
			best + " " + figure(best), against(best), figure(serve.Bun), against(serve.Bun),
		})
	}
	if rows == nil {
		return ""
	}
	return narrow(table([]string{"workload", "figure", "gateway", "best library for Go", "ratio",
		"Bun (uWebSockets)", "ratio"}, rows))
}

var wide = regexp.MustCompile("  +|---+")

// narrow takes the padding out of a table, for a page that must stay short.
func narrow(table string) string {
	return wide.ReplaceAllStringFunc(table, func(s string) string {
		if s[0] == '-' {
			return "---"
		}
		return " "
	})
}

// Details is every figure of every workload.
func Details(r Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Measurements\n\n%s\n", intro(r))
	for _, w := range ran(r) {
		b.WriteString(detail(r, w))
	}
	b.WriteString(lines("What this machine cannot do", r.Skipped))
	b.WriteString(lines("What failed", r.Failed))
	return b.String()
}

func intro(r Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Made with `%s` on %s: %s. ", strings.Join(r.Commands, "`, then `"), r.Date,
		r.Machine)
	b.WriteString("Every server is a process of its own beside the load generator, on loopback")
	if r.Rounds > 1 {
		fmt.Fprintf(&b, "; the servers take turns, %d rounds; values are medians, "+
			"ratios are taken within a round, with their lowest and highest in brackets", r.Rounds)
	}
	b.WriteString(".")
	if r.Quick {
		b.WriteString(" A quick run: fewer messages and sockets than the titles say, rough figures.")
	}
	return b.String()
}

func goals(r Run) string {
	var rows [][]string
	for _, g := range workloads.Goals {
		o, ok := g.Check(r.Results)
		if !ok {
			continue
		}
		rows = append(rows, []string{
			title(r, workload(g.Workload)), metrics[g.Metric].name(workload(g.Workload)), value(g, o),
			other(r.Results, g, o), ratio(o.Ratio), goalText(g), mark(o.Reached),
		})
	}
	if rows == nil {
		return ""
	}
	return table([]string{"workload", "figure", "gateway", "compared with", "ratio", "goal",
		"reached"}, rows)
}

func value(g workloads.Goal, o workloads.Outcome) string {
	v := metrics[g.Metric].format(o.Value)
	if g.Of != "" {
		v += " (" + g.Of + ")"
	}
	return v
}

func other(r workloads.Results, g workloads.Goal, o workloads.Outcome) string {
	if o.Against == "" {
		return ""
	}
	return o.Against + " " + metrics[g.Metric].format(r.Median(g.Workload, o.Against, g.Metric))
}

func goalText(g workloads.Goal) string {
	switch {
	case g.Stretch && g.Against == "":
		return "stretch: " + metrics[g.Metric].format(g.Limit)
	case g.Stretch:
		return fmt.Sprintf("stretch: %s × %s", number(g.Limit), g.Against)
	case g.Against == "" && g.Metric == workloads.Slowdown:
		return "at most " + number(g.Limit)
	case g.Against == "":
		return "at most " + metrics[g.Metric].format(g.Limit)
	}
	return fmt.Sprintf("at most %s × %s", number(g.Limit), g.Against)
}

func mark(reached bool) string {
	if reached {
		return "yes"
	}
	return "**no**"
}

// ratio is "0.41 [0.38, 0.45]".
func ratio(r measure.Ratio) string {
	if r.Rounds == 0 || math.IsNaN(r.Median) {
		return ""
	}
	if r.Rounds == 1 {
		return number(r.Median)
	}
	return fmt.Sprintf("%s [%s, %s]", number(r.Median), number(r.Min), number(r.Max))
}

// comparison is one row a workload, one column a server, and ours over the best.
func comparison(r Run) string {
	var compared []*workloads.Workload
	for _, w := range ran(r) {
		if r.Results.Best(w.Key, w.Metric) != "" {
			compared = append(compared, w)
		}
	}
	if compared == nil {
		return ""
	}
	servers := columns(r, compared)
	head := append(append([]string{"workload", "figure"}, servers...), workloads.Ours+" / best peer")
	var rows [][]string
	for _, w := range compared {
		row := []string{title(r, w), metrics[w.Metric].name(w)}
		for _, s := range servers {
			row = append(row, metrics[w.Metric].format(r.Results.Median(w.Key, s, w.Metric)))
		}
		best := r.Results.Best(w.Key, w.Metric)
		q := measure.Ratios(r.Results.Rounds(w.Key, workloads.Ours, w.Metric),
			r.Results.Rounds(w.Key, best, w.Metric))
		rows = append(rows, append(row, ratio(q)))
	}
	return table(head, rows)
}

// alone is the workloads that the peers do not do: one row a server, compared with the
// first of its kind.
func alone(r Run) string {
	var rows [][]string
	for _, w := range ran(r) {
		if r.Results.Best(w.Key, w.Metric) != "" || w.Trick != "" {
			continue
		}
		for _, s := range w.Servers {
			v := r.Results.Median(w.Key, s, w.Metric)
			if math.IsNaN(v) {
				continue
			}
			against, q := first(w, s), measure.Ratio{}
			if against == s {
				against = ""
			} else {
				q = measure.Ratios(r.Results.Rounds(w.Key, s, w.Metric),
					r.Results.Rounds(w.Key, against, w.Metric))
			}
			rows = append(rows,
				[]string{title(r, w), s, metrics[w.Metric].name(w), metrics[w.Metric].format(v), against,
					ratio(q)})
		}
	}
	if rows == nil {
		return ""
	}
	return table([]string{"workload", "server", "figure", "value", "compared with", "ratio"}, rows)
}

// first is the first server of the workload that is of the same kind, which is what
// its name begins with.
func first(w *workloads.Workload, server string) string {
	kind, _, _ := strings.Cut(server, "-")
	i := slices.IndexFunc(w.Servers,
		func(s string) bool { return s == kind || strings.HasPrefix(s, kind+"-") })
	return w.Servers[i]
}

// title is what a workload is, with the number of its sockets where the machine had not
// enough for what it says.
func title(r Run, w *workloads.Workload) string {
	switch n := r.Results.Median(w.Key, workloads.Ours, workloads.Sockets); {
	case w.Trick != "":
		return w.Title + ": " + w.Trick
	case w.Fewer && n < float64(w.Connections):
		return fmt.Sprintf("%s (here: %s)", w.Title, grouped(n))
	}
	return w.Title
}

// columns are raw TCP, the peers, Bun and ours, without those that have no result.
func columns(r Run, compared []*workloads.Workload) []string {
	all := append(append([]string{"raw"}, workloads.Peers...), serve.Bun, workloads.Ours)
	return slices.DeleteFunc(all, func(s string) bool {
		return !slices.ContainsFunc(compared,
			func(w *workloads.Workload) bool { return r.Results.Has(w.Key, s, w.Metric) })
	})
}

// detail is one row a server, one column a metric.
func detail(r Run, w *workloads.Workload) string {
	var head []string
	var shown []workloads.Metric
	for _, m := range order {
		if slices.ContainsFunc(w.Servers, func(s string) bool { return r.Results.Has(w.Key, s, m) }) {
			shown = append(shown, m)
			head = append(head, metrics[m].name(w))
		}
	}
	best, name := r.Results.Best(w.Key, w.Metric), "the best peer"
	if best == "" {
		name = "the first"
	}
	var rows [][]string
	for _, s := range w.Servers {
		if r.Results[w.Key][s] == nil {
			continue
		}
		row := []string{s}
		for _, m := range shown {
			row = append(row, metrics[m].format(r.Results.Median(w.Key, s, m)))
		}
		against := best
		if best == "" {
			against = first(w, s)
		}
		row = append(row,
			ratio(measure.Ratios(r.Results.Rounds(w.Key, s, w.Metric),
				r.Results.Rounds(w.Key, against, w.Metric))))
		rows = append(rows, row)
	}
	head = append(append([]string{"server"}, head...), metrics[w.Metric].name(w)+", ratio to "+name)
	text := fmt.Sprintf("\n## %s\n\n", title(r, w))
	if w.Note != "" {
		text += strings.ToUpper(w.Note[:1]) + w.Note[1:] + ".\n\n"
	}
	return text + table(head, rows)
}

// ran are the workloads of the run, in the order of all workloads.
func ran(r Run) []*workloads.Workload {
	var out []*workloads.Workload
	for _, w := range workloads.All {
		if slices.Contains(r.Workloads, w.Key) {
			out = append(out, w)
		}
	}
	return out
}

func workload(key string) *workloads.Workload {
	i := slices.IndexFunc(workloads.All, func(w *workloads.Workload) bool { return w.Key == key })
	if i < 0 {
		return &workloads.Workload{Key: key, Title: key, Unit: "unit", Metric: workloads.CPU}
	}
	return workloads.All[i]
}

// Figure is one sample in a few words.
func Figure(w *workloads.Workload, s workloads.Sample) string {
	c := metrics[w.Metric]
	v, ok := s[w.Metric]
	if !ok {
		return "no " + c.name(w)
	}
	return c.format(v) + " " + c.name(w)
}
