package lua_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/wsgateway/gateway/lua"
)

// eval answers with what a script returns, each value as tostring shows it.
func eval(t *testing.T, f *fixture, script string) string {
	t.Helper()
	_, err := f.host.DeployEndpoint(t.Context(), "/eval", `
		local function all(...)
			local t = {}
			for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end
			return table.concat(t, " ")
		end
		local function f() `+script+` end
		if websocketInfo.type == "open" then return all(select(2, pcall(f))) end`)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Dial(t, "/eval").Receive().Data)
}

func echoService() lua.Service {
	return lua.Service{"echo": lua.Func(func(_ context.Context, x any) (any, error) { return x, nil })}
}

func TestNestedServicesConstantsAndModules(t *testing.T) {
	f := newFixture(t, &lua.Options{
		Services: map[string]lua.Service{
			"Store": echoService(), "murano.services.store": echoService(), "Store.sub": echoService(),
			"a.b": echoService(), "a.b.c": echoService(),
		},
		Constants: map[string]any{
			"VERSION": "1.2", "context.solution_id": "s1", "context.limits": map[string]int{"max": 3},
			"murano.name": "m", "NONE": nil,
		},
		Modules: map[string]string{
			"lib.inflate": "local n = 0\nloaded = (loaded or 0) + 1\nlocal secret = 5\nreturn {inc = " +
				"function() n = n + 1 return n end}",
			"json2":      "return require('lib.inflate')",
			"broken":     "local x = nil\nreturn x.y",
			"overridden": "return 'host'",
		},
	}, files("b.lua", "--#ENDPOINT WEBSOCKET /b\n", "modules/overridden.lua", "return 'solution'",
		"modules/uses.lua", "local lib = require 'lib.inflate' lib.inc()"))
	for _, c := range [][2]string{
		{
			`return Store.echo(1), Store.sub.echo(2), murano.services.store.echo(3), a.b.echo(4), ` +
				`a.b.c.echo(5)`,
			"1 2 3 4 5",
		},
		{
			`return murano.services.store:echo("x")`,
			"x",
		},
		{
			`return VERSION, context.solution_id, context.limits.max, murano.name, NONE`,
			"1.2 s1 3 m nil",
		},
		{
			`VERSION = 2 return VERSION`,
			"2",
		},
		{
			`return require("lib/inflate").inc(), require("json2") == require("lib.inflate")`,
			"2 true",
		},
		{
			`return secret, loaded`,
			"nil 1",
		},
		{
			`return require("overridden")`,
			"solution",
		},
		{
			`return require("broken")`,
			"broken.lua:2: attempt to index local 'x' (a nil value)",
		},
	} {
		script, want := c[0], c[1]
		if got := eval(t, f, script); got != want {
			t.Errorf("%s\n gives %s\n want %s", script, got, want)
		}
	}
	for name, opts := range map[string]*lua.Options{
		"service": {Services: map[string]lua.Service{"a..b": echoService()}},
		"service and field": {Services: map[string]lua.Service{"A": echoService(),
			"A.echo": echoService()}},
		"constant":         {Constants: map[string]any{"1a": 1}},
		"constant's value": {Constants: map[string]any{"f": func() {}}},
		"module":           {Modules: map[string]string{"m": "x = = 1"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New with a bad %s did not panic", name)
				}
			}()
			lua.New(f.gw, opts)
		}()
	}
}

// A service learns which script has called it.
func TestCallerOf(t *testing.T) {
	services := map[string]lua.Service{
		"Who": {"am": lua.Func(func(ctx context.Context, _ any) (string, error) {
			c, ok := lua.CallerOf(ctx)
			return fmt.Sprintf("%t,%t,%s,%s,%s", ok, c.SocketID != "", c.Route, c.Trigger, c.File), nil
		})},
	}
	f := newFixture(t, &lua.Options{Services: services}, files(
		"modules/m.lua", "loading = Who.am()",
		"a.lua", "--#ENDPOINT WEBSOCKET /a/{id}\nreturn loading .. ' ' .. Who.am()",
		"event_handler/b.lua", "--#EVENT timer timer\nreturn Who.am()"))
	expect(t, f.Dial(t, "/a/1"), "true,false,,, true,true,/a/{id},,a.lua")
	if got, err := f.host.Trigger(t.Context(), "timer", "timer", nil); got != "true,false,,timer "+
		"timer,event_handler/b.lua" {
		t.Errorf("Trigger = %v, %v", got, err)
	}
	if _, ok := lua.CallerOf(t.Context()); ok {
		t.Error("CallerOf(a context of no call) = true")
	}
}

// A capitalised name that nobody has defined is a service that fails when called.
func TestUndefinedServices(t *testing.T) {
	f := newFixture(t, nil, files("b.lua", "--#ENDPOINT WEBSOCKET /b\n", "modules/a.lua", `
Foo.list = {1, 2}
function Foo.count() return #Foo.list end
Bar = Bar or {}
Bar.n = (Bar.n or 0) + 1
Baz = setmetatable(Baz or {}, {__index = function() return "mine" end})
if not Own then Own = {} end
function Own.f() return "own" end
local kept = Keep`))
	for _, c := range [][2]string{
		{
			`return Foo.count(), Foo.list[2], Bar.n, Bar.x, Baz.anything, Own.f()`,
			"2 2 1 nil mine own",
		},
		{
			`return Timer.send{x = 1}`,
			"/eval:7: Timer.send: the host has no such service",
		},
		{
			`return Timer:send{x = 1}`,
			"/eval:7: Timer.send: the host has no such service",
		},
		{
			`return Timer()`,
			"/eval:7: Timer: the host has no such service",
		},
		{
			`return Foo.missing()`,
			"/eval:7: Foo.missing: the host has no such service",
		},
		{
			`return Timer == Timer, Keep == kept, type(Timer), type(Timer.send), rawget(_G, "Timer")`,
			"true true table function nil",
		},
		{
			`Timer.x = 1 return Timer.x`,
			"1",
		},
		{
			`return tostring(Timer.x)`,
			"function: builtin",
		},
		{
			`return DEBUG, T, timer, _X`,
			"nil nil nil nil",
		},
		{
			`return getmetatable(_G), next({})`,
			"nil nil",
		},
		{
			`setmetatable(_G, {__index = function(_, k) error("no " .. k) end}) return Timer`,
			"/eval:7: no Timer",
		},
		{
			`for k in pairs(_G) do if k == "Timer" then return "listed" end end`,
			"",
		},
	} {
		script, want := c[0], c[1]
		if got := eval(t, f, script); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s\n gives %s\n want %s", script, got, want)
		}
	}
	strict := newFixture(t, &lua.Options{StrictNames: true}, nil)
	if got := eval(t, strict, `return Timer`); got != "nil" {
		t.Errorf("with StrictNames Timer is %s", got)
	}
	if _, err := strict.host.Deploy(t.Context(), files("modules/a.lua", "Foo.x = 1", "a.lua",
		"--#ENDPOINT WEBSOCKET /a\n")); err == nil {
		t.Error("with StrictNames Foo.x = 1 works")
	}
}

// A solution's author is told what will not work, also where nothing was deployed.
func TestWarnings(t *testing.T) {
	solution := files(
		"modules/a.lua",
		"Known = {}\nlocal Mine = {}\nfunction f(Param) return Known.x, Mine.x, Param.x, DEBUG, "+
			"string.len('') end",
		"modules/b_test.lua",
		"error()",
		"a.lua",
		"--ENDPOINT WEBSOCKET /old\n--#ENDPOINT WEBSOCKET /a\n\nTimer.send{}\nif Timer then "+
			"Tsdb.query() end return Later",
		"event_handler/x.lua",
		"--#EVENT timer timer\nLater = 1\n--#EVENT device2 event\nUser.get()\n",
	)
	f := newFixture(t, &lua.Options{Triggers: []string{"Timer"}}, nil)
	d, err := f.host.Deploy(t.Context(), solution)
	want := []string{
		"a.lua:1: this line looks like a header",
		"a.lua:4: Timer is defined nowhere",
		"a.lua:5: Tsdb is defined nowhere",
		"event_handler/x.lua:3: event handler skipped: nothing triggers device2 event here",
		"event_handler/x.lua:4: User is defined nowhere",
		"modules/b_test.lua:1: file skipped",
	}
	compareNotes(t, "a deployment", d.Warnings, want)
	if err != nil || len(d.Events) != 2 ||
		d.Events[0] != (lua.EventHandler{Service: "timer", Event: "timer", File: "event_handler/x.lua"}) {
		t.Errorf("Deploy = %+v, %v", d, err)
	}
	maps.Copy(solution, files("modules/c.lua", "x = = 1"))
	d, err = f.host.Deploy(t.Context(), solution)
	var problems lua.Problems
	if !errors.As(err, &problems) || len(problems) != 1 || len(d.Routes) > 0 {
		t.Errorf("Deploy = %+v, %v", d, err)
	}
	compareNotes(t, "a deployment that does not compile", d.Warnings, want)
	solution["modules/c.lua"].Data = []byte("Made = {} error('wanted')")
	solution["modules/b.lua"] = &fstest.MapFile{Data: []byte("local x = Made and Missing.f")}
	d, err = f.host.Deploy(t.Context(), solution)
	if !errors.As(err, &problems) || len(problems) != 1 ||
		!strings.Contains(problems[0].Text, "wanted") {
		t.Errorf("Deploy = %+v, %v", d, err)
	}
	compareNotes(t, "a deployment whose module fails", d.Warnings,
		slices.Insert(want, 5, "modules/b.lua:1: Missing is defined nowhere"))
	d, err = f.host.DeployEndpoint(t.Context(), "/more", "Absent.x() y = = 1")
	if err == nil {
		t.Errorf("DeployEndpoint = %+v", d)
	}
	for _, note := range d.Warnings { // it may as well define what it uses
		if strings.HasPrefix(note.Text, "Absent") {
			t.Errorf("a warning of what does not compile: %v", note)
		}
	}
}

// A solution of modules only is deployed: their functions may handle events, and endpoints
// may come by themselves. Where nothing would call them, a warning says so.
func TestModulesOnly(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", "--#ENDPOINT WEBSOCKET /old\nreturn 'old'"))
	p := f.Dial(t, "/old")
	expect(t, p, "old")
	only := "modules/m.lua:1: the solution has modules only"
	d, err := f.host.Deploy(t.Context(), files("modules/m.lua", "function hello() return 'hi' end"))
	if err != nil || len(d.Routes) != 0 || !slices.Equal(d.Modules, []string{"modules/m.lua"}) {
		t.Fatalf("Deploy = %+v, %v", d, err)
	}
	compareNotes(t, "a solution of modules only", d.Warnings, []string{only})
	p.Closed() // its route is gone
	d, err = f.host.DeployEndpoint(t.Context(), "/new", "return hello()")
	if err != nil {
		t.Fatal(err)
	}
	compareNotes(t, "its first endpoint", d.Warnings, nil)
	expect(t, f.Dial(t, "/new"), "hi")
	d, err = f.host.Deploy(t.Context(),
		files("modules/m.lua", "function handle_a_b(x) return x + 1 end"))
	if err != nil {
		t.Fatal(err)
	}
	compareNotes(t, "modules that handle events", d.Warnings, nil)
	if got, err := f.host.Trigger(t.Context(), "a", "b", 1); got != 2.0 || err != nil {
		t.Errorf("Trigger = %v, %v", got, err)
	}
}

func compareNotes(t *testing.T, what string, notes []lua.Problem, want []string) {
	t.Helper()
	ok := len(notes) == len(want)
	for i := range min(len(notes), len(want)) {
		ok = ok && strings.HasPrefix(notes[i].String(), want[i])
	}
	if !ok {
		t.Errorf("%s has the warnings\n%v\nwant\n%s", what, lua.Problems(notes), strings.Join(want, "\n"))
	}
}

// Where modules fail because of their order, the error says so.
func TestHintAboutOrder(t *testing.T) {
	for name, c := range map[string]struct{ first, second, want string }{
		"a global function": {"\nhelper()", "function helper() end", `modules/a.lua:2: attempt to call ` +
			`global 'helper' (a nil value) (modules/b.lua defines helper and runs later: modules run in ` +
			`the order of their paths; require "b"`},
		"a local": {"x = conf.y", "local conf = {}", `modules/a.lua:1: attempt to index ` +
			`global 'conf' (a nil value) (modules/b.lua defines conf and runs later: modules run in ` +
			`the order of their paths; name the files in another order, or leave out its local)`},
		"a number": {"x = 1 + size", "size = 3", "modules/a.lua:1: attempt to perform " +
			"arithmetic on global 'size' (a nil value) (modules/b.lua defines size"},
		"nobody's": {"nobody()", "x = 1", "modules/a.lua:1: attempt to call global 'nobody' " +
			"(a nil value)"},
	} {
		f := newFixture(t, nil, nil)
		_, err := f.host.Deploy(
			t.Context(),
			files(
				"modules/a.lua",
				c.first,
				"modules/b.lua",
				c.second,
				"a.lua",
				"--#ENDPOINT WEBSOCKET /a\n",
			),
		)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) ||
			strings.Contains(err.Error(), "defines") != strings.Contains(c.want, "defines") {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
}

// What was refused is in the log, for those who look closer, and counted.
func TestRefusedOperations(t *testing.T) {
	f := newFixture(
		t,
		&lua.Options{
			Services: map[string]lua.Service{
				"S": {
					"fail": lua.Func(func(context.Context, any) (any, error) { return nil, errors.New("no") }),
				},
			},
		},
		files(
			"a.lua",
			"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type ~= 'open' then return "+
				"end\nWebsocket.send(websocketInfo.socket_id, "+
				"'x')\nS.fail()\nwebsocketInfo.send(print)\nWebsocket.send{socket_id = "+
				"websocketInfo.socket_id, message = '\\255'}\nreturn 'done'",
		),
	)
	expect(t, f.Dial(t, "/a"), "done")
	for line, parts := range map[string][]string{
		"line=3": {"operation=Websocket.send", "type=invalid_request", "route=/a", "script=a.lua",
			"level=DEBUG"},
		"line=4": {"operation=S.fail", "type=internal"},
		"line=5": {"operation=websocketInfo.send", "got function"},
		"line=6": {"operation=Websocket.send", "data-binary"},
	} {
		if !f.log.has(append(parts, "msg=refused", line)...) {
			t.Errorf("no line with %v and %s in the log:\n%s", parts, line, f.log)
		}
	}
	if s := f.host.Stats(); len(s) != 1 || s[0].Refused != 4 {
		t.Errorf("Stats = %+v, want 4 refused", s)
	}
}
