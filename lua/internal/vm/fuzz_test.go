package vm

import (
	"context"
	"errors"
	"testing"
	"time"
)

// FuzzScript runs arbitrary source under small budgets. Whatever it is, it ends
// in time with a result, a script error or a syntax error, uses no more than it
// may, and leaves the next run in the same State its globals.
func FuzzScript(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.source)
	}
	for _, c := range exceeding {
		f.Add(c.body)
	}
	for _, source := range []string{
		"", "return", "\x1bLua", "\x1bLuaR\x00\x01\x04\x08\x04\x08\x00\x19\x93\r\n\x1a\n",
		"#!lua\nreturn 1", "return ...", "goto x ::x::", "local function f() end f()()",
		`x = 1 _G.string = nil _ENV = nil return ("x"):rep(3)`,
		`string.rep = nil next = nil setmetatable(_G, nil) getmetatable("").__index = function() return 1 end return ("x").y`,
		`local t = {} for i = 1, 3 do t[i] = function() i = i + 1 return i % 2 .. "x" end end return t[1](), t[2]()`,
		`return select(-1, pcall(string.format, "%5.2f %q %s", 1.5, "\0", {})), os.date("%c", 0), tostring(print)`,
		`local a <const> = 1`, `return 1 // 2 & 3`,
		`for k, v in pairs(_G) do pcall(v) pcall(v, k, v) end`,
		`for _, lib in pairs{string, table, math, os, json, log, bit, bit32} do for _, f in pairs(lib) do for _, x in pairs{1, -1, 2^53, 0/0, 1/0, "x", "", {}, print, true} do pcall(f, x) pcall(f, x, x) pcall(f, x, x, x) pcall(f, "x", x, x, x) pcall(f, {1, 2}, x, x, x) end end end`,
		`return from_json('{"a":[1,null,{}],"b":"\\ud83d"}'), to_json{1, {x = 2}}`,
		`local f = load("return " .. ("("):rep(190) .. "1" .. (")"):rep(190)) return f and f()`,
		`local t = setmetatable({}, {__index = table, __newindex = rawset, __mode = "k", __gc = print}) t.x = 1 return t.concat({1}, 2)`,
		`repeat local x = function() return y end local y until x() return setfenv(1, {})`,
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		limits := Limits{Instructions: 50_000, Time: 200 * time.Millisecond, Memory: 1 << 20,
			String: 64 << 10, Depth: 300, Output: 4096}
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		chunk, err := Compile(ctx, source, "test")
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Errorf("Compile: %T %v", err, err)
			}
			return
		}
		s := New(Config{Limits: limits})
		fuzzRun(t, s, chunk)
		if took := time.Since(start); took > 20*time.Second { // a busy machine has time for it
			t.Errorf("took %v", took)
		}
		if s.Broken() {
			return
		}
		probe, err := Compile(context.Background(),
			`return type(x) .. type(io) .. type(debug) .. type(package) .. type(dofile)`, "probe")
		if err != nil {
			t.Fatal(err)
		}
		if got := fuzzRun(t, s, probe); got != "nilnilnilnilnil" && got != nil {
			t.Errorf("the next run sees %v", got)
		}
	})
}

// fuzzRun runs a chunk and checks what it used. The result is nil if it failed.
func fuzzRun(t *testing.T, s *State, c *Chunk) Value {
	var result Value
	usage, err := s.Run(func() error {
		f, err := s.Load(c)
		if err != nil {
			return err
		}
		result = s.Call(f)
		return nil
	})
	lim := s.cfg.Limits
	if usage.Instructions > lim.Instructions+100_000 {
		t.Errorf("%d instructions, limit %d", usage.Instructions, lim.Instructions)
	}
	if usage.Output > lim.Output+int64(lim.String) {
		t.Errorf("output of %d bytes, limit %d", usage.Output, lim.Output)
	}
	var e *Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("Run: %T %v", err, err)
	}
	if e != nil && e.Internal {
		t.Errorf("internal error: %v", e)
	}
	if err != nil {
		return nil
	}
	return result
}
