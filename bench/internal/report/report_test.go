package report_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/bench/internal/report"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// sample is a run of three rounds of two workloads, in which ours is twice as good
// as the best peer in the first, and failed in the second.
func sample() report.Run {
	r := report.Run{
		Machine: report.Machine{CPU: "Test CPU", Cores: 2, Go: "go1.26", OS: "linux/amd64"},
		Date:    "2026-01-02", Rounds: 3,
		Commands:  []string{"go run ./bench/compare", "go run ./bench/compare -only idlenow"},
		Workloads: []string{"echo16", "idlenow"}, Results: workloads.Results{},
	}
	for round, slow := range []float64{1, 2, 1.5} {
		for server, v := range map[string]float64{"raw": 6, "gws": 6.2, "melody": 8,
			workloads.Ours: 3.1} {
			r.Results.Put("echo16", server, round,
				workloads.Sample{workloads.CPU: v * slow, workloads.Rate: 100_000 / slow})
		}
		r.Results.Put("idlenow", "gws", round, workloads.Sample{workloads.Resident: 11_980})
	}
	r.Failed = []string{"idlenow, gateway, round 1: broken | pipe"}
	return r
}

func TestSummaryHasGoalsRatiosAndFailures(t *testing.T) {
	got := report.Summary(sample())
	for _, want := range []string{
		"2 cores of Test CPU, go1.26, linux/amd64",
		"Made with `go run ./bench/compare`, then `go run ./bench/compare -only idlenow` on 2026-01-02",
		"3 rounds",
		"| 0.50 [0.50, 0.50] | at most 0.50 × best peer | yes ",
		"| gws 9.30 ",
		"| 11,980 |",
		"What failed:\n\n- idlenow, gateway, round 1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("summary lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "NaN") {
		t.Errorf("summary contains NaN:\n%s", got)
	}
}

// TestTablesAreWhole counts the cells of every line of a table.
func TestTablesAreWhole(t *testing.T) {
	for name, text := range map[string]string{
		"summary": report.Summary(sample()), "details": report.Details(sample()),
	} {
		cells, lines := 0, 0
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "|") {
				cells = 0
				continue
			}
			n := strings.Count(line, "|")
			if cells != 0 && n != cells {
				t.Errorf("%s: a line of %d cells in a table of %d: %s", name, n, cells, line)
			}
			cells = n
			lines++
		}
		if lines < 6 {
			t.Errorf("%s has %d lines of tables", name, lines)
		}
	}
}

// TestWorkloadsWithoutPeersAreCompared has a workload whose rows are variants of ours
// and of a baseline: each is compared with the first of its kind.
func TestWorkloadsWithoutPeersAreCompared(t *testing.T) {
	r := report.Run{Workloads: []string{"spread", "registered"}, Results: workloads.Results{}}
	for server, v := range map[string]float64{"gateway-1k": 1, "gateway-10k": 1.25, "gateway-100k": 3,
		"map-1k": 0.1, "map-100k": 0.4} {
		r.Results.Put("spread", server, 0, workloads.Sample{workloads.CPU: v})
		r.Results.Put("registered", server, 0, workloads.Sample{workloads.CPU: v})
	}
	for name, text := range map[string]string{"summary": report.Summary(r),
		"details": report.Details(r)} {
		lines := strings.Join(strings.Fields(text), " ")
		for _, want := range map[string][]string{
			"summary": {
				"| 1.25 (gateway-10k) | gateway-1k 1.00 | 1.25 | at most 1.50 × gateway-1k | yes |",
				"| 3.00 (gateway-100k) | gateway-1k 1.00 | 3.00 | at most 1.50 × gateway-1k | **no** |",
				"| gateway-100k | CPU µs/send | 3.00 | gateway-1k | 3.00 |",
				"| map-1k | CPU µs/send | 0.10 | | |",
				"| map-100k | CPU µs/send | 0.40 | map-1k | 4.00 |",
			},
			"details": {"ratio to the first |", "| gateway-100k | 3.00 | 3.00 |",
				"| map-100k | 0.40 | 4.00 |"},
		}[name] {
			if !strings.Contains(lines, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
}

func TestDetailsShowOnlyMetricsThatWereTaken(t *testing.T) {
	r := sample()
	r.Workloads = append(r.Workloads, "broadcast")
	r.Results.Put("broadcast", "gws", 0, workloads.Sample{workloads.Rate: 1})
	got := report.Details(r)
	if !strings.Contains(got, "| deliveries/s |") {
		t.Errorf("details lack the rate of the broadcast:\n%s", got)
	}
	if !strings.Contains(got, "messages/s") || strings.Contains(got, "p99") {
		t.Errorf("details want a rate and no percentiles:\n%s", got)
	}
}

func TestChartIsXMLWithABarForEachServer(t *testing.T) {
	got := report.Chart(sample())
	bars := 0
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("chart is not XML: %v\n%s", err, got)
		}
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 1+5 {
		t.Errorf("chart has %d rectangles, want its ground, 4 bars for echo16 and 1 for idlenow", bars)
	}
	if report.Chart(report.Run{Results: workloads.Results{}}) != "" {
		t.Error("a chart of nothing is not empty")
	}
}

func TestInject(t *testing.T) {
	doc := "# Title\n\n" + report.Begin + "\nold\n" + report.End + "\n\nrest\n"
	want := "# Title\n\n" + report.Begin + "\n\nnew\n\n" + report.End + "\n\nrest\n"
	got, err := report.Inject(doc, "\nnew\n")
	if err != nil || got != want {
		t.Errorf("Inject = %q, %v; want %q", got, err, want)
	}
	if again, err := report.Inject(got, "new"); err != nil || again != want {
		t.Errorf("the second Inject = %q, %v; want the same again", again, err)
	}
	for name, doc := range map[string]string{
		"nothing": "text", "no end": report.Begin, "wrong order": report.End + report.Begin,
		"twice": doc + doc,
	} {
		if _, err := report.Inject(doc, "new"); err == nil {
			t.Errorf("Inject into a document with %s gave no error", name)
		}
	}
}

// What a million sockets need is the measured cost of one, times a million, or what
// happens again and again divided by its interval.
func TestManySocketsAreComputedFromOne(t *testing.T) {
	r := sample()
	for workload, s := range map[string]workloads.Sample{
		"idlenow": {workloads.Resident: 2_900, workloads.Quiet: 0.2},
		"talkers": {workloads.Kernel: 10_000, workloads.P99: 1, workloads.Sockets: 19_500},
		"pings":   {workloads.CPU: 30},
		"storm":   {workloads.CPU: 80},
	} {
		r.Workloads = append(r.Workloads, workload)
		r.Results.Put(workload, workloads.Ours, 0, s)
	}
	lines := strings.Join(strings.Fields(report.Summary(r)), " ")
	for _, want := range []string{
		"| 2,900 bytes a socket (idlenow) | 0.29 GB | 2.90 GB |",
		"(talkers) | 0.50 GB | 5.00 GB |",
		"(idlenow) | 0.02 cores | 0.20 cores |",
		"| 30.0 µs each (pings) | 0.10 cores | 1.00 cores |",
		"| 80.0 µs a socket (storm) | 8.00 s of CPU | 80.0 s of CPU |",
		"for a million: gws 12.0 GB.",
		"among 50,000 at rest (here: 19,500) |",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("summary lacks %q:\n%s", want, report.Summary(r))
		}
	}
}

func TestTricksShowWhatIsWorseWithoutThem(t *testing.T) {
	r := report.Run{Workloads: []string{"trick-rest"}, Results: workloads.Results{}}
	r.Results.Put("trick-rest", workloads.Ours, 0, workloads.Sample{workloads.Resident: 3_000})
	r.Results.Put("trick-rest", "gateway-norest", 0, workloads.Sample{workloads.Resident: 7_500})
	got := strings.Join(strings.Fields(report.Summary(r)), " ")
	if !strings.Contains(got, "| 3,000 | 7,500 | 2.50 |") {
		t.Errorf("summary lacks the trick:\n%s", report.Summary(r))
	}
	if strings.Contains(got, "peers do not do") {
		t.Errorf("a trick is among the other workloads:\n%s", report.Summary(r))
	}
	if short := report.Short(r); short != "" {
		t.Errorf("the short form has a trick: %s", short)
	}
}

// The short form is five lines at most, each with the best library for Go and with Bun.
func TestShortComparesWithBun(t *testing.T) {
	r := sample()
	for round := range 3 {
		r.Results.Put("echo16", "bun", round, workloads.Sample{workloads.CPU: 3.1})
	}
	got := strings.Join(strings.Fields(report.Short(r)), " ")
	if !strings.Contains(got, "| gws 9.30 | 0.50 [0.50, 0.50] | 3.10 | 1.50 [1.00, 2.00] |") {
		t.Errorf("the short form lacks gws or Bun:\n%s", report.Short(r))
	}
}
