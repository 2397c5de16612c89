package lua

import (
	"context"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/lua/internal/source"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A linker compiles scripts with the variables of modules that they use. Which these
// are is certain only when the modules have run, in the VM that tries a new program:
// one may have returned before a variable began, or have been required earlier. So the
// linker first goes by the order of the files, and compiles again what that was wrong
// for.
type linker struct {
	compiler
	inside   map[string]map[string]struct{} // the words of each script, by where it begins
	words    map[string]int                 // in how many scripts of the solution each occurs
	declared map[string]bool                // variables of the modules compiled so far
	done     map[string]bool                // modules, by name
}

// newLinker counts the words of all scripts.
func newLinker(ctx context.Context, sol *source.Solution) *linker {
	l := &linker{
		compiler: compiler{ctx: ctx},
		words:    make(map[string]int),
		declared: make(map[string]bool),
		inside:   make(map[string]map[string]struct{}),
		done:     make(map[string]bool),
	}
	count := func(s source.Script) {
		words := vm.Words(s.Body)
		l.inside[placeOf(s)] = words
		for word := range words {
			l.words[word]++
		}
	}
	for _, m := range sol.Modules {
		count(m.Script)
	}
	for _, e := range sol.Endpoints {
		count(e.Script)
	}
	for _, h := range sol.Handlers() {
		count(h)
	}
	return l
}

// exported reports whether another script than the one that declares it has the
// name.
func (l *linker) exported(name string) bool { return l.words[name] > 1 }

// names returns the words of a script that are variables of modules.
func (l *linker) names(s source.Script, known func(name string) bool) []string {
	var names []string
	for word := range l.inside[placeOf(s)] {
		if known(word) {
			names = append(names, word)
		}
	}
	slices.Sort(names)
	return names
}

func (l *linker) compileModule(mod *module) {
	mod.outer = l.names(mod.script, func(name string) bool { return l.declared[name] })
	mod.chunk = l.module(mod.script, vm.Link{Outer: mod.outer, Export: l.exported})
	if mod.chunk != nil {
		for _, name := range mod.chunk.Variables {
			l.declared[name] = true
		}
	}
}

func (l *linker) compileScript(s *script) {
	s.outer = l.names(s.source, func(name string) bool { return l.declared[name] })
	s.chunk = l.script(s, vm.Link{Outer: s.outer})
}

// linkModule is called before a module runs, in the VM that tries the program.
func (l *linker) linkModule(m *machine, mod *module) {
	if l.done[mod.name] || mod.private {
		return
	}
	l.done[mod.name] = true
	if names := l.names(mod.script, m.HasVariable); !slices.Equal(names, mod.outer) {
		if chunk := l.module(mod.script, vm.Link{Outer: names, Export: l.exported}); chunk != nil {
			mod.chunk = chunk
		}
	}
}

// linkScript is called when all modules have run.
func (l *linker) linkScript(m *machine, s *script) {
	if names := l.names(s.source, m.HasVariable); !slices.Equal(names, s.outer) {
		if chunk := l.script(s, vm.Link{Outer: names}); chunk != nil {
			s.chunk = chunk
		}
	}
}

// link gives every script the variables that it uses, when the modules have run in m.
func (p *program) link(m *machine) error {
	l := p.linker
	p.linker = nil // other VMs find everything done
	for _, s := range p.scripts() {
		l.linkScript(m, s)
	}
	p.advice = p.undefined(m)
	if len(l.problems) > 0 {
		sortProblems(l.problems)
		return Problems(l.problems)
	}
	p.findFunctions(m)
	p.advice = append(p.advice, p.unreached()...)
	return nil
}

// findFunctions looks for functions of modules that handle events.
func (p *program) findFunctions(m *machine) {
	p.functions = make(map[string]*script)
	for _, name := range m.Globals() {
		lower := strings.ToLower(name)
		if event, ok := strings.CutPrefix(lower, "handle_"); ok && lower != handlerName &&
			m.Type(m.Global(name)) == "function" {
			s := &script{event: strings.Replace(event, "_", " ", 1), function: name}
			s.count = p.host.counters.get(s)
			p.functions[lower] = s
		}
	}
}
