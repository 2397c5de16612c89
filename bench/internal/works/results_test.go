package works_test

import (
	"math"
	"slices"
	"testing"

	"github.com/wsgateway/gateway/bench/internal/works"
)

func TestBestPeerIsNeitherOursNorRaw(t *testing.T) {
	r := works.Results{}
	for server, v := range map[string]float64{"raw": 1, works.Ours: 2, "gws": 3, "gorilla": 4} {
		r.Put("echo", server, 0, works.Sample{works.CPU: v})
	}
	if got := r.Best("echo", works.CPU); got != "gws" {
		t.Errorf("Best = %q, want gws", got)
	}
	if got := r.Best("send", works.CPU); got != "" {
		t.Errorf("Best of a work without results = %q, want none", got)
	}
}

func TestGoalsAreCheckedRoundByRound(t *testing.T) {
	r := works.Results{}
	for round, slow := range []float64{1, 3, 1} { // the machine was busy in the second
		r.Put("echo16", works.Ours, round, works.Sample{works.CPU: 4 * slow})
		r.Put("echo16", "gws", round, works.Sample{works.CPU: 10 * slow})
	}
	o, ok := works.Goal{Work: "echo16", Metric: works.CPU, Against: works.BestPeer, Limit: 0.5}.Check(r)
	if !ok || !o.Reached || o.Against != "gws" || o.Ratio.Median != 0.4 || o.Ratio.Max != 0.4 {
		t.Errorf("Check = %+v, %v; want reached with 0.4 against gws", o, ok)
	}
	o, ok = works.Goal{Work: "echo16", Metric: works.CPU, Limit: 3}.Check(r)
	if !ok || o.Reached || o.Value != 4 {
		t.Errorf("Check of an absolute goal = %+v, %v; want 4, not reached", o, ok)
	}
	if _, ok := (works.Goal{Work: "idle", Metric: works.Resident, Limit: 1}).Check(r); ok {
		t.Error("a goal without results counts as checked")
	}
}

func TestFailedRoundsDoNotCount(t *testing.T) {
	r := works.Results{}
	r.Put("echo", works.Ours, 2, works.Sample{works.CPU: 5})
	got := r.Rounds("echo", works.Ours, works.CPU)
	if len(got) != 3 || !math.IsNaN(got[0]) || got[2] != 5 {
		t.Errorf("Rounds = %v, want NaN, NaN, 5", got)
	}
	if m := r.Median("echo", works.Ours, works.CPU); m != 5 {
		t.Errorf("Median = %v, want 5", m)
	}
}

func TestWorksAndGoalsBelongTogether(t *testing.T) {
	keys := map[string]*works.Work{}
	for _, w := range works.All {
		if keys[w.Key] != nil {
			t.Errorf("two works have the key %q", w.Key)
		}
		keys[w.Key] = w
	}
	for _, g := range works.Goals {
		w := keys[g.Work]
		if w == nil {
			t.Errorf("goal for %q, which is no work", g.Work)
			continue
		}
		of := g.Of
		if of == "" {
			of = works.Ours
		}
		if !slices.Contains(w.Servers, of) {
			t.Errorf("goal for %s in work %s, which it does not do", of, w.Key)
		}
		if g.Against != "" && g.Against != works.BestPeer && !slices.Contains(w.Servers, g.Against) {
			t.Errorf("goal against %s in work %s, which it does not do", g.Against, w.Key)
		}
	}
}
