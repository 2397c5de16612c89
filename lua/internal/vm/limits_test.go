package vm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// exceeding has for each budget limits and a piece of Lua that exceeds that
// budget, and none of the others.
var exceeding = map[string]struct {
	limits Limits
	body   string
}{
	"instructions": {Limits{Instructions: 20_000}, `while true do end`},
	"time":         {Limits{Time: 10 * time.Millisecond, Instructions: -1}, `while true do end`},
	"memory": {Limits{Memory: 1 << 20},
		`local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end`},
	"output": {Limits{Output: 1000}, `while true do print("0123456789") end`},
	"total":  {Limits{Total: 10 * time.Millisecond, Instructions: -1}, `while true do end`},
	"lines":  {Limits{Lines: 100}, `while true do print() end`},
	"depth":  {Limits{Depth: 100}, `local function f() return 1 + f() end f()`},
}

// No place where a script can run code lets it escape a budget, and none makes
// of the overrun something else.
func TestBudgets(t *testing.T) {
	for budget, c := range exceeding {
		for name, wrap := range map[string]string{
			"plain":                  `BODY`,
			"in pcall":               `while true do pcall(function() BODY end) end`,
			"in pcall in pcall":      `pcall(pcall, pcall, function() BODY end) return "escaped"`,
			"in xpcall":              `xpcall(function() BODY end, function() BODY end) return "escaped"`,
			"in the error handler":   `xpcall(error, function() BODY end) return "escaped"`,
			"in __index":             `local t = setmetatable({}, {__index = function() BODY end}) pcall(function() return t.x end) return "escaped"`,
			"in __newindex":          `local t = setmetatable({}, {__newindex = function() BODY end}) t.x = 1`,
			"in __call":              `setmetatable({}, {__call = function() BODY end})()`,
			"in __concat":            `return "x" .. setmetatable({}, {__concat = function() BODY end})`,
			"in __add":               `return 1 + setmetatable({}, {__add = function() BODY end})`,
			"in __mod":               `return 1 % setmetatable({}, {__mod = function() BODY end})`,
			"in __unm":               `return -setmetatable({}, {__unm = function() BODY end})`,
			"in __len":               `return #setmetatable({}, {__len = function() BODY end})`,
			"in __lt":                `local t = setmetatable({}, {__lt = function() BODY end}) return t < t`,
			"in __eq":                `local f = function() BODY end return setmetatable({}, {__eq = f}) == setmetatable({}, {__eq = f})`,
			"in __tostring":          `print(setmetatable({}, {__tostring = function() BODY end}))`,
			"in __pairs":             `for k in pairs(setmetatable({}, {__pairs = function() BODY end})) do end`,
			"in a comparator":        `table.sort({3, 2, 1}, function() BODY end)`,
			"in gsub":                `return (("x"):gsub("x", function() BODY end))`,
			"in table.foreach":       `table.foreach({1}, function() BODY end)`,
			"in a reader of load":    `load(function() BODY end)`,
			"in loaded code":         `pcall(load([[BODY]], "=test")) return "escaped"`,
			"in an iterator":         `for x in function() BODY end do end`,
			"with another _ENV":      `local print, pcall = print, pcall local _ENV = {print = print, pcall = pcall} pcall(function() BODY end) return "escaped"`,
			"after catching it once": `pcall(function() BODY end) pcall(function() BODY end) return "escaped"`,
		} {
			t.Run(budget+" "+name, func(t *testing.T) {
				t.Parallel()
				s := New(Config{Limits: c.limits})
				_, usage, err := runIn(t, s, strings.ReplaceAll(wrap, "BODY", c.body))
				checkOverrun(t, err, budget)
				if !s.Broken() {
					t.Error("the State is not broken")
				}
				checkUsage(t, s, usage)
			})
		}
	}
}

func checkUsage(t *testing.T, s *State, usage Usage) {
	t.Helper()
	lim := s.cfg.Limits
	if usage.Instructions > lim.Instructions+maxInterval+2048 {
		t.Errorf("%d instructions, limit %d", usage.Instructions, lim.Instructions)
	}
	if usage.Output > lim.Output+10 {
		t.Errorf("output of %d bytes, limit %d", usage.Output, lim.Output)
	}
	if usage.Instructions <= 0 || usage.Time <= 0 {
		t.Errorf("usage %+v", usage)
	}
}

// Modules are bounded like runs.
func TestSetupHasBudgets(t *testing.T) {
	for budget, c := range exceeding {
		s := New(Config{Limits: c.limits})
		chunk, err := Compile(context.Background(), c.body, "test")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Setup(func() error {
			s.RunModule(chunk, "m")
			return nil
		})
		checkOverrun(t, err, budget)
	}
}

// The whole time of a run is that of the clock, with what it waits in functions of the
// host. What it computes is without that. In the bubble the clock goes on only while
// print sleeps.
func TestTotalBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		prints := 0
		s := New(Config{Limits: Limits{Total: time.Second, Time: time.Millisecond},
			Print: func(s *State, _, _, _ string, _ int) {
				prints++
				time.Sleep(10 * time.Millisecond)
			}})
		_, usage, err := runIn(t, s, `while true do pcall(print) for i = 1, 2000 do end end`)
		checkOverrun(t, err, "total")
		if prints < 100 || prints > 103 {
			t.Errorf("%d times 10 ms, want 100: the limit is a second", prints)
		}
		if usage.Total < time.Second || usage.Total > time.Second+30*time.Millisecond || usage.Time > 0 {
			t.Errorf("Total = %v, Time = %v", usage.Total, usage.Time)
		}
	})
}

// What is just allowed works, and one more does not.
func TestLimitsAreExact(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		source string
		want   string
	}{
		{Limits{Output: 100}, `for i = 1, 10 do print("0123456789") end return "ok"`, "ok"},
		{Limits{Output: 100}, `for i = 1, 11 do print("0123456789") end return "ok"`,
			"sends or prints more than 100 bytes"},
		{Limits{Depth: 50},
			`local function f(n) if n > 0 then return 1 + f(n - 1) end while n < 3000 do n = n + 1 end return 0 end return f(30)`, "30"},
		{Limits{Depth: 50},
			`local function f(n) if n > 0 then return 1 + f(n - 1) end while n < 3000 do n = n + 1 end return 0 end return f(60)`, "stack overflow: more than 50 nested calls"},
		{Limits{Instructions: 10_000}, `for i = 1, 8000 do end return "ok"`, "ok"},
		{Limits{Instructions: 10_000}, `for i = 1, 13000 do end return "ok"`,
			"more than 10000 instructions"},
		{Limits{Instructions: 10_000}, `return #("x"):rep(1e5):reverse()`, "100000"},
		{Limits{Instructions: 10_000}, `for i = 1, 100 do ("x"):rep(1e5):reverse() end`,
			"more than 10000 instructions"},
		{Limits{Memory: 1 << 20},
			`local t = {} for i = 1, 500 do t[i] = ("x"):rep(1000) .. i end return #t`, "500"},
		{Limits{Memory: 1 << 20},
			`local t = {} for i = 1, 5000 do t[i] = ("x"):rep(1000) .. i end return #t`,
			"holds more than 1048576 bytes"},
		{Limits{Memory: 1 << 20}, `for i = 1, 20000 do local t = ("x"):rep(1000) .. i end return "ok"`,
			"ok"},
		{Limits{Instructions: -1, Time: -1, Memory: -1, Output: -1, Depth: -1},
			`local function f(n) return n > 0 and 1 + f(n - 1) or 0 end for i = 1, 100 do print(("x"):rep(1e6)) end return f(20000)`, "20000"},
	} {
		got, err := runLua(t, c.source, c.limits)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%+v\n%s\n got %s\nwant %s", c.limits, c.source, got, c.want)
		}
	}
}

// A string that would be too long is an error that a script may catch, whatever
// makes it.
func TestStringLimit(t *testing.T) {
	const limit = 1000
	for name, source := range map[string]string{
		"concatenation": `return #(x .. tostring(1):rep(n - 500))`,
		"chain":         `return #(x .. "" .. tostring(1):rep(n - 500) .. "")`,
		"rep":           `return #("1"):rep(n)`,
		"separators":    `return #(""):rep(n + 1, "1")`,
		"format":        `return #string.format("%s%s", x, ("1"):rep(n - 500))`,
		"table.concat":  `local t = {x} for i = 501, n do t[#t + 1] = "1" end return #table.concat(t)`,
		"gsub":          `return #(x .. ("1"):rep(n - 500)):sub(1, n):gsub(".", "%0", n)`,
		"gsub grows":    `return #(("1"):rep(n / 2):gsub(".", "%0%0"))`,
		"char":          `return #string.char(x:byte(1, -1)) + #(x .. ("1"):rep(n - 500)) - 500`,
		"to_json":       `return #to_json({{}, ("1"):rep(n - 7)})`,
	} {
		for n, want := range map[int]string{limit: "1000", limit + 2: "string too large"} {
			got, err := runLua(t, fmt.Sprintf("local n, x = %d, ('1'):rep(500) ", n)+source,
				Limits{String: limit})
			var e *Error
			if err != nil {
				got = err.Error()
				if !errors.As(err, &e) || e.Budget != "" {
					t.Errorf("%s: error %v is that of a budget", name, err)
				}
			}
			if !strings.Contains(got, want) {
				t.Errorf("%s with %d bytes: got %s, want %s", name, n, got, want)
			}
		}
	}
	if got, err := runLua(t, `return pcall(string.rep, "x", 1e9)`, Limits{}); err != nil ||
		!strings.HasPrefix(got, "false resulting string too large") {
		t.Errorf("in pcall: %s, %v", got, err)
	}
}

// Results that grow piece by piece cost what their length costs, and are stopped
// while they grow: one replacement of gsub can stand for many times the subject.
func TestGrowingResults(t *testing.T) {
	for source, want := range map[string]string{
		`local t = {} for i = 1, 30000 do t[i] = ("x"):rep(100) end return #table.concat(t)`:       "3000000",
		`local t = {} for i = 1, 30000 do t[i] = ("x"):rep(100) end return #to_json(t)`:            "3090001",
		`return #(("x"):rep(3e6):gsub("x", "y"))`:                                                  "3000000",
		`return #string.format(("%s"):rep(100), unpack(setmetatable({}, nil), 1, 100))`:            "300",
		`return pcall(string.gsub, ("a"):rep(4e6), "a*", ("%0"):rep(2e6))`:                         "false resulting string too large (limit 4194304)",
		`return pcall(string.gsub, ("a"):rep(4e6), "(a*)", ("%1"):rep(2e6))`:                       "false resulting string too large (limit 4194304)",
		`return pcall(string.gsub, ("a"):rep(4e6), "a", function() return ("x"):rep(1000) end)`:    "false resulting string too large (limit 4194304)",
		`local t = {} for i = 1, 99 do t[i] = ("x"):rep(1e5) end return pcall(table.concat, t)`:    "false resulting string too large (limit 4194304)",
		`local t = {} for i = 1, 99 do t[i] = ("x"):rep(1e5) end return pcall(to_json, {[9] = t})`: "false resulting string too large (limit 4194304)",
	} {
		if got, err := runLua(t, source, Limits{}); err != nil ||
			strings.TrimPrefix(got, "test:1: ") != want {
			t.Errorf("%s: got %s, %v, want %s", source, got, err, want)
		}
	}
}

// What others allocate, and what modules hold, is not the run's.
func TestMemoryIsTheRunsOwn(t *testing.T) {
	stop := make(chan struct{})
	stopped := make(chan []byte)
	go func() {
		var keep []byte
		for {
			select {
			case <-stop:
				stopped <- keep
				return
			default:
				keep = make([]byte, 1<<20)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	s := New(Config{Limits: Limits{Memory: 16 << 20, Time: -1}})
	big, err := Compile(context.Background(),
		`big = {} for i = 1, 8000 do big[i] = ("x"):rep(1000) .. i end`, "big")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Setup(func() error { s.RunModule(big, "big"); return nil }); err != nil {
		t.Fatal(err)
	}
	s.cfg.Limits.Memory = 1 << 20
	got, _, err := runIn(t, s,
		`local n = 0 for i = 1, 30 do for j = 1, 2000 do n = n + #tostring(j) end end return #big`)
	if err != nil || got != "8000" {
		t.Errorf("got %s, %v", got, err)
	}
}

// An overrun is told with the line that runs, also in the shortest loops.
func TestOverrunHasItsLine(t *testing.T) {
	for source, want := range map[string]string{
		"local n = 0\n\nwhile true do\nend\nlocal m = 0":              "test:3: ",
		"local n = 0\nwhile true do\n\n\nn = n + 1\nend":              "test:5: ",
		"local n = 0\nrepeat\nlocal x = n\nuntil false":               "test:",
		"local function f()\n\nwhile true do end\nend\n\nf()":         "test:3: ",
		"local n = 0\n\n::a::\ngoto a":                                "test:",
		"local n = 0\n\nfor i = 1, 1e9 do\nend":                       "test:3: ",
		"local n = 0\npcall(function()\nwhile true do\nend\nend)":     "test:3: ",
		"local n = 0\n\nwhile true do\nprint()\nend":                  "test:",
		"local n = 0\n\n\nreturn (('a'):rep(3000)):find('.-.-.-.-b')": "test:4: ",
	} {
		_, err := runLua(t, source, Limits{Instructions: 100_000})
		checkOverrun(t, err, "instructions")
		if err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", source, err, want)
		}
	}
}

// Whole programs, cut short anywhere by a budget, end with that budget's error
// and nothing else.
func TestProgramsCutShort(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(51, 2))}
	cut := 0
	for range 400 {
		source := "return " + g.program()
		limits := Limits{Instructions: int64(100 + g.IntN(3000)), Memory: int64(20_000 + g.IntN(100_000)),
			Depth: 5 + g.IntN(50)}
		_, err := runLua(t, source, limits)
		var e *Error
		if errors.As(err, &e) && e.Budget != "" {
			cut++
		} else if err != nil {
			t.Fatalf("%+v\n%s\n%v", limits, source, err)
		}
	}
	if cut < 50 {
		t.Errorf("only %d programs were cut short", cut)
	}
}
