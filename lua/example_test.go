package lua_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/luatest"
)

// A host deploys the scripts of a file system, such as os.DirFS("solution"), as
// routes of a gateway.
func Example() {
	gw := gateway.New(nil) // and then http.ListenAndServe("127.0.0.1:8080", gw)
	host := lua.New(gw, nil)
	deployed, err := host.Deploy(context.Background(), luatest.Files("endpoints/hello.lua", `
--#ENDPOINT WEBSOCKET /hello/{name}
if websocketInfo.type == "open" then
  return "hello " .. websocketInfo.parameters.name
end`))
	fmt.Println(deployed.Routes, err)
	// Output:
	// [/hello/{name}] <nil>
}

// What is wrong with a solution is told at once, and what was deployed goes on.
func ExampleHost_Deploy() {
	host := lua.New(gateway.New(nil), nil)
	_, err := host.Deploy(context.Background(), luatest.Files(
		"endpoints/a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn = 1",
		"endpoints/b.lua", "--#ENDPOINT WEBSOCKET b\nreturn 2",
	))
	var problems lua.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Printf("%s:%d: %s\n", p.File, p.Line, p.Text)
		}
	}
	// Output:
	// endpoints/a.lua:2: unexpected symbol near '='
	// endpoints/b.lua:1: path "b": expected "/" at its start
}

// A Go function becomes one that scripts call; its error becomes the error object.
func ExampleFunc() {
	type query struct {
		City string `json:"city"`
	}
	type weather struct {
		Celsius float64 `json:"celsius"`
	}
	get := func(_ context.Context, q query) (weather, error) {
		if q.City != "Oslo" {
			return weather{},
				&gateway.Error{Type: "unknown_city", Status: 404, Message: "nobody measures there"}
		}
		return weather{Celsius: 21.5}, nil
	}
	opts := &lua.Options{Services: map[string]lua.Service{"Weather": {"get": lua.Func(get)}}}

	script := luatest.Files("endpoints/weather.lua", `
--#ENDPOINT WEBSOCKET /weather
if websocketInfo.type == "data" then
  return Weather.get{city = websocketInfo.message}
end`)
	for _, city := range []string{"Oslo", "Atlantis"} {
		result, err := luatest.Run(script, opts,
			luatest.Event{Path: "/weather", Message: gateway.Text(city)})
		fmt.Println(result.Texts(), err)
	}
	// Output:
	// [{"celsius":21.5}] <nil>
	// [{"error":"nobody measures there","status":404,"type":"unknown_city"}] <nil>
}
