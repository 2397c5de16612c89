package lua_test

import (
	"fmt"
	"testing"
	"testing/fstest"
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
