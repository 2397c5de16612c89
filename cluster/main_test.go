package cluster_test

import (
	"flag"
	"os"
	"testing"

	"github.com/wsgateway/gateway/internal/leaktest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run()) // the fuzzer has goroutines of its own
	}
	leaktest.Main(m)
}
