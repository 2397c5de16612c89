package lua

import (
	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// ran tells the observer of the event's gateway that the script has run.
func (e *event) ran(u vm.Usage, err error) {
	s, ok := e.socket.(interface{ ScriptRan(gateway.ScriptRun) })
	if !ok {
		return // in a test, without a gateway
	}
	s.ScriptRan(gateway.ScriptRun{
		Event: e.ev.Type, Script: e.script.place, Duration: u.Time,
		Instructions: u.Instructions, Err: err,
	})
}
