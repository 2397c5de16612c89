package lua_test

import (
	"context"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// runs is an endpoint that runs what it is sent and replies with an array of the
// results.
const runs = `--#ENDPOINT WEBSOCKET /run
if websocketInfo.type ~= "data" then return end
return to_json(json.array{loadstring("local me, ws = ... ; " .. websocketInfo.message)(websocketInfo.socket_id, websocketInfo)})`

// ask has a script run on the socket's event and returns its results.
func ask(p *gatewaytest.Peer, script string) string {
	p.Send(gateway.Text(script))
	return string(p.Receive().Data)
}

func TestGroups(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", runs))
	a, b, c := f.Dial(t, "/run"), f.Dial(t, "/run"), f.Dial(t, "/run")
	for _, p := range []*gatewaytest.Peer{a, b} {
		if got := ask(p,
			`return Websocket.join{socket_id = me, group = "room"} == nil, Websocket.join{socket_id = me, group = "room"} == nil, #ws.groups, ws.groups[1]`); got != `[true,true,1,"room"]` {
			t.Fatalf("join: %s", got)
		}
	}
	for _, step := range []struct{ script, want string }{
		{`return Websocket.send{group = "room", message = "hi"}`, `[2]`},
		{`return Websocket.send{group = "room", message = "AQI=", type = "data-binary"}`, `[2]`},
		{`return Websocket.send{group = "nobody", message = "hi"}`, `[0]`},
		{`local l = Websocket.list{group = "room"} return #l, l[1] < l[2], to_json(Websocket.list{group = "nobody"}), #Websocket.list{}, #Websocket.list()`, `[2,true,"[]",3,3]`},
		{`return ws.groups == nil, Websocket.info{socket_id = me}.groups == nil, to_json(Websocket.info{socket_id = Websocket.list{group = "room"}[1]}.groups)`, `[true,true,"[\"room\"]"]`},
		{`return Websocket.join{socket_id = me, group = "room"}, Websocket.leave{socket_id = me, group = "room"}, Websocket.leave{socket_id = me, group = "room"}, #Websocket.list{group = "room"}`, `[null,null,null,2]`},
		{`local g = {Websocket.join{socket_id = me, group = "z"}, Websocket.join{socket_id = me, group = "a"}} return to_json(ws.groups)`, `["[\"a\",\"z\"]"]`},
	} {
		if got := ask(c, step.script); got != step.want {
			t.Errorf("%s\n got %s\nwant %s", step.script, got, step.want)
		}
	}
	for _, p := range []*gatewaytest.Peer{a, b} {
		expect(t, p, "hi", "\x01\x02")
	}
	if got := ask(c,
		`return Websocket.closeAll{group = "room"}, Websocket.closeAll{group = "nobody"}`); got != `[2,0]` {
		t.Errorf("closeAll of a group: %s", got)
	}
	for _, p := range []*gatewaytest.Peer{a, b} {
		if code, _ := p.Closed(); code != 1000 {
			t.Errorf("closed with %d, want 1000", code)
		}
	}
	c.Send(gateway.Text(`return Websocket.closeAll{}`))
	c.Closed()
}

// What is wrong with the arguments comes back as the error object, also inside
// the event of a socket that could be meant.
func TestGroupErrors(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", runs))
	p := f.Dial(t, "/run")
	const bad = `["invalid_request",400,"string"]`
	for _, c := range []struct{ call, want string }{
		{`join{group = "x"}`, bad},
		{`leave{group = "x"}`, bad},
		{`join{socket_id = me}`, bad},
		{`leave{socket_id = me}`, bad},
		{`join{socket_id = me, group = ""}`, bad},
		{`join{socket_id = me, group = 5}`, bad},
		{`join{socket_id = me, group = ("x"):rep(257)}`, bad},
		{`join{socket_id = me, group = "\255"}`, bad},
		{`join()`, bad},
		{`join("x")`, bad},
		{`join{socket_id = "no", group = "x"}`, `["not_found",404,"string"]`},
		{`leave{socket_id = "no", group = "x"}`, `["not_found",404,"string"]`},
		{`send{socket_id = me, group = "x", message = "y"}`, bad},
		{`send{group = "", message = "y"}`, bad},
		{`send{group = {}, message = "y"}`, bad},
		{`send{group = "x"}`, bad},
		{`send{group = "x", message = {}}`, bad},
		{`send{group = "x", message = "?", type = "data-binary"}`, bad},
		{`send{group = "x", message = "y", type = "text"}`, bad},
		{`list{group = ""}`, bad},
		{`list{group = 1}`, bad},
		{`list("x")`, bad},
		{`closeAll{group = ""}`, bad},
		{`closeAll{group = true}`, bad},
		{`closeAll("x")`, bad},
	} {
		if got := ask(p,
			"local e = Websocket."+c.call+" return e.type, e.status, type(e.error)"); got != c.want {
			t.Errorf("Websocket.%s\n got %s\nwant %s", c.call, got, c.want)
		}
	}
}

// A closing socket has left its groups; its close event still names them, and
// what it does to others works.
func TestGroupsInCloseEvent(t *testing.T) {
	f := newFixture(t, &lua.Options{StatusOnSuccess: true},
		files("a.lua", `--#ENDPOINT WEBSOCKET /room/{name}
local me = websocketInfo.socket_id
local group = websocketInfo.parameters.name
if websocketInfo.type == "open" then
  return to_json{Websocket.join{socket_id = me, group = group}, Websocket.send{group = group, message = "joined"}}
elseif websocketInfo.type == "close" then
  local e = Websocket.join{socket_id = me, group = "other"}
  Websocket.send{group = group, message = "left " .. websocketInfo.groups[1] .. " " .. e.type .. " " .. #Websocket.list{group = group}}
end`))
	a := f.Dial(t, "/room/kitchen")
	expect(t, a, "joined", `[{"status":204},1]`)
	b := f.Dial(t, "/room/kitchen")
	expect(t, b, "joined", `[{"status":204},2]`)
	expect(t, a, "joined")
	b.Close(1000, "")
	expect(t, a, "left kitchen closed 1")
	if names, err := f.gw.Groups(context.Background()); err != nil ||
		strings.Join(names, " ") != "kitchen" {
		t.Errorf("Groups() = %v, %v", names, err)
	}
}
