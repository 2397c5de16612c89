package keystore_test

import (
	"fmt"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/keystore"
	"github.com/wsgateway/gateway/lua/luatest"
)

// A store that scripts use as Keystore outlives events, sockets and deployments.
func Example() {
	opts := &lua.Options{Services: map[string]lua.Service{"Keystore": keystore.New(nil).Service()}}
	script := luatest.Files("endpoints/count.lua", `
--#ENDPOINT WEBSOCKET /count
if websocketInfo.type == "data" then
  return Keystore.increment{key = "messages"}.value
end`)
	for range 2 {
		result, err := luatest.Run(script, opts,
			luatest.Event{Path: "/count", Message: gateway.Text("x")})
		fmt.Println(result.Texts(), err)
	}
	// Output:
	// [1] <nil>
	// [2] <nil>
}
