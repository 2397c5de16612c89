package lua_test

import (
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

func TestUsageAndLimits(t *testing.T) {
	f := newFixture(t, &lua.Options{Limits: lua.Limits{Instructions: 1 << 20, Depth: -1, Output: -1}},
		files("a.lua", "--#ENDPOINT WEBSOCKET /a\n"+
			"if websocketInfo.type ~= 'data' then return end\n"+
			"for i = 1, tonumber(websocketInfo.message) do print(i) end\nreturn 'done'"))
	p := f.Dial(t, "/a")
	for _, n := range []string{"1", "50", "5"} {
		p.Send(gateway.Text(n))
		expect(t, p, "done")
	}
	s := f.host.Stats()[0]
	m := s.Most
	if m.Lines != 50 || m.Instructions < 50 || m.Instructions >= s.Instructions || m.Output < 50 ||
		m.Time <= 0 || m.Total <= 0 || m.Time > s.Time {
		t.Errorf("Stats = %+v, want the run with 50 lines as the one that used most", s)
	}
	l := f.host.Limits()
	want := lua.Limits{
		Instructions: 1 << 20,
		Time:         5 * time.Second,
		Total:        time.Minute,
		Memory:       32 << 20,
		String:       4 << 20,
		Depth:        -1,
		Output:       -1,
		Lines:        10_000,
		Coroutines:   1000,
	}
	if l != want {
		t.Errorf("Limits = %+v, want %+v", l, want)
	}
}

func TestDeclarations(t *testing.T) {
	got := lua.Declarations(
		files(
			"a.lua",
			"x\n--#ENDPOINT WEBSOCKET /a\nx = = 1\n--#ENDPOINT GET /b\n",
			"endpoints/b.lua",
			"--#ENDPOINT WEBSOCKET /c/{d}\n",
			"modules/m.lua",
			"--#ENDPOINT WEBSOCKET /m\n",
		),
	)
	want := []lua.Declaration{{"/a", "a.lua", 2}, {"/c/{d}", "endpoints/b.lua", 1}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("Declarations = %+v, want %+v", got, want)
	}
}
