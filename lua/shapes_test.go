package lua_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/keystore"
)

// A shape is a solution as people have written them for the original platform, with what
// its sockets and its devices do.
type shape struct {
	files    fstest.MapFS
	path     string
	sends    []string
	receives []string // "" is whatever comes
	device   any      // the argument of device2 event; nil: there is none
	after    []string // received then
}

var shapes = map[string]shape{
	"chat with a module of locals": {
		files: files("modules/chat.lua", `
local KEY = "chat.sockets"
local function members()
  local r = Keystore.command{key = KEY, command = "smembers"}
  return r.value or {}
end
local function broadcast(message)
  local n = 0
  for _, id in ipairs(members()) do
    local resp = Websocket.send{socket_id = id, message = message, type = "data-text"}
    if resp and resp.error then
      Keystore.command{key = KEY, command = "srem", args = {id}}
    else
      n = n + 1
    end
  end
  return n
end
function listen(ws)
  if ws.type == "open" then
    Keystore.command{key = KEY, command = "sadd", args = {ws.socket_id}}
    return "welcome"
  elseif ws.type == "close" then
    Keystore.command{key = KEY, command = "srem", args = {ws.socket_id}}
  else
    broadcast(ws.message)
  end
end
`, "endpoints/chat.lua", `--#ENDPOINT WEBSOCKET /chat
response.message = listen(websocketInfo)
`, "event_handler/device2_event.lua", `--#EVENT device2 event
broadcast(event.identity .. ":" .. to_json(event.payload))
`),
		path: "/chat", sends: []string{"hi"}, receives: []string{"welcome", "hi"},
		device: map[string]any{"identity": "d1", "payload": map[string]any{"t": 1}},
		after:  []string{`d1:{"t":1}`},
	},
	"objects, require and services that are not there": {
		files: files("modules/device.lua", `
local Device = {}
Device.__index = Device
function Device.new(id) return setmetatable({id = id, readings = {}}, Device) end
function Device:add(v) self.readings[#self.readings + 1] = v return self end
function Device:average()
  local sum = 0
  for _, v in ipairs(self.readings) do sum = sum + v end
  return #self.readings > 0 and sum / #self.readings or nil
end
return Device
`, "modules/store.lua", `
local Device = require "device"
Cache = Cache or {}
Cache.hits = (Cache.hits or 0)
function Cache.get(id)
  Cache.hits = Cache.hits + 1
  return Device.new(id)
end
local _unused = Tsdb
`, "endpoints/d.lua", `--#ENDPOINT WEBSOCKET /device/{id} application/json
local d = Cache.get(websocketInfo.parameters.id)
if websocketInfo.type == "data" then
  local t, err = from_json(websocketInfo.message)
  if t == nil then return to_json{error = err} end
  for _, v in ipairs(t) do d:add(v) end
  local ok, why = pcall(Tsdb.write, {metrics = {avg = d:average()}})
  return {id = d.id, average = d:average(), stored = ok}
end

--#ENDPOINT POST /device/{id}
return "skipped"
`, "modules/device_spec.lua", `describe("device", function() end)`),
		path: "/device/7", sends: []string{"[1,2,3]", "no"},
		receives: []string{`{"average":2,"id":"7","stored":false}`, ""},
	},
	"a handler for everything": {
		files: files("event_handler/all.lua", `--#EVENT websocket websocket_info
function handle_websocket_websocket_info(websocketInfo)
  local path = websocketInfo.uri:match("^%w+://[^/]+(/[^?]*)")
  local route = routes[path]
  if route == nil then websocketInfo.close() return end
  return route(websocketInfo)
end
--#EVENT device2 event
for _, id in ipairs(Websocket.list()) do Websocket.send{socket_id = id, message = event.type} end
`, "modules/routes.lua", `
routes = {}
local function get(path, f) routes[path] = f end
get("/time", function(ws)
  if ws.type == "open" then return os.date("!%Y", 0) end
  return ws.message and string.upper(ws.message)
end)
`),
		path: "/time", sends: []string{"x"}, receives: []string{"1970", "X"},
		device: map[string]any{"type": "provisioned"}, after: []string{"provisioned"},
	},
	"helpers of every kind": {
		files: files("modules/0_util.lua", `
local util = {}
local insert, concat = table.insert, table.concat
function util.split(s, sep)
  local out = {}
  for part in (s .. sep):gmatch("(.-)" .. sep:gsub("%p", "%%%0")) do insert(out, part) end
  return out
end
function util.trim(s) return (s:gsub("^%s*(.-)%s*$", "%1")) end
local function map(t, f) local r = {} for i, v in ipairs(t) do r[i] = f(v, i) end return r end
`, "modules/1_parse.lua", `
local function parse(line)
  local cmd, rest = line:match("^(%u+)%s*(.*)$")
  return cmd, map(util.split(rest or "", ","), util.trim)
end
local commands = {}
function commands.SUM(args)
  local n = 0
  for _, a in ipairs(args) do n = n + (tonumber(a) or 0) end
  return tostring(n)
end
commands.ECHO = function(args) return concat(args, "|") end
`, "endpoints/cmd.lua", `--#ENDPOINT WEBSOCKET /cmd
if websocketInfo.type ~= "data" then return end
local cmd, args = parse(websocketInfo.message)
local f = commands[cmd]
if not f then return {error = "unknown", status = 404} end
local ok, result = pcall(f, args)
return ok and result or "failed: " .. tostring(result)
`),
		path: "/cmd", sends: []string{"SUM 1, 2 ,3", "ECHO a,b", "NO"},
		receives: []string{"6", "a|b", `{"error":"unknown","status":404}`},
	},
	"a timer's handler with a counter": {
		files: files("modules/count.lua", `
local function count(key)
  return Keystore.increment{key = key}.value
end
function handle_device2_event(event) return count("events") end
`, "endpoints/n.lua", `--#ENDPOINT WEBSOCKET /n
if websocketInfo.type == "data" then
  return tostring(Keystore.get{key = "events"}.value)
end
`),
		path: "/n", sends: []string{"?"}, receives: []string{"nil"}, device: map[string]any{},
	},
}

// Solutions of many shapes run side by side, as many hosts of many gateways.
func TestShapesOfSolutions(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	var all sync.WaitGroup
	for name, s := range shapes {
		for n := range 12 {
			gw := gateway.New(&gateway.Options{Logger: discard})
			host := lua.New(gw, &lua.Options{
				Logger: discard, Triggers: []string{"device2"},
				Services: map[string]lua.Service{"Keystore": keystore.New(nil).Service()},
			})
			d, err := host.Deploy(t.Context(), s.files)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n == 0 {
				t.Logf("%s: %d routes, warnings %v", name, len(d.Routes), lua.Problems(d.Warnings))
			}
			srv := gatewaytest.NewServer(t, gw)
			all.Go(func() { s.try(t, name, srv, host) })
		}
	}
	all.Wait()
}

func (s shape) try(t *testing.T, name string, srv *gatewaytest.Server, host *lua.Host) {
	p := srv.Dial(t, s.path)
	receive := func(want []string) {
		for _, text := range want {
			if got := string(p.Receive().Data); got != text && text != "" {
				t.Errorf("%s: received %q, want %q", name, got, text)
			}
		}
	}
	for _, text := range s.sends {
		p.Send(gateway.Text(text))
	}
	receive(s.receives)
	if s.device != nil {
		for range len(s.after) + 1 {
			if _, err := host.Trigger(context.Background(), "device2", "event", s.device); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		receive(s.after)
	}
	p.Close(1000, "")
	for _, st := range host.Stats() {
		if st.Errors > 0 {
			t.Errorf("%s: %s", name, fmt.Sprintf("%+v", st))
		}
	}
}
