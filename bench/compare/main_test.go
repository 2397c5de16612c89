package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/bench/internal/report"
	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

func TestMain(m *testing.M) {
	serve.Main() // the tests run their own binary as a server
	// Under the race detector every process would sleep a second at its end.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// TestEveryWorkloadRuns does all workloads for a moment with servers that can do them:
// that they end, and that every answer is right. Times do not matter.
func TestEveryWorkloadRuns(t *testing.T) {
	chosen, err := choose(options{servers: "gws,gateway,map-1k"})
	if err != nil {
		t.Fatal(err)
	}
	tricks, err := choose(options{servers: "gateway", tricks: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range tricks {
		if w.Trick != "" {
			w.Servers = w.Servers[1:] // the other is measured above
		}
	}
	chosen = append(chosen, tricks...)
	if len(chosen) != len(workloads.All) {
		t.Errorf("%d of %d workloads have run", len(chosen), len(workloads.All))
	}
	// Most of the time they wait: several are done at once.
	const lanes = 4
	for lane := range lanes {
		var mine []*workloads.Workload
		for i := lane; i < len(chosen); i += lanes {
			mine = append(mine, chosen[i])
		}
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			runAll(t, mine)
		})
	}
}

// runAll does workloads, and looks at what is reported of them.
func runAll(t *testing.T, chosen []*workloads.Workload) {
	r := report.Run{Rounds: 1, Results: workloads.Results{}}
	var progress strings.Builder
	p := plan{workloads: chosen, rounds: 1, scale: workloads.Smoke, out: &progress}
	p.run(context.Background(), &r)
	for _, f := range r.Failed {
		t.Error(f)
	}
	for _, w := range chosen {
		r.Workloads = append(r.Workloads, w.Key)
	}
	details := report.Details(r)
	for _, w := range chosen {
		for _, s := range w.Servers {
			told := w.Metric != workloads.Resident || runtime.GOOS == "linux"
			if told && !r.Results.Has(w.Key, s, w.Metric) {
				t.Errorf("%s with %s has no %s", w.Key, s, w.Metric)
			}
		}
		if !strings.Contains(details, w.Title) {
			t.Errorf("the report lacks %s", w.Key)
		}
	}
	if n := strings.Count(progress.String(), "\n"); n != p.steps() {
		t.Errorf("%d lines of progress for %d steps", n, p.steps())
	}
}

// TestServersWithoutGoroutines has those that are no ordinary program in Go do what the
// others do: echo, broadcast, send and be silent. Bun is left out where it is not installed.
func TestServersWithoutGoroutines(t *testing.T) {
	if raceEnabled {
		t.Skip("SKIPPED: nbio's TLS has races of its own; run without -race too")
	}
	for _, server := range []string{"nbio", serve.Bun} {
		t.Run(server, func(t *testing.T) {
			if !serve.Here(server) {
				t.Skip("it is not installed here")
			}
			chosen, err := choose(options{servers: server, only: "echo64k,deflate,broadcast,send,idletls"})
			if err != nil {
				t.Fatal(err)
			}
			r := report.Run{Rounds: 1, Results: workloads.Results{}}
			p := plan{workloads: chosen, rounds: 1, scale: workloads.Smoke, out: io.Discard}
			p.run(context.Background(), &r)
			for _, f := range r.Failed {
				t.Error(f)
			}
			for _, w := range chosen {
				if w.Metric != workloads.Resident && !r.Results.Has(w.Key, server, w.Metric) {
					t.Errorf("%s has no %s", w.Key, w.Metric)
				}
			}
		})
	}
}

// What this machine cannot do is said, and does not count as done.
func TestImpossibleWorkloadsAreSkippedAloud(t *testing.T) {
	w := workloads.Workload{Key: "huge", Connections: 1 << 40, Servers: []string{workloads.Ours}}
	can, skipped := possible([]*workloads.Workload{&w}, workloads.Full)
	if len(can) != 0 || len(skipped) != 1 || !strings.Contains(skipped[0], "workload huge") {
		t.Errorf("possible = %v, %q; want nothing, and the reason", can, skipped)
	}
	r := report.Run{Skipped: skipped, Results: workloads.Results{}}
	for name, text := range map[string]string{"summary": report.Summary(r),
		"details": report.Details(r)} {
		if !strings.Contains(text, skipped[0]) {
			t.Errorf("the %s does not say what was skipped:\n%s", name, text)
		}
	}
}

func TestWrongServersAndWorkloadsAreNamed(t *testing.T) {
	for _, args := range [][]string{{"-only", "echo,nothing"}, {"-servers", "nobody"},
		{"-only", "binary", "-servers", "raw"}, {"stray"}} {
		if err := run(context.Background(), args); err == nil {
			t.Errorf("run %q gave no error", args)
		}
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	w := *workloads.All[0]
	if _, err := w.Run(context.Background(), "nobody", workloads.Smoke, ""); err == nil ||
		!strings.Contains(err.Error(), "nobody") {
		t.Errorf("error = %v, want one that names the server", err)
	}
}

// A run that was interrupted has holes: it replaces no file.
func TestInterruptedRunWritesNothing(t *testing.T) {
	dir := t.TempDir()
	doc, samples := filepath.Join(dir, "README.md"), filepath.Join(dir, "a.json")
	before := report.Begin + "\nold\n" + report.End + "\n"
	if err := os.WriteFile(doc, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	err := run(ctx, []string{"-quick", "-only", "echo", "-write", doc, "-json", samples})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("run = %v, want an error that says it was interrupted", err)
	}
	if after, err := os.ReadFile(doc); err != nil || string(after) != before {
		t.Errorf("the document is %q, %v, want what it was", after, err)
	}
	if _, err := os.Stat(samples); err == nil {
		t.Error("the samples were written")
	}
}

func TestCommandWithoutWhereResultsGo(t *testing.T) {
	got := shown([]string{"-quick", "-write", "README.md", "--json=x", "-only", "echo"})
	if want := []string{"-quick", "-only", "echo"}; !slices.Equal(got, want) {
		t.Errorf("shown = %q, want %q", got, want)
	}
}

func TestSavedRunsAreMergedAndWritten(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for i, keys := range [][]string{{"echo", "send"}, {"send"}} {
		r := report.Run{Machine: report.Machine{Cores: 2}, Rounds: 1, Workloads: keys,
			Results: workloads.Results{}, Commands: []string{fmt.Sprint("run ", i)}}
		for _, k := range keys {
			r.Results.Put(k, "gws", 0, workloads.Sample{workloads.CPU: float64(4 + i)})
			r.Results.Put(k, workloads.Ours, 0, workloads.Sample{workloads.CPU: 1})
		}
		if i == 0 {
			r.Failed = []string{"send, coder, round 1: broken"}
		}
		if err := save(at(fmt.Sprintf("%d.json", i)), r); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	if err := os.Mkdir("docs", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, marks := range map[string]string{
		"docs/all.md": report.Begin + "\n" + report.End,
		"README.md":   report.BeginShort + "\n" + report.EndShort,
	} {
		if err := os.WriteFile(name, []byte("before\n"+marks+"\nafter\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := run(context.Background(),
		[]string{"-from", at("0.json") + "," + at("1.json"), "-write", "docs/all.md,README.md"})
	if err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		"docs/all.md": {"before\n", "after\n", "| 4.00 ", "| 5.00 ", "0.20",
			"(../bench/compare.svg)", "(../bench/RESULTS.md)", "`run 0`, then `run 1`"},
		"README.md": {"before\n", "after\n", "| gws 5.00 ", "0.20", "(bench/compare.svg)"},
		chartFile:   {"<svg", "gws"},
		detailsFile: {"# Measurements", "## 300,000 sends"},
	} {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, b)
			}
		}
	}
}

func TestRunsOfOtherMachinesAreNotMerged(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for file, cores := range map[string]int{a: 2, b: 4} {
		if err := save(file,
			report.Run{Machine: report.Machine{Cores: cores}, Results: workloads.Results{}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := loadAll([]string{a, b}); err == nil {
		t.Error("merged runs of two machines")
	}
}
