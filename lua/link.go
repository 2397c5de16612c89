package lua

import (
	"context"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/lua/internal/source"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A linker compiles what uses variables of modules once these are known: while the
// modules run for the first time, in the VM that tries a new program.
type linker struct {
	compiler
	words map[string]int // in how many scripts of the solution each occurs
	done  map[string]bool
}

// newLinker counts the words of all scripts.
func newLinker(ctx context.Context, sol *source.Solution) *linker {
	l := &linker{compiler: compiler{ctx: ctx}, words: make(map[string]int), done: make(map[string]bool)}
	count := func(s source.Script) {
		for word := range vm.Words(s.Body) {
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

// outer returns the names in a script that are variables of the modules that have
// run in m.
func (l *linker) outer(m *machine, s source.Script) []string {
	var names []string
	for word := range vm.Words(s.Body) {
		if l.words[word] > 1 && m.HasVariable(word) {
			names = append(names, word)
		}
	}
	slices.Sort(names)
	return names
}

// module compiles a module again if it uses variables of those that ran before.
func (l *linker) module(m *machine, mod *module) {
	if l.done[mod.name] || mod.private {
		return
	}
	l.done[mod.name] = true
	if names := l.outer(m, mod.script); len(names) > 0 {
		if chunk := l.compiler.module(mod.script, vm.Link{Outer: names, Export: l.exported}); chunk != nil {
			mod.chunk = chunk
		}
	}
}

// script is module for a script that runs for events.
func (l *linker) script(m *machine, s *script) {
	names := l.outer(m, s.source)
	if len(names) == 0 {
		return
	}
	chunk := l.compile(s.source, func(above string) (*vm.Chunk, error) {
		return l.wrapped(s, above, vm.Link{Outer: names})
	})
	if chunk != nil {
		s.chunk = chunk
	}
}

// link runs the modules for the first time, in the VM that it returns, and gives
// every script the variables that it uses.
func (p *program) link(ctx context.Context) (*machine, error) {
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	l := p.linker
	l.ctx = ctx
	m, err := p.newMachine(false)
	if err != nil {
		return nil, Problems(append(l.problems, p.located(err)))
	}
	for _, s := range p.scripts() {
		l.script(m, s)
	}
	p.findFunctions(m)
	p.advice = p.undefined(m)
	p.linker = nil // other VMs find everything done
	if len(l.problems) > 0 {
		sortProblems(l.problems)
		return nil, Problems(l.problems)
	}
	return m, nil
}

// findFunctions looks for functions of modules that handle events.
func (p *program) findFunctions(m *machine) {
	p.functions = make(map[string]*script)
	for _, name := range m.Globals() {
		lower := strings.ToLower(name)
		if event, ok := strings.CutPrefix(lower, "handle_"); ok && lower != handlerName && m.Type(m.Global(name)) == "function" {
			s := &script{event: strings.Replace(event, "_", " ", 1), function: name}
			s.count = p.host.counters.get(s)
			p.functions[lower] = s
		}
	}
}
