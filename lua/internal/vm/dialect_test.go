package vm

import (
	"context"
	"strings"
	"testing"
)

func TestUnicodeEscapes(t *testing.T) {
	for source, want := range map[string]string{
		`return "\u{41}\u{e9}\u{20AC}\u{1F600}", #"\u{10FFFF}"`:              "Aé€😀 4",
		`return "\\u{41}", '\'\u{41}', [[\u{41}]], "a\z   \u{42}" -- \u{43}`: `\u{41} 'A \u{41} aB`,
		"return \"\\\n\\u{41}\"": "\nA",
	} {
		if got, err := runLua(t, source, Limits{}); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
	for _, source := range []string{`return "\u{110000}"`, `return "\u{}"`, `return "\u{4"`,
		`return "\u41"`} {
		if _, err := runLua(t, source, Limits{}); err == nil {
			t.Errorf("%s compiles", source)
		}
	}
}

func TestGotoAsName(t *testing.T) {
	for source, want := range map[string]string{
		`goto = 5 return goto, _G.goto, _G["goto"]`:                                                      "5 5 5",
		`local goto = 5 goto = goto + 1 return goto`:                                                     "6",
		`local t = {goto = 1} t.goto = t.goto + 1 return t.goto, t["goto"]`:                              "2 2",
		`local t = {} function t:goto(x) return x end function t.go() end return t:goto(7)`:              "7",
		`local t = {} function t.goto(x) return x end return t.goto(7), t.goto "x", (t.goto {1})[1]`:     "7 x 1",
		`local function goto(x) return x end return goto(3)`:                                             "3",
		`local t = {goto = 3} a = t.goto b = 5 return a, b`:                                              "3 5",
		`local t = {goto = 3} a = #t..t.goto b = 5 return a, b`:                                          "03 5",
		`for goto = 1, 2 do end for i, goto in ipairs{4} do return goto end`:                             "4",
		`return (function(goto, ...) return goto end)(9)`:                                                "9",
		`local x = 1 goto done x = 2 ::done:: return x`:                                                  "1",
		`local x = 1 do goto --[[ a ]] done end x = 2 ::done:: return x`:                                 "1",
		`for i = 1, 3 do if i == 2 then goto continue end x = i ::continue:: end return x`:               "3",
		`local n = 0 ::goto:: n = n + 1 if n < 3 then goto top end do return n end ::top:: return "top"`: "top",
		`return "goto x", [[goto]], 'a\'goto b', #"goto" -- goto`:                                        "goto x goto a'goto b 4",
		"--[==[ goto ]] x = ]==] return 1 -- goto goto":                                                  "1",
		"local goto = 2\nlocal y = goto\nlocal z = 3 return y + z":                                       "5",
	} {
		got, err := runLua(t, source, Limits{})
		if err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", source, got, err, want)
		}
	}
	for source, want := range map[string]string{
		"local x = 1\ngoto nowhere":     "test:2: no visible label 'nowhere' for <goto> at line 2",
		"local goto = 1\nlocal y = = 2": "test:2: ",
		"return goto.x.y":               "test:1: ",
		"local t = {}\nt:goto(goto)":    "test:2: ",
		"local goto\n\ngoto goto = 5\n": "test:3: ",
		"x = 'unfinished goto":          "test:1: ",
		"x = [[unfinished goto":         "test:1: ",
		"--[[unfinished goto":           "test:1: ",
		"goto":                          "test:1: ",
		"goto 1":                        "test:1: ",
		"x = \"\\":                      "test:1: ",
		"goto --":                       "test:1: ",
		"goto = goto\\":                 "test:1: ",
		"return goto\n\n..nil":          "test:",
	} {
		_, err := runLua(t, source, Limits{})
		if err == nil || !strings.HasPrefix(err.Error(), want) ||
			strings.Contains(err.Error(), gotoName) {
			t.Errorf("%q: %v, want %s", source, err, want)
		}
	}
	if _, err := Compile(context.Background(), "local "+gotoName+" = 1", "test"); err != nil {
		t.Error(err)
	}
}
