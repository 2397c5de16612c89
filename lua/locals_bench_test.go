package lua_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// large is a solution of 100 endpoints and 30 modules, each of which uses locals of
// modules, or globals if local is "".
func large(local string) fstest.MapFS {
	fsys := fstest.MapFS{}
	add := func(name, text string) { fsys[name] = &fstest.MapFile{Data: []byte(text)} }
	for i := range 30 {
		var b strings.Builder
		for k := range 10 {
			fmt.Fprintf(
				&b,
				"%sfunction f%d_%d(x)\n  local t = {x, %d, name = \"n\"}\n  for i, v in ipairs(t) do\n    x "+
					"= x + v * i\n  end\n  return x %% 1000\nend\n",
				local,
				i,
				k,
				k,
			)
		}
		if i > 0 {
			fmt.Fprintf(&b, "%sfunction g%d(x) return f%d_1(x) + f%d_2(x) end\n", local, i, i-1, i-1)
		}
		add(fmt.Sprintf("modules/m%02d.lua", i), b.String())
	}
	for i := range 100 {
		add(fmt.Sprintf("endpoints/e%02d.lua", i), fmt.Sprintf(`--#ENDPOINT WEBSOCKET /e%d
if websocketInfo.type == "open" then
  Websocket.join{socket_id = websocketInfo.socket_id, group = "all"}
elseif websocketInfo.type == "data" then
  local n = tonumber(websocketInfo.message) or 0
  local message = from_json(websocketInfo.message)
  return tostring(g%d(n) + f%d_3(n) + f%d_4(n))
elseif websocketInfo.type == "close" then
  print("closed " .. websocketInfo.socket_id)
end
`, i, 1+i%29, i%30, i%30))
	}
	return fsys
}

func BenchmarkDeployLarge(b *testing.B) {
	for _, local := range []string{"local ", ""} {
		b.Run("local="+local, func(b *testing.B) {
			fsys := large(local)
			host := lua.New(gateway.New(nil), nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := host.Deploy(context.Background(), fsys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEventOfLarge(b *testing.B) {
	for _, local := range []string{"local ", ""} {
		b.Run("local="+local, func(b *testing.B) {
			p := newFixture(b, nil, large(local)).Dial(b, "/e1")
			b.ReportAllocs()
			for b.Loop() {
				p.Send(gateway.Text("7"))
				p.Receive()
			}
		})
	}
}
