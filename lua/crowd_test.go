package lua_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// bombs want to hang, crash or exhaust the host; many sockets send them at once.
var bombs = []string{
	`while true do end`,
	`while true do pcall(function() while true do end end) end`,
	`local function f() return f() end f()`,
	`local function f() return 1 + f() end f()`,
	`local function f() return pcall(f) end f() while true do pcall(f) end`,
	`local t = setmetatable({}, {__index = function(t, k) return t[k .. "x"] end}) while true do
		pcall(function() return t.x end) end`,
	`local s = "x" while true do s = s .. s if #s > 1e6 then s = "x" end end`,
	`local t = {} while true do local s = "x" pcall(function() while true do s = s .. s end
		end) t[#t + 1] = s end`,
	`local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e5) .. i end`,
	`local t = {} while true do t[#t + 1] = {} end`,
	`local t, i = {}, 0 while true do i = i + 1 t["k" .. i] = i end`,
	`local t = {} while true do local x, y = #t, 1 t[#t + 1] = function() return x + y end end`,
	`local t = {} for i = 1, 1e5 do t[i] = "0123456789" end while true do table.concat(t) end`,
	`while true do pcall(string.find, ("a"):rep(3000), ".-.-.-.-b") end`,
	`while true do pcall(string.rep, "x", 1e10) end`,
	`while true do to_json({("x"):rep(1e5), ("y"):rep(1e5)}) end`,
	`local t = {} for i = 1, 2e4 do t["k" .. i] = i end while true do next(t) end`,
	`while true do load("x = 1 ") end`,
	`local s = "if x then " for i = 1, 300 do s = s .. "elseif x==1 then " end while true
		do load(s .. " end") end`,
	`while true do print(("x"):rep(1e3)) end`,
	`while true do pcall(log.error, "x") end`,
	`while true do websocketInfo.send(("x"):rep(1e4)) end`,
	`while true do Websocket.send{group = "all", message = "x"} end`,
	`while true do Websocket.info{socket_id = websocketInfo.socket_id} end`,
	`while true do Slow.call() end`,
	`string.format = nil getmetatable("").__index = {} Websocket.send = nil Slow.call = nil
		while true do end`,
	`while true do collectgarbage("count") end`,
	`local t = {3, 2, 1} table.sort(t, function() while true do end end)`,
	`local s = ("1"):rep(1e6) while true do pcall(function() return s + 1 end) end`,
	`local s = ("x"):rep(1e5) local t = {} for i = 1, 20 do t[i] = s end while true do to_json(t) end`,
	`local t = {} for i = 1, 2e4 do t["k" .. i] = {} end while true do pcall(table.concat, t)
		for a in pairs(t) do for b in pairs(t) do end end end`,
	`local s = "while x do " .. ("if y then break end "):rep(290) .. "end" while true do load(s) end`,
	`while true do coroutine.wrap(function() coroutine.yield() end)() end`,
	`local function f() coroutine.wrap(f)() end f() while true do pcall(f) end`,
	`local t = {} while true do pcall(function() t[#t + 1] = coroutine.wrap(function() while true do
		coroutine.yield() end end) t[#t]() end) end`,
}

// crowd is a solution with a route for each bomb, an echo, and a script that computes
// for a while.
func crowd() (solution []string) {
	var b strings.Builder
	for i, bomb := range bombs {
		fmt.Fprintf(
			&b,
			"--#ENDPOINT WEBSOCKET /bomb/%d\nif websocketInfo.type == 'data' then\n%s\nend\n",
			i,
			bomb,
		)
	}
	return []string{
		"endpoints/bombs.lua", b.String(),
		"endpoints/honest.lua", `--#ENDPOINT WEBSOCKET /echo
return websocketInfo.message and string.format("%s", websocketInfo.message:rep(1))
--#ENDPOINT WEBSOCKET /work
if websocketInfo.type ~= "data" then return end
local n = 0
for i = 1, 40000 do n = n + i % 7 end
return n
`}
}

// Two hundred bombs at a time, through real sockets: each run ends with the error of
// a bound, nobody else notices, and nothing is left behind.
func TestTwoHundredBombs(t *testing.T) {
	before := runtime.NumGoroutine()
	s := &slow{took: time.Millisecond}
	f := newFixture(t, &lua.Options{
		Services: s.service(),
		Limits: lua.Limits{
			Instructions: 400_000, Time: 3 * time.Second, Total: time.Minute, Memory: 8 << 20,
			Output: 1 << 20,
		},
		HostLimits: lua.HostLimits{Memory: 32 << 20, LinesPerSecond: 100_000},
	}, files(crowd()...))
	f.gw.Handle(
		"/go",
		gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		}},
	)
	srv := httptest.NewServer(f.gw)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a hang guard
	defer cancel()

	const sockets = 200
	var all sync.WaitGroup
	for i := range sockets {
		c := dialTCP(ctx, t, srv, fmt.Sprintf("/bomb/%d", i%len(bombs)))
		all.Go(func() { // it reads what bombs send, or not
			for i%3 > 0 {
				if _, _, err := c.Read(ctx); err != nil {
					return
				}
			}
		})
		if err := c.Write(ctx, websocket.MessageText, []byte("go")); err != nil {
			t.Fatal(err)
		}
	}
	echo, inGo, work := dialTCP(
		ctx,
		t,
		srv,
		"/echo",
	), dialTCP(
		ctx,
		t,
		srv,
		"/go",
	), dialTCP(
		ctx,
		t,
		srv,
		"/work",
	)
	for n := 0; n < 20 || f.log.count("script failed") < sockets; n++ {
		for _, c := range []*websocket.Conn{echo, inGo} {
			want := fmt.Sprint("message ", n)
			if got := askTCP(ctx, t, c, want); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		if n == 0 {
			if got := askTCP(ctx, t, work, "x"); got != "119997" {
				t.Errorf("the script that works answered %q", got)
			}
		}
		if memory, _, _, _ := f.host.Used(); memory > 32<<20 {
			t.Errorf("%d bytes are charged, limit %d", memory, 32<<20)
		}
		time.Sleep(5 * time.Millisecond)
	}
	for i := range bombs {
		if !f.log.has("script failed", fmt.Sprintf("route=/bomb/%d ", i), "budget=") {
			t.Errorf("no overrun of %s", bombs[i])
		}
	}
	if f.log.has("internal error") || f.log.has("endpoint panicked") ||
		f.log.has("script failed", "route=/echo") {
		t.Errorf("a failure that is no bomb's:\n%.5000s", f.log)
	}
	if err := f.gw.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	all.Wait()
	checkIdle(t, f)
	srv.Close()
	for n := 0; runtime.NumGoroutine() > before+10; n++ {
		if n > 1000 {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func dialTCP(ctx context.Context, t *testing.T, srv *httptest.Server, path string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(ctx, strings.Replace(srv.URL, "http", "ws", 1)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func askTCP(ctx context.Context, t *testing.T, c *websocket.Conn, text string) string {
	t.Helper()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	_, answer, err := c.Read(ctx)
	if err != nil {
		t.Fatal(errors.Join(errors.New("no answer to "+text), err))
	}
	return string(answer)
}
