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

// longLines are the files that still have longer ones. A file leaves the list when its
// last long line goes; none is added.
var longLines = []string{
	"alloc_test.go",
	"bench_test.go",
	"cause.go",
	"causes_test.go",
	"chunk_test.go",
	"closing_test.go",
	"compress.go",
	"conn_library.go",
	"context_test.go",
	"crowd_test.go",
	"deflate_test.go",
	"errors.go",
	"errors_test.go",
	"events_test.go",
	"example_endpoint_test.go",
	"example_test.go",
	"examples/quickstart/api.go",
	"examples/quickstart/app_test.go",
	"examples/quickstart/endpoints.go",
	"examples/quickstart/web.go",
	"examples/scripts/app.go",
	"examples/scripts/check.go",
	"examples/scripts/deploy.go",
	"examples/scripts/logbook.go",
	"examples/scripts/main.go",
	"examples/scripts/program_test.go",
	"examples/scripts/scripts_test.go",
	"examples/scripts/watch.go",
	"examples/scripts/watch_test.go",
	"export_test.go",
	"flusher_test.go",
	"frame.go",
	"fuzz_frames_test.go",
	"fuzz_requests_test.go",
	"gateway.go",
	"group.go",
	"group_test.go",
	"helpers_test.go",
	"http_origin.go",
	"http_request.go",
	"http_upgrade.go",
	"import_test.go",
	"info.go",
	"info_test.go",
	"keepalive_test.go",
	"limits.go",
	"limits_test.go",
	"log.go",
	"lua/concurrency_test.go",
	"lua/convert.go",
	"lua/endpoint.go",
	"lua/example_test.go",
	"lua/groups.go",
	"lua/groups_test.go",
	"lua/host.go",
	"lua/host_test.go",
	"lua/info.go",
	"lua/internal/source/parse.go",
	"lua/internal/source/parse_test.go",
	"lua/internal/source/pattern.go",
	"lua/internal/source/read.go",
	"lua/internal/source/read_test.go",
	"lua/internal/source/solution.go",
	"lua/internal/vm/budget.go",
	"lua/internal/vm/budget_test.go",
	"lua/internal/vm/bytecode.go",
	"lua/internal/vm/chunk.go",
	"lua/internal/vm/chunk_test.go",
	"lua/internal/vm/dialect.go",
	"lua/internal/vm/dialect_test.go",
	"lua/internal/vm/differential_test.go",
	"lua/internal/vm/fuzz_test.go",
	"lua/internal/vm/held.go",
	"lua/internal/vm/held_test.go",
	"lua/internal/vm/json.go",
	"lua/internal/vm/json_test.go",
	"lua/internal/vm/limits_test.go",
	"lua/internal/vm/load.go",
	"lua/internal/vm/log.go",
	"lua/internal/vm/names.go",
	"lua/internal/vm/names_test.go",
	"lua/internal/vm/os.go",
	"lua/internal/vm/program_test.go",
	"lua/internal/vm/state.go",
	"lua/internal/vm/vm_test.go",
	"lua/keystore/command.go",
	"lua/keystore/entry.go",
	"lua/keystore/example_test.go",
	"lua/keystore/keystore.go",
	"lua/keystore/keystore_test.go",
	"lua/keystore/order_test.go",
	"lua/keystore/strings.go",
	"lua/keystore/value.go",
	"lua/log.go",
	"lua/luatest/luatest.go",
	"lua/luatest/luatest_test.go",
	"lua/luatest/record.go",
	"lua/operations.go",
	"lua/program.go",
	"lua/service.go",
	"lua/stress_test.go",
	"main_test.go",
	"operations_test.go",
	"order_test.go",
	"origin_test.go",
	"outbox.go",
	"outbox_writer.go",
	"pong_test.go",
	"proxies_test.go",
	"queue_test.go",
	"ratelimit_test.go",
	"raw_unix.go",
	"read.go",
	"router.go",
	"routes_test.go",
	"scan.go",
	"shutdown_test.go",
	"socket.go",
	"socket_close.go",
	"socket_timeouts.go",
	"stay_test.go",
	"table.go",
	"tcp_test.go",
	"upgrade_test.go",
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
