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
	_, gw, c := newApp()
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
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `gateway_sockets{route="/rooms/{room}"} 0`) {
		t.Errorf("/metrics answers %s (%v): %.300s", resp.Status, err, body)
	}
	if err := gw.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
