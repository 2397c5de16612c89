package lua_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// A fixture is a gateway with scripts, in memory.
type fixture struct {
	*gatewaytest.Server
	gw   *gateway.Handler
	host *lua.Host
	log  *logBuffer
}

// files makes a file system of names and texts.
func files(nameText ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(nameText); i += 2 {
		fsys[nameText[i]] = &fstest.MapFile{Data: []byte(nameText[i+1])}
	}
	return fsys
}

func newFixture(t testing.TB, opts *lua.Options, fsys fstest.MapFS) *fixture {
	t.Helper()
	f := &fixture{log: &logBuffer{}}
	logger := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.gw = gateway.New(&gateway.Options{Logger: logger, Limits: gateway.Limits{MessagesPerSecond: -1}})
	if opts == nil {
		opts = &lua.Options{}
	}
	opts.Logger = logger
	f.host = lua.New(f.gw, opts)
	if fsys != nil {
		if _, err := f.host.Deploy(context.Background(), fsys); err != nil {
			t.Fatal(err)
		}
	}
	f.Server = gatewaytest.NewServer(t, f.gw)
	return f
}

// talk opens a socket on path, sends the messages and returns the socket.
func (f *fixture) talk(t testing.TB, path string, send ...string) *gatewaytest.Peer {
	t.Helper()
	p := f.Dial(t, path)
	for _, text := range send {
		p.Send(gateway.Text(text))
	}
	return p
}

// expect receives the messages.
func expect(t testing.TB, p *gatewaytest.Peer, want ...string) {
	t.Helper()
	for _, text := range want {
		if got := string(p.Receive().Data); got != text {
			t.Fatalf("received %q, want %q", got, text)
		}
	}
}

// A logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// has reports whether one line holds all the parts.
func (b *logBuffer) has(parts ...string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
lines:
	for line := range strings.SplitSeq(b.buf.String(), "\n") {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		return true
	}
	return false
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// count returns how many lines hold the text.
func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for line := range strings.SplitSeq(b.buf.String(), "\n") {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
