// Package labproc builds examples/lab, starts it as a process, and asks it what
// it holds. It is the server side of every test of this module.
package labproc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Lab is a running server process.
type Lab struct {
	Addr string // host:port

	cmd    *exec.Cmd
	output *tail
	exited chan struct{}
	err    error // of the process; read after exited
}

// binary is built once per test program.
var binary = sync.OnceValues(build)

// dir holds what the test program makes; Main removes it.
var dir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "conformance") })

// build returns the path of the server program: CONFORMANCE_LAB if it is set,
// otherwise examples/lab of this checkout, with the race detector if the tests
// have it.
func build() (string, error) {
	if path := os.Getenv("CONFORMANCE_LAB"); path != "" {
		return path, nil
	}
	tmp, err := dir()
	if err != nil {
		return "", err
	}
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("labproc: built without the source's path")
	}
	path := filepath.Join(tmp, "lab")
	args := []string{"build", "-ldflags=-s -w", "-o", path}
	if Race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./lab")...)
	cmd.Dir = filepath.Join(filepath.Dir(here), "../../../examples")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build examples/lab: %w\n%s", err, out)
	}
	return path, nil
}

// Start starts a server with the flags on a free port of 127.0.0.1 and waits
// until it listens.
func Start(flags ...string) (*Lab, error) {
	path, err := binary()
	if err != nil {
		return nil, err
	}
	l := &Lab{
		cmd:    exec.Command(path, append([]string{"-addr", "127.0.0.1:0"}, flags...)...),
		output: &tail{},
		exited: make(chan struct{}),
	}
	// A race that the detector finds must fail the tests: exit code 66. It need not sleep for
	// a second at the end of the process.
	l.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=0 exitcode=66 atexit_sleep_ms=0")
	l.cmd.Stderr = l.output
	stdout, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	first := make(chan string, 1)
	go l.wait(stdout, first)
	select {
	case line := <-first:
		if _, addr, ok := strings.Cut(line, "listening on "); ok {
			l.Addr = strings.TrimSpace(addr)
			return l, nil
		}
		err = fmt.Errorf("lab printed %q, not its address", line)
	case <-time.After(20 * time.Second):
		err = errors.New("lab did not print its address")
	}
	_ = l.Kill()
	return nil, fmt.Errorf("%w\n%s", err, l.output)
}

// wait reads the server's output to the end and then its exit status.
func (l *Lab) wait(stdout io.Reader, first chan<- string) {
	br := bufio.NewReader(stdout)
	line, _ := br.ReadString('\n')
	first <- line
	_, _ = io.Copy(l.output, br)
	l.err = l.cmd.Wait()
	close(l.exited)
}

// Pid returns the server's process id.
func (l *Lab) Pid() int { return l.cmd.Process.Pid }

// Output returns the last 64 KiB of what the server printed.
func (l *Lab) Output() string { return l.output.String() }

// Terminate sends SIGTERM.
func (l *Lab) Terminate() error { return l.cmd.Process.Signal(syscall.SIGTERM) }

// Exited returns nil when the server has exited with status 0 within d, and
// otherwise an error that has its output.
func (l *Lab) Exited(d time.Duration) error {
	select {
	case <-l.exited:
		if l.err != nil {
			return fmt.Errorf("lab: %w\n%s", l.err, l.output.end())
		}
		return nil
	case <-time.After(d):
		return fmt.Errorf("lab still runs after %v\n%s", d, l.output.end())
	}
}

// Stop ends the server as an operator would and reports whether it went well.
func (l *Lab) Stop() error {
	if err := l.Terminate(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := l.Exited(15 * time.Second)
	_ = l.Kill()
	return err
}

// Kill ends the process at once.
func (l *Lab) Kill() error {
	err := l.cmd.Process.Kill()
	<-l.exited
	return err
}

// shared are the servers that Get started, by their flags.
var shared struct {
	sync.Mutex
	labs map[string]*Lab
}

// Get returns the test program's server for these flags; the first call starts
// it. Main ends it.
func Get(tb testing.TB, flags ...string) *Lab {
	tb.Helper()
	key := strings.Join(flags, " ")
	shared.Lock()
	defer shared.Unlock()
	if l := shared.labs[key]; l != nil {
		return l
	}
	l, err := Start(flags...)
	if err != nil {
		tb.Fatal(err)
	}
	if shared.labs == nil {
		shared.labs = map[string]*Lab{}
	}
	shared.labs[key] = l
	return l
}

// Main runs the tests of a package and ends its servers. A server that does not
// end with status 0, as after a data race, fails the package.
func Main(m *testing.M) {
	code := m.Run()
	shared.Lock()
	for flags, l := range shared.labs {
		if err := l.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "lab %s: %v\n", flags, err)
			code = max(code, 1)
		}
	}
	shared.Unlock()
	if tmp, err := dir(); err == nil {
		_ = os.RemoveAll(tmp)
	}
	os.Exit(code)
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if extra := len(t.b) - 64<<10; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.Clone(t.b))
}

// end returns the last 4 KiB, or a race report whole: it comes first.
func (t *tail) end() string {
	s := t.String()
	if i := strings.Index(s, "WARNING: DATA RACE"); i >= 0 {
		return s[i:]
	}
	return s[max(0, len(s)-4<<10):]
}
