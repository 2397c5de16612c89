package browser

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Process is a running program of examples/.
type Process struct {
	URL string // of its page, without a final slash

	t      testing.TB
	binary string
	args   []string
	cmd    *exec.Cmd
	output *output
	exited chan struct{}
	err    error // what Wait returned; read after exited
}

var address = regexp.MustCompile(`http://[0-9.:\[\]]+`)

// built are the programs, each built once.
var built struct {
	mu    sync.Mutex
	paths map[string]string // by name, guarded by mu
}

// build returns the path of a program of examples/, with the race detector if the test
// has it.
func build(name string) (string, error) {
	built.mu.Lock()
	defer built.mu.Unlock()
	if path := built.paths[name]; path != "" {
		return path, nil
	}
	dir, err := shared.folder()
	if err != nil {
		return "", err
	}
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(dir, name)
	args := []string{"build", "-ldflags=-s -w", "-o", path}
	if raceEnabled {
		args = append(args, "-race") // what the detector finds makes the exit status 66
	}
	cmd := exec.Command("go", append(args, "./"+name)...)
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "..", "examples")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build examples/%s: %w\n%s", name, err, out)
	}
	if built.paths == nil {
		built.paths = make(map[string]string)
	}
	built.paths[name] = path
	return path, nil
}

// Program builds examples/NAME of this checkout, unless a test has before, and starts it
// with the arguments on a free port of 127.0.0.1, or where an -addr of the arguments says. It
// waits until the program has printed its address. The test ends the program with SIGTERM,
// and fails if its exit status is not 0.
func Program(t testing.TB, name string, args ...string) *Process {
	t.Helper()
	binary, err := build(name)
	if err != nil {
		t.Fatal(err)
	}
	first := []string{"-addr", "127.0.0.1:0"}
	if name != "cluster" { // whose nodes drain when its page says so
		first = append(first, "-drain", "100ms")
	}
	if name == "chat" { // which serves its metrics, too
		first = append(first, "-metrics", "127.0.0.1:0")
	}
	return start(t, binary, append(first, args...))
}

// Again starts the program, which was stopped, once more at the address it had.
func (p *Process) Again() *Process {
	p.t.Helper()
	return start(p.t, p.binary,
		append(slices.Clone(p.args), "-addr", strings.TrimPrefix(p.URL, "http://")))
}

func start(t testing.TB, binary string, args []string) *Process {
	t.Helper()
	p := &Process{
		t: t, binary: binary, args: args, cmd: exec.Command(binary, args...),
		output: &output{found: make(chan string, 1)}, exited: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	// Under the race detector it would sleep a second at its end.
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.end)
	select {
	case p.URL = <-p.output.found:
	case <-p.exited:
		t.Fatalf("%s: %v\n%s", binary, p.err, p.output)
	case <-time.After(patience):
		t.Fatalf("%s does not print its address:\n%s", binary, p.output)
	}
	return p
}

// Printed waits until the program has printed something that the pattern matches, and
// returns that.
func (p *Process) Printed(pattern string) string {
	p.t.Helper()
	wanted := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if found := wanted.FindString(p.output.String()); found != "" {
			return found
		}
	}
	p.t.Fatalf("%s does not print %s:\n%s", p.binary, pattern, p.output)
	return ""
}

// Stop ends the program with SIGTERM and returns what Wait says of it.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(patience):
		return fmt.Errorf("still runs %v after SIGTERM", patience)
	}
}

func (p *Process) end() {
	if err := p.Stop(); err != nil {
		p.t.Errorf("%s: %v", p.cmd.Path, err)
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	if p.t.Failed() {
		p.t.Logf("%s printed:\n%s", p.cmd.Path, p.output)
	}
}

// output keeps the first 64 KiB that a program prints, and finds its address.
type output struct {
	found chan string

	mu   sync.Mutex
	b    bytes.Buffer // guarded by mu
	done bool         // the address was found; guarded by mu
}

var _ io.Writer = (*output)(nil)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := 64<<10 - o.b.Len(); room > 0 {
		o.b.Write(p[:min(room, len(p))])
	}
	if url := address.Find(o.b.Bytes()); url != nil && !o.done {
		o.done = true
		o.found <- string(url)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
