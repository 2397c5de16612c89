package proxies

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// reloads are what has each proxy load its configuration again.
var reloads = map[string]func(t *testing.T, running *exec.Cmd){
	"nginx":  func(t *testing.T, running *exec.Cmd) { signal(t, running, syscall.SIGHUP) },
	"apache": func(t *testing.T, running *exec.Cmd) { signal(t, running, syscall.SIGUSR1) },
	"haproxy": func(t *testing.T, running *exec.Cmd) {
		args := append(running.Args[1:], "-sf", fmt.Sprint(running.Process.Pid))
		next := exec.Command(running.Path, args...)
		if err := next.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			next.Process.Kill()
			next.Wait() // it was killed
		})
	},
	"caddy": func(t *testing.T, running *exec.Cmd) {
		if old := oldCaddy(running.Path); old != "" {
			t.Skipf("SKIPPED: Caddy %s has no stream_close_delay; CADDY may name another", old)
		}
		file := running.Args[3] // behind run --config
		args := append([]string{"reload", "--force", "--address",
			"unix/" + filepath.Join(filepath.Dir(file), "admin")}, running.Args[2:]...)
		if out, err := exec.Command(running.Path, args...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	},
}

func signal(t *testing.T, running *exec.Cmd, s syscall.Signal) {
	if err := running.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// A socket outlives the reload of its proxy's configuration, and new ones are accepted.
func TestReload(t *testing.T) {
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			path := installed(t, p)
			gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
			gw.Handle("/ws/echo", gateway.Callbacks{
				OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
					return s.Send(ctx, m)
				},
			})
			back := httptest.NewServer(gw)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if err := gw.Shutdown(ctx); err != nil {
					t.Error(err)
				}
				back.Close()
			})
			front := freeAddr(t)
			running := start(t, p, path, front, p.over(block(t, p.name), back.Listener.Addr().String()))
			before := openEcho(t, front)
			reloads[p.name](t, running)
			for range 10 { // while old and new processes change places
				before.echo(t)
				time.Sleep(200 * time.Millisecond)
			}
			openEcho(t, front).echo(t)
			before.echo(t)
		})
	}
}

// A client is one socket that is echoed to.
type echoed struct {
	conn net.Conn
	br   *bufio.Reader
}

func openEcho(t *testing.T, front string) *echoed {
	t.Helper()
	conn, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second)) // so that a failure is not a hang
	fmt.Fprintf(conn, "GET /ws/echo HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", front)
	e := &echoed{conn, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(e.br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade through the proxy: %v, %v", resp, err)
	}
	return e
}

func (e *echoed) echo(t *testing.T) {
	t.Helper()
	if _, err := e.conn.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}); err != nil {
		t.Fatalf("the socket is cut: %v", err)
	}
	var frame [4]byte
	if _, err := io.ReadFull(e.br, frame[:]); err != nil || string(frame[2:]) != "hi" {
		t.Fatalf("the echo is %q (%v)", frame, err)
	}
}
