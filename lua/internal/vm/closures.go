package vm

import (
	"reflect"
	"unsafe"
	"weak"

	golua "github.com/Shopify/go-lua"
)

// The code of each function remembers the closure that was made of it last, and the VM
// uses that again if it captures the same places of the stack. It does not look
// whose stack: where two coroutines run the same code, one would get the closure of
// the other. So the memory is cleared whenever another stack takes over. Where it is,
// is found when code is loaded: only functions that capture a place of the stack
// have one that matters, and there are few of these.

// closureCaches says where the VM has that memory; ok is false for a release in which
// it cannot be found, and there are no coroutines then.
var closureCaches = func() (at struct {
	prototype, nested, upValues, local, cache []int
	ok                                        bool
}) {
	l := golua.NewState()
	if golua.LoadBuffer(l, anchorCode(), "=anchor", "b") != nil {
		return at
	}
	find := func(t reflect.Type, name string, kind reflect.Kind) ([]int, reflect.Type) {
		if t == nil || t.Kind() != reflect.Struct {
			return nil, nil
		}
		f, ok := t.FieldByName(name)
		if !ok || f.Type.Kind() != kind {
			return nil, nil
		}
		if kind == reflect.Pointer || kind == reflect.Slice {
			return f.Index, f.Type.Elem()
		}
		return f.Index, f.Type
	}
	var proto, nested, desc, closure reflect.Type
	f := reflect.TypeOf(l.ToValue(-1)).Elem()
	at.prototype, proto = find(f, "prototype", reflect.Pointer)
	at.nested, nested = find(proto, "prototypes", reflect.Slice)
	at.upValues, desc = find(proto, "upValues", reflect.Slice)
	at.cache, closure = find(proto, "cache", reflect.Pointer)
	at.local, _ = find(desc, "isLocal", reflect.Bool)
	at.ok = proto != nil && nested == proto && closure == f && at.local != nil
	return at
}()

// noteClosures notes where the code of a function, and that within it, remembers its
// closures. Code that was loaded by a script is not kept alive by that.
func (s *State) noteClosures(f Value, script bool) {
	if closureCaches.ok {
		s.noteCode(reflect.ValueOf(f).Elem().FieldByIndex(closureCaches.prototype).Elem(), script)
	}
}

func (s *State) noteCode(code reflect.Value, script bool) {
	nested := code.FieldByIndex(closureCaches.nested)
	for i := range nested.Len() {
		s.noteCode(nested.Index(i), script)
	}
	upValues := code.FieldByIndex(closureCaches.upValues)
	for i := range upValues.Len() {
		if !upValues.Index(i).FieldByIndex(closureCaches.local).Bool() {
			continue
		}
		cache := (*unsafe.Pointer)(unsafe.Pointer(code.FieldByIndex(closureCaches.cache).UnsafeAddr()))
		if script {
			s.scriptCaches = append(s.scriptCaches, weak.Make(cache))
		} else {
			s.caches = append(s.caches, cache)
		}
		return
	}
}

// forgetClosures makes all code forget the closures it has made.
func (s *State) forgetClosures() {
	for _, c := range s.caches {
		*c = nil
	}
	for _, w := range s.scriptCaches {
		if c := w.Value(); c != nil {
			*c = nil
		}
	}
}

// dropClosures forgets the code that nothing uses any more.
func (s *State) dropClosures() {
	if len(s.scriptCaches) < 64 {
		return
	}
	kept := s.scriptCaches[:0]
	for _, w := range s.scriptCaches {
		if w.Value() != nil {
			kept = append(kept, w)
		}
	}
	clear(s.scriptCaches[len(kept):])
	s.scriptCaches = kept
	if len(kept) > 4096 {
		s.growth.much = true // another State is had for less
	}
}
