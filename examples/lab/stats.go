package main

import (
	"bytes"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

// figures are those of the process, as GET /stats shows them. What the system
// does not tell is 0.
type figures struct {
	Goroutines uint64 `json:"goroutines"`
	FDs        int    `json:"fds"`
	RSS        int64  `json:"rss"` // bytes
	Conns      int    `json:"conns"`
	PID        int    `json:"pid"`
	CPU        int64  `json:"cpu_us"` // user and system
	Mallocs    uint64 `json:"mallocs"`
}

// stats answers GET /stats; with ?gc=1 it collects garbage first.
func (l *lab) stats(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("gc") == "1" {
		runtime.GC()
		debug.FreeOSMemory()
	}
	samples := []metrics.Sample{{Name: "/sched/goroutines:goroutines"},
		{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(samples)
	answer(w, figures{
		Goroutines: samples[0].Value.Uint64(),
		FDs:        openFiles(),
		RSS:        residentSize(),
		Conns:      l.gw.Stats().Open,
		PID:        os.Getpid(),
		CPU:        cpuTime(),
		Mallocs:    samples[1].Value.Uint64(),
	})
}

// openFiles counts the file descriptors, without the one it takes to count.
func openFiles() int {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0
	}
	return len(names) - 1
}

// residentSize returns the resident memory in bytes: the second field of statm
// is in pages.
func residentSize() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
