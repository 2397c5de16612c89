package vm

// asLuaJIT are cases in which LuaJIT is right, and Lua 5.1 is not.
var asLuaJIT = []string{
	"string.format('%+f|% f|%+g|%5.1f', 0/0, 0/0, -(0/0), 0/0)",
	"os.date('!%Ey|%Oy|%EY|%Om|%E|', 0)",
	"tonumber('-1', 16), tonumber('-ffffffffffffffffff', 16), tonumber('-zz', 36)",
}

func (g *generator) asLuaJIT() string {
	g.next++
	return asLuaJIT[g.next-1]
}

// texts are cases whose errors have to say the same, but for the place.
var texts = func() []string {
	var all []string
	for _, source := range []string{
		"x = = 1", "x = 1 +", "x = 'abc", "for i = 1 do end", "x = 1 1", "local 1", "x = }", "x = 5x",
		"return [[abc", "--[[abc",
		"return 1.5..''", "f(", "if x the", "return return", "local function 5() end", "end",
		"x = {1, 2", "a.b:c = 1",
	} {
		all = append(all, "(select(2, loadstring("+luaQuote(source)+")):gsub('^.-:%d+: ', ''))")
	}
	for _, body := range []string{
		"local s = 'x' return s:rep()", "local s = 'x' return s:rep({})", "return ('x'):rep({})",
		"return string.rep('x', {})",
		"local s = 'x' local n = s:find() return n", "local t = setmetatable({1}, {__index = table}) " +
			"return t:concat({})",
		"local t = {f = string.rep} return t:f(1)", "local t = {f = string.rep} return t.f({})",
		"local rep = string.rep rep()",
		"string.rep()", "tonumber()", "tonumber('1', 99)", "setmetatable(1, {})", "('x'):format(1, " +
			"('%d'):format('y'))", "string.format('%d')",
		"('%s %s'):format(1)", "string.format('%q%')", "('x'):gsub('x')", "string.gsub('x', 'x', true)",
		"('x'):gsub('x', nil)", "math.floor({})", "ipairs()",
		"error(5)", "error(5, 2)", "error('x')", "assert(false, 7)", "assert(nil)",
	} {
		all = append(all, "(tostring(select(2, pcall(function() "+body+" end))):gsub('^.-:%d+: ', ''))")
	}
	return all
}()

func (g *generator) texts() string {
	g.next++
	return texts[g.next-1]
}
