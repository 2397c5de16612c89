package lua_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// TestMain fails if goroutines are left after all tests.
func TestMain(m *testing.M) {
	code := m.Run()
	// net/http ends its own a moment after Close.
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if left := runtime.NumGoroutine() - 1; left > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines are left after all tests:\n", left)
		pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = max(code, 1)
	}
	os.Exit(code)
}
