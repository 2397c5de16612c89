package report

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// Sizes of the chart, in pixels.
const (
	panelWidth  = 350 // the longest title, in a wide font
	panelGap    = 24
	chartMargin = 16
	perRow      = 3
	headHeight  = 42
	barHeight   = 16
	barStep     = 21
	labelWidth  = 74
	valueWidth  = 62
)

// The colours follow the reader's preference; the ground is the chart's own,
// because the page around it may not.
const chartStyle = `
.ground { fill: #ffffff; }
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.sub, .value { fill: #59636e; }
.ours { fill: #1a7f5a; }
.peer { fill: #8b98a8; }
.raw { fill: #c3cad2; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; }
  text { fill: #e6edf3; }
  .sub, .value { fill: #9198a1; }
  .ours { fill: #2ea87a; }
  .peer { fill: #6e7b8a; }
  .raw { fill: #444c56; }
}
`

// ChartTitle is what the chart shows, in words.
const ChartTitle = "Gateway and its peers; shorter is better"

// Chart draws the workloads that say most: a panel a workload, a bar a server, less
// is better. It is "" where none of them ran.
func Chart(r Run) string {
	var shown []*workloads.Workload
	for _, w := range ran(r) {
		if charted(w) {
			shown = append(shown, w)
		}
	}
	if len(shown) == 0 {
		return ""
	}
	var body strings.Builder
	y := chartMargin
	for row := range slices.Chunk(shown, perRow) {
		height := 0
		for i, w := range row {
			x := chartMargin + i*(panelWidth+panelGap)
			height = max(height, panel(&body, r, w, x, y))
		}
		y += height + panelGap
	}
	width := 2*chartMargin + min(perRow, len(shown))*(panelWidth+panelGap) - panelGap
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"
	width="%[1]d" height="%[2]d" role="img">
<title>%s</title>
<style>%s</style>
<rect class="ground" width="100%%" height="100%%" rx="6"/>
%s</svg>
`, width, y-panelGap+chartMargin, ChartTitle, chartStyle, body.String())
}

// inChart are the workloads of the chart: three rows of three.
var inChart = []string{"echo", "echo16", "echo64k", "broadcast", "send", "mixed", "idlenow",
	"idletls", "connect"}

func charted(w *workloads.Workload) bool { return slices.Contains(inChart, w.Key) }

// panel draws one workload at x, y and returns its height.
func panel(b *strings.Builder, r Run, w *workloads.Workload, x, y int) int {
	values := map[string]float64{}
	longest := 0.0
	for _, s := range w.Servers {
		if v := r.Results.Median(w.Key, s, w.Metric); !math.IsNaN(v) {
			values[s] = v
			longest = max(longest, v)
		}
	}
	text(b, "title", x, y+12, "start", w.Title)
	text(b, "sub", x, y+29, "start", metrics[w.Metric].name(w))
	at := y + headHeight
	for _, s := range w.Servers {
		v, ok := values[s]
		if !ok {
			continue
		}
		bar := 0.0
		if longest > 0 {
			bar = max(v, 0) / longest * (panelWidth - labelWidth - valueWidth)
		}
		text(b, "name", x+labelWidth-6, at+12, "end", s)
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`+"\n",
			class(s), x+labelWidth, at, max(bar, 1), barHeight)
		text(b, "value", x+labelWidth+int(bar)+6, at+12, "start", metrics[w.Metric].format(v))
		at += barStep
	}
	return at - y
}

func class(server string) string {
	switch {
	case server == "raw":
		return "raw"
	case slices.Contains(workloads.Peers, server), server == serve.Bun:
		return "peer"
	}
	return "ours"
}

func text(b *strings.Builder, class string, x, y int, anchor, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%d" y="%d" text-anchor="%s">%s</text>`+"\n",
		class, x, y, anchor, html.EscapeString(s))
}
