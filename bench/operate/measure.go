package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
)

// messageSize is how many bytes a message has.
const messageSize = 64

// echoes sends messages over some connections for a time, each when the one before it has
// come back, and returns how many.
func echoes(conns []*load.Conn, d time.Duration) int64 {
	run, err := load.StartEcho(context.Background(), conns,
		load.Echo{Sizes: []int{messageSize}, Window: 1})
	check(err)
	time.Sleep(d)
	check(run.Stop())
	return run.Count()
}

// A contender is a server whose echoes are measured.
type contender struct {
	name  string
	start func() *server
}

// measureEcho compares what watching costs.
func measureEcho() {
	var all []contender
	for _, mode := range []string{"plain", "plain again", "observer", "prometheus", "otel"} {
		all = append(all, contender{mode, func() *server { return start(mode) }})
	}
	measureCPU(all)
}

// measureCPU compares the CPU time of servers for an echo, in turns, with that of the first.
func measureCPU(all []contender) {
	const rounds, sockets = 15, 16
	servers := make([]*server, len(all))
	conns := make([][]*load.Conn, len(all))
	for i, c := range all {
		servers[i] = c.start()
		defer servers[i].Stop()
		conns[i] = servers[i].dial(sockets)
		echoes(conns[i], 300*time.Millisecond)
	}
	costs := make([][]float64, len(all)) // µs
	ratios := make([][]float64, len(all))
	for round := range rounds {
		for i := range all {
			before := servers[i].usage()
			n := echoes(conns[i], time.Second)
			cost := float64(servers[i].usage().CPU-before.CPU) / float64(n) / 1e3
			costs[i] = append(costs[i], cost)
			ratios[i] = append(ratios[i], cost/costs[0][round])
		}
	}
	fmt.Println("CPU of the server for an echo of 64 bytes; medians of", rounds, "rounds in turns")
	for i, c := range all {
		fmt.Printf("%-14s %6.2f µs  %5.3f × %s\n", c.name, median(costs[i]), median(ratios[i]),
			all[0].name)
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// A pipes is a listener whose connections are in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) { return <-p, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p pipes) dial(path string) *load.Conn {
	client, server := net.Pipe()
	p <- server
	conn, err := load.Open(client, target("gateway.test", path))
	check(err)
	return conn
}

// measureScrape shows what a scrape takes with many routes, without and with many sockets,
// and writes a profile of the latter into the file, unless that is "".
func measureScrape(profile string) {
	const routes, sockets = 100, 100_000
	gw, exporter, err := newGateway("prometheus")
	check(err)
	for i := range routes {
		gw.Handle(fmt.Sprintf("/%d/{id}", i), echo)
	}
	p := make(pipes)
	go http.Serve(p, gw) // until the process ends
	for i := range routes {
		check(p.dial(fmt.Sprintf("/%d/first", i)).Once(i, messageSize))
	}
	report := func() {
		var took []float64
		var series int
		for range 21 {
			w := httptest.NewRecorder()
			began := time.Now()
			exporter.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			took = append(took, float64(time.Since(began).Microseconds())/1e3)
			series = 0
			for line := range strings.Lines(w.Body.String()) {
				if !strings.HasPrefix(line, "#") {
					series++
				}
			}
		}
		fmt.Printf("%d routes, %6d sockets: %d series, a scrape takes %.1f ms\n",
			routes, gw.Stats().Open, series, median(took))
	}
	report()
	for i := range sockets - routes {
		p.dial(fmt.Sprintf("/%d/%d", i%routes, i))
	}
	if profile != "" {
		f, err := os.Create(profile)
		check(err)
		defer f.Close()
		check(pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	report()
	fmt.Printf("memory of this process: %d MB\n", memory()>>20)
}

// measureDrain drains a server with many sockets, all but one of them silent.
func measureDrain() {
	const sockets, over = 10_000, 20 * time.Second
	s := start("plain")
	defer s.Stop()
	var left sync.WaitGroup
	for _, conn := range s.dial(sockets) {
		left.Go(func() { check(conn.AwaitClose()) })
	}
	talker := s.dial(1)[0]
	stall := func(d time.Duration) (longest time.Duration, n int) {
		for end := time.Now().Add(d); time.Now().Before(end); n++ {
			began := time.Now()
			if talker.Once(n, messageSize) != nil {
				return longest, n
			}
			longest = max(longest, time.Since(began))
			time.Sleep(time.Millisecond)
		}
		return longest, n
	}
	before, n := stall(over)
	fmt.Printf("before: the longest of %d echoes took %v\n", n, before)
	start := s.usage()
	drained := make(chan time.Duration, 1)
	began := time.Now()
	go func() {
		resp, err := http.Get("http://" + s.addr + "/drain?over=" + over.String())
		check(err)
		resp.Body.Close()
		drained <- time.Since(began)
	}()
	during, n := stall(over)
	talker.Cut()
	end := s.usage()
	fmt.Printf("%d sockets drained in %v: %v of CPU, memory at most %d MB (before %d MB)\n",
		sockets+1, <-drained, end.CPU-start.CPU, end.RSS>>10, start.RSS>>10)
	fmt.Printf("during: the longest of %d echoes took %v\n", n, during)
	left.Wait()
}
