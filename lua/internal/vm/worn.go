package vm

import (
	"reflect"

	golua "github.com/Shopify/go-lua"
)

// maxOpen is how many entries the VM's list of open upvalues may have between two
// runs. They are dead then, and whatever captures a variable searches them all.
const maxOpen = 256

// openList is where the VM keeps that list: the field of the State, and in an
// entry that of the next one. A release that has none needs none of this.
var openList = func() (path struct{ first, next []int }) {
	first, ok := reflect.TypeFor[golua.State]().FieldByName("upValues")
	if !ok || first.Type.Kind() != reflect.Pointer || first.Type.Elem().Kind() != reflect.Struct {
		return path
	}
	next, ok := first.Type.Elem().FieldByName("next")
	if !ok || next.Type != first.Type {
		return path
	}
	path.first, path.next = first.Index, next.Index
	return path
}()

// Worn reports whether the State has become slow and had better be replaced. It
// must not be called inside a run.
func (s *State) Worn() bool {
	if s.growth.much {
		return true
	}
	if openList.first == nil {
		return false
	}
	e := reflect.ValueOf(s.l).Elem().FieldByIndex(openList.first)
	for range maxOpen {
		if e.IsNil() {
			return false
		}
		e = e.Elem().FieldByIndex(openList.next)
	}
	return true
}
