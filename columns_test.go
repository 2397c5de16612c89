package gateway_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// mostColumns is how long a line of Go may be; a tab counts as one column.
const mostColumns = 100

// longLines are the tests with longer ones: texts of scripts, requests and frames that
// are read better in one piece. No code is among them.
var longLines = []string{
	"cluster/scale_test.go",
	"conformance/browser/cluster_test.go",
	"events_test.go",
	"helpers_test.go",
	"info_test.go",
	"lua/bounds_test.go",
	"lua/concurrency_test.go",
	"lua/deploy_test.go",
	"lua/failure_test.go",
	"lua/groups_test.go",
	"lua/host_test.go",
	"lua/internal/source/parse_test.go",
	"lua/internal/source/read_test.go",
	"lua/internal/vm/budget_test.go",
	"lua/internal/vm/coroutine_test.go",
	"lua/internal/vm/dialect_test.go",
	"lua/internal/vm/fuzz_test.go",
	"lua/internal/vm/json_test.go",
	"lua/internal/vm/limits_test.go",
	"lua/internal/vm/names_test.go",
	"lua/internal/vm/program_test.go",
	"lua/internal/vm/vm_test.go",
	"lua/internal/vm/whole_test.go",
	"lua/luatest/luatest_test.go",
	"lua/seeds_test.go",
	"lua/stress_test.go",
	"routes_test.go",
	"shutdown_test.go",
	"stay_test.go",
}

// TestLinesAreShort looks at every Go file of the repository.
func TestLinesAreShort(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := len(d.Name()) > 1 && strings.HasPrefix(d.Name(), ".")
		if d.IsDir() && (hidden || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !slices.Contains(longLines, filepath.ToSlash(path)) {
			checkColumns(t, path, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("found only %d Go files", files)
	}
}

func checkColumns(t *testing.T, path string, text []byte) {
	t.Helper()
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if c := utf8.RuneCount(bytes.TrimRight(line, "\r\n")); c > mostColumns {
			t.Errorf("%s:%d: the line has %d columns, want at most %d", path, n, c, mostColumns)
		}
	}
}
