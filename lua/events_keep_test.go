package lua_test

import "testing"

// A single endpoint leaves modules and the handlers of other events as they are.
func TestDeployEndpointKeepsEvents(t *testing.T) {
	f := newFixture(t, nil, files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'a'",
		"modules/m.lua", "local word = 'module'", "event_handler/x_y.lua", "return word .. event"))
	d, err := f.host.DeployEndpoint(t.Context(), "/b", "return word")
	if err != nil || len(d.Events) != 1 || len(d.Routes) != 2 {
		t.Fatalf("DeployEndpoint = %+v, %v", d, err)
	}
	expect(t, f.Dial(t, "/b"), "module")
	if got, err := f.host.Trigger(t.Context(), "x", "y", "!"); got != "module!" || err != nil {
		t.Errorf("Trigger = %v, %v", got, err)
	}
	_, err = f.host.DeployEndpoint(t.Context(), "/c", "--#EVENT x z\nreturn 1")
	if err == nil {
		t.Error("DeployEndpoint with an event handler works")
	}
}
