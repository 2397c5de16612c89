package vm

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	golua "github.com/Shopify/go-lua"
)

// MaxJSONDepth is how deeply tables and JSON texts may be nested.
const MaxJSONDepth = 128

var jsonLibrary = library{
	{"encode", jsonEncode}, {"decode", jsonDecode},
	{"array", jsonArray}, {"object", jsonObject},
}

// Marks that json.array and json.object leave are metatables with this field.
const jsonMark = "__jsontype"

func jsonEncode(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	b, err := s.AppendJSON(nil, l.ToValue(1))
	if err != nil {
		l.PushNil()
		l.PushString("to_json: " + err.Error())
		return 2
	}
	s.room(len(b))
	l.PushString(string(b))
	return 1
}

func jsonDecode(s *State, l *golua.State) int {
	s.checkAny(l, 1)
	text, ok := str(l, 1)
	if !ok { // as websocketInfo.message in an open event
		l.PushNil()
		l.PushString("from_json: string expected, got " + l.TypeOf(1).String())
		return 2
	}
	if err := s.pushJSON(text); err != nil {
		l.PushNil()
		l.PushString(err.Error())
		return 2
	}
	return 1
}

func jsonArray(s *State, l *golua.State) int  { return s.mark(l, "array") }
func jsonObject(s *State, l *golua.State) int { return s.mark(l, "object") }

// mark says how a table is to be written that could be either.
func (s *State) mark(l *golua.State, kind string) int {
	if l.Top() == 0 {
		l.NewTable()
	}
	s.checkTable(l, 1)
	l.SetTop(1)
	if l.MetaTable(1) {
		if s.Get(l.ToValue(2), jsonMark) == nil {
			s.argError(1, "table has a metatable")
		}
		l.SetTop(1)
	}
	s.markTop(kind)
	return 1
}

// markTop marks the table on top of the stack.
func (s *State) markTop(kind string) {
	s.l.CreateTable(0, 1)
	s.l.PushString(kind)
	s.l.SetField(-2, jsonMark)
	s.l.SetMetaTable(-2)
}

func (s *State) markOf(l *golua.State, index int) string {
	if !l.MetaTable(index) {
		return ""
	}
	l.PushString(jsonMark)
	l.RawGet(-2)
	kind, _ := l.ToValue(-1).(string)
	l.Pop(2)
	return kind
}

// AppendJSON appends the JSON form of a value (RFC 8259): keys sorted by bytes,
// no spaces. A table whose keys are 1 to n is an array, an empty one an object,
// unless it is marked. It must be called inside a run.
func (s *State) AppendJSON(b []byte, v Value) ([]byte, error) {
	w := jsonWriter{s: s, l: s.l, b: b, meter: builder{s: s}}
	defer w.meter.done()
	err := w.value(v, 0)
	return w.b, err
}

type jsonWriter struct {
	s     *State
	l     *golua.State
	b     []byte
	meter builder
}

func (w *jsonWriter) value(v Value, depth int) error {
	w.s.step(1)
	w.meter.grown(len(w.b))
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, "null"...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case float64:
		return w.number(v)
	case string:
		w.b = appendJSONString(w.b, v)
	default:
		if depth >= MaxJSONDepth || !w.l.CheckStack(golua.MinStack) {
			return fmt.Errorf("tables are nested more than %d deep; does one contain itself?", MaxJSONDepth)
		}
		w.s.push(v)
		var err error
		if w.l.IsTable(-1) {
			err = w.table(w.l.Top(), depth+1)
		} else {
			err = fmt.Errorf("a %s has no JSON form", w.l.TypeOf(-1))
		}
		w.l.Pop(1) // not deferred: a panic carries a value on top of the stack
		return err
	}
	return nil
}

func (w *jsonWriter) number(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%s has no JSON form", FormatNumber(f))
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) { // as in JavaScript
		w.b = strconv.AppendFloat(w.b, f, 'e', -1, 64)
		if n := len(w.b); w.b[n-4] == 'e' && w.b[n-2] == '0' { // e-07
			w.b = append(w.b[:n-2], w.b[n-1])
		}
	} else {
		w.b = strconv.AppendFloat(w.b, f, 'f', -1, 64)
	}
	return nil
}

func (w *jsonWriter) table(index, depth int) error {
	keys := w.s.keys(w.l, index, nil)
	mark := w.s.markOf(w.l, index)
	if n, ok := arrayLength(keys, mark == "array"); ok && mark != "object" &&
		(n > 0 || mark == "array") {
		return w.array(index, n, depth)
	}
	return w.object(index, keys, depth)
}

// markedGaps is how many gaps a marked array may have in any case.
const markedGaps = 4096

// arrayLength returns the length of an array with these sorted keys. Gaps are
// null, if they are at most half of it; marked arrays may have more.
func arrayLength(keys []Value, marked bool) (int, bool) {
	if len(keys) == 0 {
		return 0, true
	}
	last, ok := keys[len(keys)-1].(float64)
	if !ok || rank(last) != 0 || rank(keys[0]) != 0 {
		return 0, false
	}
	n := int(min(last, 1<<40))
	return n, n == len(keys) || n <= 2*len(keys) || marked && n <= 16*len(keys)+markedGaps
}

func (w *jsonWriter) array(index, n, depth int) error {
	w.b = append(w.b, '[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			w.b = append(w.b, ',')
		}
		w.l.RawGetInt(index, i)
		if err := w.value(w.s.pop(), depth); err != nil {
			return err
		}
	}
	w.b = append(w.b, ']')
	return nil
}

func (w *jsonWriter) object(index int, keys []Value, depth int) error {
	type field struct {
		name string
		key  Value
	}
	fields := make([]field, len(keys))
	sorted := true
	for i, k := range keys {
		switch k := k.(type) {
		case string:
			fields[i] = field{k, k}
		case float64:
			fields[i], sorted = field{FormatNumber(k), k}, false
		default:
			return fmt.Errorf("a key that is a %s has no JSON form", w.s.Type(k))
		}
	}
	if !sorted {
		slices.SortStableFunc(fields, func(a, b field) int { return compareKeys(a.name, b.name) })
	}
	w.b = append(w.b, '{')
	first := true
	for i, f := range fields {
		if i > 0 && f.name == fields[i-1].name {
			return fmt.Errorf("key %q is there as a string and as a number", f.name)
		}
		w.s.push(f.key)
		w.l.RawGet(index)
		if w.l.IsFunction(-1) {
			w.l.Pop(1) // left out, so that websocketInfo can be written
			continue
		}
		if !first {
			w.b = append(w.b, ',')
		}
		first = false
		w.b = append(appendJSONString(w.b, f.name), ':')
		if err := w.value(w.s.pop(), depth); err != nil {
			return err
		}
	}
	w.b = append(w.b, '}')
	return nil
}

// appendJSONString writes bytes that are not UTF-8 as U+FFFD.
func appendJSONString(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(text[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
			b = append(append(b, text[start:i]...), "\ufffd"...)
		} else {
			b = append(b, text[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
		}
		i++
		start = i
	}
	return append(append(b, text[start:]...), '"')
}
