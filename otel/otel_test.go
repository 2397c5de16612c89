package otel_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/otel"
)

// A watched is a gateway with the SDK's exporters in memory.
type watched struct {
	gw    *gateway.Handler
	srv   *gatewaytest.Server
	spans *tracetest.InMemoryExporter
	read  *metric.ManualReader
}

func watch(t *testing.T, ep gateway.EndpointFunc) *watched {
	t.Helper()
	w := &watched{spans: tracetest.NewInMemoryExporter(), read: metric.NewManualReader()}
	telemetry, err := otel.New(&otel.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(w.spans)),
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(w.read)),
		Propagator:     propagation.TraceContext{},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gateway.New(&gateway.Options{
		Observer: telemetry.Observer(),
		Authorize: telemetry.Authorize(func(r *http.Request) (*gateway.Admission, error) {
			if r.URL.Query().Get("user") == "" {
				return nil, gateway.ErrUnauthorized
			}
			return &gateway.Admission{Values: map[string]string{"user": "7"}}, nil
		}),
	})
	w.gw.Use(telemetry.Middleware)
	w.gw.HandleFunc("/x/{id}", ep)
	if err := telemetry.Watch(w.gw); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.gw.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.srv = gatewaytest.NewServer(t, telemetry.Wrap(w.gw))
	return w
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func (w *watched) dial(t *testing.T, path string) (*gatewaytest.Peer, *http.Response) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://gateway.test"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Traceparent", parent)
	return w.srv.DialRequest(t, r)
}

func attrs(s *tracetest.SpanStub) map[attribute.Key]attribute.Value {
	m := map[attribute.Key]attribute.Value{}
	for _, a := range s.Attributes {
		m[a.Key] = a.Value
	}
	return m
}

// The upgrade continues the client's trace; each event is a trace of its own, linked to the
// upgrade's span.
func TestSpans(t *testing.T) {
	w := watch(t, func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		if !trace.SpanContextFromContext(ctx).IsValid() {
			t.Errorf("the %v event has no span in its context", ev.Type)
		}
		if s.Value("user") != "7" {
			t.Errorf("the socket's user is %q", s.Value("user"))
		}
		if ev.Type == gateway.EventData {
			return errors.New("told to fail")
		}
		return nil
	})
	p, _ := w.dial(t, "/x/secret?user=7")
	p.Send(gateway.Text("hello"))
	p.Closed()
	if err := w.gw.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := map[string]*tracetest.SpanStub{}
	for _, s := range w.spans.GetSpans() {
		spans[s.Name] = &s
	}
	if len(spans) != 4 || len(w.spans.GetSpans()) != 4 {
		t.Fatalf("%d spans, want those of the upgrade and three events", len(w.spans.GetSpans()))
	}
	up := spans["gateway.upgrade"]
	if up.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" ||
		up.Parent.SpanID().String() != "b7ad6b7169203331" || up.SpanKind != trace.SpanKindServer {
		t.Errorf("the upgrade's span is %v below %v", up.SpanContext, up.Parent)
	}
	for _, name := range []string{"gateway.open", "gateway.data", "gateway.close"} {
		s := spans[name]
		if s.Parent.IsValid() || s.SpanContext.TraceID() == up.SpanContext.TraceID() {
			t.Errorf("%s is no root of its own", name)
		}
		if len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != up.SpanContext.SpanID() {
			t.Errorf("%s has the links %v, want the upgrade", name, s.Links)
		}
		a := attrs(s)
		if a["gateway.route"].AsString() != "/x/{id}" || a["gateway.socket_id"].AsString() == "" {
			t.Errorf("%s has the attributes %v", name, s.Attributes)
		}
	}
	data := spans["gateway.data"]
	if data.Status.Code != codes.Error || len(data.Events) != 1 ||
		attrs(data)["gateway.message.bytes"].AsInt64() != 5 {
		t.Errorf("the span of the failed event is %+v", data)
	}
	if got := attrs(spans["gateway.close"])["gateway.cause"].AsString(); got != "endpoint" {
		t.Errorf("the close event's cause is %q", got)
	}
}

// A refused upgrade has a span that says why.
func TestRefusedUpgrade(t *testing.T) {
	w := watch(t, func(context.Context, *gateway.Socket, gateway.Event) error { return nil })
	if _, resp := w.dial(t, "/x/1"); resp.StatusCode != 401 {
		t.Fatalf("upgrade = %s, want 401", resp.Status)
	}
	spans := w.spans.GetSpans()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want 1", len(spans))
	}
	a := attrs(&spans[0])
	if a["gateway.reason"].AsString() != "unauthorized" ||
		a["http.response.status_code"].AsInt64() != 401 {
		t.Errorf("the span has the attributes %v", spans[0].Attributes)
	}
}

// The metrics have what happened, by route.
func TestMetrics(t *testing.T) {
	w := watch(t, func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		if ev.Type == gateway.EventData {
			return s.Send(ctx, ev.Message)
		}
		return nil
	})
	p, _ := w.dial(t, "/x/1?user=7")
	p.Send(gateway.Text("hello"))
	p.Receive()
	w.dial(t, "/x/1")
	w.dial(t, "/nowhere")
	var rm metricdata.ResourceMetrics
	if err := w.read.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	durations := 0
	for _, m := range rm.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, point := range d.DataPoints {
				got[m.Name] += point.Value
				route, ok := point.Attributes.Value("gateway.route")
				if ok && route.AsString() != "/x/{id}" {
					t.Errorf("%s has the route %s", m.Name, route.AsString())
				}
				for _, key := range []attribute.Key{"gateway.socket_id", "gateway.user"} {
					if point.Attributes.HasValue(key) {
						t.Errorf("%s has the attribute %s", m.Name, key)
					}
				}
			}
		case metricdata.Histogram[float64]:
			for _, point := range d.DataPoints {
				durations += int(point.Count)
			}
		}
	}
	for name, want := range map[string]int64{
		"gateway.sockets": 1, "gateway.sockets.opened": 1, "gateway.messages.received": 1,
		"gateway.received": 5, "gateway.messages.sent": 1, "gateway.sent": 5,
		"gateway.upgrades.refused": 2, "gateway.endpoint.errors": 0, "gateway.messages.lost": 0,
	} {
		if n, ok := got[name]; !ok || n != want {
			t.Errorf("%s is %d (%t), want %d", name, n, ok, want)
		}
	}
	if durations != 2 {
		t.Errorf("%d events were measured, want open and data", durations)
	}
}
