package serve

import (
	"runtime"
	"runtime/debug"
	"time"
)

// Usage is what a server process has used so far.
type Usage struct {
	CPU        time.Duration // user and system
	Go         bool          // whether the process is one of Go, which counts the following
	Allocs     uint64        // objects
	AllocBytes uint64
}

func usage() (Usage, error) {
	cpu, err := cpuTime()
	if err != nil {
		return Usage{}, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{CPU: cpu, Go: true, Allocs: m.Mallocs, AllocBytes: m.TotalAlloc}, nil
}

// Memory is what a server process holds now.
type Memory struct {
	Resident   int64 // bytes in RAM; 0 where the system does not tell
	Go         bool  // whether the process is one of Go, which counts the following
	Heap       int64 // bytes of objects
	Stack      int64 // bytes of goroutine stacks
	Goroutines int

	Resting int // the gateway's sockets that have no goroutine
}

// memoryOf is what the process of a server holds.
func memoryOf(s server) Memory {
	m := memory()
	if s, ok := s.(interface{ resting() int }); ok {
		m.Resting = s.resting()
	}
	return m
}

func memory() Memory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Memory{
		Resident:   resident(),
		Go:         true,
		Heap:       int64(m.HeapAlloc),
		Stack:      int64(m.StackInuse),
		Goroutines: runtime.NumGoroutine(),
	}
}

// collect frees what can be freed. Pools are half empty after one cycle and
// empty after two; what finalizers let go goes with the third.
func collect() {
	for range 3 {
		runtime.GC()
	}
	debug.FreeOSMemory()
}

// Used returns what this process has used so far.
func Used() (Usage, error) { return usage() }
