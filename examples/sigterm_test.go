// Package examples_test runs the examples as programs.
package examples_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Each example that serves sends its sockets away with 1012 when it is told to end, one
// after the other, answers its health check with 503 meanwhile, and exits with 0.
func TestProgramsDrainOnSIGTERM(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "./quickstart", "./chat", "./scripts", "./lab")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	for name, path := range map[string]string{
		"quickstart": "/echo", "chat": "/rooms/lobby?name=ann", "scripts": "/feed", "lab": "/echo",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drainOne(t, filepath.Join(dir, name), path)
		})
	}
}

func drainOne(t *testing.T, program, path string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a hang is a failure
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-addr", "127.0.0.1:0", "-drain", "1s")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	host := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if host == "" {
		t.Fatalf("the program printed %q (%v), want its address", line, err)
	}
	var sockets []*websocket.Conn
	for range 3 {
		ws, _, err := websocket.Dial(ctx, "ws://"+host+path, nil)
		if err != nil {
			t.Fatalf("dial: %v", err)
		}
		defer ws.CloseNow()
		sockets = append(sockets, ws)
	}
	start := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends := make(chan string)
	for _, ws := range sockets {
		go func() {
			var err error
			for err == nil {
				_, _, err = ws.Read(ctx)
			}
			ends <- fmt.Sprint(int(websocket.CloseStatus(err)))
		}()
	}
	if got := <-ends; got != "1012" {
		t.Errorf("a socket ended with %s, want 1012", got)
	}
	resp, err := http.Get("http://" + host + "/api/v1/solution/health")
	if err != nil || resp.StatusCode != 503 {
		t.Errorf("the health check during the drain: %v, %v; want 503", resp, err)
	} else {
		resp.Body.Close()
	}
	if got := []string{<-ends, <-ends}; strings.Join(got, " ") != "1012 1012" {
		t.Errorf("the other sockets ended with %q, want 1012", got)
	}
	if d := time.Since(start); d < 900*time.Millisecond {
		t.Errorf("the last socket ended after %v, want the whole time to be used", d)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v", filepath.Base(program), err)
	}
}
