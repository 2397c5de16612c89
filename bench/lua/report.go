package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/bench/internal/report"
)

func cpu(t turn) float64    { return t.cpu }
func rate(t turn) float64   { return t.rate }
func allocs(t turn) float64 { return t.allocs }

// base names the endpoint to which each is compared.
var base = map[string]string{
	"echo, Lua": "echo, Go", "typical, Lua": "typical, Go", "typical, gopher-lua": "typical, Lua",
	"info: two fields": "info: no field", "info: two fields and a header": "info: no field",
	"info: all fields": "info: no field",
}

// format writes the report in Markdown.
func format(command string, turns map[string][]turn, a age, perVM float64,
	deploys []float64) string {
	var b strings.Builder
	fmt.Fprintf(&b,
		"Made with `%s` on %s: %s; %d rounds. CPU is that of the serving process; a ratio is taken "+
			"within a round, the median is shown with the lowest and the highest.\n\n",
		command, time.Now().UTC().Format(time.DateOnly), report.ThisMachine(),
		len(turns[endpoints[0].name]))
	b.WriteString("| endpoint | CPU an event | events/s | objects an event | CPU against " +
		"|\n|---|--:|--:|--:|---|\n")
	for _, e := range endpoints {
		t := turns[e.name]
		fmt.Fprintf(&b, "| %s | %.1f µs | %.0f | %.0f | %s |\n", e.name,
			middle(t, cpu), middle(t, rate), middle(t, allocs), against(turns, e.name))
	}
	b.WriteString("\n| goal | reached |\n|---|---|\n")
	more := middle(turns["echo, Lua"], cpu) - middle(turns["echo, Go"], cpu)
	fmt.Fprintf(&b, "| a Lua echo costs at most 5 µs more than one in Go | %.1f µs more: %s |\n", more,
		yes(more <= 5))
	vm := measure.Ratios(each(turns["typical, Lua"], cpu), each(turns["typical, gopher-lua"], cpu))
	fmt.Fprintf(&b,
		"| a typical endpoint is not slower than on gopher-lua with a pool | %.2f times its CPU: %s |\n",
		vm.Median, yes(vm.Median <= 1))
	old := measure.Ratios(each(a.later, cpu), each(a.young, cpu))
	fmt.Fprintf(&b,
		"| event %s as quick as event 1,000 | %.1f µs against %.1f µs, %.2f times (%.2f to %.2f): %s |\n",
		thousands(a.events),
		middle(a.later, cpu), middle(a.young, cpu), old.Median, old.Min, old.Max, yes(old.Median <= 1.05))
	median := measure.Median(deploys)
	fmt.Fprintf(&b, "| deploying 100 scripts takes less than 100 ms | %.0f ms: %s |\n", median,
		yes(median < 100))
	fmt.Fprintf(&b, "\nAn idle VM with a script of %d lines holds %.0f KB of heap.\n",
		strings.Count(thirtyLines, "\n")-1, perVM/1e3)
	return b.String()
}

// against compares the CPU of an endpoint with that of another.
func against(turns map[string][]turn, name string) string {
	other, ok := base[name]
	if !ok {
		return ""
	}
	r := measure.Ratios(each(turns[name], cpu), each(turns[other], cpu))
	more := middle(turns[name], cpu) - middle(turns[other], cpu)
	return fmt.Sprintf("%s: %.2f times (%.2f to %.2f), %+.1f µs", other, r.Median, r.Min, r.Max, more)
}

func yes(ok bool) string {
	if ok {
		return "yes"
	}
	return "**no**"
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
