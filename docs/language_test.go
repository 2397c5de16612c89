package docs_test

import (
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// What the table "The language" says, as expressions that are true where it
// says yes. The third is ours.
var languages = []struct {
	name             string
	expression       string
	lua, luajit, own bool
}{
	{"goto", `loadstring("goto x ::x::") ~= nil`, false, true, true},
	{"goto as a name", `loadstring("local goto = 1") ~= nil`, true, true, true},
	{"5.1 names", `unpack and loadstring and setfenv and table.getn and true`, true, true, true},
	{"5.2 names", `(table.unpack and table.pack and rawlen and true) == true`, false, false, true},
	{"bit32", `bit32 ~= nil`, false, false, true},
	{"bit", `bit ~= nil`, false, true, true},
	{"math.mod, string.gfind", `(math.mod and string.gfind and true) == true`, true, false, true},
	{"format %s of nil", `pcall(string.format, "%s", nil)`, false, true, true},
	{"clearing in pairs",
		`(function() local t = {a = 1, b = 2} for k in pairs(t) do t[k] = nil end ` +
			`return next(t) == nil end)()`, true, true, true},
	{"coroutines", `coroutine.wrap(function() return coroutine.yield(1) end)() == 1`, true, true,
		true},
	{"yield through pcall",
		`coroutine.wrap(function() return pcall(function() coroutine.yield(1) end) end)() == 1`, false,
		true,
		true},
	{"io, debug, package",
		`(io and debug and package and os.execute and module and dofile and true) == true`, true, true,
		false},
	{"compiled chunks",
		`pcall(function() return assert(loadstring(string.dump(loadstring("return 1"))))() end)`, true,
		true, false},
	{"load of a string", `pcall(load, "return 1")`, false, true, true},
	{"escapes", `loadstring([[return "\x41\z  B\u{43}"]])() == "ABC"`, false, true, true},
	{"%f, %g patterns",
		`("THE (quick) fox"):find("%f[%a]%a+%f[%A]") == 1 and ("a b"):match("%g") == "a"`, false, true,
		true},
	{"xpcall with arguments", `select(2, xpcall(function(x) return x end, print, 7)) == 7`, false,
		true, true},
	{"rep with separator", `("x"):rep(2, ",") == "x,x"`, false, true, true},
	{"log with base", `math.log(8, 2) == 3`, false, true, true},
	{"hex floats", `tonumber("0x1p4") == 16`, true, true, true},
	{"__len of tables", `#setmetatable({}, {__len = function() return 7 end}) == 7`, false, false,
		true},
	{"__pairs", `pairs(setmetatable({}, {__pairs = function() return 7 end})) == 7`, false, false,
		true},
	{"__ipairs", `ipairs(setmetatable({}, {__ipairs = function() return 7 end})) == 7`, false, false,
		true},
	{"__lt of different types",
		`pcall(function() return setmetatable({}, {__lt = function() return true end}) < 1 end)`, false,
		false, true},
	{"arg", `(function(...) return arg and arg.n == 2 end)(1, 2)`, true, false, false},
	{"jit, ffi", `jit ~= nil and pcall(require, "ffi")`, false, true, false},
	{"LL suffix", `loadstring("return 1LL") ~= nil`, false, true, false},
}

func TestLanguageTable(t *testing.T) {
	script := ""
	for _, l := range languages {
		script += fmt.Sprintf("results[#results + 1] = tostring((%s) and true or false)\n", l.expression)
	}
	script = "local results = {}\n" + script + "local line = table.concat(results, ' ')\n"
	for column, interpreter := range []string{"lua5.1", "luajit", ""} {
		var got string
		if interpreter != "" {
			out, err := exec.Command(interpreter, "-e", script+"print(line)").CombinedOutput()
			if err != nil {
				t.Logf("NOT COMPARED with %s: %v %s", interpreter, err, out)
				continue
			}
			got = string(out)
		} else {
			got = runOwn(t, script+"return line")
		}
		words := strings.Fields(got)
		if len(words) != len(languages) {
			t.Fatalf("%s says %q", interpreter, got)
		}
		for i, l := range languages {
			if want := []bool{l.lua, l.luajit, l.own}[column]; words[i] != fmt.Sprint(want) {
				t.Errorf("%s in column %d is %s, the table says %v", l.name, column+1, words[i], want)
			}
		}
	}
}

// runOwn returns what a script answers.
func runOwn(t *testing.T, script string) string {
	t.Helper()
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	host := lua.New(gw, &lua.Options{Logger: slog.New(slog.DiscardHandler)})
	if _, err := host.DeployEndpoint(t.Context(), "/run",
		"if websocketInfo.type ~= 'open' then return end\n"+script); err != nil {
		t.Fatal(err)
	}
	return string(gatewaytest.NewServer(t, gw).Dial(t, "/run").Receive().Data)
}
