// Package prometheus shows the counters of a gateway to Prometheus:
//
//	metrics := prometheus.New(nil)
//	gw := gateway.New(&gateway.Options{Observer: metrics.Observer()})
//	metrics.Watch(gw)
//	registry.MustRegister(metrics)
//
// The labels are patterns of routes, causes, reasons and types of errors, never ids or
// addresses: the number of series depends on the number of routes and not of sockets, and a
// scrape looks at no socket. Names of your own that endpoints give as causes or types
// count to a hundred, the others as "other".
//
// Next to this package are a Grafana dashboard, dashboard/gateway.json, and alert rules,
// alerts/gateway.yml.
package prometheus

import (
	"maps"
	"slices"
	"sync/atomic"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/wsgateway/gateway"
)

// Options configure [Metrics]. A nil *Options, like the zero value, is all defaults.
type Options struct {
	// ConstLabels are on every series. Two gateways of one process need different ones.
	ConstLabels prom.Labels

	// Buckets are the upper bounds of the histograms of durations, in seconds and
	// increasing. Nil means 100 µs to 5 s in ten steps.
	Buckets []float64
}

var defaultBuckets = []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5}

// Metrics is a [prom.Collector] of the counters of one gateway. Its methods are safe from
// any goroutine.
type Metrics struct {
	gw atomic.Pointer[gateway.Handler]

	descs   descriptions
	events  durations // by route and event
	scripts durations // by route
	failed  table[string, atomic.Uint64]
}

// New returns Metrics of no gateway yet. Buckets that do not increase panic.
func New(opts *Options) *Metrics {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Buckets == nil {
		o.Buckets = defaultBuckets
	}
	if len(o.Buckets) == 0 || !slices.IsSorted(o.Buckets) ||
		len(slices.Compact(slices.Clone(o.Buckets))) != len(o.Buckets) {
		panic("prometheus: Options.Buckets do not increase")
	}
	m := &Metrics{descs: describe(o.ConstLabels)}
	m.events.init(o.Buckets)
	m.scripts.init(o.Buckets)
	return m
}

// Watch has the metrics show the counters of the gateway. Before, there are none.
func (m *Metrics) Watch(gw *gateway.Handler) { m.gw.Store(gw) }

// Observer returns what measures events and scripts, for [gateway.Options]. To observe
// more, put functions of your own into the other fields, or call these from yours.
func (m *Metrics) Observer() gateway.Observer {
	return gateway.Observer{
		EventServed: func(e gateway.EventServed) {
			m.events.observe(key{e.Route, e.Event}, e.SocketID, e.Duration)
		},
		ScriptRun: func(r gateway.ScriptRun) {
			m.scripts.observe(key{r.Route, 0}, r.SocketID, r.Duration)
			if r.Err != nil {
				m.failed.get(r.Route, func() *atomic.Uint64 { return new(atomic.Uint64) }).Add(1)
			}
		},
	}
}

// Describe implements [prom.Collector].
func (m *Metrics) Describe(ch chan<- *prom.Desc) {
	for _, d := range m.descs.all {
		ch <- d
	}
}

// Collect implements [prom.Collector].
func (m *Metrics) Collect(ch chan<- prom.Metric) {
	d := &m.descs
	m.events.collect(func(k key, h histogram) {
		ch <- prom.MustNewConstHistogram(d.eventDuration, h.count, h.sum, h.buckets,
			k.route, k.event.String())
	})
	m.scripts.collect(func(k key, h histogram) {
		ch <- prom.MustNewConstHistogram(d.scriptDuration, h.count, h.sum, h.buckets, k.route)
	})
	for route, n := range m.failed.all() {
		ch <- counter(d.scriptErrors, n.Load(), route)
	}
	if gw := m.gw.Load(); gw != nil {
		st := gw.Stats()
		d.collect(ch, &st)
	}
}

func counter(d *prom.Desc, n uint64, labels ...string) prom.Metric {
	return prom.MustNewConstMetric(d, prom.CounterValue, float64(n), labels...)
}

func gauge(d *prom.Desc, n float64, labels ...string) prom.Metric {
	return prom.MustNewConstMetric(d, prom.GaugeValue, n, labels...)
}

// sorted yields a map in the order of its keys, so that scrapes are alike.
func sorted[K ~string](m map[K]uint64, yield func(k K, n uint64)) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		yield(k, m[k])
	}
}
