//go:build unix

package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe in a solution is a problem, for which nobody opens it.
func TestPipeInASolution(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.lua", answers("one"))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.lua"), 0o600); err != nil {
		t.Skip(err)
	}
	var stdout, stderr bytes.Buffer
	cfg := config{dir: dir, check: true}
	if err := run(t.Context(), cfg, &stdout, &stderr); !errors.Is(err, errProblems) {
		t.Errorf("check = %v", err)
	}
	if !strings.HasPrefix(stdout.String(), "pipe.lua:1: ") ||
		!strings.Contains(stdout.String(), "not a regular file") {
		t.Errorf("check printed %q", stdout.String())
	}
	srv, _ := start(t, config{dir: dir})
	if p := look(t, srv, "").State.Problems; len(p) != 1 || p[0].File != "pipe.lua" ||
		p[0].Code != "" {
		t.Errorf("problems = %+v", p)
	}
}
