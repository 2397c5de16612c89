package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The counters are served on an address of their own, and nowhere else.
func TestMetrics(t *testing.T) {
	_, c := newApp(demoUsers, make([]byte, leastKey))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close() // for a free port
	stop, err := c.serveMetrics(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for path, part := range map[string]string{
		"/metrics":                       `gateway_sockets{route="/rooms/{room}"} 0`,
		"/metrics?":                      "go_goroutines",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
	} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), part) {
			t.Errorf("%s answers %s (%v) without %q", path, resp.Status, err, part)
		}
	}
	if err := c.gw.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
