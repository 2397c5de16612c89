package luatest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/luatest"
)

func ExampleTrigger() {
	files := luatest.Files("event_handler/timer.lua", "--#EVENT timer timer\n"+
		"print('at ' .. event.at)\nreturn {next = event.at + 60}")
	result, err := luatest.Trigger(files, nil, "timer", "timer", map[string]int{"at": 100})
	fmt.Println(result.Value, result.Logs[0].Text, result.Err, err)
	// Output: map[next:160] at 100 <nil> <nil>
}

func TestTrigger(t *testing.T) {
	files := luatest.Files("event_handler/a_b.lua", "print('before')\nerror('wanted')")
	got, err := luatest.Trigger(files, nil, "a", "b", nil)
	if err != nil || got.Err == nil || got.Err.Text != "event_handler/a_b.lua:2: wanted" ||
		len(got.Logs) != 1 {
		t.Errorf("Trigger = %+v, %v; want the failure at line 2", got, err)
	}
	if _, err := luatest.Trigger(files, nil, "a", "c", nil); !errors.Is(err, gateway.ErrNotFound) {
		t.Errorf("Trigger without a handler: %v, want not_found", err)
	}
	var problems lua.Problems
	_, err = luatest.Trigger(luatest.Files("modules/m.lua", "x = = 1"), nil, "a", "b", nil)
	if !errors.As(err, &problems) {
		t.Errorf("Trigger of a broken solution: %v, want problems", err)
	}
}
