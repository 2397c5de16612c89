package vm

import (
	"context"
	"testing"
)

// runShared runs source in s and expects it to succeed.
func runShared(t *testing.T, s *State, source string) string {
	t.Helper()
	got, _, err := runIn(t, s, source)
	if err != nil {
		t.Errorf("%s: %v", source, err)
	}
	return got
}

// What one run does to what all runs share does not reach the next one.
func TestRunsFindTheLibrariesWhole(t *testing.T) {
	const intact = `
		assert(string.format("%d", 5) == "5" and ("x"):rep(3) == "xxx" and ("a"):upper() == "A")
		assert(string.extra == nil and rawget(string, 1) == nil and getmetatable(string) == nil)
		assert(getmetatable("").__index == string and getmetatable("").__add == nil)
		assert(table.concat({1, 2}, "-") == "1-2" and math.pi > 3 and os.time() > 0 and bit32.band(7, 2) == 2)
		assert(to_json({1}) == "[1]" and json.encode == to_json and log.info and JSON == json)
		assert(Service.get() == "got" and Service.nested.deep() == "deep" and Service.more == nil)
		assert(helper() == "module" and shout("x") == "X!" and Service.added() == "added")
		assert(getmetatable(_G).__index ~= nil and not_there == "not_there?")
		assert(getfenv(helper) == _G and
		coroutine.wrap and table[1] == nil and #table == 0 and table[100] == nil)
		return "whole"`
	s := New(Config{})
	service, nested := s.NewTable(1), s.NewTable(1)
	s.Set(service, "get", s.Function("get", func(c *Call) error { c.Return("got"); return nil }))
	s.Set(nested, "deep", s.Function("deep", func(c *Call) error { c.Return("deep"); return nil }))
	s.Set(service, "nested", nested)
	s.SetGlobal("Service", service)
	module, err := Compile(context.Background(), `
		function helper() return name end
		name = "module"
		function string.shout(x) return x:upper() .. "!" end
		function shout(x) return x:shout() end
		function Service.added() return "added" end
		setmetatable(_G, {__index = function(_, k) return k .. "?" end})`, "module")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Setup(func() error { s.RunModule(module, "m"); return nil }); err != nil {
		t.Fatal(err)
	}
	runShared(t, s, intact)
	for _, harm := range []string{
		`string.format = nil`,
		`string.format = function() return "mine" end`,
		`string.extra = 1`,
		`rawset(string, "format", nil)`,
		`rawset(string, "extra", true)`,
		`for k in pairs(string) do string[k] = nil end`,
		`string[1] = "one"`,
		`table.insert(table, 1)`,
		`table.insert(table, 100, "x")`,
		`table.insert(string, 1, "x") table.insert(math, "y")`,
		`setmetatable(string, {__index = function() return print end})`,
		`getmetatable("").__index = {}`,
		`getmetatable("").__index = nil`,
		`getmetatable("").__add = function() return 1 end`,
		`setmetatable(getmetatable(""), {__newindex = function() end})`,
		`Service.get = nil Service.more = 1`,
		`Service.nested.deep = nil`,
		`Service.nested = nil`,
		`Service.added = nil string.shout = nil`,
		`json.encode = nil json.null = 1 JSON.parse = nil`,
		`log.info = nil bit32.band = nil bit.band = nil os.time = nil math.pi = 3
		coroutine.wrap = nil table.concat = function() return "mine" end`,
		`math = nil string = nil Service = nil helper = nil pairs = nil`,
		`setfenv(helper, {name = "other"}) assert(helper() == "other")`,
		`setfenv(helper, {name = "other"}) setfenv(helper, {name = "third"})`,
		`setfenv(shout, {})`,
		`getmetatable(_G).__index = nil`,
		`setmetatable(_G, nil)`,
		`pcall(function() string.format = nil error("x") end)`,
		`local s = string string = {} s.rep = nil`,
		`string[{}] = 1 string[print] = 2`,
	} {
		runShared(t, s, harm)
		if got, _, err := runIn(t, s, intact); err != nil || got != "whole" {
			t.Errorf("after %s: %s, %v", harm, got, err)
		}
	}
	if s.Broken() {
		t.Error("the State is broken")
	}
}

// A run that fails harms nobody either, and one that leaves very much gets another
// State in its place.
func TestFailedRunsLeaveTheLibrariesWhole(t *testing.T) {
	s := New(Config{})
	if _, _, err := runIn(t, s, `string.format = nil error("failed")`); err == nil {
		t.Error("no error")
	}
	if got := runShared(t, s, `return string.format("%d", 5)`); got != "5" {
		t.Errorf("string.format gave %s", got)
	}
	runShared(t, s, `for i = 1, 5000 do string["x" .. i] = i end`)
	if !s.Broken() {
		t.Error("the State with 5,000 names more is used on")
	}
}

// The numbers of one run are not those that another one has seeded.
func TestRandomSeedEndsWithItsRun(t *testing.T) {
	s := New(Config{})
	seeded := runShared(t, s, `math.randomseed(1) return math.random(), math.random(), math.random()`)
	if again := runShared(t, s, `math.randomseed(1)
		return math.random(), math.random(), math.random()`); again != seeded {
		t.Errorf("with the same seed: %s, then %s", seeded, again)
	}
	runShared(t, s, `math.randomseed(1)`)
	if got := runShared(t, s, `return math.random(), math.random(), math.random()`); got == seeded {
		t.Error("a run draws the numbers that another one has seeded")
	}
}

func BenchmarkRun(b *testing.B) {
	s := New(Config{})
	c, err := Compile(context.Background(), `return function(x) return x end`, "bench")
	if err != nil {
		b.Fatal(err)
	}
	var f Value
	s.Setup(func() error {
		main, err := s.Load(c)
		if err == nil {
			f = s.Call(main)
		}
		return err
	})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(func() error { s.Call(f, "x"); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := New(Config{})
		s.Setup(func() error { return nil })
	}
}
