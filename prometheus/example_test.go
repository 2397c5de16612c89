package prometheus_test

import (
	"net/http"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/prometheus"
)

// The counters of a gateway on /metrics, on a port of its own.
func Example() {
	metrics := prometheus.New(nil)
	gw := gateway.New(&gateway.Options{Observer: metrics.Observer()})
	metrics.Watch(gw)
	gw.Handle("/chat", gateway.Callbacks{})

	registry := prom.NewRegistry()
	registry.MustRegister(metrics)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	_ = http.Server{Addr: "127.0.0.1:9100", Handler: mux}
}
