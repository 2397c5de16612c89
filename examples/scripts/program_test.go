package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// The test binary is the program too.
func init() {
	if os.Getenv("SCRIPTS_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
}

// program returns the command that runs the program with arguments.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "SCRIPTS_TEST_MAIN=1")
	return cmd
}

func TestCheck(t *testing.T) {
	solution := func(files ...string) fstest.MapFS {
		m := fstest.MapFS{}
		for i := 0; i < len(files); i += 2 {
			m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		return m
	}
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  []string // beginnings of lines
	}{
		"good": {solution("endpoints/a.lua", answers("x"), "modules/m.lua", "x = 1"), nil},
		"second block": {solution("endpoints/a.lua",
			"\n\n"+answers("x")+"--#ENDPOINT WEBSOCKET /b\n\nlocal x = = 2\n"),
			[]string{"endpoints/a.lua:7: "}},
		"several": {solution("endpoints/a.lua",
			"--#ENDPOINT WEBSOCKET /a\nx x\n--#ENDPOINT WEBSOCKET b{\n", "modules/m.lua", "\n)"),
			[]string{"endpoints/a.lua:2: ", "endpoints/a.lua:3: ", "modules/m.lua:2: "}},
		"failing": {solution("a.lua", answers("x"), "modules/m.lua", "local x\nlocal y = x.z"),
			[]string{"modules/m.lua:2: "}},
		"same path": {solution("a.lua", answers("x"), "b.lua", answers("y")), []string{"b.lua:1: "}},
		"nothing":   {solution(), []string{".:1: "}},
		"with line end": {solution("a.lua", answers("x"), "modules/m.lua", "error('a\\nb\\r\\nc')"),
			[]string{"modules/m.lua:1: a b c"}},
	} {
		var stdout, stderr bytes.Buffer
		err := check(t.Context(), c.files, &stdout, &stderr)
		if (len(c.want) > 0) != errors.Is(err, errProblems) {
			t.Errorf("%s: check = %v", name, err)
		}
		lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
		if stdout.Len() == 0 {
			lines = nil
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d lines, want %d:\n%s", name, len(lines), len(c.want), stdout.String())
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(lines[i], want) ||
				len(lines[i]) == len(want) && !strings.HasSuffix(want, "c") {
				t.Errorf("%s: line %q, want %q and a text", name, lines[i], want)
			}
		}
	}
}

func TestCheckBundled(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), config{check: true}, &stdout, &stderr); err != nil ||
		stdout.Len()+stderr.Len() > 0 {
		t.Errorf("check of the bundled solution = %v\n%s%s", err, stdout.String(), stderr.String())
	}
}

func TestCheckExitCode(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "endpoints/a.lua", answers("x")+"--#ENDPOINT GET /skipped\n")
	out, err := program(t, "-dir", dir, "-check").Output()
	if err != nil || len(out) > 0 {
		t.Errorf("-check of a good solution: %v, printed %q, want nothing", err, out)
	}
	write(t, dir, "endpoints/b.lua", "\n--#ENDPOINT WEBSOCKET /b\n\nif\n")
	for _, target := range []string{dir, dir + "/not/there"} {
		cmd := program(t, "-check", "-dir", target)
		out, _ = cmd.Output() // the exit status is looked at below
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("-check of %s: exit status %d, want 1", target, code)
		}
		if n := strings.Count(string(out), "\n"); n != 1 ||
			target == dir && !strings.HasPrefix(string(out), "endpoints/b.lua:4: ") {
			t.Errorf("-check of %s printed %q", target, out)
		}
	}
}

// A second server cannot have the address: serve returns, and nothing is left.
func TestAddressInUse(t *testing.T) {
	address := make(chan string, 1)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, config{addr: "127.0.0.1:0"}, lineWriter(address)) }()
	url := <-address
	if err := serve(t.Context(), config{addr: strings.TrimPrefix(url, "http://")},
		io.Discard); err == nil {
		t.Error("serve on an address in use returned nil")
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("serve = %v after its context ended", err)
	}
}

// lineWriter sends the address of the first line to a channel.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	w <- strings.TrimSpace(strings.TrimPrefix(string(p), "scripts: "))
	return len(p), nil
}

func TestProgramEndsWithSIGTERM(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.lua", answers("one"))
	cmd := program(t, "-addr", "127.0.0.1:0", "-dir", dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(strings.TrimPrefix(line, "scripts: "))
	resp, err := http.Get(url + "/api/v1/solution/health")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("health = %d, want 200", resp.StatusCode)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit status 0", err)
	}
}
