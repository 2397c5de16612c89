package lua_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

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

func TestCheck(t *testing.T) {
	problems := lua.Check(files("endpoints/a.lua", "--#ENDPOINT WEBSOCKET /a\n\nlocal x = \n",
		"modules/m.lua", "x = = 2", "endpoints/b.lua", "--#ENDPOINT WEBSOCKET /b\nreturn 1"))
	if len(problems) != 2 || !strings.HasPrefix(problems[0].String(), "endpoints/a.lua:3: ") ||
		!strings.HasPrefix(problems[1].String(), "modules/m.lua:1: ") {
		t.Errorf("Check = %v", problems)
	}
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
