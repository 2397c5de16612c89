package vm

import (
	"reflect"
	"unsafe"

	golua "github.com/Shopify/go-lua"
)

// Every run finds the libraries, the tables of the host and the metatable of
// strings as the modules left them, whatever other runs in this State have done to
// them: string.format = nil, getmetatable("").__index = {}. Such a table is marked
// in a bit of its own that the VM clears with every assignment, so that to look
// whether one has changed costs a few nanoseconds. One that has is put back.
//
// What a run does to the environments of functions (setfenv) and to the source of
// random numbers (math.randomseed) ends with it, too.

// clean is the bit in the flags of the VM's table. The VM uses the lower ones, for
// metamethods that a table is known to lack, and sets all to zero when it assigns.
const clean = 1 << 7

// tableParts are the fields of the VM's table that are looked at. A release with
// others makes every run put everything back.
var tableParts = func() (parts struct {
	flags, meta, array, hash []int
	ok                       bool
}) {
	l := golua.NewState()
	l.NewTable()
	t := reflect.TypeOf(l.ToValue(-1))
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || tableLayout.hash == nil {
		return parts
	}
	flags, okF := t.Elem().FieldByName("flags")
	meta, okM := t.Elem().FieldByName("metaTable")
	if okF && okM && flags.Type.Kind() == reflect.Uint8 && meta.Type == t {
		parts.flags, parts.meta, parts.ok = flags.Index, meta.Index, true
		parts.array, parts.hash = tableLayout.array, tableLayout.hash
	}
	return parts
}()

// A field is a key and its value.
type field struct{ key, value Value }

// A kept is a table that every run finds as it is now.
type kept struct {
	table  Value
	fields []field
	meta   Value

	// Where the VM has what tells that it was changed; nil if that is not known.
	flags       *byte
	metaTable   *unsafe.Pointer
	metaWas     unsafe.Pointer
	array, hash reflect.Value
	arrayLen    int
	hashLen     int
	numbered    bool // it has, or had, keys that are numbers: these are assigned without a trace
}

// A moved is a function that setfenv gave another environment.
type moved struct {
	function Value
	upvalue  int
	before   Value // a function that has the environment it had
}

// hostTables returns the tables that are reachable from the globals and the
// metatable of strings. It is called before modules run.
func (s *State) hostTables() []Value {
	l := s.l
	top := l.Top()
	defer l.SetTop(top)
	var all []Value
	seen := map[Value]bool{s.globals: true, s.proxy: true}
	add := func(v Value) {
		s.push(v)
		table := l.IsTable(-1)
		l.Pop(1)
		if table && !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	l.PushString("")
	if l.MetaTable(-1) {
		add(l.ToValue(-1))
	}
	l.SetTop(top)
	for _, f := range s.fieldsOf(s.globals) {
		add(f.value)
	}
	for i := 0; i < len(all); i++ {
		for _, f := range s.fieldsOf(all[i]) {
			add(f.value)
		}
	}
	return all
}

// seal makes the tables what every run finds, as they are now. Those that modules
// made their metatables are among them, and that of the globals.
func (s *State) seal(tables []Value) {
	l := s.l
	metas := append([]Value{s.globals}, tables...)
	s.kept = make([]kept, 0, len(tables)+2)
	for _, t := range tables {
		s.keep(t)
	}
	for _, t := range metas {
		s.push(t)
		if l.MetaTable(-1) {
			mt := l.ToValue(-1)
			l.Pop(1)
			s.keep(mt)
		}
		l.Pop(1)
	}
	s.seed, s.moved = s.random, nil
}

func (s *State) keep(t Value) {
	for i := range s.kept {
		if s.kept[i].table == t {
			return
		}
	}
	k := kept{table: t, fields: s.fieldsOf(t)}
	for _, f := range k.fields {
		if _, ok := f.key.(float64); ok {
			k.numbered = true
		}
	}
	s.push(t)
	if s.l.MetaTable(-1) {
		k.meta = s.l.ToValue(-1)
		s.l.Pop(1)
	}
	s.l.Pop(1)
	if tableParts.ok {
		v := reflect.ValueOf(t).Elem()
		k.flags = (*byte)(unsafe.Pointer(v.FieldByIndex(tableParts.flags).UnsafeAddr()))
		k.metaTable = (*unsafe.Pointer)(unsafe.Pointer(v.FieldByIndex(tableParts.meta).UnsafeAddr()))
		k.array, k.hash = v.FieldByIndex(tableParts.array), v.FieldByIndex(tableParts.hash)
		k.mark()
	}
	s.kept = append(s.kept, k)
}

func (k *kept) mark() {
	if k.flags == nil {
		return
	}
	*k.flags |= clean
	k.metaWas, k.arrayLen, k.hashLen = *k.metaTable, k.array.Len(), k.hash.Len()
	k.numbered = k.numbered || k.arrayLen > 0
}

func (k *kept) changed() bool {
	return k.flags == nil || k.numbered || *k.flags&clean == 0 || *k.metaTable != k.metaWas ||
		k.array.Len() != k.arrayLen || k.hash.Len() != k.hashLen
}

// restore puts back what the run has changed.
func (s *State) restore() {
	for i := range s.kept {
		if k := &s.kept[i]; k.changed() {
			s.putBack(k)
		}
	}
	for i := len(s.moved) - 1; i >= 0; i-- {
		m := s.moved[i]
		s.push(m.function)
		s.push(m.before)
		golua.UpValueJoin(s.l, s.l.Top()-1, m.upvalue, s.l.Top(), upvalueEnv)
		s.l.Pop(2)
	}
	clear(s.moved)
	s.moved = s.moved[:0]
	s.random = s.seed
}

// mostStray is how many fields more than it should have a table may have to be put back:
// beyond, a new State is had for less.
const mostStray = 1000

func (s *State) putBack(k *kept) {
	l := s.l
	if k.flags != nil && k.array.Len()+k.hash.Len() > k.arrayLen+k.hashLen+mostStray {
		s.broken = true
		return
	}
	stray := s.fieldsOf(k.table)
	s.push(k.table)
	for _, f := range stray {
		s.push(f.key)
		l.PushNil()
		l.RawSet(-3)
	}
	for _, f := range k.fields {
		s.push(f.key)
		s.push(f.value)
		l.RawSet(-3)
	}
	s.push(k.meta)
	l.SetMetaTable(-2)
	l.Pop(1)
	k.mark()
}

// fieldsOf returns all fields of a table, in no order, whatever they count.
func (s *State) fieldsOf(t Value) []field {
	if tableLayout.hash == nil {
		return s.slowFields(t)
	}
	v := reflect.ValueOf(t).Elem()
	array, hash := v.FieldByIndex(tableLayout.array), v.FieldByIndex(tableLayout.hash)
	all := make([]field, 0, hash.Len())
	for i := range array.Len() {
		if !array.Index(i).IsNil() {
			all = append(all, field{key: float64(i + 1)})
		}
	}
	for iter := hash.MapRange(); iter.Next(); {
		switch k := iter.Key().Elem(); k.Kind() {
		case reflect.String:
			all = append(all, field{key: k.String()})
		case reflect.Float64:
			all = append(all, field{key: k.Float()})
		case reflect.Bool:
			all = append(all, field{key: k.Bool()})
		default:
			return s.slowFields(t)
		}
	}
	s.push(t)
	for i := range all {
		s.push(all[i].key)
		s.l.RawGet(-2)
		all[i].value = s.pop()
	}
	s.l.Pop(1)
	return all
}

func (s *State) slowFields(t Value) []field {
	var all []field
	l := s.l
	s.push(t)
	for l.PushNil(); l.Next(-2); l.Pop(1) {
		all = append(all, field{l.ToValue(-2), l.ToValue(-1)})
	}
	l.Pop(1)
	return all
}
