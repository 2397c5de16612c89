package vm

import "testing"

// Errors about operands name them as Lua 5.1 does, whether a pcall catches them or
// not.
func TestOperandNames(t *testing.T) {
	for source, want := range map[string]string{
		"local a return a.x":                              "index local 'a' (a nil value)",
		"return foo.x.y":                                  "index global 'foo' (a nil value)",
		"local t = {} return t.x.y.z":                     "index field 'x' (a nil value)",
		"local t = {} t.x.y = 1":                          "index field 'x' (a nil value)",
		"local t = {a = {}} if t.b.c == 1 then end":       "index field 'b' (a nil value)",
		"foo.x = 1":                                       "index global 'foo' (a nil value)",
		"local up local function f() return up.x end f()": "index upvalue 'up' (a nil value)",
		"local t, i = {}, 1 return t[i].x":                "index field '?' (a nil value)",
		"foo(1, 2)":                                       "call global 'foo' (a nil value)",
		"return foo(1, 2)":                                "call global 'foo' (a nil value)",
		"local t = {} t.foo()":                            "call field 'foo' (a nil value)",
		"local t = {} t:foo(1)":                           "call method 'foo' (a nil value)",
		"('x'):nope()":                                    "call method 'nope' (a nil value)",
		"local t = {a = 5} t.a.b.c = 1":                   "index field 'a' (a number value)",
		"for k in foo do end":                             "call a nil value",
		"return foo + 1": "perform arithmetic on global 'foo' (a " +
			"nil value)",
		"local t = {} return 1 + t.x": "perform arithmetic on field 'x' (a " +
			"nil value)",
		"local a, b = '1', 'x' return a - b": "perform arithmetic on local 'b' (a " +
			"string value)",
		"local t = {} return -t.x": "perform arithmetic on field 'x' (a " +
			"nil value)",
		"local t = {} return t.x % 2": "perform arithmetic on field 'x' (a " +
			"nil value)",
		"return 7 % foo":    "perform arithmetic on global 'foo' (a nil value)",
		"return 'a' .. foo": "concatenate global 'foo' (a nil value)",
		"local t, b = {}, 1 return b .. 'a' .. t.x .. 'c'": "concatenate field 'x' (a nil value)",
		"local t = {} local a = 'x' a = a .. t return a":   "concatenate local 't' (a table value)",
		"return #foo":    "get length of global 'foo' (a nil value)",
		"return foo < 1": "compare nil with number",
		"return {} < {}": "compare two table values",
		"local x = 1 > 2 and {} or nil return x.y":             "index local 'x' (a nil value)",
		"return (1 > 2 and {} or nil).y":                       "index a nil value",
		"local t = setmetatable({}, {__index = 5}) return t.x": "index a number value",
		"local f = setmetatable({}, {__call = 5}) f()":         "call local 'f' (a table value)",
	} {
		want = "test:1: attempt to " + want
		if _, err := runLua(t, source, Limits{}); err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", source, err, want)
		}
		got, err := runLua(t, "local ok, e = pcall(function() "+source+" end) return e", Limits{})
		if err != nil || got != want {
			t.Errorf("%s, caught\n got %s, %v\nwant %s", source, got, err, want)
		}
	}
}

// An error that ends the run says where, also where its value does not.
func TestEveryErrorHasItsPlace(t *testing.T) {
	for source, want := range map[string]string{
		"\nerror('plain', 0)":      "test:2: plain",
		"\nerror({message = 'm'})": "test:2: (error object is a table value): m",
		"\nerror()":                "test:2: (error object is a nil value)",
		"\nerror(7)":               "test:2: 7",
		"\nlocal t = setmetatable({}, {__tostring = function(t) return tostring(t) end})\ntostring(t)": "test:2: Go stack overflow",
		"\n('x'):gsub('x', string.rep)": "test:2: bad argument #2 to 'rep' (number expected, got no " +
			"value)",
		"getmetatable('').__add = function() return 1 end\nlocal x = 'a' + 1\nerror('x', 0)": "test:3: x",
		"\nlocal ok, e = pcall(error, 'a', 0)\nerror(e .. 'b', 0)":                           "test:3: ab",
	} {
		_, err := runLua(t, source, Limits{})
		if err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", source, err, want)
		}
	}
}
