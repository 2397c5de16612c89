package vm

import (
	"fmt"
	"strings"

	golua "github.com/Shopify/go-lua"
)

type library []struct {
	name string
	f    libraryFunction
}

func (s *State) openLibraries() {
	l := s.l
	for name, lib := range map[string]library{
		"string": stringLibrary, "table": tableLibrary, "math": mathLibrary, "os": osLibrary,
		"json": jsonLibrary, "log": logLibrary, "bit": bitLibrary,
		"base64": base64Library, "hex": hexLibrary, "url": urlLibrary, "hash": hashLibrary,
		"coroutine": coroutineLibrary,
	} {
		s.register(lib, name+".")
		l.SetGlobal(name)
	}
	s.openMath()
	s.openAliases()
	s.push(s.globals)
	for _, f := range baseLibrary {
		s.pushFunction(f.name, f.f)
		l.SetField(-2, f.name)
	}
	l.PushString("Lua 5.1")
	l.SetField(-2, "_VERSION")
	l.Pop(1)

	l.PushString("") // all strings share one metatable
	l.NewTable()
	l.Global("string")
	l.SetField(-2, "__index")
	l.SetMetaTable(-2)
	l.Pop(1)
	golua.Require(l, "bit32", golua.Bit32Open, true)
	l.SetTop(0)
}

// register pushes a table of functions.
func (s *State) register(lib library, prefix string) {
	s.l.CreateTable(0, len(lib))
	for _, f := range lib {
		s.pushFunction(f.name, f.f)
		s.l.SetField(-2, f.name)
	}
}

// openAliases gives functions the other names they have had.
func (s *State) openAliases() {
	for _, a := range [][2]string{
		{"table.unpack", "unpack"}, {"string.gmatch", "string.gfind"}, {"math.fmod", "math.mod"},
		{"json.encode", "to_json"}, {"json.decode", "from_json"},
		{"json.encode", "json.stringify"}, {"json.decode", "json.parse"}, {"json", "JSON"},
	} {
		v := s.globals
		for _, part := range strings.Split(a[0], ".") {
			v = s.Get(v, part)
		}
		t, name := s.globals, a[1]
		if lib, field, ok := strings.Cut(name, "."); ok {
			t, name = s.Get(t, lib), field
		}
		s.Set(t, name, v)
	}
}

var baseLibrary = library{
	{"assert", baseAssert}, {"error", baseError}, {"pcall", basePcall}, {"xpcall", baseXpcall},
	{"tostring", baseTostring}, {"tonumber", baseTonumber}, {"type", baseType},
	{"next", baseNext}, {"pairs", basePairs}, {"ipairs", baseIpairs}, {"select", baseSelect},
	{"rawequal", baseRawequal}, {"rawget", baseRawget}, {"rawset", baseRawset}, {"rawlen", baseRawlen},
	{"getmetatable", baseGetmetatable}, {"setmetatable", baseSetmetatable},
	{"getfenv", baseGetfenv}, {"setfenv", baseSetfenv},
	{"load", baseLoad}, {"loadstring", baseLoadstring}, {"require", baseRequire},
	{"collectgarbage", baseCollectgarbage}, {"gcinfo", baseGcinfo},
	{"print", basePrint},
}

// baseAssert puts the position before a text, as Lua 5.1 and LuaJIT do and later
// versions do not.
func baseAssert(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	if l.ToBoolean(1) {
		return l.Top()
	}
	if l.Top() < 2 {
		s.errorf("assertion failed!")
	}
	l.SetTop(2)
	switch v := l.ToValue(2).(type) {
	case string:
		s.errorf("%s", v)
	case float64:
		s.errorf("%s", FormatNumber(v))
	}
	s.throw()
	return 0
}

func baseError(s *State, l *golua.State) int {
	level := s.optInt(l, 2, 1)
	l.SetTop(1)
	if text, ok := str(l, 1); ok && level > 0 {
		golua.Where(l, level)
		where, _ := l.ToString(-1)
		l.Pop(1)
		l.PushString(where + text)
	}
	s.throw()
	return 0
}

// protectedCall calls the function below the n arguments on top of the stack
// and leaves its results there, or the error value alone.
func (s *State) protectedCall(l *golua.State, n int) bool {
	protects := s.run.protects
	s.run.protects++
	err := l.ProtectedCall(n, golua.MultipleReturns, s.handler)
	s.run.protects = protects
	if err != nil {
		s.caught(err)
	}
	return err == nil
}

func basePcall(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	ok := s.protectedCall(l, l.Top()-1)
	l.PushBoolean(ok)
	l.Insert(1)
	return l.Top()
}

// baseXpcall calls the handler after the stack of the error is gone; there is no
// debug library that could tell the difference.
func baseXpcall(s *State, l *golua.State) int {
	s.checkAny(l, 2)
	n := l.Top() - 2
	l.PushValue(2)
	handler := l.ToValue(-1)
	l.Pop(1)
	l.Remove(2)
	ok := s.protectedCall(l, n)
	if !ok {
		s.push(handler)
		l.Insert(1)
		l.SetTop(2)
		s.protectedCall(l, 1)
		l.SetTop(1)
	}
	l.PushBoolean(ok)
	l.Insert(1)
	return l.Top()
}

func baseTostring(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	l.PushString(s.toString(l, 1))
	return 1
}

// toString is tostring of the value at i, which is positive.
func (s *State) toString(l *golua.State, i int) string {
	switch v := l.ToValue(i).(type) {
	case string:
		return v
	case float64:
		return FormatNumber(v)
	case bool:
		if v {
			return "true"
		}
		return "false"
	case nil:
		return "nil"
	}
	if golua.MetaField(l, i, "__tostring") {
		l.PushValue(i)
		l.Call(1, 1)
		text, ok := str(l, l.Top())
		if !ok {
			s.errorf("'tostring' must return a string to 'print'")
		}
		l.Pop(1)
		return text
	}
	name := l.TypeOf(i).String()
	if name == "function" && l.IsGoFunction(i) {
		name = "function: builtin"
	}
	return fmt.Sprintf("%s: %p", name, l.ToValue(i))
}

func baseTonumber(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	base := s.optInt(l, 2, 10)
	if base == 10 {
		if n, ok := num(l, 1); ok {
			l.PushNumber(n)
		} else {
			l.PushNil()
		}
		return 1
	}
	text := s.checkString(l, 1)
	if base < 2 || base > 36 {
		s.argError(2, "base out of range")
	}
	if n, ok := parseBase(text, base); ok {
		l.PushNumber(n)
	} else {
		l.PushNil()
	}
	return 1
}

func baseType(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	l.PushString(l.TypeOf(1).String())
	return 1
}

func baseIpairs(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	if golua.MetaField(l, 1, "__ipairs") {
		l.PushValue(1)
		l.Call(1, 3)
		return 3
	}
	s.pushFunction("ipairs", ipairsNext)
	l.PushValue(1)
	l.PushInteger(0)
	return 3
}

func ipairsNext(s *State, l *golua.State) int {
	i := s.checkInt(l, 2) + 1
	s.checkTable(l, 1)
	l.PushInteger(i)
	l.RawGetInt(1, i)
	if l.IsNil(-1) {
		return 1
	}
	return 2
}

func baseSelect(s *State, l *golua.State) int {
	n := l.Top()
	if l.TypeOf(1) == golua.TypeString {
		if v, _ := l.ToString(1); strings.HasPrefix(v, "#") {
			l.PushInteger(n - 1)
			return 1
		}
	}
	i := s.checkInt(l, 1)
	if i < 0 {
		i = n + i
	} else if i > n {
		i = n
	}
	if i < 1 {
		s.argError(1, "index out of range")
	}
	return n - i
}

func baseRawequal(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	s.checkAny(l, 2)
	l.PushBoolean(l.ToValue(1) == l.ToValue(2))
	return 1
}

func baseRawget(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	s.checkAny(l, 2)
	l.SetTop(2)
	s.rawGet(l, 1)
	return 1
}

func baseRawset(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	s.checkAny(l, 2)
	s.checkAny(l, 3)
	l.SetTop(3)
	switch v := l.ToValue(1); {
	case v == s.proxy:
		s.rawSetGlobal(l)
	default:
		if s.isLazy(l, 1) {
			s.fill(l, 1)
		}
		l.RawSet(1)
	}
	l.SetTop(1)
	return 1
}

func baseRawlen(s *State, l *golua.State) int {
	if t := l.TypeOf(1); t != golua.TypeTable && t != golua.TypeString {
		s.argError(1, "table or string expected")
	}
	l.PushInteger(l.RawLength(1))
	return 1
}

func baseGetmetatable(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	switch env := s.isEnv(l.ToValue(1)); {
	case env && s.meta != nil:
		s.push(s.meta)
	case env:
		s.push(s.globals)
		if !l.MetaTable(-1) || l.ToValue(-1) == s.missing {
			l.PushNil()
		}
	case s.isLazy(l, 1) || !l.MetaTable(1):
		l.PushNil()
	}
	if !l.IsNil(-1) {
		l.PushString("__metatable")
		l.RawGet(-2)
		if l.IsNil(-1) {
			l.Pop(1)
		}
	}
	return 1
}

func baseSetmetatable(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	if l.Top() < 2 || !l.IsNil(2) && !l.IsTable(2) {
		s.argError(2, "nil or table expected")
	}
	l.SetTop(2)
	target := 1
	if s.isEnv(l.ToValue(1)) {
		if !s.loading() {
			s.setMeta(l.ToValue(2))
			l.SetTop(1)
			return 1
		}
		s.push(s.globals)
		target = 3
	} else if s.isLazy(l, 1) {
		s.fill(l, 1)
	} else if golua.MetaField(l, 1, "__metatable") {
		s.errorf("cannot change a protected metatable")
	}
	l.PushValue(2)
	l.SetMetaTable(target)
	l.PushValue(1)
	return 1
}

// baseCollectgarbage collects nothing: the memory is the host's. It answers
// with what the VM holds.
func baseCollectgarbage(s *State, l *golua.State) int {
	switch s.optString(l, 1, "collect") {
	case "count":
		l.PushNumber(s.kilobytes())
	case "step":
		l.PushBoolean(true)
	case "isrunning":
		l.PushBoolean(true)
	default:
		l.PushInteger(0)
	}
	return 1
}

func baseGcinfo(s *State, l *golua.State) int {
	l.PushInteger(int(s.kilobytes()))
	return 1
}

func (s *State) kilobytes() float64 {
	s.step(4096) // it looks at everything
	return float64(s.held(s.cfg.Limits.Memory+s.base)) / 1024
}
