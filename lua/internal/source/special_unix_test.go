//go:build unix

package source_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wsgateway/gateway/lua/internal/source"
)

// Nobody writes into the pipe: opening it would wait for ever.
func TestReadOpensRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("a.lua"), []byte("--#ENDPOINT WEBSOCKET /a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("fifo.lua"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"zero.lua": "/dev/zero", "link.lua": "fifo.lua",
		"folder.lua": ".", "none.lua": "nothing", "good.lua": "a.lua"} {
		if err := os.Symlink(target, path(name)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"fifo.lua", "folder.lua", "link.lua", "none.lua", "zero.lua"}
	if ln, err := net.Listen("unix", path("sock.lua")); err == nil {
		defer ln.Close()
		want = []string{"fifo.lua", "folder.lua", "link.lua", "none.lua", "sock.lua", "zero.lua"}
	}
	s := source.Read(os.DirFS(dir))
	var got []string
	for _, p := range s.Problems {
		if p.File != "good.lua" { // the same route as a.lua
			got = append(got, p.File)
		}
		if p.File == "fifo.lua" && !strings.Contains(p.Text, "not a regular file") {
			t.Errorf("problem %v", p)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || len(s.Endpoints) != 2 {
		t.Errorf("problems with %v, want %v (%d endpoints)", got, want, len(s.Endpoints))
	}
}
