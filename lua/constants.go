package lua

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/wsgateway/gateway/lua/internal/source"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// checkConstants panics if scripts could not have them: it is the program that has to
// be mended.
func checkConstants(constants map[string]any) {
	if len(constants) == 0 {
		return
	}
	m := &machine{State: vm.New(vm.Config{})}
	for name, v := range constants {
		if !isPath(name) {
			panic(fmt.Sprintf("lua: New: constant %q: not a Lua name", name))
		}
		if _, err := m.encode(reflect.ValueOf(v), 0); err != nil {
			panic(fmt.Sprintf("lua: New: constant %s: %v", name, err))
		}
	}
}

// openConstants sets them; the error is of a value that has changed since New.
func (m *machine) openConstants(constants map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(constants)) {
		v, err := m.encode(reflect.ValueOf(constants[name]), 0)
		if err != nil {
			return fmt.Errorf("constant %s: %w", name, err)
		}
		m.setPath(name, v)
	}
	return nil
}

// compileModules compiles the host's own modules, and panics where one does not
// compile.
func compileModules(texts map[string]string) []module {
	var modules []module
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		chunk, err := vm.CompileModule(context.Background(), texts[name], name+".lua", vm.Link{})
		if err != nil {
			panic(fmt.Sprintf("lua: New: module %v", err))
		}
		modules = append(modules, module{
			name: source.ModuleName(name), private: true, chunk: chunk,
			script: source.Script{File: name + ".lua", Line: 1, Body: texts[name]},
		})
	}
	return modules
}
