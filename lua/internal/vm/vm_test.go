package vm

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// runLua runs source in a fresh State and returns what its results are to
// tostring, joined by spaces, or the error's message.
func runLua(tb testing.TB, source string, limits Limits) (string, error) {
	tb.Helper()
	result, _, err := runIn(tb, New(Config{Limits: limits}), source)
	return result, err
}

func runIn(tb testing.TB, s *State, source string) (string, Usage, error) {
	tb.Helper()
	c, err := Compile(context.Background(), source, "test")
	if err != nil {
		return "", Usage{}, err
	}
	collect, err := Compile(context.Background(), `local function strings(...) local t = {} for i = 1, select("#", ...) do t[i] = tostring((select(i, ...))) end
			return table.concat(t, " ") end
		return strings((...)())`, "collect")
	if err != nil {
		tb.Fatal(err)
	}
	var result Value
	usage, err := s.Run(func() error {
		f, err := s.Load(c)
		if err != nil {
			return err
		}
		g, err := s.Load(collect)
		if err != nil {
			return err
		}
		result = s.Call(g, f)
		return nil
	})
	return fmt.Sprint(result), usage, err
}

func TestLanguage(t *testing.T) {
	for source, want := range map[string]string{
		`return 1 + 1, "a" .. 1 .. 2, -5 % 3, 5 % -3`:                                                                                                    "2 a12 1 -1",
		`local a, b = -5, 3 return a % b, a % -b, 5.5 % 2`:                                                                                               "1 -2 1.5",
		`local s = "" for i = 1, 5 do s = s .. i .. "," end return s`:                                                                                    "1,2,3,4,5,",
		`return pcall(error, {1})  and 1 or select(2, pcall(error, {7}))[1]`:                                                                             "7",
		`return select(2, pcall(function() assert(nil, "no") end)), select(2, pcall(function() assert(false, 7) end))`:                                   "test:1: no test:1: 7",
		`return pcall(assert, false, "no")`:                                                                                                              "false no",
		`return select(2, pcall(function() assert(nil, {5}) end))[1]`:                                                                                    "5",
		`return select("#", pcall(error))`:                                                                                                               "2",
		`return xpcall(function() error("x", 0) end, function(m) return "handled " .. m end)`:                                                            "false handled x",
		`return xpcall(function(...) return ... end, print, 1, 2)`:                                                                                       "true 1 2",
		`local t = setmetatable({}, {__mod = function() return "m" end}) return t % 2, 2 % t`:                                                            "m m",
		`local t = setmetatable({}, {__concat = function(a, b) return "c" end}) return "x"..t..1`:                                                        "xc",
		`return 1/0, -1/0, 0/0, math.huge, -math.huge .. ""`:                                                                                             "inf -inf nan inf -inf",
		`return tostring(1e15), 2^53, 0.1, 100, -0.5, 1e100, 123456789012`:                                                                               "1e+15 9.007199254741e+15 0.1 100 -0.5 1e+100 123456789012",
		`local t = {} for i = 1, 10 do t[i] = i end for k in pairs(t) do t[k] = nil end return next(t)`:                                                  "nil",
		`local t = {a=1,b=2,c=3} local n = 0 for k in pairs(t) do t[k] = nil n = n + 1 end return n, next(t)`:                                            "3 nil",
		`local t = {10,20,nil,40,x=1,[2.5]=2,[true]=3,[-1]=4} local s = "" for k, v in pairs(t) do s = s .. tostring(k) .. "=" .. v .. " " end return s`: "1=10 2=20 4=40 -1=4 2.5=2 x=1 true=3 ",
		`return unpack({1,2,3}), table.getn({1,2}), #"abc"`:                                                                                              "1 2 3",
		`return loadstring("return 7 % -2")(), load(function() return nil end)`:                                                                          "-1 function: 0",
		`local function f() return getfenv(1) == _G end return f()`:                                                                                      "true",
		`local f = function() return y end setfenv(f, {y = 5}) return f(), y`:                                                                            "5 nil",
		`x = 1 return _G.x, rawget(_G, "x"), _G._G == _G`:                                                                                                "1 1 true",
		`return os.time{year=2020,month=1,day=1,hour=0} - os.time{year=2019,month=12,day=31,hour=0}`:                                                     "86400",
	} {
		got, err := runLua(t, source, Limits{})
		if err != nil {
			t.Errorf("%s: %v", source, err)
		} else if want != got && !strings.HasSuffix(want, ": 0") {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

// Whatever a run does to the globals is there for the rest of the run, and gone in
// the next.
func TestGlobals(t *testing.T) {
	const strict = `
		local declared = {}
		setmetatable(_G, {
			__newindex = function(t, k, v) declared[k] = true rawset(t, k, v) end,
			__index = function(t, k) if not declared[k] then error("undeclared " .. k, 2) end return rawget(t, k) end,
		})`
	module, err := Compile(context.Background(),
		`config, count = {}, 1 function helper() return count end`+strict+` late = "late"`, "module")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{})
	if _, err := s.Setup(func() error { s.RunModule(module, "module"); return nil }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for source, want := range map[string]string{
			`return type(config), count, helper(), late`:                                                                                       "table 1 1 late",
			`config = nil return config, rawget(_G, "config"), _G.config`:                                                                      "nil nil nil",
			`config = nil config = 5 return config, rawget(_G, "config")`:                                                                      "5 5",
			`config = 5 config = nil return config, _G.config`:                                                                                 "nil nil",
			`count = count + 1 count = count + 1 return count, helper(), _G.count`:                                                             "3 3 3",
			`print = nil function helper() return "mine" end return print, helper()`:                                                           "nil mine",
			`config = nil local n = 0 for k, v in pairs(_G) do if k == "config" then n = n + 1 end end return n`:                               "0",
			`count = 7 local n = 0 for k, v in pairs(_G) do if k == "count" then n = n + v end end return n`:                                   "7",
			`fresh = 1 fresh = nil return pcall(function() return fresh end)`:                                                                  "false test:1: undeclared fresh",
			`return pcall(function() return nothing end)`:                                                                                      "false test:1: undeclared nothing",
			`return rawget(_G, "nothing"), rawset(_G, "x", 1) == _G, x, rawget(_G, "x")`:                                                       "nil true 1 1",
			`return getmetatable(_G).__index ~= nil`:                                                                                           "true",
			`setmetatable(_G, {__index = function(t, k) return k .. "?", t == _G end}) return nothing, count, _G.other, rawget(_G, "nothing")`: "nothing? 1 other? nil",
			`local seen = {} setmetatable(_G, {__newindex = function(t, k, v) seen[#seen + 1] = k rawset(t, k, v) end})
				a = 1 a = 2 count = 3 b = 4 return a, b, count, table.concat(seen, ",")`: "2 4 3 a,b",
			`local t = {x = 1} setmetatable(_G, {__index = t, __newindex = t}) y = 2 return x, y, t.y, rawget(_G, "y")`:          "1 2 2 nil",
			`setmetatable(_G, nil) return nothing, count, getmetatable(_G) and next(getmetatable(_G))`:                           "nil 1 nil",
			`setmetatable(_ENV, {__index = function(t, k) return k end}) return nothing, getmetatable(_ENV) == getmetatable(_G)`: "nothing true",
			`return getmetatable(setmetatable({}, {__metatable = false}))`:                                                       "false",
		} {
			got, _, err := runIn(t, s, source)
			if err != nil || got != want {
				t.Errorf("%s\n got %s, %v\nwant %s", source, got, err, want)
			}
		}
	}
}

// A State that has run the same script many times is as it was, or says that it is
// not: what is left of captured variables is what slows it down.
func TestWorn(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		worn   bool
	}{
		"no closures":   {`local s = 0 for i = 1, 9 do s = s + i end`, false},
		"return":        {`local a, b, c = 1, 2, 3 return (function() return a + b + c end)()`, false},
		"loop":          {`for i = 1, 9 do local a, b = i, i local f = function() return a + b + i end end`, false},
		"break":         {`for i = 1, 9 do local a, b = i, i local f = function() return a + b + i end break end`, false},
		"break in if":   {`for i = 1, 9 do local a, b = i, i local f = function() return a + b + i end if i > 3 then break end end`, false},
		"break in else": {`while true do local a, b = 1, 2 local f = function() return a + b end if a > b then f() else break end end`, false},
		"goto":          {`for i = 1, 9 do do local a, b = i, i local f = function() return a + b + i end if i > 3 then goto out end end ::out:: end`, false},
		"repeat":        {`local n = 0 repeat local a, b = n, n local f = function() n = n + 1 return a + b end f() until f() > 5 or n > 9`, false},
		"pcall":         {`local a, b = 1, 2 pcall(function() return a + b end)`, false},
		"error":         {`pcall(function() local a, b = 1, 2 local f = function() return a + b end error("x") end)`, true},
	} {
		s := New(Config{})
		for n := 0; n < 2*maxOpen && !s.Worn(); n++ {
			if _, _, err := runIn(t, s, c.source); err != nil {
				t.Fatal(err)
			}
		}
		if s.Worn() != c.worn {
			t.Errorf("%s: Worn() = %v, want %v", name, s.Worn(), c.worn)
		}
	}
}

// What runs leave in the tables of modules wears a State out, long before it is
// more than one run may hold.
func TestGrowth(t *testing.T) {
	for source, worn := range map[string]bool{
		`kept[#kept + 1] = ("x"):rep(1000) .. #kept`: true,
		`for i = 1, 100 do kept[#kept + 1] = {} end`: true,
		`local own = require "module" own[#own + 1] = {("x"):rep(1000)} own = nil local a, b, c, d, e, f = 1, 2, 3, 4, 5, 6`: true,
		`kept[1] = ("x"):rep(1000) .. #kept`:                                false,
		`local t = {} for i = 1, 100 do t[i] = {} end kept[1] = t return t`: false,
	} {
		s := New(Config{Limits: Limits{Memory: 1 << 20}})
		module, err := Compile(context.Background(), "kept = {} local own = {} return own", "module")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Setup(func() error { s.RunModule(module, "module"); return nil }); err != nil {
			t.Fatal(err)
		}
		c, err := Compile(context.Background(), source, "test")
		if err != nil {
			t.Fatal(err)
		}
		runs := 5_000
		if worn {
			runs = 100_000 // when it looks depends on the time it takes
		}
		for n := 0; n < runs && !s.Worn(); n++ {
			if _, err := s.Run(func() error {
				f, err := s.Load(c)
				if err == nil {
					s.Call(f)
				}
				return err
			}); err != nil {
				t.Fatalf("%s: run %d: %v", source, n, err)
			}
		}
		if s.Worn() != worn {
			t.Errorf("%s: Worn() = %v, want %v; the State holds %d bytes", source, s.Worn(), worn,
				s.held(1<<62)-s.base)
		}
	}
}

// What the VM does wrong and the rewriter mends.
func TestRewriter(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"a metamethod after a concatenation keeps the registers": {`
			local t = setmetatable({}, {__index = function(_, k) return k end, __add = function() return 10 end})
			local a = "x" .. "y"
			local b, c, d = 1, 2, 3
			local e = t.name
			local f = t + 1
			return a, b, c, d, e, f`, "xy 1 2 3 name 10"},
		"closures over different variables with equal values differ": {`
			local function make() local n = 0 return function() return function() n = n + 1 return n end end end
			local a, b = make()(), make()()
			return a(), a(), b(), a == b`, "1 2 1 false"},
		"the same in loops": {`
			local fs = {}
			for i = 1, 3 do local n = 0 fs[i] = function() return function() n = n + 1 return n end end end
			local a, b = fs[1](), fs[2]()
			return a(), a(), b()`, "1 2 1"},
		"chains with metamethods": {`
			local t = setmetatable({}, {__concat = function(a, b) return (type(a) == "table" and "T" or a) .. (type(b) == "table" and "T" or b) end,
				__add = function() return "sum" end})
			return (t .. "x") .. "|" .. (t + 1) .. "|"`, "Tx|sum|"},
		"jumps over rewritten code": {`
			local s = ""
			for i = -4, 4 do
				if i % 3 == 0 then s = s .. "z" elseif i % 2 == 0 and i % 4 ~= 0 then s = s .. i .. ";" else s = (s .. "-") end
				while #s > 12 do s = s .. "!" break end
			end
			return s`, "-z-2;-z-2;z-"},
		"goto and repeat with captures": {`
			local out = {}
			local i = 0
			repeat
				local a, b = i, i * 2
				out[#out + 1] = function() return a + b end
				i = i + 1
				if i % 2 == 0 then goto continue end
				out[#out + 1] = function() return a end
				::continue::
			until i > 3
			local s = "" for _, f in ipairs(out) do s = s .. f() .. "," end return s`, "0,0,3,6,2,9,"},
		"captured locals and results": {`
			local function f(...) local a, b, c = ... local g = function() return a, b, c end return g, g() end
			local g, x, y, z = f(1, 2, 3)
			local p, q, r = g()
			return x, y, z, p, q, r`, "1 2 3 1 2 3"},
		"tail calls": {`
			local function loop(n, acc) local g = function() return n, acc end if n == 0 then return g() end return loop(n - 1, acc + n % 7) end
			return loop(1000, 0)`, "0 3003"},
		"fields of many captured tables": {`
			local a, b, c, d, e, f = {}, {}, {}, {}, {}, {}
			local function set(...) a.x = 1 b.x = 2 c.x = 3 d.x = 4 e.x = 5 f.x = ... end
			set(6)
			return a.x, b.x, c.x, d.x, e.x, f.x`, "1 2 3 4 5 6"},
		"modulo by constants and of strings": {`return "7" % 4, 7 % "4", ("-7") % 4`, "3 3 1"},
	} {
		got, err := runLua(t, c.source, Limits{})
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
		}
	}
}
