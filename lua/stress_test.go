package lua_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// stressVariable is the environment variable that has TestRedeployUnderLoad run
// with 1,000 sockets for as long as it says ("1m"), not with 100 for a moment.
const stressVariable = "GATEWAY_LUA_STRESS"

// A tally counts the events that scripts report.
type tally struct{ open, data, close, failures atomic.Int64 }

func (c *tally) service() lua.Service {
	return lua.Service{"add": lua.Func(func(_ context.Context, args struct {
		Type string `json:"type"`
	}) (int64, error) {
		switch args.Type {
		case "open":
			return c.open.Add(1), nil
		case "data":
			return c.data.Add(1), nil
		case "close":
			return c.close.Add(1), nil
		}
		return 0, fmt.Errorf("no event is a %q", args.Type)
	})}
}

// Enabled, Handle, WithAttrs and WithGroup make the tally a slog.Handler that
// counts what goes wrong.
func (c *tally) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (c *tally) WithAttrs([]slog.Attr) slog.Handler               { return c }
func (c *tally) WithGroup(string) slog.Handler                    { return c }
func (c *tally) Handle(_ context.Context, r slog.Record) error {
	if c.failures.Add(1) <= 5 {
		fmt.Println("stress:", r.Level, r.Message)
		r.Attrs(func(a slog.Attr) bool { fmt.Println("  ", a); return true })
	}
	return nil
}

// version is a solution. Those of even numbers have a custom event handler, and
// every one has a route that the others do not have.
func version(n int) fstest.MapFS {
	fsys := files(
		"modules/m.lua", fmt.Sprintf(`version = %d
			local M = {} function M.note(ws) local n = Tally.add{type = ws.type} return type(n) == "number" end
			function answer(ws)
			  local m = from_json(ws.message)
			  return {seq = m.seq, version = version, route = ws.route, group = #Websocket.list{group = ws.parameters.name}, ok = pcall(error, {m.seq})}
			end
			return M`, n),
		"endpoints/a.lua", `--#ENDPOINT WEBSOCKET /a/{name}
			if not require("m").note(websocketInfo) then error("not counted") end
			if websocketInfo.type == "open" then Websocket.join{socket_id = websocketInfo.socket_id, group = websocketInfo.parameters.name} end
			if websocketInfo.type == "data" then return answer(websocketInfo) end
			--#ENDPOINT WEBSOCKET /b/{name}
			if not require("m").note(websocketInfo) then error("not counted") end
			if websocketInfo.type == "data" then response.message = answer(websocketInfo) end`,
		"endpoints/x.lua", fmt.Sprintf("--#ENDPOINT WEBSOCKET /only/%d\nreturn 1", n))
	if n%2 == 0 {
		fsys["event_handler/websocket_websocket_info.lua"] = &fstest.MapFile{Data: []byte(
			`local endpoint = handle_websocket_websocket_info
			 return endpoint(websocketInfo)`)}
	}
	return fsys
}

// Sockets talk to scripts while their solution is replaced again and again. Every
// event runs exactly once, none fails, and nothing grows.
func TestRedeployUnderLoad(t *testing.T) {
	sockets, duration := 100, 2*time.Second
	if text := os.Getenv(stressVariable); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		sockets, duration = 1000, d
	}
	counts := &tally{}
	log := slog.New(counts)
	gw := gateway.New(&gateway.Options{Logger: log, Limits: gateway.Limits{MessagesPerSecond: -1},
		MaxSocketsPerAddr: -1})
	host := lua.New(gw,
		&lua.Options{Logger: log, Services: map[string]lua.Service{"Tally": counts.service()}})
	if _, err := host.Deploy(context.Background(), version(0)); err != nil {
		t.Fatal(err)
	}
	srv := gatewaytest.NewServer(t, gw)
	l := &load{t: t, srv: srv, peers: make([]*gatewaytest.Peer, sockets)}
	for i := range l.peers {
		l.dial(i)
	}
	for range 5 {
		l.round() // what is made once is made
	}
	before := measure()

	stop := make(chan struct{})
	deployments := 0
	var deploying sync.WaitGroup
	deploying.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if _, err := host.Deploy(context.Background(), version(n)); err != nil {
				t.Errorf("deployment %d: %v", n, err)
			}
			deployments++
		}
	})
	for end := time.Now().Add(duration); time.Now().Before(end); {
		l.round()
	}
	close(stop)
	deploying.Wait()
	l.round()
	after := measure()
	if err := gw.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	t.Logf("%d sockets, %v: %d events, %d deployments; %v before, %v after", sockets, duration, l.sent,
		deployments, before, after)
	if o, d, c := counts.open.Load(), counts.data.Load(), counts.close.Load(); o != l.opened ||
		d != l.sent || c != l.opened {
		t.Errorf("scripts saw %d open, %d data and %d close events; want %d, %d and %d", o, d, c,
			l.opened, l.sent, l.opened)
	}
	if n := counts.failures.Load(); n > 0 {
		t.Errorf("%d warnings and errors in the log", n)
	}
	if after.goroutines > before.goroutines+sockets/10+20 {
		t.Errorf("goroutines grew from %d to %d", before.goroutines, after.goroutines)
	}
	if after.heap > before.heap+before.heap/4+16<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before.heap, after.heap)
	}
}

// A load is sockets that ask and get answers.
type load struct {
	t            *testing.T
	srv          *gatewaytest.Server
	peers        []*gatewaytest.Peer
	opened, sent int64
	rounds       int
}

func (l *load) dial(i int) {
	l.peers[i] = l.srv.Dial(l.t, fmt.Sprintf("/%c/g%d", 'a'+i%2, i%10))
	l.opened++
}

// round has every socket send two messages at once and checks the answers.
func (l *load) round() {
	l.t.Helper()
	l.rounds++
	for i, p := range l.peers {
		for k := range 2 {
			p.Send(gateway.Text(fmt.Sprintf(`{"seq":%d}`, 2*(l.rounds*len(l.peers)+i)+k)))
			l.sent++
		}
	}
	for i, p := range l.peers {
		for k := range 2 {
			var seq, version, group int
			var route string
			text := string(p.Receive().Data)
			_, err := fmt.Sscanf(text, `{"group":%d,"ok":false,"route":%q,"seq":%d,"version":%d}`, &group,
				&route, &seq, &version)
			if want := 2*(l.rounds*len(l.peers)+i) + k; err != nil || seq != want ||
				route != fmt.Sprintf("/%c/{name}", 'a'+i%2) {
				l.t.Fatalf("socket %d got %s, want the answer to %d (%v)", i, text, want, err)
			}
		}
	}
	again := l.rounds % len(l.peers) // one socket a round leaves and comes back
	l.peers[again].Close(1000, "")
	l.dial(again)
}

// A usage is what the process holds.
type usage struct {
	goroutines int
	heap       uint64
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines and %.1f MB", u.goroutines, float64(u.heap)/1e6)
}

func measure() usage {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{runtime.NumGoroutine(), m.HeapAlloc}
}
