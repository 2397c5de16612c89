package lua_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// seeds are the examples of the original platform, in the forms that scripts of
// its users have: reply in open, print and close in data.
var seeds = []string{
	`
if websocketInfo.type == "open" then
  response.message = "Hello"
elseif websocketInfo.type == "data" then
  print(websocketInfo.message)
  websocketInfo.close()
end
`,
	`
if websocketInfo.type == "open" then
  return "Hello"
end
if websocketInfo.type == "data" then
  print(websocketInfo.message)
  websocketInfo:close()
end
`,
	`
if websocket_info.type == "open" then
  websocket_info.send("Hello")
elseif websocket_info.type == "data" then
  print(websocket_info.message)
  Websocket.close{socket_id = websocket_info.socket_id, server_ip = websocket_info.server_ip}
end
`,
	`
if websocketInfo.type == "open" then
  Websocket.send({socket_id = websocketInfo.socket_id, server_ip = websocketInfo.server_ip, message = "Hello", type = "data-text"})
elseif websocketInfo.type == "data" then
  print(websocketInfo.message)
  local resp = Websocket.close({socket_id = websocketInfo.socket_id, service_ip = websocketInfo.server_ip})
  if resp ~= nil and resp.error then print(resp.error) end
end
`,
}

// The same as an endpoint and as an event handler, in every layout.
func TestSeedExamples(t *testing.T) {
	for i, seed := range seeds {
		function := "function handle_websocket_websocket_info(websocketInfo)\n  local websocket_info, " +
			"response = websocketInfo, {}\n" + seed +
			"  return response.message\nend\n"
		for name, fsys := range map[string]fstest.MapFS{
			"endpoint": files("endpoints/seed.lua", "--#ENDPOINT WEBSOCKET /seed\n"+seed),
			"flat":     files("seed.lua", "--#endpoint websocket /seed text/plain\n"+seed),
			"handler": files("event_handler/websocket_websocket_info.lua",
				"--#EVENT websocket websocket_info\n"+seed),
			"handler by its name": files("event_handler/websocket_websocket_info.lua", seed),
			"flat handler":        files("solution.lua", "--#EVENT websocket websocket_info\n"+seed),
			"handler function": files("event_handler/websocket_websocket_info.lua",
				"--#EVENT websocket websocket_info\n"+function),
			"handler in a module": files("modules/handler.lua", function, "endpoints/seed.lua",
				"--#ENDPOINT WEBSOCKET /seed\nreturn 'not called'"),
			"handler and endpoint": files("endpoints/seed.lua",
				"--#ENDPOINT WEBSOCKET /seed\nreturn 'not called'",
				"event_handler/websocket_websocket_info.lua", seed),
		} {
			t.Run(fmt.Sprintf("%d %s", i, name), func(t *testing.T) {
				f := newFixture(t, nil, fsys)
				p := f.talk(t, "/seed", "bye now")
				expect(t, p, "Hello")
				if code, _ := p.Closed(); code != 1000 {
					t.Errorf("close code %d, want 1000", code)
				}
				if !f.log.has(`msg="bye now"`, "socket_id=", "route=", "script=", "line=") ||
					f.log.has("level=ERROR") {
					t.Errorf("the log does not show what was printed, or an error:\n%s", f.log)
				}
			})
		}
	}
}

func TestResults(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", `--#ENDPOINT WEBSOCKET /r
local m = websocketInfo.message
if websocketInfo.type ~= "data" then return websocketInfo.type == "close" and {} or nil end
if m == "string" then return "text" end
if m == "table" then return {b = true, a = {1, 2}} end
if m == "number" then return 1.5 end
if m == "boolean" then return false end
if m == "response" then response.message = {x = 1} end
if m == "both" then websocketInfo:send{n = 1} websocketInfo.send("two") return "three" end
if m == "more" then websocketInfo.send("first", "second") websocketInfo:send("third", 4) websocketInfo.send() return websocketInfo.send(nil, 5).type end
if m == "itself" then local json = to_json(websocketInfo) websocketInfo.send(websocketInfo) websocketInfo.send(json) return from_json(json).route end
if m == "alias" then return tostring(websocket_info == websocketInfo) end
if m == "global" then x = (x or 0) + 1 return x end
if m == "fields" then
  websocketInfo.user, websocketInfo.uri = "Ada", nil
  local names = {} for k, v in pairs(websocketInfo) do names[#names + 1] = k end
  return table.concat(names, " ") .. " " .. tostring(websocketInfo.uri) .. " " .. rawget(websocketInfo, "route")
end
`))
	q := f.talk(t, "/r", "more", "itself")
	expect(t, q, "first", "third", "invalid_request")
	if a, b := q.Receive(), q.Receive(); string(a.Data) != string(b.Data) {
		t.Errorf("websocketInfo is sent as %s, and to_json makes %s of it", a.Data, b.Data)
	}
	expect(t, q, "/r")
	p := f.talk(t, "/r?q=1", "string", "table", "number", "boolean", "response", "nothing", "both",
		"alias", "global", "global", "fields")
	expect(t, p, "text", `{"a":[1,2],"b":true}`, "1.5", "false", `{"x":1}`, `{"n":1}`, "two", "three",
		"true", "1", "1",
		"close headers message message_type opened parameters remote_addr route send server_ip "+
			"socket_id timestamp type user nil /r")
}

func TestOperations(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", `--#ENDPOINT WEBSOCKET /ops
if websocketInfo.type == "close" then
  local s, c = websocketInfo.send("x"), websocketInfo.close()
  local w = Websocket.send{socket_id = websocketInfo.socket_id, message = "x"}
  print("after close", s.type, s.status, c.type, w.type, websocketInfo.close_cause, websocketInfo.close_code)
  return
end
if websocketInfo.type ~= "data" then return end
local me = websocketInfo.socket_id
local f = loadstring("local me = ... ; " .. websocketInfo.message)
return to_json(json.array{f(me)})
`))
	p := f.Dial(t, "/ops?a=1&a=2")
	for _, c := range []struct{ script, want string }{
		{`return Websocket.send{socket_id = me, message = "hi"}`, "hi []"},
		{`return Websocket:send{socket_id = me, message = "aGk=", type = "data-binary", server_ip = "x"}`,
			"hi []"},
		{`return Websocket.send{socket_id = me, message = "?", type = "data-binary"}.type`,
			`["invalid_request"]`},
		{`return Websocket.send{socket_id = me, message = {}}.status`, `[400]`},
		{`return Websocket.send{socket_id = me}.type`, `["invalid_request"]`},
		{`return Websocket.send{message = "x"}.type`, `["invalid_request"]`},
		{`return Websocket.send().type, Websocket.close("x").type, Websocket.info(5).type`,
			`["invalid_request","invalid_request","invalid_request"]`},
		{`local e = Websocket.send{socket_id = "no", message = "x"} return e.type, e.status, type(e.error)`, `["not_found",404,"string"]`},
		{`return Websocket.list()[1] == me, #Websocket.list()`, `[true,1]`},
		{`local i = Websocket.info{socket_id = me} return i.type, i.route, i.parameters.a, i.socket_id == me, i.headers.upgrade`, `["data","/ops",["1","2"],true,"websocket"]`},
		{`return Websocket.info{socket_id = "no"}.type`, `["not_found"]`},
		{`return Websocket.close{socket_id = "no"}.type`, `["not_found"]`},
	} {
		p.Send(gateway.Text(c.script))
		want := strings.Split(c.want, " ")
		for _, text := range want {
			if got := string(p.Receive().Data); got != text {
				t.Errorf("%s\n got %s\nwant %s", c.script, got, text)
			}
		}
	}
	p.Send(
		gateway.Text(
			`return Websocket.close{socket_id = me}, Websocket.close{socket_id = me}.type, Websocket.send{socket_id = me, message = "x"}.type`))
	if code, _ := p.Closed(); code != 1000 {
		t.Errorf("close code %d, want 1000", code)
	}
	if err := f.gw.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !f.log.has("after close", "closed", "410", "operation", "1000") {
		t.Errorf("operations in a close event: log\n%s", f.log)
	}
}

func TestStatusOnSuccess(t *testing.T) {
	f := newFixture(t, &lua.Options{StatusOnSuccess: true}, files("a.lua", `--#ENDPOINT WEBSOCKET /s
if websocketInfo.type == "open" then
  local a = Websocket.send{socket_id = websocketInfo.socket_id, message = "x"}
  local b = websocketInfo.send("y")
  if a.error or b.error then return "bad" end
  return {a.status, b.status}
end`))
	expect(t, f.Dial(t, "/s"), "x", "y", "[204,204]")
}

// A module of the solution comes before a library of the same name, and a file
// before a folder.
func TestRequire(t *testing.T) {
	f := newFixture(t, nil, files(
		"modules/json.lua", `return {encode = function() return "mine" end}`,
		"modules/greet/init.lua", `return "hello"`,
		"modules/both.lua", `return "file"`,
		"modules/both/init.lua", `return "folder"`,
		"endpoints/x.lua", `--#ENDPOINT WEBSOCKET /x
			if websocketInfo.type == "data" then
				return {require("json").encode(1), json.encode(1), require("bit") == bit, require("bit32") == bit32, require("string") == string,
					require("greet"), require("greet") == require("greet.init"), require("both")}
			end`))
	expect(t, f.talk(t, "/x", "1"), `["mine","1",true,true,true,"hello",true,"file"]`)
}

func TestModulesAndHandler(t *testing.T) {
	f := newFixture(t, nil, files(
		"modules/a.lua", `count = 0 local m = {} function m.hello(n) return "hello " .. n end
			function listen(ws) count = count + 1 return "listened " .. count end return m`,
		"modules/lib/b.lua",
		`local a = require "a" return {twice = function(n) return a.hello(n) .. a.hello(n) end}`,
		"endpoints/x.lua", `--#ENDPOINT WEBSOCKET /x
			if websocketInfo.type == "data" then
				response.message = listen(websocketInfo) .. " " .. require("lib.b").twice("you") .. " " .. tostring(_G.count)
			end`))
	p := f.talk(t, "/x", "1", "2")
	expect(t, p, "listened 1 hello youhello you 1", "listened 1 hello youhello you 1")

	custom := files(
		"endpoints/x.lua", "--#ENDPOINT WEBSOCKET /x\nreturn 'endpoint'",
		"event_handler/websocket_websocket_info.lua",
		`function handle_websocket_websocket_info(ws) return "handled " .. ws.route end`)
	if _, err := f.host.Deploy(context.Background(), custom); err != nil {
		t.Fatal(err)
	}
	p.Send(gateway.Text("3"))
	expect(t, p, "handled /x")
	// A single endpoint brings the default routing back.
	if _, err := f.host.DeployEndpoint(context.Background(), "/y", "return 'y'"); err != nil {
		t.Fatal(err)
	}
	p.Send(gateway.Text("4"))
	expect(t, p, "endpoint")
	expect(t, f.Dial(t, "/y"), "y")
}

func TestDeploymentIsAtomic(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'one'"))
	p := f.Dial(t, "/a")
	expect(t, p, "one")
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"syntax": {"x\n--#ENDPOINT WEBSOCKET /a\nreturn 'two'\n--#ENDPOINT WEBSOCKET /b\nlocal " +
			"x = = 1\n", []string{"a.lua:5: "}},
		"two": {"--#ENDPOINT WEBSOCKET /a\nif x then\n\n--#ENDPOINT WEBSOCKET /b\n)\n",
			[]string{"a.lua:2: ", "a.lua:5: "}},
		"end missing": {"--#ENDPOINT WEBSOCKET /a\nlocal x\nif x then\n",
			[]string{"a.lua:3: 'end' expected (to close 'if' at line 3)"}},
		"end too many": {"--#ENDPOINT WEBSOCKET /a\nend\nfunction x()\n",
			[]string{"a.lua:2: '<eof>' expected near 'end'"}},
		"two bodies": {"--#ENDPOINT WEBSOCKET /a\nreturn 1\nend, function()\nreturn 2",
			[]string{"a.lua:3: '<eof>' expected near 'end'"}},
		"half a string": {"--#ENDPOINT WEBSOCKET /a\nx = 'a\n", []string{"a.lua:2: unfinished string"}},
		"bad pattern":   {"--#ENDPOINT WEBSOCKET a{\nreturn 1", []string{"a.lua:1: "}},
		"module fails":  {"", []string{"modules/m.lua:2: boom"}},
		"nothing there": {"no header", []string{""}},
	} {
		fsys := files("a.lua", c.text)
		if name == "module fails" {
			fsys = files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'two'", "modules/m.lua",
				"local x = 1\nerror('boom')")
		}
		_, err := f.host.Deploy(context.Background(), fsys)
		var problems lua.Problems
		if !errors.As(err, &problems) || len(problems) != len(c.want) {
			t.Errorf("%s: got %v, want %d problems", name, err, len(c.want))
			continue
		}
		for i, want := range c.want {
			if got := problems[i].String(); !strings.HasPrefix(got, want) {
				t.Errorf("%s: problem %q, want %q", name, got, want)
			}
		}
		p.Send(gateway.Text("x"))
		expect(t, p, "one")
	}
	if _, err := f.host.Deploy(context.Background(),
		files("b.lua", "--#ENDPOINT WEBSOCKET /b\nreturn websocketInfo.type")); err != nil {
		t.Fatal(err)
	}
	if code, reason := p.Closed(); code != 1012 {
		t.Errorf("socket on a removed route: closed with %d %q, want 1012", code, reason)
	}
	expect(t, f.Dial(t, "/b"), "open")
}

// The close event of a socket whose route is gone runs the old script.
func TestRemovedRouteGetsItsCloseEvent(t *testing.T) {
	f := newFixture(t, nil,
		files("a.lua",
			"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type == 'close' then print('old ' .. "+
				"websocketInfo.close_cause) else return 'hi' end"))
	p := f.Dial(t, "/a")
	expect(t, p, "hi")
	if _, err := f.host.Deploy(context.Background(),
		files("b.lua", "--#ENDPOINT WEBSOCKET /b\nreturn 1")); err != nil {
		t.Fatal(err)
	}
	p.Closed()
	if err := f.gw.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !f.log.has("old route_removed") {
		t.Errorf("log:\n%s", f.log)
	}
}

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

type getArgs struct {
	Key  string         `json:"key"`
	Tags []string       `json:"tags"`
	More map[string]any `json:"more"`
	N    int            `json:"n"`
}

type getResult struct {
	Value any      `json:"value"`
	Args  getArgs  `json:"args"`
	Raw   []byte   `json:"raw"`
	None  *getArgs `json:"none"`
}

func TestServices(t *testing.T) {
	store := lua.Service{
		"get": lua.Func(func(ctx context.Context, args getArgs) (getResult, error) {
			if ctx == nil {
				return getResult{}, errors.New("no context")
			}
			switch args.Key {
			case "missing":
				return getResult{}, &gateway.Error{Type: "not_found", Status: 404, Message: "no such key"}
			case "panic":
				panic("boom")
			}
			return getResult{Value: args.More["v"], Args: args, Raw: []byte("\xff\x00")}, nil
		}),
		"none": lua.Func(func(context.Context, struct{}) (*getResult, error) { return nil, nil }),
	}
	f := newFixture(t, &lua.Options{Services: map[string]lua.Service{"Store": store}},
		files("a.lua", `--#ENDPOINT WEBSOCKET /s
if websocketInfo.type ~= "open" then return end
local r = Store.get{key = "k", tags = {"a", 2}, more = {v = {1, {x = true}}}, n = 7, extra = print}
local e = Store:get{key = "missing"}
return {r.value[2].x, r.args.tags[2], r.args.n, #r.raw, r.raw:byte(1), r.none == nil, e.type, e.status, e.error,
  Store.get{key = {}}.type, Store.get{key = {}}.error, Store.get{key = "k", n = 1.5}.error, Store.get{key = "panic"}.type, Store.none() == nil, to_json(r.args.more)}`))
	expect(t, f.Dial(t, "/s"),
		`[true,"2",7,2,255,true,"not_found",404,"no such key","invalid_request",`+
			`"argument key: string expected, got table","argument n: 1.5 does not fit into int","internal",true,"{\"v\":[1,{\"x\":true}]}"]`)
}

func TestCheck(t *testing.T) {
	problems := lua.Check(files("endpoints/a.lua", "--#ENDPOINT WEBSOCKET /a\n\nlocal x = \n",
		"modules/m.lua", "x = = 2", "endpoints/b.lua", "--#ENDPOINT WEBSOCKET /b\nreturn 1"))
	if len(problems) != 2 || !strings.HasPrefix(problems[0].String(), "endpoints/a.lua:3: ") ||
		!strings.HasPrefix(problems[1].String(), "modules/m.lua:1: ") {
		t.Errorf("Check = %v", problems)
	}
}

func TestBinaryMessages(t *testing.T) {
	f := newFixture(t, nil,
		files("a.lua",
			"--#ENDPOINT WEBSOCKET /b\nif websocketInfo.type == 'data' then return "+
				"websocketInfo.message_type .. ' ' .. websocketInfo.message end"))
	p := f.Dial(t, "/b")
	p.Send(gateway.Binary([]byte{1, 2, 255}))
	expect(t, p, "data-binary AQL/")
}

// A deployment whose scripts cannot be compiled in time ends with its context.
func TestDeployEndsWithItsContext(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'one'"))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	long := "--#ENDPOINT WEBSOCKET /a\nif x then\n" + strings.Repeat("elseif x then\n", 20_000) + "end"
	if _, err := f.host.Deploy(ctx, files("a.lua", long)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Deploy = %v, want the context's error", err)
	}
	expect(t, f.Dial(t, "/a"), "one")
	if err := f.host.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := f.host.Deploy(context.Background(),
		files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'two'")); !errors.Is(err, gateway.ErrShutdown) {
		t.Errorf("Deploy after Shutdown = %v, want ErrShutdown", err)
	}
}

// A module that never ends does not keep a deployment waiting, and is a problem
// with its place like any other.
func TestEndlessModule(t *testing.T) {
	f := newFixture(t, &lua.Options{Limits: lua.Limits{Instructions: 100_000}},
		files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'one'"))
	_, err := f.host.Deploy(context.Background(),
		files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'two'", "modules/m.lua",
			"local n = 0\nwhile true do\nn = n + 1\nend"))
	var problems lua.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].File != "modules/m.lua" ||
		problems[0].Line < 2 || !strings.Contains(problems[0].Text, "budget") {
		t.Errorf("Deploy = %v, want one problem in modules/m.lua", err)
	}
	expect(t, f.Dial(t, "/a"), "one")
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
