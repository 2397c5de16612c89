package gatewaytest_test

import (
	"os"
	"testing"
)

// run runs a test from within an example and reports whether it passed. What the
// test prints is no output of the example.
func run(test func(t *testing.T)) bool {
	defer func(stdout *os.File) { os.Stdout = stdout }(os.Stdout)
	os.Stdout = os.Stderr
	all := func(_, _ string) (bool, error) { return true, nil }
	return testing.RunTests(all, []testing.InternalTest{{Name: "TestOfAnExample", F: test}})
}
