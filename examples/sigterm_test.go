// Package examples_test runs the examples as programs.
package examples_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
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
	build := exec.Command("go", "build", "-o", dir, "./quickstart", "./chat", "./scripts", "./lab",
		"./auth")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	for name, dial := range map[string]dialer{
		"quickstart": path("/echo"), "scripts": path("/feed"), "lab": path("/echo"),
		"chat": chatSocket, "auth": authSocket,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drainOne(t, filepath.Join(dir, name), dial)
		})
	}
}

// A dialer opens a socket of a program that serves on the host.
type dialer func(t *testing.T, ctx context.Context, host string) *websocket.Conn

func path(p string) dialer {
	return func(t *testing.T, ctx context.Context, host string) *websocket.Conn {
		return dial(t, ctx, "ws://"+host+p, nil)
	}
}

func dial(
	t *testing.T, ctx context.Context, url string, o *websocket.DialOptions,
) *websocket.Conn {
	t.Helper()
	ws, _, err := websocket.Dial(ctx, url, o)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return ws
}

// chatSocket logs in and opens a socket with a ticket, as the page does.
func chatSocket(t *testing.T, ctx context.Context, host string) *websocket.Conn {
	cookie, _ := post(t, ctx, "http://"+host+"/login", "user=Ada&password=lovelace", "")
	_, ticket := post(t, ctx, "http://"+host+"/ticket", "", cookie)
	return dial(t, ctx, "ws://"+host+"/rooms/lobby", &websocket.DialOptions{
		Subprotocols: []string{"chat.v1", "ticket." + ticket},
		HTTPHeader:   http.Header{"Origin": {"http://" + host}},
	})
}

// authSocket logs in and opens a socket with the cookie of the session.
func authSocket(t *testing.T, ctx context.Context, host string) *websocket.Conn {
	cookie, _ := post(t, ctx, "http://"+host+"/login", "user=ann&password=secret", "")
	return dial(t, ctx, "ws://"+host+"/session", &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {cookie}},
	})
}

// post returns the cookie and the body of the answer.
func post(t *testing.T, ctx context.Context, to, form, cookie string) (newCookie, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", to, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", "http://"+r.URL.Host)
	r.Header.Set("Cookie", cookie)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("POST %s = %s %s (%v)", to, resp.Status, text, err)
	}
	for _, c := range resp.Cookies() {
		newCookie = c.Name + "=" + c.Value
	}
	return newCookie, string(text)
}

func drainOne(t *testing.T, program string, dial dialer) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a hang is a failure
	defer cancel()
	args := []string{"-addr", "127.0.0.1:0", "-drain", "1s"}
	if filepath.Base(program) == "chat" {
		args = append(args, "-metrics", "127.0.0.1:0")
	}
	cmd := exec.CommandContext(ctx, program, args...)
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
		ws := dial(t, ctx, host)
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
