package vm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// broken are programs with an error that is easily made.
var broken = []string{
	"x.1 = 2", "a.1.2 = 3", "for in x", "for x y", "for 1 = 2", "for i=1,2 do", "goto = 1 +",
	"x:1()", "a.b:c", "a.b.c.", "a:", "function 1() end", "function f.1() end", "function f:1() end",
	"function f(", "function f(a", "function f(a,", "function f(...,a) end", "function f()\n\n",
	"local function 1() end", "local x, 1", "local", "local function", "local x = 1,",
	"x = {1 2}", "x = {\n1", "x = { [1] }", "x = { [1 = 2 }", "x = { a b }", "x = {,}", "x = {;}",
	"x = 'a", "x = \"a\nb\"", "x = 'a\\n\\65\nb'", "x = [[a", "x = [=a", "--[[a", "--[==[ a",
	"x = 'a\\400'", "x = 'a' 'b'", "x = 'a\\\nb' c'", "x = [[\n\n]] ]]", "x\r\n= =", "x = 5.5.5",
	"x = 1..2", "x = 08x", "x = 0xg", "x = 1e", "x = 3 4", "if x", "while x", "repeat",
	"if x then\nelse", "if x then else else end", "f(1", "f(1,", "f(\n1", "f(,)", "f() = 1",
	"a, f() = 1", "(a) = 1", "a", "a.b", "1", "(a)", "a = ", "a, b", "a, b = ", "= 1", "nil = 1",
	"x = = 1", "x = }", "x = ~1", "x = (\n1", "x = function end", "x = 1 and", "x = not", "x = .",
	"x = a.b:c", "a[", "a[1", "a[]", "return return", "end", "do x = 1", "until x", "x = \x01",
	"function f() return ... end", "function f(...) return function() return ... end end",
	"goto", "goto 1", "x = 'a\x00b' 'c\x00d'",
}

// mutate breaks a program in one or two places.
func (g *generator) mutate() string {
	words := strings.Fields(g.pick(
		"local a , b = 1 , 2 if a < b then print ( a ) elseif b then return else a = nil end",
		"for i = 1 , 10 , 2 do local t = { x = 1 , [ 2 ] = 3 , 4 } t . x = t [ 2 ] end",
		"for k , v in pairs ( t ) do end while true do f ( 'a' , ... ) end",
		"local function f ( a , ... ) return a . b : c ( 1 ) end",
		"function a . b . c : d ( x ) repeat x = not x until x == # y end",
		"x . y [ 1 ] . z = function ( ) end y = - x ^ 2 .. 'a' and b or c",
		"f { 1 } g 'x' h [[y]] a : b { } ( f ) ( ) do return a , b end",
	))
	for range 1 + g.IntN(2) {
		i := g.IntN(len(words))
		other := g.pick("end", "do", "then", "=", "(", ")", "{", "}", "[", "]", ".", ":", ",", "..",
			"...",
			"==", "~=", "<", "+", "-", "*", "%", "^", "#", "1", ".5", "0x", "1e", "3y", "'abc", "\"x", "[[",
			"[=[", "]]", "nil", "true", "and", "or", "not", "x", "in", "for", "if", "function", "local",
			"return", "until", "repeat", "while", "elseif", "else", "@", "!", "$", "&", "~", "`", "'a\\q'",
			"'\\300'")
		switch g.IntN(4) {
		case 0:
			words[i] = ""
		case 1:
			words[i] = other + " " + words[i]
		case 2:
			words[i] = other
		case 3:
			words = words[:i+1]
		}
	}
	// Where a line begins with a parenthesis, Lua 5.1 wants to be sure that it is a call.
	// And a "#" at the very beginning is for the shell.
	return " " +
		strings.NewReplacer("then ", "then\n", "do ", "do\n", "end ", "end\n", "\n(", " (").Replace(
			strings.Join(words, " "))
}

// Programs that are none are refused in the words of Lua 5.1, and on its line.
func TestSyntaxErrors(t *testing.T) {
	if _, err := exec.LookPath("lua5.1"); err != nil {
		t.Skip("NOT COMPARED with lua5.1: it is not installed")
	}
	g := &generator{Rand: rand.New(rand.NewPCG(51, 9))}
	programs := broken
	for range 1500 / slowed {
		programs = append(programs, g.mutate())
	}
	cmd := exec.Command("lua5.1", "-")
	cmd.Stdin = strings.NewReader(caseList(programs) + `for i = 1, #cases do
		local f, e = loadstring(cases[i], "=t")
		io.write((f and "" or e):gsub("\n", "|"), "\n")
	end`)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs, compared, wrong := splitResults(t, strings.TrimSuffix(string(out), "\n"),
		len(programs)), 0, 0
	for i, p := range programs {
		_, err := Compile(context.Background(), p, "t")
		if err == nil || theirs[i] == "" || strings.Contains(theirs[i], "ambiguous syntax") {
			continue // Lua 5.1 and LuaJIT do not accept the same
		}
		compared++
		if got := strings.ReplaceAll(err.Error(), "\n", "|"); got != theirs[i] {
			if wrong++; wrong <= 10 {
				t.Errorf("%q\n  ours %s\ntheirs %s", p, got, theirs[i])
			}
		}
	}
	if wrong > 10 || compared < len(programs)*2/3 {
		t.Errorf("%d errors differ of %d, in %d programs", wrong, compared, len(programs))
	}
}

// What can be compiled is never called wrong by what explains errors, and it takes no
// longer than its length lets expect, however deep a program is nested.
func TestExplainFindsNothingInWholePrograms(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(51, 10))}
	programs := []string{
		"goto x ::x:: do goto = 1 end", "local goto = {goto = 1} return goto.goto", ";;; x = 1;",
		"while x do break x = 1 end", "return '\\z  \\x41\\u{41}' , [==[ ]] ]==]", "#!/usr/bin/lua",
		"--[==[ x ]] ]==] x = 0x1p4 + 5 .. 'x'", "é = 1 return é", "return",
	}
	for range 300 / slowed {
		programs = append(programs, "return "+g.program())
	}
	for _, p := range programs {
		if err := explain(skipShebang(p), "t"); err != nil {
			t.Errorf("%q\n%v", p, err)
		}
	}
	for _, open := range []string{"(", "{", "f(", "a[", "do ", "not ", "x = function() ", "1 + ",
		"-"} {
		began := time.Now()
		if err := explain("x = "+strings.Repeat(open, 1<<18), "t"); err == nil && open == "do " {
			t.Errorf("%s: no error", open)
		}
		if took := time.Since(began); took > 20*time.Second { // a hang guard
			t.Errorf("%s takes %v", fmt.Sprint(open), took)
		}
	}
}
