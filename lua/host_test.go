package lua_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

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

func TestBinaryMessages(t *testing.T) {
	f := newFixture(t, nil,
		files("a.lua",
			"--#ENDPOINT WEBSOCKET /b\nif websocketInfo.type == 'data' then return "+
				"websocketInfo.message_type .. ' ' .. websocketInfo.message end"))
	p := f.Dial(t, "/b")
	p.Send(gateway.Binary([]byte{1, 2, 255}))
	expect(t, p, "data-binary AQL/")
}
