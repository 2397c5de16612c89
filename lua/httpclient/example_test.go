package httpclient_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/httpclient"
	"github.com/wsgateway/gateway/lua/luatest"
)

func Example() {
	weather := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"city":%q,"celsius":21}`, r.FormValue("city"))
	}))
	defer weather.Close()

	client := httpclient.New(&httpclient.Options{
		Allow:                    []string{strings.TrimPrefix(weather.URL, "http://")},
		InsecurePrivateAddresses: true, // the server of this example is on this machine
	})
	defer client.Close()
	opts := &lua.Options{
		Services:  map[string]lua.Service{"Http": client.Service()},
		Constants: map[string]any{"WEATHER": weather.URL},
	}
	files := luatest.Files("weather.lua", `--#ENDPOINT WEBSOCKET /weather
local r = Http.get{url = WEATHER, query = {city = websocketInfo.parameters.city}}
if r.error then return r end
return "it has " .. from_json(r.body).celsius .. " degrees"`)
	result, err := luatest.Run(files, opts, luatest.Event{Path: "/weather?city=Oslo"})
	fmt.Println(result.Texts(), err)
	// Output: [it has 21 degrees] <nil>
}
