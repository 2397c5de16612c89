package prometheus

import (
	"maps"
	"slices"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/wsgateway/gateway"
)

// The descriptions of all metrics. docs/metrics.md lists them for people.
type descriptions struct {
	all []*prom.Desc

	sockets, opened, closed, resting, memberships *prom.Desc
	messagesIn, bytesIn, messagesOut, bytesOut    *prom.Desc
	delayed, dropped, lost, sendsRefused          *prom.Desc
	upgradesRefused, endpointErrors               *prom.Desc
	waitingMessages, waitingBytes                 *prom.Desc
	queuedBytes, receivingBytes, gaveWay, groups  *prom.Desc
	draining, drainLeft, drainEnd                 *prom.Desc
	eventDuration, scriptDuration, scriptErrors   *prom.Desc
}

func describe(constant prom.Labels) (d descriptions) {
	one := func(name, help string, labels ...string) *prom.Desc {
		desc := prom.NewDesc("gateway_"+name, help, labels, constant)
		d.all = append(d.all, desc)
		return desc
	}
	d.sockets = one("sockets", "Sockets that are open or closing.", "route")
	d.opened = one("sockets_opened_total", "Sockets ever opened.", "route")
	d.closed = one("sockets_closed_total", "Sockets that began to close, by cause.", "route", "cause")
	d.resting = one("sockets_resting", "Open sockets that are silent and have no goroutine.")
	d.memberships = one("group_memberships", "Places of sockets in groups.", "route")
	d.groups = one("groups", "Named groups with members.")

	d.messagesIn = one("messages_received_total", "Messages delivered to endpoints.", "route")
	d.bytesIn = one("received_bytes_total",
		"Bytes of payload delivered to endpoints, inflated.", "route")
	d.messagesOut = one("messages_sent_total",
		"Messages accepted for sending, once for each socket.", "route")
	d.bytesOut = one("sent_bytes_total", "Bytes of payload accepted for sending.", "route")
	d.delayed = one("messages_delayed_total",
		"Messages above the rate that were delivered later.", "route")
	d.dropped = one("messages_dropped_total",
		"Messages above the rate that were not delivered.", "route")
	d.lost = one("messages_lost_total",
		"Messages that were accepted for sending and not written, by reason.", "route", "reason")
	d.sendsRefused = one("sends_refused_total",
		"Messages that a socket did not accept, by type of error.", "route", "reason")

	d.upgradesRefused = one("upgrades_refused_total",
		"Requests that became no socket, by type of error; route is empty if none matched.",
		"route", "reason")
	d.endpointErrors = one("endpoint_errors_total",
		"Events whose endpoint returned an error or panicked.", "route")
	d.waitingMessages = one("waiting_messages",
		"Messages that wait for clients which do not take them at once.", "route")
	d.waitingBytes = one("waiting_bytes", "Bytes of these messages, with headers.", "route")
	d.queuedBytes = one("queued_bytes", "Bytes that count against Options.MaxQueuedBytes.")
	d.receivingBytes = one("receiving_bytes", "Bytes that count against Options.MaxReceivingBytes.")
	d.gaveWay = one("sockets_gave_way_total",
		"Sockets closed because what they held was in the way of others.")

	d.draining = one("draining", "1 once Drain was called, 0 before.")
	d.drainLeft = one("drain_left", "Sockets that a drain has not ended yet.")
	d.drainEnd = one("drain_end_timestamp_seconds",
		"When a drain closes the last socket, in seconds since the epoch; 0 if there is none.")

	d.eventDuration = one("event_duration_seconds",
		"How long endpoints took for an event.", "route", "event")
	d.scriptDuration = one("script_duration_seconds",
		"How long scripts ran for an event, without operations and services.", "route")
	d.scriptErrors = one("script_errors_total", "Runs of scripts that failed.", "route")
	return d
}

// collect sends the counters.
func (d *descriptions) collect(ch chan<- prom.Metric, st *gateway.Stats) {
	for _, route := range slices.Sorted(maps.Keys(st.Routes)) {
		c := st.Routes[route]
		d.collectRoute(ch, route, &c)
	}
	sorted(st.Unrouted, func(reason string, n uint64) {
		ch <- counter(d.upgradesRefused, n, "", reason)
	})
	draining, end := 0.0, 0.0
	if st.Draining {
		draining, end = 1, float64(st.DrainUntil.UnixMilli())/1000
	}
	ch <- gauge(d.resting, float64(st.Resting))
	ch <- gauge(d.groups, float64(st.Groups))
	ch <- gauge(d.queuedBytes, float64(st.QueuedBytes))
	ch <- gauge(d.receivingBytes, float64(st.ReceivingBytes))
	ch <- counter(d.gaveWay, st.GaveWay)
	ch <- gauge(d.draining, draining)
	ch <- gauge(d.drainLeft, float64(st.DrainLeft))
	ch <- gauge(d.drainEnd, end)
}

func (d *descriptions) collectRoute(ch chan<- prom.Metric, route string, c *gateway.Counters) {
	ch <- gauge(d.sockets, float64(c.Open), route)
	ch <- counter(d.opened, c.Opened, route)
	ch <- gauge(d.memberships, float64(c.Memberships), route)
	ch <- counter(d.messagesIn, c.MessagesIn, route)
	ch <- counter(d.bytesIn, c.BytesIn, route)
	ch <- counter(d.messagesOut, c.MessagesOut, route)
	ch <- counter(d.bytesOut, c.BytesOut, route)
	ch <- counter(d.delayed, c.RateDelayed, route)
	ch <- counter(d.dropped, c.RateDropped, route)
	ch <- counter(d.endpointErrors, c.EndpointErrors, route)
	ch <- gauge(d.waitingMessages, float64(c.WaitingMessages), route)
	ch <- gauge(d.waitingBytes, float64(c.WaitingBytes), route)
	sorted(c.Closed, func(cause gateway.Cause, n uint64) {
		ch <- counter(d.closed, n, route, string(cause))
	})
	sorted(c.Lost, func(reason string, n uint64) { ch <- counter(d.lost, n, route, reason) })
	sorted(c.SendsRefused, func(reason string, n uint64) {
		ch <- counter(d.sendsRefused, n, route, reason)
	})
	sorted(c.Refused, func(reason string, n uint64) {
		ch <- counter(d.upgradesRefused, n, route, reason)
	})
}
