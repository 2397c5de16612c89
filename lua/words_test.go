package lua_test

import (
	"strings"
	"testing"

	"github.com/wsgateway/gateway/lua"
)

// The texts of errors are about what a script can do.
func TestErrorsInAScriptsWords(t *testing.T) {
	f := newFixture(t, nil, nil)
	for _, c := range [][2]string{
		{
			`return websocketInfo.send("\255").error`,
			`it is not UTF-8: Websocket.send takes other bytes in base64, with type = "data-binary"`,
		},
		{
			`return Websocket.send{socket_id = websocketInfo.socket_id, message = "\255"}.error`,
			`message is not UTF-8: other bytes are sent in base64, with type = "data-binary"`,
		},
		{
			`return Websocket.send{group = "g", message = "\255"}.error`,
			`message is not UTF-8`,
		},
		{
			`return Websocket.send{socket_id = websocketInfo.socket_id, message = "x", type = 5}.error`,
			`type is a number, not a string`,
		},
		{
			`return Websocket.send{socket_id = websocketInfo.socket_id, message = "x", type = ` +
				`"text"}.error`,
			`message type "text" is neither data-text nor data-binary`,
		},
		{
			`return Websocket.send{socket_id = websocketInfo.socket_id}.error`,
			`message is missing`,
		},
		{
			`return Websocket.send{socket_id = websocketInfo.socket_id, message = {}}.error`,
			`message is a table, not a string: to_json makes one of it`,
		},
		{
			`return Websocket.send{socket_id = websocketInfo.socket_id, message = 5}.error`,
			`message is a number, not a string: tostring makes one of it`,
		},
		{
			`return Websocket.send(websocketInfo.socket_id, "x").error`,
			`a table is expected, as in {socket_id = id}, got a string`,
		},
		{
			`return Websocket.send().error`,
			`a table with the field socket_id is expected, as in {socket_id = id}`,
		},
	} {
		script, want := c[0], c[1]
		if got := eval(t, f, script); !strings.HasPrefix(got, want) {
			t.Errorf("%s\n gives %s\n want %s", script, got, want)
		}
	}
	f.host.DeployEndpoint(t.Context(), "/bytes", "return '\\255'")
	f.Dial(t, "/bytes").Close(1000, "")
	f.gw.Shutdown(t.Context())
	if !f.log.has("script failed", "it is not UTF-8: Websocket.send takes other bytes in base64") {
		t.Errorf("log:\n%s", f.log)
	}
}

func TestStatusField(t *testing.T) {
	f := newFixture(t, &lua.Options{StatusOnSuccess: true, StatusField: "status_code"}, nil)
	if got := eval(t, f, `local r = Websocket.send{socket_id = websocketInfo.socket_id, message = `+
		`"x"} return r.status_code, r.status`); got != "x" {
		t.Fatalf("got %s", got)
	}
}
