package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveMetrics serves what operators look at on an address of its own, which visitors of the
// chat do not reach: the counters of the gateway, of the process and of Go, and profiles. An
// empty address serves nothing.
func (c *chat) serveMetrics(addr string) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	registry := prom.NewRegistry()
	for _, collector := range []prom.Collector{c.measured, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Printf("chat: http://%s/metrics for Prometheus, and /debug/pprof\n", ln.Addr())
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.Serve(ln) // until stop
	}()
	return func() {
		srv.Close()
		<-served
	}, nil
}
