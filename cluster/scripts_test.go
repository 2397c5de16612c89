package cluster_test

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster/clustertest"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/luatest"
)

// The same script as on one node: its Websocket table reaches the sockets of all nodes.
func TestScriptsSpanTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := members(t, clustertest.NewNetwork(1), 2)
		far, p := m[1].open(t)
		host := lua.New(m[0], nil)
		defer host.Shutdown(ctx)
		_, err := host.Deploy(ctx, luatest.Files("endpoints/all.lua", `
--#ENDPOINT WEBSOCKET /script
if websocketInfo.type ~= "data" then return end
local far = websocketInfo.message
local result = {
  send = Websocket.send{socket_id = far, message = "from a script"},
  join = Websocket.join{socket_id = far, group = "scripts"},
  accepted = Websocket.send{group = "scripts", message = "to the group"},
  server = Websocket.info{socket_id = far}.server_ip,
  ids = Websocket.list(),
  members = Websocket.list{group = "scripts"},
  missing = Websocket.send{socket_id = string.rep("z", 36), message = "x"},
}
Websocket.close{socket_id = far}
return result`))
		if err != nil {
			t.Fatal(err)
		}
		near := m[0].srv.Dial(t, "/script")
		near.Send(gateway.Text(far))
		var got struct {
			Send, Join any
			Accepted   int
			Server     string
			IDs        []string
			Members    []string
			Missing    gateway.Error
		}
		if err := json.Unmarshal(near.Receive().Data, &got); err != nil {
			t.Fatal(err)
		}
		if got.Send != nil || got.Join != nil || got.Accepted != 1 || got.Server != m[1].name() ||
			!slices.Contains(got.IDs, far) || len(got.IDs) != 2 || !slices.Equal(got.Members,
			[]string{far}) ||
			got.Missing.Type != "not_found" {
			t.Errorf("the script got %+v", got)
		}
		wantText(t, p, "from a script", "to the group")
		if code, _ := p.Closed(); code != 1000 {
			t.Errorf("the far socket was closed with %d, want 1000", code)
		}
		time.Sleep(time.Second)
	})
}
