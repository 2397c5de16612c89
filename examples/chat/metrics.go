package main

import (
	"fmt"
	"net"
	"net/http"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveMetrics serves the gateway's counters on an address of its own, which visitors of
// the chat do not reach. An empty address serves nothing.
func (c *chat) serveMetrics(addr string) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	registry := prom.NewRegistry()
	if err := registry.Register(c.measured); err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Printf("chat: http://%s/metrics\n", ln.Addr())
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
