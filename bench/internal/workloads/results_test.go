package workloads_test

import (
	"math"
	"slices"
	"testing"

	"github.com/wsgateway/gateway/bench/internal/workloads"
)

func TestBestPeerIsNeitherOursNorRaw(t *testing.T) {
	r := workloads.Results{}
	for server, v := range map[string]float64{"raw": 1, workloads.Ours: 2, "gws": 3, "gorilla": 4} {
		r.Put("echo", server, 0, workloads.Sample{workloads.CPU: v})
	}
	if got := r.Best("echo", workloads.CPU); got != "gws" {
		t.Errorf("Best = %q, want gws", got)
	}
	if got := r.Best("send", workloads.CPU); got != "" {
		t.Errorf("Best of a workload without results = %q, want none", got)
	}
}

func TestGoalsAreCheckedRoundByRound(t *testing.T) {
	r := workloads.Results{}
	for round, slow := range []float64{1, 3, 1} { // the machine was busy in the second
		r.Put("echo16", workloads.Ours, round, workloads.Sample{workloads.CPU: 4 * slow})
		r.Put("echo16", "gws", round, workloads.Sample{workloads.CPU: 10 * slow})
	}
	o, ok := workloads.Goal{Workload: "echo16", Metric: workloads.CPU, Against: workloads.BestPeer,
		Limit: 0.5}.Check(r)
	if !ok || !o.Reached || o.Against != "gws" || o.Ratio.Median != 0.4 || o.Ratio.Max != 0.4 {
		t.Errorf("Check = %+v, %v; want reached with 0.4 against gws", o, ok)
	}
	o, ok = workloads.Goal{Workload: "echo16", Metric: workloads.CPU, Limit: 3}.Check(r)
	if !ok || o.Reached || o.Value != 4 {
		t.Errorf("Check of an absolute goal = %+v, %v; want 4, not reached", o, ok)
	}
	if _, ok := (workloads.Goal{Workload: "idle", Metric: workloads.Resident, Limit: 1}).Check(r); ok {
		t.Error("a goal without results counts as checked")
	}
}

func TestFailedRoundsDoNotCount(t *testing.T) {
	r := workloads.Results{}
	r.Put("echo", workloads.Ours, 2, workloads.Sample{workloads.CPU: 5})
	got := r.Rounds("echo", workloads.Ours, workloads.CPU)
	if len(got) != 3 || !math.IsNaN(got[0]) || got[2] != 5 {
		t.Errorf("Rounds = %v, want NaN, NaN, 5", got)
	}
	if m := r.Median("echo", workloads.Ours, workloads.CPU); m != 5 {
		t.Errorf("Median = %v, want 5", m)
	}
}

func TestWorksAndGoalsBelongTogether(t *testing.T) {
	keys := map[string]*workloads.Workload{}
	for _, w := range workloads.All {
		if keys[w.Key] != nil {
			t.Errorf("two workloads have the key %q", w.Key)
		}
		keys[w.Key] = w
	}
	for _, g := range workloads.Goals {
		w := keys[g.Workload]
		if w == nil {
			t.Errorf("goal for %q, which is no workload", g.Workload)
			continue
		}
		of := g.Of
		if of == "" {
			of = workloads.Ours
		}
		if !slices.Contains(w.Servers, of) {
			t.Errorf("goal for %s in workload %s, which it does not do", of, w.Key)
		}
		if g.Against != "" && g.Against != workloads.BestPeer && !slices.Contains(w.Servers, g.Against) {
			t.Errorf("goal against %s in workload %s, which it does not do", g.Against, w.Key)
		}
	}
}
