package lua_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/wsgateway/gateway/lua"
)

// answered deploys modules, in order, and an endpoint, and returns what it answers
// when a socket opens.
func answered(t *testing.T, modules []string, endpoint string) string {
	t.Helper()
	return string(newFixture(t, nil, layered(modules, endpoint)).Dial(t, "/x").Receive().Data)
}

func layered(modules []string, endpoint string) fstest.MapFS {
	fsys := files("endpoints/x.lua", "--#ENDPOINT WEBSOCKET /x\n"+endpoint)
	for i, text := range modules {
		fsys[fmt.Sprintf("modules/m%03d.lua", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

// The locals of modules are known to what comes after them, as if all were one text.
func TestModuleLocals(t *testing.T) {
	for name, c := range map[string]struct {
		modules  []string
		endpoint string
		want     string
	}{
		"a function": {[]string{`local function hello() return "hi" end`}, `return hello()`, "hi"},
		"a value":    {[]string{`local greeting = "hi"`}, `return greeting`, "hi"},
		"of two at once, and more names than values": {
			[]string{`local function f() return 1, 2 end local a, b, c = f()`}, `return tostring(a) .. ` +
				`tostring(b) .. tostring(c)`, "12nil"},
		"varargs are the module's name": {[]string{`local name = ...`}, `return name`, "m000"},
		"a later module uses it": {[]string{`local n = 1`, `function inc() n = n + 1 return n ` +
			`end`}, `return inc() .. n`, "22"},
		"a later module assigns it": {
			[]string{`local n = 1 function get() return n end`, `n = 5`}, `return get() .. n .. ` +
				`tostring(_G.n)`, "55nil"},
		"a later function of the same name takes its place": {
			[]string{`local function f() return 1 end function old() return f() end`,
				`function f() return 2 end`}, `return f() .. old() .. tostring(_G.f)`, "22nil"},
		"a later local hides it": {
			[]string{`local x = 1 function first() return x end`, `local x = x + 10 function second() ` +
				`return x end`, `local x = "c" .. x`},
			`return x .. first() .. second()`, "c11111"},
		"a global function, made anew and taken away": {
			[]string{`function f() return 1 end`},
			`function f() return 2 end local a = f() f = nil return a .. tostring(f)`, "2nil",
		},
		"a later local hides a global": {[]string{`x = 1 function get() return x end`, `local x = 2`},
			`return x .. get() .. _G.x`, "211"},
		"two in one file": {[]string{"local x = 1 function get() return x end\nlocal x = " +
			"2"}, `return x .. get()`, "21"},
		"blocks keep theirs": {[]string{`do local x = 1 end for y = 1, 2 do local z = y end ` +
			`if true then local w = 1 end x = x or 7`}, `return x .. tostring(y) .. tostring(z) .. ` +
			`tostring(w)`, "7nilnilnil"},
		"an endpoint's own": {[]string{`local x = 1 function get() return x end`},
			`local x = 5 x = x + 1 return x .. get()`, "61"},
		"an endpoint's parameters": {[]string{`local response, websocketInfo = 1, 2`},
			`response.message = websocketInfo.type`, "open"},
		"recursion": {[]string{`local function fact(n) if n < 2 then return 1 end ` +
			`return n * fact(n - 1) end`}, `return fact(5)`, "120"},
		"mutual recursion": {[]string{`local odd`, `local function even(n) return n == 0 ` +
			`or odd(n - 1) end`, `odd = function(n) return n ~= 0 and even(n - 1) end`},
			`return tostring(even(10))`, "true"},
		"methods": {[]string{`local obj = {n = 1} function obj:get() return ` +
			`self.n end`, `function obj.twice() return obj:get() * 2 end`}, `return obj:get() .. ` +
			`obj.twice()`, "12"},
		"require gives the value": {[]string{`local M = {v = 1} return M`, `local m = require ` +
			`"m000" m.v = m.v + 1`}, `return m.v .. M.v .. require("m000").v`, "222"},
		"return in the middle": {[]string{"local a = 1\nif a then return end\nlocal b = 2"},
			`return tostring(a) .. tostring(b)`, "1nil"},
		"a tail call at the end": {[]string{`local a = 1 return tostring(a)`},
			`return a .. require("m000")`, "11"},
		"a result of many values": {[]string{`local a, f = 1, function() return 7, 8 end return ` +
			`f()`}, `return a .. require("m000")`, "17"},
		"a loop right after": {[]string{`local i = 0 while i < 3 do i = i + 1 end local j = ` +
			`0 repeat local k = j j = j + 1 until k == 2`}, `return i .. j`, "33"},
		"a loop by goto": {[]string{`local i = 0 ::again:: local f = function() return i ` +
			`end i = i + 1 if i < 3 then goto again end`}, `return i .. f()`, "33"},
		"and, or, comparisons": {[]string{`local a = nil or 3 local b = a == 3 local c = not b ` +
			`and 1 or 2`}, `return a .. tostring(b) .. c`, "3true2"},
		"setfenv": {[]string{`local x = 1 setfenv(1, {y = 2, print = print}) z = ` +
			`y`, `local w = x`}, `return w .. tostring(z) .. tostring(y)`, "1nilnil"},
		"loaded text knows none": {[]string{`local x = 1`}, `return tostring(loadstring("return ` +
			`x")())`, "nil"},
		"names of libraries": {[]string{`local json = {encode = function() return "mine" ` +
			`end}`, `local string = nil`}, `return json.encode{} .. tostring(string)`, "minenil"},
		"required early": {
			[]string{`local b = require "m001" local a = 1`, `local function f() return "f" end c = f() ` +
				`return {f = f}`}, `return b.f() .. a .. c .. f()`, "f1ff"},
		"one module's closures and another's assignments": {
			[]string{`local n, log = 0, {} local function add(x) n = n + x log[#log + 1] = n end`,
				`add(1) n = 10 add(1)`, `local m = n n = 0`},
			`return table.concat(log, ",") .. " " .. n .. " " .. m`, "1,11 0 11"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := answered(t, c.modules, c.endpoint); got != c.want {
				t.Errorf("answered %q, want %q", got, c.want)
			}
		})
	}
}

// A function can have 200 locals, a solution any number.
func TestManyModuleLocals(t *testing.T) {
	var modules []string
	for m := range 30 {
		var b strings.Builder
		for i := range 50 {
			fmt.Fprintf(&b, "local v%d = %d\n", m*50+i, m*50+i)
		}
		modules = append(modules, b.String())
	}
	for _, each := range []int{8, 20, 50} { // of the locals of each module
		sum, assigned, want := "0", "", 0
		for n := range 1500 {
			if n%50 < each {
				sum += fmt.Sprintf(" + v%d", n)
				assigned += fmt.Sprintf("v%d = v%d + 1 ", n, n)
				want += n
			}
		}
		used := slices.Concat(modules, []string{
			"function sum() return " + sum + " end", "function assign() " + assigned + " end",
		})
		got := answered(t, used, "local a = "+sum+" assign() return a .. ' ' .. sum() .. ' ' .. "+sum)
		if now := want + 30*each; got != fmt.Sprint(want, now, now) {
			t.Errorf("the sum of %d locals of 1,500 is %s, want %d, and %d later",
				30*each, got, want, now)
		}
	}
	full := ""
	for i := range 200 {
		full += fmt.Sprintf("local w%d = %d ", i, i)
	}
	if got := answered(t, []string{full, full}, "return w0 + w199"); got != "199" {
		t.Errorf("of two modules with 200 locals: %s, want 199", got)
	}
}

// Errors in what knows the locals of others have file and line.
func TestModuleLocalsErrors(t *testing.T) {
	f := newFixture(
		t,
		nil,
		layered(
			[]string{
				"local x = {}\nlocal function fail()\n  return x.y.z\nend",
				"local y = x\nfunction again()\n\n  return fail() + 1\nend",
			},
			"\nlocal z = x\nagain()",
		),
	)
	f.Dial(t, "/x").Close(1000, "")
	f.gw.Shutdown(context.Background())
	if !f.log.has(
		"modules/m000.lua:3: attempt to index field 'y'",
		"modules/m001.lua:4: in function",
		"endpoints/x.lua:4: in function",
	) {
		t.Errorf("log:\n%s", f.log)
	}
	for _, c := range []struct {
		modules []string
		want    string
	}{
		{[]string{"local x = 1", "local y = x\nlocal z = y.a.b"}, "modules/m001.lua:2: attempt to " +
			"index local 'y' (a number value)"},
		{[]string{"local x", "x()"}, "modules/m001.lua:1: attempt to call upvalue 'x' (a nil value)"},
		{[]string{"local x = 1", "local y = x\nlocal z = = 2"}, "modules/m001.lua:2: "},
	} {
		var problems lua.Problems
		_, err := lua.New(f.gw, nil).Deploy(context.Background(), layered(c.modules, ""))
		if !errors.As(err, &problems) || len(problems) != 1 ||
			!strings.HasPrefix(problems[0].String(), c.want) {
			t.Errorf("Deploy of %q = %v, want %q", c.modules, err, c.want)
		}
	}
}

// What the host's text says is what one text says, in the VM and in a real Lua.
func TestModuleLocalsLikeOneText(t *testing.T) {
	const prelude = `
function show(x)
	if type(x) == "function" or type(x) == "table" then return type(x) end
	return tostring(x)
end
log, fs, fuel = {}, {}, 50
function burn() fuel = fuel - 1 return fuel < 0 end
function note(x) log[#log + 1] = show(x) end
function number(x)
	if type(x) == "function" then local ok, v = pcall(x) x = ok and v end
	return tonumber(x) or 0
end
`
	const result = `
for i = 1, #fs do note(number(fs[i])) end
note(a) note(b) note(c) note(d) note(_G.a) note(_G.b) note(_G.c) note(_G.d)
return table.concat(log, " ")`
	g := textMaker{rand.New(rand.NewPCG(48, 2))}
	for n := range 250 {
		modules, endpoint := []string{prelude}, ""
		for range 1 + g.IntN(4) {
			modules = append(modules, g.block(2))
		}
		endpoint = g.block(2) + result
		var whole strings.Builder
		for _, text := range modules {
			whole.WriteString(text + "\n")
		}
		whole.WriteString("return (function()\n" + endpoint + "\nend)()")
		want := answered(t, nil, whole.String())
		if got := answered(t, modules, endpoint); got != want {
			t.Fatalf("case %d: answered\n%s\nwant\n%s\nof\n%s", n, got, want, whole.String())
		}
		if lua51, err := exec.LookPath("lua5.1"); err == nil && n%10 == 0 {
			cmd := exec.Command(lua51, "-")
			cmd.Stdin = strings.NewReader("io.write((function()\n" + whole.String() + "\nend)())")
			out, err := cmd.Output()
			if err != nil || string(out) != want {
				t.Fatalf("case %d: lua5.1 says %q, %v; want %q", n, out, err, want)
			}
		}
	}
}

// A textMaker makes statements about the variables a to d.
type textMaker struct{ *rand.Rand }

func (g textMaker) name() string { return string(rune('a' + g.IntN(4))) }

func (g textMaker) value(depth int) string {
	switch k := g.IntN(6); {
	case k == 0 && depth > 0:
		return fmt.Sprintf(
			"function() if burn() then return 0 end %s return %s end",
			g.statement(depth-1),
			g.value(0),
		)
	case k < 3:
		return fmt.Sprintf("number(%s) + %d", g.name(), g.IntN(5))
	case k < 4:
		return g.name()
	}
	return fmt.Sprint(g.IntN(100))
}

func (g textMaker) block(depth int) string {
	var b strings.Builder
	for range 1 + g.IntN(4) {
		b.WriteString(g.statement(depth) + "\n")
	}
	return b.String()
}

func (g textMaker) statement(depth int) string {
	if depth <= 0 {
		return fmt.Sprintf("%s = %s", g.name(), g.value(0))
	}
	switch g.IntN(11) {
	case 0, 1, 2:
		return fmt.Sprintf("local %s = %s", g.name(), g.value(depth))
	case 3:
		return fmt.Sprintf("local %s, %s = %s", g.name(), g.name(), g.value(depth))
	case 4:
		return fmt.Sprintf(
			"local function %s() if burn() then return 0 end %s return %s end",
			g.name(),
			g.block(depth-1),
			g.value(0),
		)
	case 5:
		return fmt.Sprintf(
			"function %s() if burn() then return 0 end %s return %s end",
			g.name(),
			g.block(depth-1),
			g.value(0),
		)
	case 6:
		return fmt.Sprintf("do %s end", g.block(depth-1))
	case 7:
		return fmt.Sprintf(
			"for %s = 1, 2 do %s fs[#fs + 1] = function() if burn() then return 0 end %s = number(%s) + 1 "+
				"return %s end end",
			g.name(),
			g.block(depth-1),
			g.name(),
			g.name(),
			g.name(),
		)
	case 8:
		return fmt.Sprintf(
			"fs[#fs + 1] = function() if burn() then return 0 end %s return %s end",
			g.statement(depth-1),
			g.name(),
		)
	case 9:
		return fmt.Sprintf("note(%s)", g.name())
	}
	return fmt.Sprintf("%s = %s", g.name(), g.value(depth))
}
