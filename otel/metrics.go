package otel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/wsgateway/gateway"
)

// An instrument is one metric, and how its values are found in the counters.
type instrument struct {
	name, unit, description string
	gauge                   bool // what it is now, and no count since the beginning
	route                   func(c *gateway.Counters, observe observeFunc)
	all                     func(st *gateway.Stats, observe observeFunc)
}

type observeFunc func(n int64, more ...attribute.KeyValue)

func plain(value func(c *gateway.Counters) uint64) func(*gateway.Counters, observeFunc) {
	return func(c *gateway.Counters, observe observeFunc) { observe(int64(value(c))) }
}

func now(value func(c *gateway.Counters) int64) func(*gateway.Counters, observeFunc) {
	return func(c *gateway.Counters, observe observeFunc) { observe(value(c)) }
}

func by[K ~string](
	key attribute.Key, values func(c *gateway.Counters) map[K]uint64,
) func(*gateway.Counters, observeFunc) {
	return func(c *gateway.Counters, observe observeFunc) {
		for k, n := range values(c) {
			observe(int64(n), key.String(string(k)))
		}
	}
}

type counters = gateway.Counters

var instruments = []instrument{
	{name: "gateway.sockets", unit: "{socket}", gauge: true,
		description: "Sockets that are open or closing.",
		route:       now(func(c *counters) int64 { return int64(c.Open) })},
	{name: "gateway.sockets.opened", unit: "{socket}", description: "Sockets ever opened.",
		route: plain(func(c *counters) uint64 { return c.Opened })},
	{name: "gateway.sockets.closed", unit: "{socket}",
		description: "Sockets that began to close, by cause.",
		route:       by(keyCause, func(c *counters) map[gateway.Cause]uint64 { return c.Closed })},
	{name: "gateway.messages.received", unit: "{message}",
		description: "Messages delivered to endpoints.",
		route:       plain(func(c *counters) uint64 { return c.MessagesIn })},
	{name: "gateway.received", unit: "By", description: "Payload delivered to endpoints, inflated.",
		route: plain(func(c *counters) uint64 { return c.BytesIn })},
	{name: "gateway.messages.sent", unit: "{message}",
		description: "Messages accepted for sending, once for each socket.",
		route:       plain(func(c *counters) uint64 { return c.MessagesOut })},
	{name: "gateway.sent", unit: "By", description: "Payload accepted for sending.",
		route: plain(func(c *counters) uint64 { return c.BytesOut })},
	{name: "gateway.messages.delayed", unit: "{message}",
		description: "Messages above the rate that were delivered later.",
		route:       plain(func(c *counters) uint64 { return c.RateDelayed })},
	{name: "gateway.messages.dropped", unit: "{message}",
		description: "Messages above the rate that were not delivered.",
		route:       plain(func(c *counters) uint64 { return c.RateDropped })},
	{name: "gateway.messages.lost", unit: "{message}",
		description: "Messages that were accepted for sending and not written, by reason.",
		route:       by(keyReason, func(c *counters) map[string]uint64 { return c.Lost })},
	{name: "gateway.sends.refused", unit: "{message}",
		description: "Messages that a socket did not accept, by type of error.",
		route:       by(keyReason, func(c *counters) map[string]uint64 { return c.SendsRefused })},
	{name: "gateway.upgrades.refused", unit: "{request}",
		description: "Requests that became no socket, by type of error.",
		route:       by(keyReason, func(c *counters) map[string]uint64 { return c.Refused }),
		all: func(st *gateway.Stats, observe observeFunc) {
			for reason, n := range st.Unrouted {
				observe(int64(n), keyReason.String(reason))
			}
		}},
	{name: "gateway.endpoint.errors", unit: "{event}",
		description: "Events whose endpoint returned an error or panicked.",
		route:       plain(func(c *counters) uint64 { return c.EndpointErrors })},
	{name: "gateway.waiting.messages", unit: "{message}", gauge: true,
		description: "Messages that wait for clients which do not take them at once.",
		route:       now(func(c *counters) int64 { return c.WaitingMessages })},
	{name: "gateway.waiting", unit: "By", gauge: true,
		description: "Bytes of these messages, with headers.",
		route:       now(func(c *counters) int64 { return c.WaitingBytes })},
	{name: "gateway.group.memberships", unit: "{membership}", gauge: true,
		description: "Places of sockets in groups.",
		route:       now(func(c *counters) int64 { return c.Memberships })},
	{name: "gateway.queued", unit: "By", gauge: true,
		description: "Bytes that count against Options.MaxQueuedBytes.",
		all:         func(st *gateway.Stats, observe observeFunc) { observe(st.QueuedBytes) }},
	{name: "gateway.receiving", unit: "By", gauge: true,
		description: "Bytes that count against Options.MaxReceivingBytes.",
		all:         func(st *gateway.Stats, observe observeFunc) { observe(st.ReceivingBytes) }},
	{name: "gateway.drain.left", unit: "{socket}", gauge: true,
		description: "Sockets that a drain has not ended yet.",
		all:         func(st *gateway.Stats, observe observeFunc) { observe(int64(st.DrainLeft)) }},
}

// Watch has the meter show the counters of the gateway, for as long as the process lives. It
// fails if the meter refuses an instrument.
func (t *Telemetry) Watch(gw *gateway.Handler) error {
	observables := make([]metric.Int64Observable, len(instruments))
	all := make([]metric.Observable, len(instruments))
	for i, in := range instruments {
		var err error
		if in.gauge {
			observables[i], err = t.meter.Int64ObservableUpDownCounter(in.name,
				metric.WithUnit(in.unit), metric.WithDescription(in.description))
		} else {
			observables[i], err = t.meter.Int64ObservableCounter(in.name,
				metric.WithUnit(in.unit), metric.WithDescription(in.description))
		}
		if err != nil {
			return err
		}
		all[i] = observables[i]
	}
	_, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		st := gw.Stats()
		for i, in := range instruments {
			in.observe(o, observables[i], &st)
		}
		return nil
	}, all...)
	return err
}

func (in *instrument) observe(o metric.Observer, obs metric.Int64Observable, st *gateway.Stats) {
	if in.all != nil {
		in.all(st, func(n int64, more ...attribute.KeyValue) {
			o.ObserveInt64(obs, n, metric.WithAttributes(more...))
		})
	}
	if in.route == nil {
		return
	}
	for route, c := range st.Routes {
		in.route(&c, func(n int64, more ...attribute.KeyValue) {
			o.ObserveInt64(obs, n, metric.WithAttributes(append(more, keyRoute.String(route))...))
		})
	}
}
