// Package leaktest finds what the tests of a package leave behind.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// Main is a TestMain that fails if goroutines are left after all tests.
func Main(m *testing.M) {
	code := m.Run()
	Wait(noGoroutines)
	os.Exit(Goroutines(code))
}

// Wait returns when the tests have left nothing, by clean, or after five seconds:
// net/http ends its own goroutines a moment after Close.
func Wait(clean func() bool) {
	for deadline := time.Now().Add(5 * time.Second); !clean() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

func noGoroutines() bool { return runtime.NumGoroutine() == 1 }

// Goroutines prints the goroutines that are left, if any, and returns the exit code
// for it.
func Goroutines(code int) int {
	if noGoroutines() {
		return code
	}
	fmt.Fprintf(os.Stderr, "%d goroutines are left after all tests:\n", runtime.NumGoroutine()-1)
	pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	return max(code, 1)
}
