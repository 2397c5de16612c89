package lua_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

func TestFailingScript(t *testing.T) {
	const text = "--#ENDPOINT WEBSOCKET /f/{how}\nlocal function fail()\n  " +
		"error(websocketInfo.message == 'table' and {message = 'in a table'} or 'boom')\nend\n" +
		"if websocketInfo.message == 'ok' then return 'fine' end\nif websocketInfo.type == 'data' then " +
		"fail() end\n"
	f := newFixture(t, nil, files("endpoints/f.lua", text))
	p := f.talk(t, "/f/1", "fail", "table", "ok")
	expect(t, p, "fine")
	// and the run of the close event is over
	if err := f.gw.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !f.log.has("level=ERROR", `msg="script failed"`, "endpoints/f.lua:3: boom", "route=/f/{how}",
		`endpoints/f.lua:6: in function`) {
		t.Errorf("log:\n%s", f.log)
	}
	if !f.log.has("endpoints/f.lua:3: (error object is a table value): in a table") {
		t.Errorf("log:\n%s", f.log)
	}
	var got lua.ScriptStats
	for _, s := range f.host.Stats() {
		got = s
	}
	if got.File != "endpoints/f.lua" || got.Route != "/f/{how}" || got.Runs != 5 || got.Errors != 2 ||
		got.Instructions < 20 || got.Time <= 0 {
		t.Errorf("Stats() = %+v", got)
	}
}

// With the option, a failure closes the socket, and the cause says why: in the
// close event, in the close frame and in the gateway's counters.
func TestFailureClosesTheSocket(t *testing.T) {
	f := newFixture(t, &lua.Options{CloseOnError: true}, files("f.lua", `--#ENDPOINT WEBSOCKET /f
if websocketInfo.type == "data" then error(websocketInfo.message) end
if websocketInfo.type == "close" then
  print("closed", websocketInfo.close_cause, websocketInfo.close_code, websocketInfo.close_reason)
  error("in the close event")
end`))
	p := f.talk(t, "/f", "fail")
	if code, reason := p.Closed(); code != 1011 || reason != "script_error" {
		t.Errorf("closed with %d %q, want 1011 script_error", code, reason)
	}
	if err := f.gw.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !f.log.has(`closed\tscript_error\t1011\tscript_error`) ||
		!f.log.has("f.lua:5: in the close event") {
		t.Errorf("log:\n%s", f.log)
	}
	if n := f.gw.Stats().Closed[gateway.CauseScriptError]; n != 1 {
		t.Errorf("sockets closed with script_error: %d, want 1", n)
	}
}

// A VM whose scripts keep what belongs to the host is replaced before that is much:
// a message that was not read is still the host's.
func TestKeptMessages(t *testing.T) {
	for source, replaced := range map[string]bool{
		"keep[#keep + 1] = websocketInfo":                                 true,
		"keep[#keep + 1] = websocketInfo.send":                            true,
		"keep[#keep + 1] = websocketInfo local m = websocketInfo.message": true,
		"keep[1] = websocketInfo.message":                                 false,
	} {
		f := newFixture(t, &lua.Options{Limits: lua.Limits{Memory: 1 << 20}},
			files("modules/m.lua", "keep, runs = {}, {0}",
				"a.lua",
				"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type ~= 'data' then return end\n"+source+
					" runs[1] = runs[1] + 1 return runs[1]"))
		p := f.Dial(t, "/a")
		most := 0
		for range 300 {
			p.Send(gateway.Text(strings.Repeat("x", 32<<10)))
			n, _ := strconv.Atoi(string(p.Receive().Data))
			most = max(most, n)
		}
		if (most < 300) != replaced {
			t.Errorf("%s: a VM ran %d of 300 events, replaced should be %v", source, most, replaced)
		}
	}
}

// What goes wrong with a result names the script too.
func TestFailingResult(t *testing.T) {
	f := newFixture(t, &lua.Options{Limits: lua.Limits{Instructions: 100_000}},
		files("f.lua", `--#ENDPOINT WEBSOCKET /f
if websocketInfo.message == "function" then return print end
if websocketInfo.message == "long" then return ("x"):rep(2^21) end
if websocketInfo.message == "deep" then local t = {} t[1] = t return t end
if websocketInfo.message == "bomb" then local t = {} for i = 1, 30 do t = {t, t} end return t end
if websocketInfo.message == "ok" then return "fine" end`))
	expect(t, f.talk(t, "/f", "function", "long", "deep", "bomb", "ok"), "fine")
	for _, want := range []string{
		"f.lua:2: the result cannot be sent: a function", "f.lua:2: the result cannot be sent: too_large",
		"f.lua:2: the result cannot be sent: tables are nested",
		"f.lua:2: script exceeded its budget: more than 100000 instructions",
	} {
		if !f.log.has(want) {
			t.Errorf("no %q in the log:\n%s", want, f.log)
		}
	}
}

func TestBudgetEndsTheRunOnly(t *testing.T) {
	f := newFixture(t, &lua.Options{Limits: lua.Limits{Instructions: 100_000}}, files("a.lua",
		"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.message == 'loop' then\nwhile true do "+
			"pcall(function() while true do end end) end\nend return 'ok'"))
	p := f.talk(t, "/a", "loop", "x")
	expect(t, p, "ok", "ok")
	if !f.log.has("a.lua:3: script exceeded its budget: more than 100000 instructions",
		"budget=instructions") {
		t.Errorf("log:\n%s", f.log)
	}
}

// What scripts call counts, though its time does not: no loop of calls lasts.
func TestCallsCount(t *testing.T) {
	calls := 0
	services := map[string]lua.Service{"Some": {"thing": lua.Func(func(context.Context, struct{}) (bool, error) {
		calls++
		return true, nil
	})}}
	for name, call := range map[string]string{
		"service": "Some.thing{}", "info": "Websocket.info{socket_id = 'x'}", "list": "Websocket.list()",
		"group": "Websocket.send{group = 'all', message = ''}",
		"send":  "Websocket.send{socket_id = 'x', message = ''}",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t,
				&lua.Options{Services: services, Limits: lua.Limits{Instructions: 100_000, Output: -1}},
				files("a.lua",
					"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.message == 'loop' then while true do "+call+
						" end end return 'ok'"))
			expect(t, f.talk(t, "/a", "loop", "x"), "ok", "ok")
			if !f.log.has("budget=instructions") {
				t.Errorf("log:\n%s", f.log)
			}
		})
	}
	if calls == 0 || calls > 1100 {
		t.Errorf("the service was called %d times, want up to 1000", calls)
	}
}

// What runs when its budget is over closes the socket, if that is asked for, with
// the same cause as any failure.
func TestOverrunClosesTheSocket(t *testing.T) {
	f := newFixture(t, &lua.Options{CloseOnError: true, Limits: lua.Limits{Instructions: 100_000}},
		files("a.lua",
			"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type == 'data' then while true do pcall(print) "+
				"end end"))
	if code, reason := f.talk(t, "/a", "x").Closed(); code != 1011 || reason != "script_error" {
		t.Errorf("closed with %d %q, want 1011 script_error", code, reason)
	}
	if n := f.gw.Stats().Closed[gateway.CauseScriptError]; n != 1 {
		t.Errorf("sockets closed with script_error: %d, want 1", n)
	}
}
