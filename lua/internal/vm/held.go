package vm

import (
	"reflect"

	golua "github.com/Shopify/go-lua"
)

// held adds up what can be reached from the State: its stack, dead slots
// included, its globals, what modules have returned, and everything they refer to. What
// is not the VM's own does not count and must not even be read, since others may be writing it: Go
// functions and what they hold, and the data of the host. It stops soon after
// limit bytes.
//
// It reads the VM's structures by reflection and needs to know none of their
// names: what a release changes in them changes the figure, not the code. What our
// libraries are at work on counts as well.
//
// It does not let others compute: what it remembers takes as much as what it counts,
// and nothing bounds how many would be at it.
func (s *State) held(limit int64) int64 { return s.goOver(limit).bytes }

// longestHeld returns the length of the longest string that can be reached; false if
// that is more than limit bytes to go over.
func (s *State) longestHeld(limit int64) (n int, ok bool) {
	h := s.goOver(limit)
	return h.longest, h.bytes <= limit
}

func (s *State) goOver(limit int64) *holder {
	h := &holder{limit: limit, seen: make(map[uintptr]struct{})}
	h.todo = append(h.todo, reflect.ValueOf(s.main))
	for l := range s.threads {
		h.todo = append(h.todo, reflect.ValueOf(l))
		h.bytes += threadSize
	}
	h.bytes += s.run.building
	for i := range s.iters {
		h.bytes += 32 * int64(cap(s.iters[i].keys))
	}
	others := []Value{s.loaded, s.holders, s.stubs, s.runStubs, s.overlay, s.shadow, s.meta}
	for _, v := range others { // the VM need not refer to them
		if v != nil {
			h.todo = append(h.todo, reflect.ValueOf(v))
		}
	}
	for len(h.todo) > 0 && h.bytes <= h.limit {
		v := h.todo[len(h.todo)-1]
		h.todo = h.todo[:len(h.todo)-1]
		h.value(v)
	}
	return h
}

type holder struct {
	bytes, limit int64
	longest      int // string
	seen         map[uintptr]struct{}
	todo         []reflect.Value // pointers, slices, maps and structs to look into
}

// first reports whether the object has not been counted yet.
func (h *holder) first(p uintptr) bool {
	if _, ok := h.seen[p]; ok || p == 0 {
		return false
	}
	h.seen[p] = struct{}{}
	return true
}

var vmPackage = reflect.TypeFor[golua.State]().PkgPath()

// foreign reports whether a type is declared outside of the VM.
func foreign(t reflect.Type) bool { return t.PkgPath() != "" && t.PkgPath() != vmPackage }

func (h *holder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		h.value(v.Elem())
	case reflect.String:
		if v.Len() > 0 && (v.Len() <= 32 || h.first(v.Pointer())) {
			h.bytes += int64(v.Len())
		}
		h.bytes += 16
		h.longest = max(h.longest, v.Len())
	case reflect.Pointer:
		if !foreign(v.Type().Elem()) && h.first(v.Pointer()) {
			h.bytes += int64(v.Type().Elem().Size())
			h.todo = append(h.todo, v.Elem())
		}
	case reflect.Slice:
		if v.Len() > 0 && h.first(v.Pointer()) {
			h.slice(v)
		}
	case reflect.Map:
		if h.first(v.Pointer()) {
			h.table(v)
		}
	case reflect.Struct:
		if foreign(v.Type()) {
			return
		}
		for i := range v.NumField() {
			h.value(v.Field(i))
		}
	case reflect.Float64:
		h.bytes += 8 // boxed
	}
}

func (h *holder) slice(v reflect.Value) {
	h.bytes += int64(v.Len()) * int64(v.Type().Elem().Size())
	switch v.Type().Elem().Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Map, reflect.Struct,
		reflect.String:
	default:
		return
	}
	for i := 0; i < v.Len() && h.bytes <= h.limit; i++ {
		h.value(v.Index(i))
	}
}

// mapSize is what a map takes by itself: its slots come eight at a time, and in
// powers of two, of which up to an eighth stay empty.
func mapSize(v reflect.Value) int64 {
	n, slots := v.Len(), 8
	if n == 0 {
		return 48
	}
	for slots > 8 && slots*7/8 < n || slots < n {
		slots *= 2
	}
	t := v.Type()
	return 48 + int64(slots)*int64(1+t.Key().Size()+t.Elem().Size())
}

func (h *holder) table(v reflect.Value) {
	h.bytes += mapSize(v)
	for iter := v.MapRange(); iter.Next() && h.bytes <= h.limit; {
		h.value(iter.Key())
		h.value(iter.Value())
	}
}
