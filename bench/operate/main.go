// Command operate measures what watching and draining a gateway cost. Run it from the root
// of the repository:
//
//	go run ./bench/operate echo     CPU of an echo: plain, observed, Prometheus, OpenTelemetry
//	go run ./bench/operate scrape   a scrape with 100 routes and 100,000 sockets in memory;
//	                                scrape FILE writes a CPU profile of the latter
//	go run ./bench/operate drain    a drain of 10,000 sockets, with one that talks
//
//	go run ./bench/operate against OLD [NEW]   CPU of an echo, at one commit and at another
//
// Without NEW the other is the working tree. The server of a commit is bench/operate/plain,
// built with the gateway as it was then.
//
// The servers of echo and drain are processes of their own, and all clients are in this one.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/proc"
	"github.com/wsgateway/gateway/otel"
	"github.com/wsgateway/gateway/prometheus"
)

func main() {
	if mode := os.Getenv("OPERATE_SERVER"); mode != "" {
		check(serve(mode))
		return
	}
	args := append(os.Args[1:], "", "", "")
	switch args[0] {
	case "echo":
		measureEcho()
	case "scrape":
		measureScrape(args[1])
	case "drain":
		measureDrain()
	case "against":
		if args[1] != "" {
			measureAgainst(args[1], args[2])
			return
		}
		fallthrough
	default:
		fmt.Fprintln(os.Stderr, "usage: operate echo|scrape [FILE]|drain|against OLD [NEW]")
		os.Exit(2)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "operate:", err)
		os.Exit(1)
	}
}

var echo = gateway.Callbacks{
	OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
		return s.Send(ctx, m)
	},
}

// newGateway returns a gateway that is watched as the mode says, and its exporter or nil.
func newGateway(mode string) (*gateway.Handler, http.Handler, error) {
	o := gateway.Options{
		Logger: slog.New(slog.DiscardHandler), MaxSockets: -1, MaxSocketsPerAddr: -1,
		// The clients here answer no pings.
		Limits: gateway.Limits{MessagesPerSecond: -1, PingInterval: -1},
	}
	switch mode {
	case "observer":
		var events atomic.Uint64
		o.Observer = gateway.Observer{EventServed: func(gateway.EventServed) { events.Add(1) }}
	case "prometheus":
		metrics := prometheus.New(nil)
		o.Observer = metrics.Observer()
		gw := gateway.New(&o)
		metrics.Watch(gw)
		registry := prom.NewRegistry()
		registry.MustRegister(metrics)
		return gw, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), nil
	case "otel":
		t, err := otel.New(&otel.Options{TracerProvider: sdktrace.NewTracerProvider(
			sdktrace.WithSampler(sdktrace.TraceIDRatioBased(0.01)))})
		if err != nil {
			return nil, nil, err
		}
		o.Observer = t.Observer()
		gw := gateway.New(&o)
		gw.Use(t.Middleware)
		return gw, nil, nil
	}
	return gateway.New(&o), nil, nil
}

// usage is what a server tells of itself.
type usage struct {
	CPU  time.Duration
	RSS  int64 // KiB, at most so far
	Open int
}

func cpu() (u usage) {
	var r syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), RSS: r.Maxrss}
}

func serve(mode string) error {
	gw, exporter, err := newGateway(mode)
	if err != nil {
		return err
	}
	gw.Handle("/echo", echo)
	mux := http.NewServeMux()
	mux.Handle("/echo", gw)
	if exporter != nil {
		mux.Handle("/metrics", exporter)
	}
	mux.HandleFunc("/usage", func(w http.ResponseWriter, _ *http.Request) {
		u := cpu()
		u.Open = gw.Stats().Open
		check(json.NewEncoder(w).Encode(u))
	})
	mux.HandleFunc("/drain", func(w http.ResponseWriter, r *http.Request) {
		over, err := time.ParseDuration(r.FormValue("over"))
		if err == nil {
			err = gw.Drain(r.Context(), over)
		}
		fmt.Fprint(w, err)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(ln, mux)
	fmt.Println(ln.Addr())
	io.Copy(io.Discard, os.Stdin) // all ends with the process, and that with its input
	return nil
}

// A server is one in a process of its own.
type server struct {
	*proc.Process
	addr string
}

func start(mode string) *server { return startProgram(os.Args[0], "OPERATE_SERVER="+mode) }

func startProgram(program string, env ...string) *server {
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	p, addr, err := proc.Run(cmd)
	check(err)
	return &server{p, addr}
}

// dial opens n sockets.
func (s *server) dial(n int) []*load.Conn {
	conns, err := load.DialAll(context.Background(), target(s.addr, "/echo"), n)
	check(err)
	return conns
}

func target(addr, path string) load.Target {
	return load.Target{
		Addr: addr, Path: path, Dialect: load.WebSocket, Buffer: 256, Timeout: time.Hour,
	}
}

func (s *server) usage() (u usage) {
	resp, err := http.Get("http://" + s.addr + "/usage")
	check(err)
	defer resp.Body.Close()
	check(json.NewDecoder(resp.Body).Decode(&u))
	return u
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}
