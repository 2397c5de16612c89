package luatest_test

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/luatest"
)

func Example() {
	solution := luatest.Files("endpoints/rooms.lua", `
--#ENDPOINT WEBSOCKET /rooms/{room}
if websocketInfo.type == "data" then
  print("somebody speaks")
  return {room = websocketInfo.parameters.room, text = websocketInfo.message}
end`)
	result, err := luatest.Run(solution, nil,
		luatest.Event{Path: "/rooms/kitchen", Message: gateway.Text("hello")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Texts())
	fmt.Println(result.Logs[0].Text)
	// Output:
	// [{"room":"kitchen","text":"hello"}]
	// somebody speaks
}

// script tells what it sees, and does what it is told.
const script = `--#ENDPOINT WEBSOCKET /s/{name}
if websocketInfo.type == "open" then
  log.warn("open", websocketInfo.headers["x-user"])
  if websocketInfo.parameters.name == "shut" then websocketInfo.close() end
  return "welcome"
elseif websocketInfo.type == "close" then
  print("close", websocketInfo.close_code, websocketInfo.close_reason)
  return
end
local m = websocketInfo.message
if m == "fail" then error("boom") end
websocketInfo.send(websocketInfo.parameters.name .. " " .. (websocketInfo.parameters.q or "") .. " " .. websocketInfo.message_type)
Websocket.send{socket_id = websocketInfo.socket_id, message = "own"}
if m == "close" then websocketInfo.close() end
return m`

func run(t *testing.T, opts *lua.Options, ev luatest.Event) luatest.Result {
	t.Helper()
	r, err := luatest.Run(luatest.Files("a.lua", script), opts, ev)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func expect(t *testing.T, r luatest.Result, texts ...string) {
	t.Helper()
	if got := r.Texts(); !slices.Equal(got, texts) {
		t.Errorf("replies %q, want %q", got, texts)
	}
}

func TestOpen(t *testing.T) {
	r := run(t, nil,
		luatest.Event{Type: gateway.EventOpen, Path: "/s/x", Header: http.Header{"X-User": {"Ada"}}})
	expect(t, r, "welcome")
	if want := (luatest.Log{Level: slog.LevelWarn, Text: "open Ada", File: "a.lua",
		Line: 3}); len(r.Logs) != 1 || r.Logs[0] != want {
		t.Errorf("logs %+v, want %+v", r.Logs, want)
	}
	if r.SocketID == "" || r.Closed || r.Err != nil {
		t.Errorf("result %+v", r)
	}
}

func TestData(t *testing.T) {
	expect(t, run(t, nil, luatest.Event{Path: "/s/x?q=1"}), "x 1 data-text", "own", "")
	expect(t, run(t, nil, luatest.Event{Path: "/s/x", Message: gateway.Binary([]byte{1})}),
		"x  data-binary", "own", "AQ==")
	r := run(t, nil, luatest.Event{Path: "/s/x", Message: gateway.Text("close")})
	expect(t, r, "x  data-text", "own")
	if !r.Closed || r.CloseCode != 1000 {
		t.Errorf("closed %v with %d, want true with 1000", r.Closed, r.CloseCode)
	}
	if len(r.Logs) != 0 || r.Err != nil {
		t.Errorf("result %+v: logs of other events", r)
	}
}

func TestClose(t *testing.T) {
	r := run(t, nil,
		luatest.Event{Type: gateway.EventClose, Path: "/s/x", CloseCode: 4001, CloseReason: "bye"})
	expect(t, r)
	if len(r.Logs) != 1 || r.Logs[0].Text != "close\t4001\tbye" {
		t.Errorf("logs %+v", r.Logs)
	}
}

func TestFailure(t *testing.T) {
	r := run(t, nil, luatest.Event{Path: "/s/x", Message: gateway.Text("fail")})
	if r.Err == nil || r.Err.Error() != "a.lua:11: boom" || r.Closed {
		t.Errorf("result %+v, want the error a.lua:11: boom and an open socket", r)
	}
	r = run(t, &lua.Options{CloseOnError: true},
		luatest.Event{Path: "/s/x", Message: gateway.Text("fail")})
	if r.Err == nil || !r.Closed || r.CloseCode != 1011 || r.CloseReason != "script_error" {
		t.Errorf("result %+v, want the error, and closed with 1011", r)
	}
}

func TestErrors(t *testing.T) {
	var problems lua.Problems
	if _, err := luatest.Run(luatest.Files("a.lua", "--#ENDPOINT WEBSOCKET /a\nx ="), nil,
		luatest.Event{Path: "/a"}); !errors.As(err, &problems) {
		t.Errorf("a solution that does not compile: %v", err)
	}
	for path, want := range map[string]string{"/none": "404",
		"/s/shut": "closed before the data event", "\x00": "invalid"} {
		_, err := luatest.Run(luatest.Files("a.lua", script), nil, luatest.Event{Path: path})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("path %q: error %v, want one with %q", path, err, want)
		}
	}
}
