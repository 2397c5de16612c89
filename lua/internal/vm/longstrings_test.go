package vm

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Arithmetic on a string is refused where it would take long, wherever the string comes
// from: it is never a number. The VM itself would parse it, 75 ms for 1 MiB.
func TestArithmeticOnLongStrings(t *testing.T) {
	const size = hugeString
	digits := strings.Repeat("7", size)
	want := fmt.Sprintf("test:1: attempt to perform arithmetic on a string of %d bytes", size)
	for name, prepare := range map[string]func(t *testing.T, s *State) (source string){
		"a local": func(*testing.T, *State) string { return `local big = ("7"):rep(1048576)` },
		"a literal": func(*testing.T, *State) string {
			return `local big = "` + digits + `"`
		},
		"of the host": func(_ *testing.T, s *State) string {
			s.SetGlobal("give", s.Function("give", func(c *Call) error { c.Return(digits); return nil }))
			return `local big = give()`
		},
		"of JSON": func(_ *testing.T, s *State) string {
			return `local big = from_json('{"x":["' .. ("7"):rep(1048576) .. '"]}').x[1]`
		},
		"of a module": func(t *testing.T, s *State) string {
			loadModule(t, s, `kept = {("7"):rep(1048576)}`)
			return `local big = kept[1]`
		},
		"of an earlier run": func(t *testing.T, s *State) string {
			loadModule(t, s, `local t = {} function keep(x) t.x = x or t.x return t.x end`)
			if _, _, err := runIn(t, s, `keep(("7"):rep(1048576))`); err != nil {
				t.Fatal(err)
			}
			for range 2 * longRuns { // it looks in vain whether it is gone
				if _, _, err := runIn(t, s, ``); err != nil {
					t.Fatal(err)
				}
			}
			return `local big = keep()`
		},
	} {
		for _, operation := range []string{
			"return big + 1", "return 1 - big", "return big * big", "return 2 / big", "return big ^ 2",
			"return -big", "for i = big, 1 do end", "for i = 1, big do end", "for i = 1, 2, big do end",
			"return setmetatable({}, {__index = function(_, k) return big + k end})[1]",
			"return coroutine.wrap(function() return big + 1 end)()",
		} {
			s := New(Config{})
			source := prepare(t, s) + ` local n = 0 for i = 1, 100 do
				if not pcall(function() ` + operation + ` end) then n = n + 1 end
			end return n, select(2, pcall(function() ` + operation + ` end)), (function()
				local n = 0 for i = 1, 10 do n = n + "1" end return n end)()`
			source = strings.ReplaceAll(source, "\n", " ")
			got, usage, err := runIn(t, s, source)
			if text := strings.Replace(got, "test:1: test:1: ", "test:1: ", 1); err != nil ||
				text != "100 "+want+" 10" {
				t.Errorf("%s, %s: %.200s, %.300v", name, operation, got, err)
			}
			if usage.Time > 5*time.Second { // it would be 8 seconds if it were parsed
				t.Errorf("%s, %s: it took %v", name, operation, usage.Time)
			}
		}
	}
}

func loadModule(t *testing.T, s *State, source string) {
	t.Helper()
	c, err := Compile(context.Background(), source, "module")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Setup(func() error { s.RunModule(c, "module"); return nil }); err != nil {
		t.Fatal(err)
	}
}

// Without a pcall the error is that of the run, with its line, and the hook goes on: what
// comes after it is bounded as ever.
func TestArithmeticOnLongStringsEnds(t *testing.T) {
	_, _, err := runIn(t, New(Config{}), "local s = ('7'):rep(2e6)\n\nreturn s + 1")
	if err == nil || !strings.HasPrefix(err.Error(), "test:3: attempt to perform arithmetic on a "+
		"string of 2000000 bytes") {
		t.Errorf("error = %v", err)
	}
	_, _, err = runIn(t, New(Config{Limits: Limits{Instructions: 10_000}}),
		`local s = ('7'):rep(2e6) pcall(function() return s + 1 end) while true do end`)
	checkOverrun(t, err, "instructions")
}

// Long strings that are gone are forgotten: a State is not slow for ever.
func TestLongStringsAreForgotten(t *testing.T) {
	s := New(Config{})
	if _, _, err := runIn(t, s, `return #("x"):rep(1e6)`); err != nil {
		t.Fatal(err)
	}
	if s.longest != 1_000_000 {
		t.Errorf("longest = %d after a string of a million bytes", s.longest)
	}
	for range longRuns {
		if _, _, err := runIn(t, s, `return 1`); err != nil {
			t.Fatal(err)
		}
	}
	if s.longest >= longString {
		t.Errorf("longest = %d, and no such string is left", s.longest)
	}
}

// The longer strings may be, the fewer instructions pass between two looks at the budgets, be
// they made by the run or left by an earlier one.
func TestLongStringsAreWatched(t *testing.T) {
	for _, n := range []int{0, 1000, longString, 3000, 10_000, 64 << 10, 100_000, hugeString - 1,
		hugeString, 5_000_000} {
		most := mostInterval(n)
		if n < longString && most != maxInterval || n >= hugeString && most != hugeInterval ||
			n >= longString && n < hugeString && most*n > parsedAtOnce {
			t.Errorf("mostInterval(%d) = %d", n, most)
		}
	}
	s := New(Config{})
	loadModule(t, s, `local t = {} function keep(x) t.x = x or t.x return #t.x end`)
	for _, source := range []string{`return keep(("x"):rep(64 * 1024))`, `return keep()`} {
		if _, _, err := runIn(t, s, source); err != nil {
			t.Fatal(err)
		}
		if want := mostInterval(64 << 10); s.run.most != want || s.run.interval > want {
			t.Errorf("%s: %d instructions between looks, at most %d; want at most %d",
				source, s.run.interval, s.run.most, want)
		}
	}
}
