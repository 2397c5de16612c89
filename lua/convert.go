package lua

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"

	"github.com/wsgateway/gateway/lua/internal/vm"
)

// maxConvertDepth bounds the nesting of arguments and results.
const maxConvertDepth = 100

// A field is one of a struct, by its JSON name.
type field struct {
	name      string
	index     []int
	omitEmpty bool
}

var structFields sync.Map // reflect.Type to []field; only ever grows by the types of the program

func fieldsOf(t reflect.Type) []field {
	if f, ok := structFields.Load(t); ok {
		return f.([]field)
	}
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" || f.Anonymous && tag == "" {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		fields = append(fields,
			field{tag, f.Index, strings.Contains(options, "omitempty") ||
				strings.Contains(options, "omitzero")})
	}
	structFields.Store(t, fields)
	return fields
}

// decode sets to, which is addressable, to a Lua value. path is for errors.
func (m *machine) decode(v vm.Value, to reflect.Value, path string, depth int) error {
	if v == nil {
		to.SetZero()
		return nil
	}
	if depth > maxConvertDepth {
		return fmt.Errorf("%s: nested too deep", path)
	}
	if u, ok := to.Addr().Interface().(json.Unmarshaler); ok {
		text, err := m.AppendJSON(nil, v)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return u.UnmarshalJSON(text)
	}
	mismatch := func(want string) error {
		return fmt.Errorf("%s: %s expected, got %s", path, want, m.Type(v))
	}
	switch to.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(to.Type().Elem()))
		return m.decode(v, to.Elem(), path, depth+1)
	case reflect.Interface:
		if to.NumMethod() > 0 {
			return fmt.Errorf("%s: cannot convert to %s", path, to.Type())
		}
		x, err := m.plain(v, path, depth)
		if err == nil && x != nil {
			to.Set(reflect.ValueOf(x))
		}
		return err
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			return mismatch("boolean")
		}
		to.SetBool(b)
	case reflect.String:
		text, ok := scalarText(v)
		if !ok {
			return mismatch("string")
		}
		to.SetString(text)
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return m.decodeTable(v, to, path, depth, mismatch)
	default:
		n, ok := v.(float64)
		if text, isText := v.(string); isText {
			n, ok = vm.ParseNumber(text)
		}
		if !ok {
			return mismatch("number")
		}
		return setNumber(to, n, path)
	}
	return nil
}

func scalarText(v vm.Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		return vm.FormatNumber(v), true
	}
	return "", false
}

func setNumber(to reflect.Value, n float64, path string) error {
	whole := n == math.Trunc(n) && math.Abs(n) <= 1<<63
	switch k := to.Kind(); {
	case to.CanFloat():
		to.SetFloat(n)
		return nil
	case to.CanInt() && whole && n < 1<<63 && !to.OverflowInt(int64(n)):
		to.SetInt(int64(n))
		return nil
	case to.CanUint() && whole && n >= 0 && !to.OverflowUint(uint64(n)):
		to.SetUint(uint64(n))
		return nil
	case to.CanInt() || to.CanUint():
		return fmt.Errorf("%s: %s does not fit into %s", path, vm.FormatNumber(n), k)
	}
	return fmt.Errorf("%s: cannot convert to %s", path, to.Type())
}

func (m *machine) decodeTable(v vm.Value, to reflect.Value, path string, depth int,
	mismatch func(string) error) error {
	if text, ok := v.(string); ok && to.Kind() == reflect.Slice &&
		to.Type().Elem().Kind() == reflect.Uint8 {
		to.SetBytes([]byte(text))
		return nil
	}
	if u, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		text, ok := scalarText(v)
		if !ok {
			return mismatch("string")
		}
		return u.UnmarshalText([]byte(text))
	}
	if m.Type(v) != "table" {
		return mismatch("table")
	}
	switch to.Kind() {
	case reflect.Struct:
		for _, f := range fieldsOf(to.Type()) {
			x := m.Get(v, f.name)
			if x == nil {
				continue
			}
			target, err := to.FieldByIndexErr(f.index)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if err := m.decode(x, target, path+" "+f.name, depth+1); err != nil {
				return err
			}
		}
		return nil
	case reflect.Map:
		if to.Type().Key().Kind() != reflect.String {
			return fmt.Errorf("%s: cannot convert to %s", path, to.Type())
		}
		to.Set(reflect.MakeMap(to.Type()))
		return m.Each(v, func(key, x vm.Value) error {
			name, ok := scalarText(key)
			if !ok {
				return fmt.Errorf("%s: a key is a %s", path, m.Type(key))
			}
			item := reflect.New(to.Type().Elem()).Elem()
			if err := m.decode(x, item, path+" "+name, depth+1); err != nil {
				return err
			}
			to.SetMapIndex(reflect.ValueOf(name).Convert(to.Type().Key()), item)
			return nil
		})
	}
	n, ok := m.Length(v)
	if !ok {
		return mismatch("array")
	}
	if to.Kind() == reflect.Slice {
		to.Set(reflect.MakeSlice(to.Type(), n, n))
	} else if n > to.Len() {
		return fmt.Errorf("%s: array of at most %d expected, got %d", path, to.Len(), n)
	}
	for i := range n {
		if err := m.decode(m.GetIndex(v, i+1), to.Index(i), fmt.Sprintf("%s[%d]", path, i+1),
			depth+1); err != nil {
			return err
		}
	}
	return nil
}

// plain converts to what encoding/json would make: bool, float64, string, []any
// and map[string]any.
func (m *machine) plain(v vm.Value, path string, depth int) (any, error) {
	switch v.(type) {
	case nil, bool, float64, string:
		return v, nil
	}
	if m.Type(v) != "table" {
		return nil, fmt.Errorf("%s: a %s cannot be given to a service", path, m.Type(v))
	}
	if n, ok := m.Length(v); ok && (n > 0 || m.IsArray(v)) {
		list := make([]any, n)
		return list, m.decode(v, reflect.ValueOf(&list).Elem(), path, depth+1)
	}
	table := map[string]any{}
	return table, m.decode(v, reflect.ValueOf(&table).Elem(), path, depth+1)
}

// encode makes a Lua value.
func (m *machine) encode(v reflect.Value, depth int) (vm.Value, error) {
	if depth > maxConvertDepth {
		return nil, fmt.Errorf("the result is nested too deep")
	}
	if !v.IsValid() {
		return nil, nil
	}
	if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface || !v.IsNil() {
		if j, ok := v.Interface().(json.Marshaler); ok {
			text, err := j.MarshalJSON()
			if err != nil {
				return nil, err
			}
			return m.ParseJSON(string(text))
		}
		if t, ok := v.Interface().(encoding.TextMarshaler); ok {
			text, err := t.MarshalText()
			return string(text), err
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return m.encode(v.Elem(), depth+1) // of nil: not valid
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.String:
		return v.String(), nil
	case reflect.Slice, reflect.Array:
		return m.encodeList(v, depth)
	case reflect.Map:
		return m.encodeMap(v, depth)
	case reflect.Struct:
		t := m.NewTable(v.NumField())
		for _, f := range fieldsOf(v.Type()) {
			item, err := v.FieldByIndexErr(f.index)
			if err != nil || f.omitEmpty && item.IsZero() {
				continue // of an embedded nil pointer
			}
			x, err := m.encode(item, depth+1)
			if err != nil {
				return nil, err
			}
			m.Set(t, f.name, x)
		}
		return t, nil
	}
	switch {
	case v.CanInt():
		return float64(v.Int()), nil
	case v.CanUint():
		return float64(v.Uint()), nil
	case v.CanFloat():
		return v.Float(), nil
	}
	return nil, fmt.Errorf("a result of type %s cannot be given to a script", v.Type())
}

func (m *machine) encodeList(v reflect.Value, depth int) (vm.Value, error) {
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		return string(v.Bytes()), nil
	}
	t := m.NewArray()
	for i := range v.Len() {
		x, err := m.encode(v.Index(i), depth+1)
		if err != nil {
			return nil, err
		}
		m.SetIndex(t, i+1, x)
	}
	return t, nil
}

func (m *machine) encodeMap(v reflect.Value, depth int) (vm.Value, error) {
	if v.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("a result of type %s cannot be given to a script", v.Type())
	}
	t := m.NewTable(v.Len())
	for iter := v.MapRange(); iter.Next(); {
		x, err := m.encode(iter.Value(), depth+1)
		if err != nil {
			return nil, err
		}
		m.Set(t, iter.Key().String(), x)
	}
	return t, nil
}
