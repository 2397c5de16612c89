package main

import (
	"context"
	"encoding/json"
	"fmt"
	"testing/fstest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// The typical endpoint: it parses JSON, looks at two fields and answers with a
// table.
const (
	typicalScript = `
if websocketInfo.type ~= "data" then return end
local order = from_json(websocketInfo.message)
if order.kind == "order" and order.amount > 10 then
  return {id = order.id, ok = true, total = order.amount * 2}
end
return {id = order.id, ok = false}
`
	typicalMessage = `{"amount":12.5,"id":"a-1701","kind":"order",` +
		`"note":"leave it at the door","tags":["new","gift"]}`
	typicalAnswer = `{"id":"a-1701","ok":true,"total":25}`
)

const echoMessage = "a message as a chat has it, of some sixty characters in all"

// An endpoint is what one process serves at /bench.
type endpoint struct {
	name, message, answer string
	install               func(gw *gateway.Handler) error
}

// endpoints are all that take turns.
var endpoints = []endpoint{
	{"echo, Go", echoMessage, echoMessage, inGo(gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		},
	})},
	{"echo, Lua", echoMessage, echoMessage,
		inLua(`if websocketInfo.type == "data" then return websocketInfo.message end`)},

	{"typical, Go", typicalMessage, typicalAnswer, inGo(gateway.Callbacks{OnData: typicalInGo})},
	{"typical, Lua", typicalMessage, typicalAnswer, inLua(typicalScript)},
	{"typical, gopher-lua", typicalMessage, typicalAnswer, inGopher(typicalScript)},

	// What the fields of websocketInfo cost: each is an answer "x" after a look
	// at some of them.
	{"info: no field", "x", "x", inLua(`return "x"`)},
	{"info: two fields", "x", "x",
		inLua(`local a, b = websocketInfo.type, websocketInfo.message return "x"`)},
	{"info: two fields and a header", "x", "x",
		inLua(`local a, b, c = websocketInfo.type, websocketInfo.message, ` +
			`websocketInfo.headers["user-agent"] return "x"`)},
	{"info: all fields", "x", "x", inLua(`for name, value in pairs(websocketInfo) do end return "x"`)},
}

func find(name string) (endpoint, error) {
	for _, e := range append(endpoints[:len(endpoints):len(endpoints)], neighbours) {
		if e.name == name {
			return e, nil
		}
	}
	return endpoint{}, fmt.Errorf("no endpoint has the name %q", name)
}

type order struct {
	Kind   string  `json:"kind"`
	ID     string  `json:"id"`
	Amount float64 `json:"amount"`
}

type verdict struct {
	ID    string  `json:"id"`
	OK    bool    `json:"ok"`
	Total float64 `json:"total,omitempty"`
}

func typicalInGo(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
	var o order
	if err := json.Unmarshal(m.Data, &o); err != nil {
		return err
	}
	v := verdict{ID: o.ID}
	if o.Kind == "order" && o.Amount > 10 {
		v.OK, v.Total = true, o.Amount*2
	}
	answer, err := gateway.JSON(v)
	if err != nil {
		return err
	}
	return s.Send(ctx, answer)
}

func inGo(e gateway.Endpoint) func(*gateway.Handler) error {
	return func(gw *gateway.Handler) error {
		gw.Handle("/bench", e)
		return nil
	}
}

// inLua deploys a script with all budgets at their defaults. It answers data
// events only.
func inLua(script string) func(*gateway.Handler) error {
	return func(gw *gateway.Handler) error {
		_, err := lua.New(gw, nil).Deploy(context.Background(), fstest.MapFS{
			"bench.lua": {Data: []byte("--#ENDPOINT WEBSOCKET /bench\nif websocketInfo.type ~= 'data' " +
				"then return end\n" + script)},
		})
		return err
	}
}
