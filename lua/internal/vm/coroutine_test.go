package vm

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// coroutinePrograms are bodies of functions, which do the same here, in Lua 5.1 and in
// LuaJIT.
var coroutinePrograms = []string{
	`local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) local d, e =
		coroutine.yield(c * 2) return d, e, "end" end)
	 return coroutine.resume(co, 1, 2), select(2, coroutine.resume(co, 10)), select(2,
		coroutine.resume(co, "x", "y"))`,
	`local co = coroutine.create(function() coroutine.yield(1) end)
	 local t = {coroutine.status(co)} coroutine.resume(co) t[2] = coroutine.status(co)
		coroutine.resume(co) t[3] = coroutine.status(co)
	 return table.concat(t, " "), coroutine.resume(co)`,
	`local co co = coroutine.create(function() return coroutine.status(co),
		coroutine.running() == co, type(co), type(coroutine.running()) end)
	 return coroutine.resume(co)`,
	`return coroutine.running()`,
	`local outer outer = coroutine.create(function() local inner = coroutine.create(function()
		return coroutine.status(outer) end) return coroutine.resume(inner) end)
	 return coroutine.resume(outer)`,
	`local f = coroutine.wrap(function(...) local n = select("#", ...) while true do n =
		coroutine.yield(n) end end) return f(1, nil, nil), f("a"), f(nil)`,
	`local t = {} for i, v in coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i, i * i)
		end end) do t[#t + 1] = i .. "=" .. v end return table.concat(t, ",")`,
	`return (pcall(coroutine.wrap(function() error({}) end)))`,
	`local ok, e = pcall(coroutine.wrap(function() error({code = 5}) end)) return ok, e.code`,
	`local co = coroutine.create(function() error({code = 6}) end) local ok, e =
		coroutine.resume(co) return ok, e.code, coroutine.status(co)`,
	`local co = coroutine.create(function() error("text", 0) end) return coroutine.resume(co)`,
	`local co = coroutine.create(function() error() end) return coroutine.resume(co)`,
	`local f = coroutine.wrap(function() return 1 end) f() return (pcall(f))`,
	`return pcall(coroutine.resume, 1), pcall(coroutine.create, 1),
		pcall(coroutine.wrap), (pcall(coroutine.status, {}))`,
	`local co = coroutine.create(function(...) return ... end) return
		coroutine.resume(co, 1, nil, 3, nil)`,
	`local co = coroutine.create(function() return end) return coroutine.resume(co)`,
	`local co = coroutine.create(function() coroutine.yield() end) return coroutine.resume(co)`,
	// Variables that are captured across the border.
	`local n = 0 local function inc() n = n + 1 return n end local co = coroutine.wrap(function()
		while true do inc() coroutine.yield(n) end end) co() inc() co() return n`,
	`local get local co = coroutine.wrap(function() local x = 1 get = function() x = x + 1 return x
		end coroutine.yield() x = x * 10 coroutine.yield(x) return x end)
	 co() local a = get() local b = co() local c = get() return a, b, c, co()`,
	`local function worker(name) local own = name return function() own = own .. name return own end
		end
	 local function body(name) local x = name local f = function() x = x .. "!" return x end
		coroutine.yield() f() coroutine.yield() return f(), x end
	 local cos = {} for i = 1, 4 do cos[i] = coroutine.wrap(body) cos[i]("c" .. i) end
	 for i = 1, 4 do cos[i]() end local t = {} for i = 1, 4 do t[i] = table.concat({cos[i]()}, " ")
		end return table.concat(t, ";"), worker("w")()`,
	`local function mk(n) local v = n return function() v = v + 1 return v end end
	 local out = {} local a = coroutine.wrap(function() local f = mk(1) coroutine.yield()
		out[1] = f() coroutine.yield() out[2] = f() end)
	 local b = coroutine.wrap(function() local f = mk(100) coroutine.yield() out[3] = f()
		coroutine.yield() out[4] = f() end)
	 a() b() a() b() a() b() return unpack(out)`,
	`local fs = {} local function body(i) for k = 1, 3 do local v = i * 10 + k fs[#fs + 1] =
		function() v = v + 1 return v end coroutine.yield() end end
	 local cos = {} for i = 1, 3 do cos[i] = coroutine.wrap(body) end for k = 1, 3 do for i = 1, 3
		do cos[i](i) end end
	 local t = {} for i, f in ipairs(fs) do f() t[i] = f() end return table.concat(t, " ")`,
	// Strings, metatables, libraries inside.
	`return coroutine.wrap(function(s) return ("x"):rep(3), s:upper(), #s, ("%d"):format(5)
		end)("abc")`,
	`local mt = {__index = function(_, k) return k .. "?" end, __call = function(_, x) return x * 2
		end, __add = function() return "sum" end}
	 return coroutine.wrap(function() local t = setmetatable({}, mt) coroutine.yield()
		return t.a, t(4), t + 1, t .. "" end)() == nil`,
	`local t = {5, 3, 1, 4} coroutine.wrap(function() table.sort(t, function(a, b) return a < b end)
		end)() return table.concat(t, " ")`,
	`return coroutine.wrap(function() return (("a b c"):gsub("%a", function(c) return c:upper()
		end)) end)()`,
	`x_global = 1 coroutine.wrap(function() x_global = x_global + 1 y_global = "new" end)()
		return x_global, y_global`,
	`return coroutine.wrap(function() return pcall(error, "caught", 0) end)()`,
	`return coroutine.wrap(function() return select("#", unpack({}, 1, 200)) end)()`,
	// Coroutines in coroutines.
	`local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i) end
		end) end
	 local function filter(p, g) return coroutine.wrap(function() for v in g do if v % p ~= 0 then
		coroutine.yield(v) end end end) end
	 local primes, g = {}, coroutine.wrap(function() for i = 2, 60 do coroutine.yield(i) end end)
	 while true do local p = g() if not p then break end primes[#primes + 1] = p g = filter(p, g)
		end return table.concat(primes, " ")`,
	`local function tree(n) if n == 0 then return nil end return {tree(n - 1), n, tree(n - 1)} end
	 local function walk(t) if t then walk(t[1]) coroutine.yield(t[2]) walk(t[3]) end end
	 local out = {} for v in coroutine.wrap(function() walk(tree(4)) end) do out[#out + 1] = v end
		return table.concat(out)`,
	`local co co = coroutine.create(function() return coroutine.resume(co) end) return (select(2,
		coroutine.resume(co)))`,
	`local q, log = {}, {} local function spawn(f) q[#q + 1] = coroutine.create(f) end
	 for i = 1, 3 do spawn(function() for k = 1, 3 do log[#log + 1] = i .. k coroutine.yield() end
		end) end
	 while #q > 0 do local co = table.remove(q, 1) coroutine.resume(co) if
		coroutine.status(co) ~= "dead" then q[#q + 1] = co end end return table.concat(log, " ")`,
	`local co = coroutine.create(function() local inner = coroutine.wrap(function() error("deep", 0)
		end) return pcall(inner) end) return select(2, coroutine.resume(co))`,
	`local t = {} local co = coroutine.create(function() end) t[co] = "key" return
		t[co], tostring(co):sub(1, 7)`,
	`local env = {y = 5} local f = setfenv(function() return y end, env) return coroutine.wrap(f)()`,
	`local f = loadstring("local a = ... local g = function() a = a + 1 return a end coroutine.yield(g()) return g()")
	 local x, y = coroutine.wrap(f), coroutine.wrap(f) return x(1), y(10), x(), y()`,
}

// coroutineProgram is several workers that take turns.
func (g *generator) coroutineProgram() string {
	var b strings.Builder
	workers := 2 + g.IntN(3)
	b.WriteString(
		"local out, cos, shared = {}, {}, 0\nlocal function note(x) out[#out + 1] = tostring(x) end\n",
	)
	b.WriteString("local function body(id)\nlocal own = id * 100\n")
	for range 2 + g.IntN(4) {
		switch g.IntN(7) {
		case 0:
			b.WriteString(
				"local f = function(d) own = own + d return own end coroutine.yield(f(1)) note(f(2))\n",
			)
		case 1:
			b.WriteString(
				"for i = 1, 3 do local v = i + own local h = function() v = v + 1 return v end " +
					"note(coroutine.yield(h())) note(h()) end\n",
			)
		case 2:
			b.WriteString("shared = shared + 1 note(shared) coroutine.yield(shared)\n")
		case 3:
			b.WriteString(
				"note(select(2, pcall(function() local k = own error({k}) end))[1]) own = own + " +
					"(coroutine.yield(own) or 0)\n",
			)
		case 4:
			b.WriteString(
				"for v in coroutine.wrap(function() for k = 1, 3 do local z = k coroutine.yield((function() " +
					"z = z + own return z end)()) end end) do note(v) end\n",
			)
		case 5:
			b.WriteString(
				"local fs = {} for i = 1, 3 do local q = i fs[i] = function() q = q * 2 + own return q end " +
					"end coroutine.yield(#fs) for i = 1, 3 do note(fs[i]()) end\n",
			)
		case 6:
			b.WriteString(
				"local function rec(n) local m = n local g = function() m = m + 1 return m end if n > 0 then " +
					"return rec(n - 1) + g() end coroutine.yield(own) return g() end note(rec(3))\n",
			)
		}
	}
	fmt.Fprintf(&b, "return own\nend\nfor i = 1, %d do cos[i] = coroutine.create(body) end\n", workers)
	fmt.Fprintf(&b, "local order = {")
	for range 60 {
		fmt.Fprintf(&b, "%d,", 1+g.IntN(workers))
	}
	b.WriteString(
		"}\nfor n, i in ipairs(order) do local ok, v = coroutine.resume(cos[i], i) note(i) note(ok) " +
			"note(v) end\nreturn table.concat(out, \" \")",
	)
	return b.String()
}

// Coroutines do what they do in Lua.
func TestCoroutinesAreLuas(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(51, 7))}
	programs := coroutinePrograms
	for range 300 / slowed {
		programs = append(programs, g.coroutineProgram())
	}
	var cases []string
	for _, p := range programs {
		cases = append(cases, "(function() "+p+" end)()")
	}
	ours := evaluateOurs(t, cases)
	for _, lua := range []string{"lua5.1", "luajit"} {
		if _, err := exec.LookPath(lua); err != nil {
			t.Logf("NOT COMPARED with %s: it is not installed", lua)
			continue
		}
		theirs := evaluateReal(t, lua, cases)
		for i, c := range cases {
			if ours[i] != theirs[i] {
				t.Errorf("%s\n   ours %s\n %s %s", c, ours[i], lua, theirs[i])
			}
		}
	}
}

// What goes beyond Lua 5.1, and what is bounded.
func TestCoroutines(t *testing.T) {
	for source, want := range map[string]string{
		// Yields pass through everything.
		`local f = coroutine.wrap(function() return pcall(function() local x = coroutine.yield(1)
		error("e" .. x, 0) end) end)
		return f(), f("2")`: "1 false e2",
		`local f = coroutine.wrap(function() return xpcall(function() coroutine.yield(1) error("x", 0)
		end, function(m) return m .. "!" end) end) f()
		return f()`: "false x!",
		`local t = setmetatable({}, {__index = function(_, k) return coroutine.yield(k) end}) local f =
		coroutine.wrap(function() return t.a .. t.b end)
		return f(), f(1), f(2)`: "a b 12",
		`local f = coroutine.wrap(function() local t = {3, 1, 2} table.sort(t, function(a, b)
		coroutine.yield(1) return a < b end) return table.concat(t) end)
		local v repeat v = f() until v ~= 1 return v`: "123",
		`local f = coroutine.wrap(function() return (("abc"):gsub(".", function(c) return
		coroutine.yield(c) end)) end)
		return f(), f("1"), f("2"), f("3")`: "a b c 123",
		`return coroutine.isyieldable(), coroutine.wrap(function() return coroutine.isyieldable()
		end)()`: "false true",
		// Errors say where, in the words of Lua.
		`return
		pcall(coroutine.yield)`: "false attempt to yield outside a coroutine",
		"\n" + `return pcall(coroutine.wrap(function() error("here")
		end))`: "false test:2: here",
		`local co = coroutine.create(function()` + "\n" + `local x = nil + 1 end) return
		coroutine.resume(co)`: "false test:2: attempt to perform arithmetic on a nil value",
		`local f = coroutine.wrap(function() end) f() return
		pcall(f)`: "false cannot resume dead coroutine",
		`local n = 0 local function f() n = n + 1 return coroutine.wrap(f)() end local ok, e = pcall(f)
		return ok, e:match("C stack overflow")`: "false C stack overflow",
		`local t, ok, e = {} for i = 1, 2000 do ok, e = pcall(coroutine.create, print) if not ok then
		return i, e end t[i] = e end`: "1001 too many coroutines (limit 1000)",
		`for i = 1, 5000 do coroutine.wrap(function() coroutine.yield() end)() if i % 500 == 0 then end
		end`: "too many coroutines",
		`for i = 1, 3000 do local f = coroutine.wrap(function() coroutine.yield() end) f() f() end
		return "many that end"`: "many that end",
	} {
		got, err := runLua(t, source, Limits{})
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

// A State is good for more after runs whose coroutines have not finished; these are
// dead for all that follow.
func TestCoroutinesEndWithTheirRun(t *testing.T) {
	s := New(Config{})
	runShared(t, s, `return 1`)
	keep := s.NewTable(0)
	s.SetGlobal("keep", keep)
	for range 50 {
		runShared(t, s, `
			for i = 1, 20 do
				keep[i] = coroutine.create(function() pcall(function() while true do coroutine.yield() end
		end) after_the_end = true end)
				if i % 3 > 0 then coroutine.resume(keep[i]) end
			end
			keep[1] = coroutine.create(function() coroutine.wrap(function() coroutine.yield() end)()
		coroutine.yield() end) coroutine.resume(keep[1])`)
		if got := runShared(t, s, `return coroutine.status(keep[1]), coroutine.status(keep[2]),
		coroutine.resume(keep[3])`); got != "dead dead false cannot resume dead coroutine" {
			t.Fatalf("in the next run: %s", got)
		}
		if len(s.threads) > 0 || s.current != nil || s.l != s.main {
			t.Fatal("coroutines are left")
		}
	}
	if s.Broken() {
		t.Error("the State is broken")
	}
}

// No budget is escaped in a coroutine.
func TestBudgetsInCoroutines(t *testing.T) {
	for budget, c := range exceeding {
		for name, wrap := range map[string]string{
			"resume": `coroutine.resume(coroutine.create(function() BODY end)) return "escaped"`,
			"wrap":   `pcall(coroutine.wrap(function() pcall(function() BODY end) end)) return "escaped"`,
			"nested": `local function f(n) if n == 0 then BODY end return
		pcall(coroutine.wrap(f), n - 1) end f(5) return "escaped"`,
			"yielding": `local f = coroutine.wrap(function() while true do coroutine.yield()
		pcall(function() BODY end) end end) while true do f() end`,
			"by others": `local co = coroutine.wrap(function() while true do coroutine.yield() end
		end) co() pcall(function() BODY end) return "escaped"`,
		} {
			t.Run(budget+" "+name, func(t *testing.T) {
				t.Parallel()
				s := New(Config{Limits: c.limits})
				_, usage, err := runIn(t, s, strings.ReplaceAll(wrap, "BODY", c.body))
				checkOverrun(t, err, budget)
				checkUsage(t, s, usage)
				if len(s.threads) > 0 {
					t.Error("coroutines are left")
				}
			})
		}
	}
	for name, source := range map[string]string{
		"endless switching": `local f = coroutine.wrap(function() while true do coroutine.yield() end
		end) while true do f() end`,
		"endless creating": `while true do coroutine.wrap(function() end)() end`,
		"memory in many": `local t = {} while true do pcall(function() t[#t + 1] =
		coroutine.wrap(function() local x = {} for i = 1, 1e5 do x[i] = i end coroutine.yield(x)
		end) t[#t]() end) end`,
		"resume in resume": `local function f() while true do pcall(coroutine.wrap(f)) end end f()`,
		"many that wait": `local t = {} while true do pcall(function() t[#t + 1] =
		coroutine.create(print) end) end`,
	} {
		_, err := runLua(t, source,
			Limits{Instructions: 10_000_000 / slowed, Time: 5 * time.Second / slowed})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		checkOverrun(t, err)
	}
}

func BenchmarkCoroutines(b *testing.B) {
	for name, source := range map[string]string{
		"switch": `local f = coroutine.wrap(function() while true do coroutine.yield() end end)
		for i = 1, 1000 do f() end`,
		"create": `for i = 1, 1000 do coroutine.wrap(function() end)() end`,
		"call":   `local f = function() end for i = 1, 1000 do f() end`,
	} {
		b.Run(name, func(b *testing.B) {
			s := New(Config{})
			for b.Loop() {
				if _, _, err := runIn(b, s, source); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/each")
		})
	}
}
