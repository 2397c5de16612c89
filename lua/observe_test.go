package lua_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// The gateway's observer is told of every run of a script, and what went wrong in it.
func TestObserverOfScripts(t *testing.T) {
	var mu sync.Mutex
	var runs []gateway.ScriptRun
	gw := gateway.New(&gateway.Options{Observer: gateway.Observer{
		ScriptRun: func(r gateway.ScriptRun) {
			mu.Lock()
			defer mu.Unlock()
			runs = append(runs, r)
		},
	}})
	host := lua.New(gw, nil)
	_, err := host.DeployEndpoint(t.Context(), "/x",
		"if websocketInfo.type == 'data' then error('broken') end")
	if err != nil {
		t.Fatal(err)
	}
	p := gatewaytest.NewServer(t, gw).Dial(t, "/x")
	p.Send(gateway.Text("now"))
	p.Close(1000, "")
	if err := gw.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(runs) != 3 {
		t.Fatalf("the observer saw %d runs, want those of open, data and close: %+v", len(runs), runs)
	}
	for i, typ := range []gateway.EventType{gateway.EventOpen, gateway.EventData, gateway.EventClose} {
		r := runs[i]
		if r.Event != typ || r.Route != "/x" || r.SocketID == "" || r.Instructions == 0 ||
			!strings.Contains(r.Script, "/x") || (r.Err != nil) != (typ == gateway.EventData) {
			t.Errorf("run %d = %+v, want one for %v of /x", i, r, typ)
		}
	}
}
