package prometheus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/prometheus"
)

// A watched is a gateway whose counters are served as Prometheus reads them.
type watched struct {
	gw  *gateway.Handler
	srv *gatewaytest.Server
	url string
}

func watch(t *testing.T, routes int) *watched {
	t.Helper()
	metrics := prometheus.New(nil)
	gw := gateway.New(&gateway.Options{
		Observer: metrics.Observer(), Logger: slog.New(slog.DiscardHandler),
		MaxSocketsPerAddr: -1,
		Limits:            gateway.Limits{MessagesPerSecond: -1, SendLimit: 1000},
	})
	metrics.Watch(gw)
	for i := range routes {
		gw.HandleFunc(fmt.Sprintf("/%d/{id}", i), endpoint)
	}
	registry := prom.NewPedanticRegistry()
	registry.MustRegister(metrics)
	exporter := httptest.NewServer(promhttp.HandlerFor(registry,
		promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	t.Cleanup(exporter.Close)
	return &watched{gw, gatewaytest.NewServer(t, gw), exporter.URL}
}

// endpoint echoes, and fails where it is told to.
func endpoint(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
	switch {
	case ev.Type != gateway.EventData:
		return nil
	case string(ev.Message.Data) == "fail":
		return errors.New("told to fail")
	}
	return s.Send(ctx, ev.Message)
}

// scrape returns the series, as Prometheus gets them, and their text.
func (w *watched) scrape(t *testing.T) (series map[string]string, text string) {
	t.Helper()
	resp, err := http.Get(w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the exporter answers %s: %s (%v)", resp.Status, b, err)
	}
	series = map[string]string{}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			i := strings.LastIndexByte(line, ' ')
			series[line[:i]] = line[i+1:]
		}
	}
	return series, string(b)
}

// busy makes the gateway do something of everything that is counted.
func (w *watched) busy(t *testing.T) {
	t.Helper()
	host := lua.New(w.gw, &lua.Options{Logger: slog.New(slog.DiscardHandler)})
	if _, err := host.DeployEndpoint(t.Context(), "/script",
		"if websocketInfo.type == 'data' then error('broken') end"); err != nil {
		t.Fatal(err)
	}
	s := w.srv.Dial(t, "/script")
	s.Send(gateway.Text("run"))
	s.Close(1000, "")
	p := w.srv.Dial(t, "/0/a")
	p.Send(gateway.Text("hello"))
	p.Receive()
	gone := w.srv.Dial(t, "/0/b")
	gone.Send(gateway.Text("fail"))
	gone.Closed()
	ids, err := w.gw.List(t.Context())
	if err != nil || len(ids) != 1 {
		t.Fatalf("List = %q, %v", ids, err)
	}
	if err := w.gw.Group("g").Join(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.gw.Send(t.Context(), ids[0], gateway.Text(strings.Repeat("x", 2000))); err == nil {
		t.Fatal("a message above the limit was sent")
	}
	for _, path := range []string{"/nowhere", "/0/x"} {
		resp, err := w.srv.Client().Get("http://gateway.test" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	for w.gw.Stats().Open != 1 { // the close events of the others
		time.Sleep(time.Millisecond)
	}
}

// A scrape has what happened, under the names and labels of the documentation.
func TestScrape(t *testing.T) {
	w := watch(t, 1)
	w.busy(t)
	series, text := w.scrape(t)
	for name, want := range map[string]string{
		`gateway_sockets{route="/0/{id}"}`:                                          "1",
		`gateway_sockets_opened_total{route="/0/{id}"}`:                             "2",
		`gateway_sockets_closed_total{cause="endpoint",route="/0/{id}"}`:            "1",
		`gateway_messages_received_total{route="/0/{id}"}`:                          "2",
		`gateway_received_bytes_total{route="/0/{id}"}`:                             "9",
		`gateway_messages_sent_total{route="/0/{id}"}`:                              "1",
		`gateway_sent_bytes_total{route="/0/{id}"}`:                                 "5",
		`gateway_messages_lost_total{reason="closed",route="/0/{id}"}`:              "0",
		`gateway_sends_refused_total{reason="too_large",route="/0/{id}"}`:           "1",
		`gateway_endpoint_errors_total{route="/0/{id}"}`:                            "1",
		`gateway_upgrades_refused_total{reason="no_route",route=""}`:                "1",
		`gateway_upgrades_refused_total{reason="upgrade_required",route="/0/{id}"}`: "1",
		`gateway_group_memberships{route="/0/{id}"}`:                                "1",
		`gateway_groups`: "1",
		`gateway_event_duration_seconds_count{event="open",route="/0/{id}"}`:            "2",
		`gateway_event_duration_seconds_count{event="data",route="/0/{id}"}`:            "2",
		`gateway_event_duration_seconds_bucket{event="data",route="/0/{id}",le="+Inf"}`: "2",
		`gateway_event_duration_seconds_count{event="close",route="/0/{id}"}`:           "1",
		`gateway_script_duration_seconds_count{route="/script"}`:                        "3",
		`gateway_script_errors_total{route="/script"}`:                                  "1",
		`gateway_draining`: "0",
	} {
		if series[name] != want {
			t.Errorf("%s is %q, want %s", name, series[name], want)
		}
	}
	ids, _ := w.gw.List(t.Context())
	for _, secret := range append(ids, "192.0.2", "/0/a") {
		if strings.Contains(text, secret) {
			t.Errorf("the scrape contains %q", secret)
		}
	}
	promtool(t, strings.NewReader(text), "check", "metrics")
}

// promtool runs Prometheus's own checks, if they are installed.
func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Logf("SKIPPED: promtool (Debian package prometheus) is not installed: %q", args)
		return
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("FAILED")) {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

// The number of series is that of the routes, however many sockets there are.
func TestSeriesAreBounded(t *testing.T) {
	names := func(sockets int) []string {
		w := watch(t, 3)
		for i := range sockets {
			p := w.srv.Dial(t, fmt.Sprintf("/%d/%d", i%3, i))
			if i < sockets/2 {
				p.Close(1000, fmt.Sprintf("reason %d", i))
			}
		}
		for w.gw.Stats().Open > sockets-sockets/2 {
			time.Sleep(time.Millisecond)
		}
		series, _ := w.scrape(t)
		all := []string{}
		for name := range series {
			all = append(all, name)
		}
		slices.Sort(all)
		return all
	}
	few, many := names(10), names(1000)
	if !slices.Equal(few, many) {
		t.Errorf("%d series with 10 sockets, %d with 1,000", len(few), len(many))
	}
	t.Logf("%d series with 3 routes", len(few))
}

// A drain shows its progress.
func TestDrainIsShown(t *testing.T) {
	w := watch(t, 1)
	p := w.srv.Dial(t, "/0/a")
	done := make(chan error, 1)
	go func() { done <- w.gw.Drain(context.Background(), time.Hour) }()
	for !w.gw.Stats().Draining {
		time.Sleep(time.Millisecond)
	}
	series, _ := w.scrape(t)
	if series["gateway_draining"] != "1" || series["gateway_drain_left"] != "1" {
		t.Errorf("draining %s, left %s; want 1 and 1",
			series["gateway_draining"], series["gateway_drain_left"])
	}
	var end float64
	if _, err := fmt.Sscan(series["gateway_drain_end_timestamp_seconds"], &end); err != nil ||
		time.Until(time.Unix(int64(end), 0)) < 50*time.Minute {
		t.Errorf("the drain ends at %v (%v), want in an hour", end, err)
	}
	p.Close(1000, "")
	if err := <-done; err != nil {
		t.Errorf("Drain = %v", err)
	}
}

// Two gateways of one process have labels that tell them apart; without, they clash.
func TestTwoGateways(t *testing.T) {
	registry := prom.NewRegistry()
	for _, name := range []string{"a", "b"} {
		m := prometheus.New(&prometheus.Options{ConstLabels: prom.Labels{"gateway": name}})
		m.Watch(gateway.New(nil))
		if err := registry.Register(m); err != nil {
			t.Errorf("register %s: %v", name, err)
		}
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}

func TestBucketsThatDoNotIncrease(t *testing.T) {
	for _, buckets := range [][]float64{{}, {2, 1}, {1, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New with the buckets %v does not panic", buckets)
				}
			}()
			prometheus.New(&prometheus.Options{Buckets: buckets})
		}()
	}
}

// Measuring an event allocates nothing.
func TestObservingAllocatesNothing(t *testing.T) {
	observer := prometheus.New(nil).Observer()
	e := gateway.EventServed{SocketID: "abc", Route: "/x", Event: gateway.EventData}
	if n := testing.AllocsPerRun(100, func() { observer.EventServed(e) }); n != 0 {
		t.Errorf("observing an event allocates %v times", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	observer := prometheus.New(nil).Observer()
	e := gateway.EventServed{
		SocketID: "abc", Route: "/x", Event: gateway.EventData, Duration: time.Microsecond,
	}
	for b.Loop() {
		observer.EventServed(e)
	}
}
