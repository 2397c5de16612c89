package lua_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// everything uses all that a script can use.
const everything = `--#ENDPOINT WEBSOCKET /all/{n}
local me, ws = websocketInfo.socket_id, websocketInfo
print(ws.type, ws.parameters.n) log.debug("x") log.warn{} log.error(me)
counter = (counter or 0) + 1
shared.n = shared.n + 1
for k, v in pairs(ws) do local _ = k .. tostring(v) end
Websocket.join{socket_id = me, group = "all"}
Websocket.join{socket_id = me, group = ws.parameters.n}
for _, id in ipairs(Websocket.list()) do
  local info = Websocket.info{socket_id = id}
  Websocket.send{socket_id = id, message = "not for " .. tostring(info.route)}
end
Websocket.send{group = ws.parameters.n, message = to_json(Websocket.list{group = "all"})}
Websocket.send{group = "all", message = "AQI=", type = "data-binary"}
Websocket.leave{socket_id = me, group = ws.parameters.n}
Websocket.closeAll{group = "victims"}
Websocket.info{socket_id = "no"} Websocket.close{socket_id = "no"}
Store.set{key = me, value = {counter, ws}}
local back = Store.get{key = me}
local parts = {}
for w in ("the quick brown fox"):gmatch("%a+") do parts[#parts + 1] = w:upper():reverse() end
table.sort(parts, function(a, b) return a > b end)
pcall(error, {1}) xpcall(function() local x = nil + 1 end, function(m) return m end)
local f = loadstring("return ...")
math.random(10) os.date("%c") os.time() string.format("%5.2f %s", 1.5, "x")
helper(function() counter = counter + 1 end)
if ws.type == "data" and ws.message == "fail" then error("wanted") end
ws.send(tostring(back.type) .. f("!") .. counter)
if ws.message == "end" then return "bye" end
`

const everythingModule = `shared = {n = 0} counter = 0 function helper(f) f() return require("m") end return {}`

type record struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// All of a host and of its gateway at the same time, for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	var mu sync.Mutex
	store := map[string]record{}
	services := map[string]lua.Service{"Store": {
		"set": lua.Func(func(_ context.Context, r record) (any, error) {
			mu.Lock()
			defer mu.Unlock()
			store[r.Key] = r
			return nil, nil
		}),
		"get": lua.Func(func(_ context.Context, r record) (record, error) {
			mu.Lock()
			defer mu.Unlock()
			return store[r.Key], nil
		}),
	}}
	solution := files("modules/m.lua", everythingModule, "endpoints/all.lua", everything,
		"endpoints/victims.lua",
		"--#ENDPOINT WEBSOCKET /victim\nif websocketInfo.type == 'open' then Websocket.join{socket_id "+
			"= websocketInfo.socket_id, group = 'victims'} end")
	discard := slog.New(slog.DiscardHandler)
	gw := gateway.New(&gateway.Options{Logger: discard,
		Limits: gateway.Limits{MessagesPerSecond: -1, QueueMessages: -1}})
	host := lua.New(gw, &lua.Options{Logger: discard, Services: services, IdleVMs: 2})
	if _, err := host.Deploy(context.Background(), solution); err != nil {
		t.Fatal(err)
	}
	srv := gatewaytest.NewServer(t, gw)
	var others sync.WaitGroup
	others.Go(func() { deployAll(t, host, solution) })
	others.Go(func() { operateAll(gw) })
	peers := make([]*gatewaytest.Peer, 8)
	for i := range peers {
		peers[i] = srv.Dial(t, fmt.Sprintf("/all/%d", i%3))
	}
	for n := range 20 {
		victim := srv.Dial(t, "/victim")
		untilVictim(t, gw, len(peers))
		for i, p := range peers {
			text := "go"
			if (n+i)%7 == 0 {
				text = "fail"
			}
			p.Send(gateway.Text(text))
		}
		victim.Closed() // some script does it
	}
	others.Wait()
	for _, p := range peers {
		p.Send(gateway.Text("end"))
		for string(p.Receive().Data) != "bye" {
		}
	}
	if err := gw.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := host.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	checkCounts(t, host, int64(len(peers))*23)
}

// untilVictim waits until the latest victim is in its group, or was closed there
// already. A script that came before it would not find it.
func untilVictim(t *testing.T, gw *gateway.Handler, others int) {
	t.Helper()
	for {
		n, err := gw.Group("victims").Len(t.Context())
		ids, listErr := gw.List(t.Context())
		switch {
		case err != nil || listErr != nil:
			t.Fatal(err, listErr)
		case n > 0, len(ids) == others:
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// checkCounts expects that all events of /all/{n} were counted, whichever
// deployment ran them.
func checkCounts(t *testing.T, host *lua.Host, want int64) {
	t.Helper()
	for _, s := range host.Stats() {
		if s.Route != "/all/{n}" {
			continue
		}
		if s.Runs != want || s.Errors == 0 || s.Errors >= want || s.Instructions <= 0 || s.Time <= 0 {
			t.Errorf("Stats: %+v, want %d runs, some with errors", s, want)
		}
		return
	}
	t.Errorf("no counters of /all/{n}: %+v", host.Stats())
}

func deployAll(t *testing.T, host *lua.Host, solution fs.FS) {
	for range 15 {
		if _, err := host.Deploy(context.Background(), solution); err != nil {
			t.Errorf("Deploy: %v", err)
		}
		if _, err := host.DeployEndpoint(context.Background(), "/more/{x...}",
			"return websocketInfo.route"); err != nil {
			t.Errorf("DeployEndpoint: %v", err)
		}
		var problems lua.Problems
		if _, err := host.DeployEndpoint(context.Background(), "/more", "x ="); !errors.As(err,
			&problems) {
			t.Errorf("DeployEndpoint of nonsense: %v", err)
		}
		if p := lua.Check(solution); len(p) > 0 {
			t.Errorf("Check: %v", p)
		}
		host.Stats()
	}
}

func operateAll(gw *gateway.Handler) {
	ctx := context.Background()
	for range 30 {
		ids, _ := gw.List(ctx)
		for _, id := range ids {
			gw.Send(ctx, id, gateway.Text("from outside"))
			gw.Info(ctx, id)
			gw.Group("outside").Join(ctx, id)
			gw.Group("outside").Leave(ctx, id)
		}
		gw.Group("all").Send(ctx, gateway.Text("to all"))
		gw.All().Len(ctx)
		gw.Stats()
	}
}

// A run that waits for its own slow client has a VM of its own for that time:
// however few are kept, other sockets' events do not wait.
func TestSlowClientDelaysNobody(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	gw := gateway.New(&gateway.Options{Logger: discard,
		Limits: gateway.Limits{MessagesPerSecond: -1, WriteTimeout: -1}})
	// Runs wait for as long as it takes: on a busy machine that may be more than a minute.
	host := lua.New(gw, &lua.Options{Logger: discard, IdleVMs: 1, Limits: lua.Limits{Total: -1}})
	_, err := host.Deploy(context.Background(), files("a.lua", `--#ENDPOINT WEBSOCKET /a
if websocketInfo.message == "much" then
  for i = 1, 30 do websocketInfo.send(("x"):rep(1e5)) end
end
if websocketInfo.type == "data" then return "done" end`))
	if err != nil {
		t.Fatal(err)
	}
	srv := gatewaytest.NewServer(t, gw)
	slow := make([]*gatewaytest.Peer, 5)
	for i := range slow {
		slow[i] = srv.Dial(t, "/a")
		slow[i].Stall()
		slow[i].Send(gateway.Text("much"))
	}
	other := srv.Dial(t, "/a")
	for range 20 {
		other.Send(gateway.Text("x"))
		expect(t, other, "done")
	}
	for _, p := range slow {
		p.Resume()
		for range 30 {
			if n := len(p.Receive().Data); n != 1e5 {
				t.Fatalf("a message of %d bytes, want 100000", n)
			}
		}
		expect(t, p, "done")
	}
}
