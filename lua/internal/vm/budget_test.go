package vm

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// budgets is what scripts end with that nothing else ends.
const budgets = "instructions time total memory depth output lines"

// hostile are scripts that want to hang, crash or exhaust the host, and what
// becomes of them.
var hostile = map[string]struct{ source, want string }{
	"endless loop": {`while true do end`, budgets},
	"endless loop in pcall": {`while true do pcall(function() while true do end end) end`,
		budgets},
	"endless loop in xpcall":       {`while true do xpcall(function() while true do end end, function() while true do end end) end`, budgets},
	"endless loop in a metamethod": {`local t = setmetatable({}, {__index = function() while true do end end}) return t.x`, budgets},
	"endless tail calls":           {`local function f() return f() end f()`, budgets},
	"endless goto":                 {`::a:: goto a`, budgets},
	"endless __index chain":        {`local f f = function(t, k) return t[k .. "x"] end local t = setmetatable({}, {__index = f}) return t.x`, "stack overflow"},
	"recursion":                    {`local function f() return 1 + f() end f()`, budgets},
	"recursion in pcall":           {`local function f() return pcall(f) end return f()`, "true"},
	"mutual recursion in tostring": {`local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) return tostring(t)`, "stack overflow"},
	"doubling":                     {`local s = "x" while true do s = s .. s end`, "too large"},
	"doubling in pcall":            {`local t = {} while true do local s = "x" pcall(function() while true do s = s .. s end end) t[#t + 1] = s end`, budgets},
	"rep":                          {`return ("x"):rep(1e10)`, "too large"},
	"rep of nothing":               {`return #(""):rep(1e9)`, "0"},
	"rep of separators":            {`return (""):rep(1e9, "x")`, "too large"},
	"many big strings": {`local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end`,
		budgets},
	"big strings cut short": {`local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6):sub(1, 1) end`,
		budgets},
	"many tables":  {`local t = {} while true do t[#t + 1] = {} end`, budgets},
	"many numbers": {`local t = {} while true do t[#t + 1] = #t end`, budgets},
	"many keys": {`local t, i = {}, 0 while true do i = i + 1 t["k" .. i] = i end`,
		budgets},
	"sparse keys":                {`local t, i = {}, 0 while true do i = i + 7 t[i] = i end`, budgets},
	"many closures":              {`local t = {} while true do local x, y = #t, 1 t[#t + 1] = function() return x + y end end`, budgets},
	"concat":                     {`local t = {} for i = 1, 1e5 do t[i] = "0123456789" end for i = 1, 1e5 do table.concat(t) end`, budgets},
	"format":                     {`return string.format(("%99d"):rep(1e6), 1)`, "bad argument"},
	"lying __len":                {`local t = setmetatable({}, {__len = function() return 1e15 end}) table.insert(t, 1) table.remove(t) table.sort(t) return #t`, "1e+15"},
	"sort with a bad comparator": {`local t = {} for i = 1, 1000 do t[i] = i % 10 end table.sort(t, function() return true end) return #t`, "1000"},
	"sort with an endless one":   {`local t = {3, 2, 1} table.sort(t, function() while true do end end)`, budgets},
	"unpack":                     {`return unpack({}, 1, 1e8)`, "too many results"},
	"pattern .-.-.-b":            {`return (("a"):rep(3000)):find(".-.-.-.-b")`, budgets},
	"pattern a?": {`return (("a"):rep(30)):find(("a?"):rep(30) .. ("a"):rep(30))`,
		budgets},
	"pattern exponential":       {`return (("a"):rep(40)):find(("a*"):rep(20) .. "b")`, budgets},
	"pattern of spaces":         {`return ((" "):rep(1e6) .. "x"):find("%s*$")`, budgets},
	"pattern .* on a long text": {`return #(("x"):rep(3e6)):match(".*")`, "3000000"},
	"deep pattern":              {`return ("x"):find(("(x?)"):rep(30) .. ("x?"):rep(300))`, "1 1"},
	"too many captures":         {`return ("x"):find(("()"):rep(40))`, "too many captures"},
	"gsub grows":                {`local s = "x" while true do s = s:gsub(".", "%0%0%0%0") end`, ""},
	"gmatch without end":        {`for _ in ("x"):gmatch("") do while true do end end`, budgets},
	"pairs while growing":       {`local t = {1} for k in pairs(t) do t[k + 1] = 1 end`, budgets},
	"next on many keys":         {`local t = {} for i = 1, 2e4 do t["k" .. i] = i end while true do next(t) end`, budgets},
	"load bomb":                 {`return load(("x = 1 "):rep(1e5))`, "too long"},
	"load of many parts":        {`return load(function() return "x = 1 " end)`, "too long"},
	"load of elseif":            {`local s = "if x then " for i = 1, 700 do s = s .. "elseif x==1 then " end local t = 0 while true do load(s .. " end") end`, budgets},
	"load of breaks":            {`return load("while x do " .. ("if y then break end "):rep(780) .. "end")`, "more than 300 break and goto"},
	"binary chunk":              {`return load("\27Lua" .. ("\255"):rep(100))`, "binary"},
	"deep parentheses":          {`return load(("("):rep(8000))`, "nil"},
	"many operands":             {`return load("return " .. ("x .. "):rep(240) .. "x")`, "nil"},
	"many returns":              {`return load("return " .. ("x, "):rep(300) .. "x")`, "nil"},
	"json in itself":            {`local t = {} t.t = t return to_json(t)`, "nested"},
	"json depth":                {`return from_json(("["):rep(1e5))`, "nested"},
	"json bomb":                 {`local t = {("x"):rep(1e6)} for i = 1, 60 do t = {t, t} end return to_json(t)`, "too large"},
	"error in error handler": {`return xpcall(error, function() error("again", 0) end)`,
		"false again"},
	"error objects":              {`error({code = 5, message = "five"})`, "five"},
	"number too long":            {`local s = ("1"):rep(1e6) while true do local x = pcall(function() return s + 1 end) end`, budgets},
	"comparison of long strings": {`local a, b = ("x"):rep(3e6) .. "a", ("x"):rep(3e6) .. "b" while true do local c = a < b end`, budgets},
	"getfenv of nothing":         {`return getfenv(100)`, "invalid level"},
	"globals in themselves": {`setmetatable(_G, {__index = _G, __newindex = _G}) x = 1 return y`,
		"overflow"},
	"print":            {`while true do print(("x"):rep(1e5)) end`, budgets},
	"string metatable": {`getmetatable("").__index = nil return pcall(function() return ("x"):rep(3) end)`, "false"},
	"collectgarbage": {`while true do collectgarbage("count") collectgarbage() end`,
		budgets},
	"coroutines without end": {`local t = {} while true do pcall(function() t[#t + 1] = coroutine.wrap(function() while true do coroutine.yield() end end) t[#t]() end) end`, budgets},
	"coroutines in themselves": {`local function f() return coroutine.wrap(f)() end return f()`,
		"C stack overflow"},
	"cycles of __newindex": {`local t = {} setmetatable(t, {__newindex = t}) t.x = 1`, "loop"},
	"os.date":              {`return os.date(("%c"):rep(1e6))`, "too large"},
}

// Hostile scripts end with an error that names the budget or the limit.
func TestHostile(t *testing.T) {
	for name, c := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := Limits{Instructions: 20_000_000, Time: 500 * time.Millisecond / slowed}
			if c.want != budgets {
				limits.Time = time.Minute // what ends it is something else
			}
			s := New(Config{Limits: limits})
			start := time.Now()
			got, usage, err := runIn(t, s, c.source)
			// The ceiling leaves room for a machine that is busy with other things.
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v, limit %v", took, limits.Time)
			}
			if most := limits.Instructions + 100_000; usage.Instructions > most {
				t.Errorf("%d instructions, limit %d", usage.Instructions, limits.Instructions)
			}
			if c.want == budgets {
				checkOverrun(t, err)
				return
			}
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %.200q, want %q", got, c.want)
			}
		})
	}
}

// checkOverrun expects the error of a budget, with the position.
func checkOverrun(t *testing.T, err error, budgets ...string) {
	t.Helper()
	var e *Error
	switch {
	case !errors.As(err, &e) || e.Budget == "" ||
		len(budgets) > 0 && !slices.Contains(budgets, e.Budget):
		t.Errorf("got error %v, want that of the budget %v", err, budgets)
	case !strings.HasPrefix(e.Message, "test:"):
		t.Errorf("message %q has no position", e.Message)
	}
}
