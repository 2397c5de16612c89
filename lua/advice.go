package lua

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/lua/internal/source"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// What a solution's author is told although the solution was deployed, and what may
// help where it was not.

// warnings returns those of the source, and what only the host knows.
func (p *program) warnings() []Problem {
	return p.host.warnings(&p.solution, p.advice)
}

// warnings returns those of a solution, with more.
func (h *Host) warnings(sol *source.Solution, more []Problem) []Problem {
	warnings := slices.Concat(sol.Warnings, h.unhandled(sol), more)
	slices.SortStableFunc(warnings, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return warnings
}

// unreached warns of a solution that nothing runs for.
func (p *program) unreached() []Problem {
	if len(p.routes)+len(p.events)+len(p.functions) > 0 || p.handler != nil ||
		len(p.solution.Modules) == 0 {
		return nil
	}
	return []Problem{{
		File: p.solution.Modules[0].File, Line: 1,
		Text: "the solution has modules only, which nothing will call: expected a line " +
			`"--#ENDPOINT WEBSOCKET /path" above an endpoint, a line "--#EVENT service event" above an ` +
			"event handler, or a function handle_service_event in a module",
	}}
}

// unhandled lists the handlers of events that the program does not trigger.
func (h *Host) unhandled(sol *source.Solution) []Problem {
	var notes []Problem
	for _, e := range sol.Events {
		if !slices.ContainsFunc(
			h.opts.Triggers,
			func(s string) bool { return strings.EqualFold(s, e.Service) },
		) {
			notes = append(notes, Problem{
				File: e.File, Line: max(1, e.HeaderLine),
				Text: fmt.Sprintf(
					"event handler skipped: nothing triggers %.80s %.80s here",
					e.Service,
					e.Name,
				),
			})
		}
	}
	return notes
}

// undefined lists the services that scripts use and that are not there in m, each
// once.
func (p *program) undefined(m *machine) []Problem {
	if p.host.opts.StrictNames {
		return nil
	}
	known := make(map[string]bool)
	for _, name := range m.Globals() {
		known[name] = true
	}
	type use struct {
		file  string
		chunk *vm.Chunk
	}
	var uses []use
	add := func(s source.Script, chunk *vm.Chunk) {
		if chunk != nil {
			uses = append(uses, use{s.File, chunk})
			return
		}
		for word := range vm.Words(s.Body) { // it does not compile, and may define any of them
			known[word] = true
		}
	}
	for _, mod := range p.modules {
		add(mod.script, mod.chunk)
	}
	for _, s := range p.scripts() {
		if s.file != "" { // no function of a module
			add(s.source, s.chunk)
		}
	}
	for _, u := range uses {
		for name := range u.chunk.Uses.Writes {
			known[name] = true
		}
	}
	slices.SortStableFunc(uses, func(a, b use) int { return strings.Compare(a.file, b.file) })
	first := make(map[string]Problem)
	for _, u := range uses {
		for name, line := range u.chunk.Uses.Reads {
			old, ok := first[name]
			if !known[name] && (!ok || old.File == u.file && old.Line > line) {
				first[name] = Problem{
					File: u.file, Line: line,
					Text: name + " is defined nowhere: its functions fail when they are called, as those of a " +
						"service that the host does not have",
				}
			}
		}
	}
	notes := make([]Problem, 0, len(first))
	for _, note := range first {
		notes = append(notes, note)
	}
	return notes
}

// aboutNil is an error about a variable that nobody has set.
var aboutNil = regexp.MustCompile(
	`(?:global|upvalue) '(\w+)' \(a nil value\)|(?:perform arithmetic on|concatenate|compare) ` +
		`(?:global|upvalue) '(\w+)'`,
)

// order says which later module defines the variable that an error is about, or
// returns "". failed is the file in which it came up.
func (p *program) order(text, failed string) string {
	m := aboutNil.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	name := m[1] + m[2]
	defines := regexp.MustCompile(
		`(?m)^[ \t]*(local[ \t]+)?(?:function[ \t]+` + name + `\b|` + name + `[ \t]*=[^=])`,
	)
	later := false
	for _, mod := range p.solution.Modules {
		if mod.File == failed {
			later = true
		} else if m := defines.FindStringSubmatch(mod.Body); later && m != nil {
			todo := fmt.Sprintf("require %q above the place that needs it", mod.Name)
			if m[1] != "" { // require would run the module, but not make the local known
				todo = "name the files in another order, or leave out its local"
			}
			return fmt.Sprintf(" (%s defines %s and runs later: modules run in the order of their "+
				"paths; %s)", mod.File, name, todo)
		}
	}
	return ""
}
