package vm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// A luaFunc is a Lua function of strings that returns one value.
type luaFunc struct {
	tb testing.TB
	s  *State
	c  *Chunk
}

func newLuaFunc(tb testing.TB, source string) *luaFunc {
	tb.Helper()
	c, err := Compile(context.Background(), source, "test")
	if err != nil {
		tb.Fatal(err)
	}
	return &luaFunc{tb, New(Config{}), c}
}

func (f *luaFunc) call(args ...string) Value {
	f.tb.Helper()
	var result Value
	_, err := f.s.Run(func() error {
		fn, err := f.s.Load(f.c)
		if err != nil {
			return err
		}
		var values []Value
		for _, a := range args {
			values = append(values, a)
		}
		result = f.s.Call(fn, values...)
		return nil
	})
	if err != nil {
		f.tb.Fatal(err)
	}
	return result
}

// A jsonGen makes JSON values as encoding/json has them.
type jsonGen struct{ *rand.Rand }

func (g jsonGen) value(depth int) any {
	n := 9
	if depth == 0 {
		n = 7
	}
	switch g.IntN(n) {
	case 0:
		return nil
	case 1:
		return g.IntN(2) == 0
	case 2:
		return float64(g.IntN(2_000_000) - 1_000_000)
	case 3:
		return g.NormFloat64() * []float64{1e-300, 1e-7, 1, 1e7, 1e20, 1e22, 1e300}[g.IntN(7)]
	case 4:
		return float64(g.Int64N(1<<53)) * []float64{1, -1, 1024}[g.IntN(3)]
	case 5, 6:
		return g.text()
	case 7:
		list := make([]any, g.IntN(6))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return list
	}
	object := map[string]any{}
	for range g.IntN(6) {
		object[g.text()] = g.value(depth - 1)
	}
	return object
}

func (g jsonGen) text() string {
	var b strings.Builder
	for range g.IntN(8) {
		b.WriteString([]string{"a", "b", "1", "12", "Z", "_", " ", "\"", "\\", "/", "\n", "\t", "\x00",
			"\x1f", "\x7f", "é", "€", "😀", "<", "\ufffd", "[", "}"}[g.IntN(22)])
	}
	return b.String()
}

// write writes v with blanks, escapes and members in any order.
func (g jsonGen) write(b *strings.Builder, v any) {
	blank := func() { b.WriteString([]string{"", "", "", " ", "\n", "\t ", "\r\n"}[g.IntN(7)]) }
	blank()
	switch v := v.(type) {
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			g.write(b, x)
		}
		blank()
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		first := true
		for k, x := range v {
			if !first {
				b.WriteByte(',')
			}
			first = false
			g.write(b, k)
			b.WriteByte(':')
			g.write(b, x)
		}
		blank()
		b.WriteByte('}')
	case string:
		b.WriteByte('"')
		for _, r := range v {
			switch {
			case g.IntN(4) == 0 && r < 1<<16, r < ' ', r == '"', r == '\\':
				fmt.Fprintf(b, "\\u%04x", r)
			case r == '/' && g.IntN(2) == 0:
				b.WriteString(`\/`)
			default:
				b.WriteRune(r)
			}
		}
		b.WriteByte('"')
	default:
		b.WriteString(canonical(v))
	}
	blank()
}

// canonical is what to_json is to make of v: encoding/json's text, which has
// sorted keys as well.
func canonical(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// inLua is what is left of v in Lua, where null is nil: members that are null,
// and nulls at the end of an array, are not there.
func inLua(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = inLua(x)
		}
		for len(list) > 0 && list[len(list)-1] == nil {
			list = list[:len(list)-1]
		}
		return list
	case map[string]any:
		object := map[string]any{}
		for k, x := range v {
			if x = inLua(x); x != nil {
				object[k] = x
			}
		}
		return object
	}
	return v
}

// What is read and written again is the same text, with keys in order and no
// blanks: arrays stay arrays and objects objects, empty ones too, and numbers
// lose nothing.
func TestJSONRoundTrip(t *testing.T) {
	f := newLuaFunc(t,
		`local v, err = from_json((...)) if err then return "error: " .. err end return to_json(v)`)
	g := jsonGen{rand.New(rand.NewPCG(8259, 1))}
	for range 3000 {
		v := g.value(4)
		var b strings.Builder
		g.write(&b, v)
		want := canonical(inLua(v))
		got := f.call(b.String())
		if got != want {
			t.Fatalf("%s\n  got %s\n want %s", b.String(), got, want)
		}
		if again := f.call(want); again != want {
			t.Fatalf("%s\nbecomes %s when read and written again", want, again)
		}
		var back any
		if err := json.Unmarshal([]byte(got.(string)), &back); err != nil ||
			!reflect.DeepEqual(back, inLua(v)) {
			t.Fatalf("%s\nmeans something else: %v", got, err)
		}
	}
}

// The text does not depend on the order in which a table was filled.
func TestJSONOrderIsStable(t *testing.T) {
	f := newLuaFunc(t, `local t = {} for k in (...):gmatch("[^,]+") do t[k] = #k end
		for k in (...):gmatch("[^,]+") do t["x" .. k] = 1 end
		for k in (...):gmatch("[^,]+") do t["x" .. k] = nil end
		return to_json(t)`)
	rnd := rand.New(rand.NewPCG(8259, 2))
	keys := make([]string, 200)
	for i := range keys {
		keys[i] = strconv.FormatUint(rnd.Uint64()>>rnd.IntN(60), 36)
	}
	want := f.call(strings.Join(keys, ","))
	for range 50 {
		rnd.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		if got := f.call(strings.Join(keys, ",")); got != want {
			t.Fatalf("got %s\nwant %s", got, want)
		}
	}
}

// from_json takes exactly what is JSON: encoding/json agrees on texts that were
// damaged in some place. It is stricter about bytes that are not UTF-8.
func TestJSONAcceptsWhatIsValid(t *testing.T) {
	f := newLuaFunc(t, `local v, err = from_json((...)) return err or "valid"`)
	g := jsonGen{rand.New(rand.NewPCG(8259, 3))}
	valid, invalid := 0, 0
	for range 6000 {
		var b strings.Builder
		g.write(&b, g.value(3))
		text := []byte(b.String())
		for range g.IntN(3) {
			i := g.IntN(len(text))
			switch g.IntN(3) {
			case 0:
				text[i] = `{}[],:"\ 0123456789.eE+-truefalsn/ux`[g.IntN(36)]
			case 1:
				text = append(text[:i], text[i+1:]...)
			default:
				text = append(text[:i], append([]byte{text[g.IntN(len(text))]}, text[i:]...)...)
			}
			if len(text) == 0 {
				text = []byte(" ")
			}
		}
		want := json.Valid(text) && utf8.Valid(text)
		got := f.call(string(text)).(string)
		if strings.Contains(got, "out of range") {
			continue // JSON has no limit for numbers
		}
		if (got == "valid") != want {
			t.Fatalf("from_json(%q): %s; encoding/json says %v", text, got, want)
		}
		if want {
			valid++
		} else {
			invalid++
		}
	}
	if valid < 1000 || invalid < 1000 {
		t.Errorf("%d valid and %d invalid texts: the test tests too little", valid, invalid)
	}
}

// The rules of the page for script authors, one by one.
func TestJSONRules(t *testing.T) {
	for source, want := range map[string]string{
		// Arrays and objects.
		`return to_json{}, to_json(json.array()), to_json(json.array{}), to_json(json.object{}), to_json(json.object())`: "{} [] [] {} {}",
		`return to_json{1, 2}, to_json(json.object{1, 2}), to_json(json.array{1, 2})`:                                    `[1,2] {"1":1,"2":2} [1,2]`,
		`return to_json{[1] = 1, [2] = 2, x = 3}, to_json(json.array{x = 1})`:                                            `{"1":1,"2":2,"x":3} {"x":1}`,
		`return to_json{[0] = 1}, to_json{[1.5] = 1}, to_json{[-1] = 1}, to_json{[2^53] = 1}`:                            `{"0":1} {"1.5":1} {"-1":1} {"9.007199254741e+15":1}`,
		`return to_json{[10] = 1, [9] = 2, b = 3, a = 4}`:                                                                `{"10":1,"9":2,"a":4,"b":3}`,
		`return to_json{["1"] = 1}, (to_json{1, ["1"] = 2})`:                                                             `{"1":1} nil`,
		`return to_json(from_json("[]")), to_json(from_json("{}")), to_json(from_json('[[],{},[{}]]'))`:                  `[] {} [[],{},[{}]]`,
		`local t = from_json("[]") t[1] = "x" return to_json(t)`:                                                         `["x"]`,
		`local t = from_json("[1]") t[1] = nil return to_json(t)`:                                                        `{}`,
		`local t = from_json("{}") t[1] = "x" return to_json(t)`:                                                         `["x"]`,
		`return to_json(json.array(json.object{1})), to_json(json.object(json.array{1}))`:                                `[1] {"1":1}`,
		// Null and gaps.
		`return from_json("null"), select("#", from_json("null"))`:                                                           "nil 1",
		`return to_json(nil), to_json{nil, 2}, to_json{1, nil, 3}, to_json{1, nil}`:                                          `null [null,2] [1,null,3] [1]`,
		`return to_json{[3] = 1}, to_json{[2] = 1}, to_json(json.array{[3] = 1})`:                                            `{"3":1} [null,1] [null,null,1]`,
		`return to_json(from_json("[null]")), to_json(from_json("[1,null]")), to_json(from_json("[null,null,null,null,5]"))`: `[] [1] [null,null,null,null,5]`,
		`return to_json(from_json('{"a":null,"b":[null,1]}')), from_json('{"a":null}').a`:                                    `{"b":[null,1]} nil`,
		`return to_json(json.array{[1e6] = 1})`:                                                                              `{"1000000":1}`,
		// Numbers.
		`return to_json(2^53), to_json(-2^53), to_json(2^53 + 2), to_json(2^63), to_json(1e20), to_json(1e21)`: "9007199254740992 -9007199254740992 9007199254740994 9223372036854776000 100000000000000000000 1e+21",
		`return to_json(from_json("12345678901234567890")), to_json(from_json("9007199254740993"))`:            "12345678901234567000 9007199254740992",
		`return to_json(0.1), to_json(1e-6), to_json(1e-7), to_json(1.5e300), to_json(-0.0), to_json(1/3)`:     "0.1 0.000001 1e-7 1.5e+300 -0 0.3333333333333333",
		`return to_json{from_json("1E2"), from_json("-1.5e-3"), from_json("0")}`:                               "[100,-0.0015,0]",
		`return to_json(0/0)`:       "nil to_json: nan has no JSON form",
		`return to_json{x = {1/0}}`: "nil to_json: inf has no JSON form",
		`return from_json("1e999")`: "nil invalid JSON at byte 1: number out of range",
		`return from_json("NaN"), from_json("Infinity"), from_json("0x10"), from_json("01"), from_json("1."), (from_json(".5"))`: "nil nil nil nil nil nil",
		// Strings.
		`return to_json("a\255b\226\130"), to_json{["\255"] = 1}`:                                     "\"a\ufffdb\ufffd\ufffd\" {\"\ufffd\":1}",
		`return from_json('"\255"')`:                                                                  "nil invalid JSON at byte 2: string is not UTF-8",
		`return from_json('"\\ud83d\\ude00"'), from_json('"\\ud83d"'), from_json('"\\ude00\\ud83d"')`: "😀 \ufffd \ufffd\ufffd",
		`return #from_json('"\\u0000"'), to_json("\0\1\127/<>&")`:                                     "1 \"\\u0000\\u0001\x7f/<>&\"",
		`return (from_json('"\n"')), (from_json('"\\x"')), (from_json('"\\u12"')), (from_json('"'))`:  "nil nil nil nil",
		`return from_json('{"a":1,"a":2}').a`:                                                         "2",
		// What has no form, and what is no JSON.
		`return to_json{f = print, x = 1}, (to_json(print)), (to_json({print})), (to_json({[true] = 1})), (pcall(to_json))`: `{"x":1} nil nil nil false`,
		`return from_json("")`: "nil invalid JSON: unexpected end",
		`return from_json("{} x")`: "nil invalid JSON at byte 4: something follows " +
			"the value",
		`return from_json('{"a" 1}')`:                 "nil invalid JSON at byte 6: unexpected '1'",
		`local v, err = from_json(nil) return v, err`: "nil from_json: string expected, got nil",
		`return from_json({})`:                        "nil from_json: string expected, got table",
		`return from_json(5), (pcall(from_json))`:     "5 false",
		`return (from_json("[1,]")), (from_json("{,}")), (from_json("[1 2]")), (from_json("tru")), (from_json("'a'"))`: "nil nil nil nil nil",
		// Depth.
		`local function nest(n) local t = {} for i = 2, n do t = {t} end return t end
		return #to_json(nest(128)), to_json(nest(129))`: "256 nil to_json: tables are nested more than 128 deep; does one contain itself?",
		`return type(from_json(("["):rep(128) .. ("]"):rep(128))), from_json(("["):rep(129) .. ("]"):rep(129))`: "table nil invalid JSON at byte 129: nested more than 128 deep",
		`local t = {} t.t = t return (to_json(t))`:                                                              "nil",
		// Other names.
		`return JSON.stringify{1}, JSON.parse("[7]")[1], json.encode{2}, json.decode("[8]")[1]`: "[1] 7 [2] 8",
	} {
		if got, err := runLua(t, source, Limits{}); err != nil || got != want {
			t.Errorf("%s\n got %q, %v\nwant %q", source, got, err, want)
		}
	}
}
