// Package otel shows what happens on a gateway through the OpenTelemetry API: metrics under
// the names gateway.*, and spans.
//
//	telemetry, err := otel.New(nil)
//	gw := gateway.New(&gateway.Options{
//		Observer:  telemetry.Observer(),
//		Authorize: telemetry.Authorize(authorize),
//	})
//	gw.Use(telemetry.Middleware)
//	err = telemetry.Watch(gw)
//	mux.Handle("/chat", telemetry.Wrap(gw))
//
// Each upgrade has a span, which continues the trace that its headers name, and so has each
// event: as the root of a trace of its own, with a link to the upgrade's span. No span is as
// long as a connection. What is sampled and where it goes is the SDK's to decide.
//
// Attributes are patterns, causes, reasons and types; on spans also the socket's id. None has
// the content of a message, a header or a query.
package otel

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/wsgateway/gateway"
)

const scope = "github.com/wsgateway/gateway/otel"

// The keys of attributes.
const (
	keyRoute  = attribute.Key("gateway.route")
	keyEvent  = attribute.Key("gateway.event")
	keySocket = attribute.Key("gateway.socket_id")
	keyCause  = attribute.Key("gateway.cause")
	keyReason = attribute.Key("gateway.reason")
	keyBytes  = attribute.Key("gateway.message.bytes")
)

// Options configure [Telemetry]. A nil *Options, like the zero value, is all defaults.
type Options struct {
	TracerProvider trace.TracerProvider          // nil: the global one
	MeterProvider  metric.MeterProvider          // nil: the global one
	Propagator     propagation.TextMapPropagator // of the upgrade's headers; nil: the global one
}

// Telemetry shows one gateway. Its methods are safe from any goroutine.
type Telemetry struct {
	tracer     trace.Tracer
	meter      metric.Meter
	propagator propagation.TextMapPropagator

	events, scripts metric.Float64Histogram
	scriptErrors    metric.Int64Counter
}

// New returns Telemetry of no gateway yet. It fails if the meter refuses an instrument.
func New(opts *Options) (*Telemetry, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.Propagator == nil {
		o.Propagator = otel.GetTextMapPropagator()
	}
	t := &Telemetry{
		tracer: o.TracerProvider.Tracer(scope), meter: o.MeterProvider.Meter(scope),
		propagator: o.Propagator,
	}
	var errEvents, errScripts, errErrors error
	t.events, errEvents = t.meter.Float64Histogram("gateway.event.duration", metric.WithUnit("s"),
		metric.WithDescription("How long endpoints took for an event."))
	t.scripts, errScripts = t.meter.Float64Histogram("gateway.script.duration",
		metric.WithUnit("s"), metric.WithDescription("How long scripts ran for an event."))
	t.scriptErrors, errErrors = t.meter.Int64Counter("gateway.script.errors",
		metric.WithDescription("Runs of scripts that failed."))
	if err := errors.Join(errEvents, errScripts, errErrors); err != nil {
		return nil, err
	}
	return t, nil
}

// Observer returns what measures events and scripts, and says in the spans of upgrades why
// they were refused. It is for [gateway.Options].
func (t *Telemetry) Observer() gateway.Observer {
	return gateway.Observer{
		EventServed: func(e gateway.EventServed) {
			t.events.Record(context.Background(), e.Duration.Seconds(), metric.WithAttributes(
				keyRoute.String(e.Route), keyEvent.String(e.Event.String())))
		},
		ScriptRun: func(r gateway.ScriptRun) {
			route := metric.WithAttributes(keyRoute.String(r.Route))
			t.scripts.Record(context.Background(), r.Duration.Seconds(), route)
			if r.Err != nil {
				t.scriptErrors.Add(context.Background(), 1, route)
			}
		},
		UpgradeRefused: func(u gateway.UpgradeRefused) {
			span := trace.SpanFromContext(u.Context)
			span.SetAttributes(keyRoute.String(u.Route), keyReason.String(u.Type),
				attribute.Int("http.response.status_code", u.Status))
			if u.Status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, u.Type)
			}
		},
	}
}

// Wrap returns the handler with a span around each request. Put it directly around the
// gateway: everything that it wraps is taken for an upgrade.
func (t *Telemetry) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, "gateway.upgrade", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End() // also when Authorize panics
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Authorize returns a function for [gateway.Options] that asks next, which may be nil, and
// has the events of the socket know the span of its upgrade.
func (t *Telemetry) Authorize(
	next func(*http.Request) (*gateway.Admission, error),
) func(*http.Request) (*gateway.Admission, error) {
	return func(r *http.Request) (*gateway.Admission, error) {
		var admitted gateway.Admission
		if next != nil {
			a, err := next(r)
			if err != nil {
				return nil, err
			}
			if a != nil {
				admitted = *a
			}
		}
		span := trace.SpanFromContext(r.Context())
		span.SetAttributes(keyRoute.String(r.Pattern))
		base := admitted.Context
		if base == nil {
			base = gateway.EventContext(r)
		}
		admitted.Context = context.WithValue(base, upgradeKey{}, span.SpanContext())
		return &admitted, nil
	}
}

type upgradeKey struct{}

// Middleware puts a span around each event, for [gateway.Handler.Use].
func (t *Telemetry) Middleware(next gateway.Endpoint) gateway.Endpoint {
	serve := func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		opts := []trace.SpanStartOption{
			trace.WithNewRoot(),
			trace.WithAttributes(keyRoute.String(s.Route()), keySocket.String(s.ID()),
				keyEvent.String(ev.Type.String())),
		}
		if upgrade, ok := ctx.Value(upgradeKey{}).(trace.SpanContext); ok && upgrade.IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: upgrade}))
		}
		ctx, span := t.tracer.Start(ctx, "gateway."+ev.Type.String(), opts...)
		defer span.End() // also when the endpoint panics
		if ev.Type == gateway.EventData {
			span.SetAttributes(keyBytes.Int(len(ev.Message.Data)))
		}
		if ev.Type == gateway.EventClose {
			span.SetAttributes(keyCause.String(string(ev.Closed.Cause)))
		}
		err := next.ServeEvent(ctx, s, ev)
		if wanted := (*gateway.CloseError)(nil); errors.As(err, &wanted) {
			return err // a verdict, and nothing that went wrong
		}
		if err != nil {
			span.RecordError(err, trace.WithTimestamp(time.Now()))
			span.SetStatus(codes.Error, "the endpoint returned an error")
		}
		return err
	}
	return gateway.EndpointFunc(serve)
}
