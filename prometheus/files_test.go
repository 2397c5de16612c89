package prometheus_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/wsgateway/gateway/prometheus"
)

var metricName = regexp.MustCompile(`\bgateway_[a-z_]+`)

// metricsOf returns the names of the series.
func metricsOf(series map[string]string) map[string]bool {
	names := map[string]bool{}
	for name := range series {
		name, _, _ = strings.Cut(name, "{")
		names[name] = true
	}
	return names
}

type dashboard struct {
	Panels []struct {
		Title, Description, Type string
		Targets                  []struct{ Expr string }
	}
	Templating struct {
		List []struct {
			Name       string
			Definition string
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	b, err := os.ReadFile("dashboard/gateway.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("dashboard/gateway.json: %v", err)
	}
	return d
}

// Every query of the dashboard is one that Prometheus understands, and names series that
// the exporter has.
func TestDashboard(t *testing.T) {
	w := watch(t, 1)
	w.busy(t)
	series, _ := w.scrape(t)
	exported := metricsOf(series)
	d := readDashboard(t)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	n := 0
	check := func(where, expr string) {
		names := metricName.FindAllString(expr, -1)
		if len(names) == 0 {
			t.Errorf("%s: the query %q names no metric", where, expr)
		}
		for _, name := range names {
			if !exported[name] {
				t.Errorf("%s: the exporter has no %s", where, name)
			}
		}
	}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q lacks its title, description or queries", p.Title)
		}
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*",
				"$route", ".*").Replace(target.Expr)
			n++
			fmt.Fprintf(&rules, "  - record: dashboard:query_%d\n    expr: >\n      %s\n", n, expr)
		}
	}
	for _, v := range d.Templating.List {
		if v.Definition != "" {
			check("variable "+v.Name, v.Definition)
		}
	}
	if n < 25 {
		t.Errorf("the dashboard has %d queries: was it read at all?", n)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", file)
}

// Every alert names series that the exporter has and says what to do; some of them are
// tried out.
func TestAlerts(t *testing.T) {
	w := watch(t, 1)
	w.busy(t)
	series, _ := w.scrape(t)
	exported := metricsOf(series)
	b, err := os.ReadFile("alerts/gateway.yml")
	if err != nil {
		t.Fatal(err)
	}
	alerts := strings.Split(string(b), "- alert: ")[1:]
	if len(alerts) < 10 {
		t.Errorf("%d alerts: was the file read at all?", len(alerts))
	}
	for _, a := range alerts {
		name, rest, _ := strings.Cut(a, "\n")
		for _, part := range []string{"summary: ", "runbook: ", "severity: "} {
			if !strings.Contains(rest, part) {
				t.Errorf("alert %s has no %s", name, part)
			}
		}
		for _, metric := range metricName.FindAllString(rest, -1) {
			if !exported[metric] {
				t.Errorf("alert %s: the exporter has no %s", name, metric)
			}
		}
	}
	promtool(t, nil, "check", "rules", "alerts/gateway.yml")
	promtool(t, nil, "test", "rules", "alerts/gateway_test.yml")
}

// The page about the metrics has a line for each of them, and no others.
func TestPageNamesEveryMetric(t *testing.T) {
	b, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	ch := make(chan *prom.Desc, 100)
	prometheus.New(nil).Describe(ch)
	close(ch)
	for d := range ch {
		described = append(described, metricName.FindString(d.String()))
	}
	for _, name := range described {
		if !strings.Contains(string(b), "| `"+name) {
			t.Errorf("docs/metrics.md has no line for %s", name)
		}
	}
	lines := regexp.MustCompile("(?m)^\\| `(gateway_[a-z_]+)")
	for _, m := range lines.FindAllStringSubmatch(string(b), -1) {
		if !slices.Contains(described, m[1]) {
			t.Errorf("docs/metrics.md has %s, which does not exist", m[1])
		}
	}
}
