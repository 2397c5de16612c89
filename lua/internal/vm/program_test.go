package vm

import (
	"fmt"
	"strings"
)

// program makes a whole function: closures over locals that leave their scope
// together, loops that are left early, chains of .. and %, varargs, tail calls and
// errors. What it has noted in the end must be what a real Lua notes.
func (g *generator) program() string {
	p := programmer{g, 0}
	return `(function()
local log, fs, t, fuel = {}, {}, {3, 1, 2}, 300
local function burn() fuel = fuel - 1 if fuel < 0 then error("fuel") end end
local function note(x) burn() log[#log + 1] = (type(x) == "table" or type(x) == "function") and type(x) or (tostring(x):gsub("^.*:%d+: .*$", "error")) end
local function call(i, ...) burn() local f = fs[i % (#fs + 1)] if f then return f(...) end return i end
local a, b, c = 1, -2, 3
local ok = pcall(function(...)
` + p.block(3) + `
end, 4, 5)
for i = 1, #fs do note(select(2, pcall(fs[i], i, 1))) end
note(ok) note(a) note(b) note(c) note(fuel)
return table.concat(log, " ")
end)()`
}

type programmer struct {
	*generator
	locals int
}

func (p *programmer) block(depth int) string {
	var b strings.Builder
	for range 1 + p.IntN(3) {
		b.WriteString(p.statement(depth) + "\n")
	}
	return b.String()
}

func (p *programmer) variable() string {
	return p.pick("a", "b", "c", "t[1]", "t[2]", "t.x")
}

// number makes an integer of modest size; a variable may hold a string of digits.
func (p *programmer) integer(depth int) string {
	if depth <= 0 {
		return p.pick("a", "b", "c", "1", "7", "-3", "#t", "#log", "(...)", "select('#', ...)",
			"(t[1] or 0)", "(t.x or 5)")
	}
	x, y := p.integer(depth-1), p.integer(depth-1)
	switch p.IntN(8) {
	case 0:
		return fmt.Sprintf("(%s * %s) %% 1000", x, y)
	case 1:
		return fmt.Sprintf("%s %% (%s %% 5 + 6)", x, y)
	case 2:
		return fmt.Sprintf("-(%s) %% -7", x)
	case 3:
		return fmt.Sprintf("(%s and %s or %s)", p.condition(depth-1), x, y)
	case 4:
		return fmt.Sprintf("#(%s .. %s)", x, y)
	case 5:
		return fmt.Sprintf("(tonumber((call(%s, %s))) or 0) %% 100", x, y)
	}
	return fmt.Sprintf("(%s %s %s) %% 10000", x, p.pick("+", "-"), y)
}

func (p *programmer) text(depth int) string {
	parts := []string{p.integer(depth)}
	for range 1 + p.IntN(4) {
		parts = append(parts, p.pick("'x'", "a", "b % 3", p.integer(depth-1), "(tostring(c))"))
	}
	return strings.Join(parts, " .. ")
}

func (p *programmer) condition(depth int) string {
	x, y := p.integer(depth-1), p.integer(depth-1)
	return fmt.Sprintf("%s(%s %s %s)", p.pick("", "not "), x, p.pick("<", "<=", ">", ">=", "==", "~="),
		y)
}

func (p *programmer) statement(depth int) string {
	if depth == 0 {
		return fmt.Sprintf("note(%s)", p.pick(p.text(1), p.integer(1)))
	}
	x := p.integer(2)
	switch p.IntN(14) {
	case 0, 1:
		return fmt.Sprintf("%s = %s", p.variable(), x)
	case 2:
		return fmt.Sprintf("%s, %s = %s, %s", p.variable(), p.variable(), x, p.integer(1))
	case 3:
		return fmt.Sprintf("for i = %s, %d do burn() local v, w = i, a %% 9\n%sfs[#fs + 1] = "+
			"function(...) v = v + 1 return v .. '/' .. w .. i end\n%send",
			p.pick("1", "a % 3", "-2"), p.IntN(4), p.block(depth-1), p.pick("", "if v > 1 then break end\n"))
	case 4:
		return fmt.Sprintf("for k, v in ipairs(t) do burn()\n%sif k > 3 then break end end",
			p.block(depth-1))
	case 5:
		return fmt.Sprintf("do local n = 0 while n < 3 do n = n + 1 local m = n burn()\n%sfs[#fs + 1] "+
			"= function(...) m = m + n return m end\nif %s then break end end end",
			p.block(depth-1), p.condition(1))
	case 6:
		return fmt.Sprintf("repeat burn() local z, y = %s, 1\n%slocal f = function(...) y = y + z "+
			"return y %% 11 end note(f() .. f()) fs[#fs + 1] = f until z >= %d or fuel < 100",
			x, p.block(depth-1), p.IntN(5))
	case 7, 8:
		return fmt.Sprintf("if %s then\n%selseif %s then\n%selse\n%send", p.condition(2),
			p.block(depth-1), p.condition(1), p.block(depth-1), p.block(depth-1))
	case 9:
		return fmt.Sprintf("fs[#fs + 1] = function(...) burn() local p, q = ...\n%s%s end",
			p.block(depth-1),
			p.pick("return p", "return p, q", "return call(p or 1, q)", "return (q or 1) % 4 .. 'r'",
				"p = (p or 0) + 1 return function(...) return p, q end"))
	case 10:
		return fmt.Sprintf("note(pcall(function(...)\n%s%s end, %s))", p.block(depth-1),
			p.pick("", "error('e', 0)", "error({})"), x)
	case 11:
		return fmt.Sprintf("do local u, v, w = %s, {%s}, function(...) return a end\n%sfs[#fs + 1] = "+
			"function(...) local d = ... u, a = a, u %% 50 v[1] = w() return u .. v[1] end end", x, x,
			p.block(depth-1))
	case 12:
		return fmt.Sprintf("t[%s %% 4] = %s", p.integer(1), x)
	}
	return fmt.Sprintf("note(%s)", p.text(2))
}
