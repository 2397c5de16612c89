package gateway_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/wsgateway/gateway/internal/leaktest"
)

// TestMain fails the build if the tests leave a goroutine or a descriptor behind.
func TestMain(m *testing.M) {
	warmUp()
	before := descriptors()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); f.Value.String() != "" {
		os.Exit(code) // the fuzzer has goroutines of its own
	}
	clean := func() bool { return runtime.NumGoroutine() == 1 && len(descriptors()) <= len(before) }
	leaktest.Wait(clean)
	code = leaktest.Goroutines(code)
	if after := descriptors(); len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "before the tests %d descriptors were open, after them %d:\n%q\n%q\n",
			len(before), len(after), before, after)
		code = max(code, 1)
	}
	os.Exit(code)
}

// warmUp opens what the runtime keeps open: the poller's descriptors.
func warmUp() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	l.Close()
}

// descriptors names what the process has open; nothing where that cannot be told.
func descriptors() []string {
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil { // the pattern is valid
		panic(err)
	}
	var open []string
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil { // the directory's own is gone
			open = append(open, target)
		}
	}
	return open
}
