package lua

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway/lua/internal/source"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A program is a compiled solution. It never changes, but for its pool of VMs.
type program struct {
	host      *Host
	solution  source.Solution
	routes    []string // patterns
	modules   []module
	byRoute   map[string]*script
	handler   *script            // nil: the default routing
	events    map[string]*script // handlers of other events, by source.EventKey
	functions map[string]*script // functions of modules that handle events, by name
	advice    []Problem          // warnings that came up while the program was tried
	linker    *linker            // until the modules have run once
	pool      pool
}

type module struct {
	name    string // for require
	script  source.Script
	outer   []string // variables of other modules that the chunk knows
	private bool     // of the host: only require runs it, and its variables are its own
	chunk   *vm.Chunk
}

// A script is the code of one endpoint, or an event handler.
type script struct {
	pattern  string // "" for a handler
	event    string // of a handler: its service and event, as written
	file     string
	source   source.Script
	function string   // of an event handler: what the function is called that the script may define
	before   string   // what the wrapper puts in front of the body
	params   string   // the names in it
	outer    []string // variables of modules that the chunk knows
	place    string   // of errors that no line of the script has made: where it begins
	chunk    *vm.Chunk
	count    *counters
}

// A script's chunk returns the function that runs per event. What the wrapper
// adds stands on the line of the header, so that lines are those of the file.
const (
	scriptBefore = "return function(websocketInfo, response) local websocket_info = websocketInfo; "
	scriptParams = "websocketInfo, websocket_info, response"

	eventBefore = "return function(event) local data = event; "
	eventParams = "event, data"

	socketEvent = "websocket websocket_info"
)

// compileTimeout is for one solution. In the worst case the time that compiling
// takes is cubic in the length of a script.
const compileTimeout = 10 * time.Second

// compile compiles everything and reports all problems, in order.
func (h *Host) compile(ctx context.Context, sol *source.Solution) (*program, []Problem) {
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	p := &program{
		host: h, solution: *sol, routes: sol.Routes(), linker: newLinker(ctx, sol),
		byRoute: make(map[string]*script, len(sol.Endpoints)),
		events:  make(map[string]*script, len(sol.Events)),
	}
	problems := slices.Clone(sol.Problems)
	l := p.linker
	for _, m := range sol.Modules {
		mod := module{name: m.Name, script: m.Script}
		l.compileModule(&mod)
		p.modules = append(p.modules, mod)
	}
	p.modules = append(p.modules, h.libraries...)
	for _, e := range sol.Endpoints {
		s := newScript(e.Script)
		s.pattern, p.byRoute[e.Pattern] = e.Pattern, s
	}
	if sol.Handler != nil {
		p.handler = newScript(*sol.Handler)
		p.handler.event = socketEvent
	}
	for _, e := range sol.Events {
		p.events[e.Key()] = newHandler(e)
	}
	for _, s := range p.scripts() {
		l.compileScript(s)
	}
	problems = append(problems, l.problems...)
	l.problems = nil
	sortProblems(problems)
	return p, problems
}

// sortProblems orders them by file and line.
func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// newScript returns the script of an endpoint, or of the handler that takes its place.
func newScript(s source.Script) *script {
	return &script{file: s.File, source: s, before: scriptBefore, params: scriptParams,
		place: placeOf(s)}
}

// newHandler returns the script of an event that is none of a socket's. Scripts of
// the original platform know the argument by one of its names.
func newHandler(e source.Event) *script {
	s := newScript(e.Script)
	s.event, s.function = e.Service+" "+e.Name, functionName(e.Service, e.Name)
	s.before, s.params = eventBefore, eventParams
	if isName(e.Name) && e.Name != "event" && e.Name != "data" {
		s.before += "local " + e.Name + " = event; "
		s.params += ", " + e.Name
	}
	return s
}

func placeOf(s source.Script) string { return s.File + ":" + strconv.Itoa(s.Line) }

type compiler struct {
	ctx      context.Context
	problems []Problem
}

// module compiles a module, or notes a problem and returns nil.
func (c *compiler) module(s source.Script, link vm.Link) *vm.Chunk {
	return c.compile(s, func(above string) (*vm.Chunk, error) {
		return vm.CompileModule(c.ctx, above+s.Body, s.File, link)
	})
}

// script compiles what runs for events, or notes a problem and returns nil.
func (c *compiler) script(s *script, link vm.Link) *vm.Chunk {
	return c.compile(s.source, func(above string) (*vm.Chunk, error) {
		return vm.CompileScript(c.ctx, above, s.before, s.params, s.source.Body, s.file, link)
	})
}

// compile calls f with the line ends that are above a script, and notes what is
// wrong.
func (c *compiler) compile(s source.Script, f func(above string) (*vm.Chunk, error)) *vm.Chunk {
	if c.ctx.Err() != nil {
		return nil // which script takes so long has been noted
	}
	chunk, err := f(strings.Repeat("\n", s.Line-1))
	var syntax *vm.SyntaxError
	switch {
	case errors.As(err, &syntax):
		c.problem(s, syntax.Line, syntax.Text)
	case err != nil:
		c.problem(s, 0, err.Error())
	}
	return chunk
}

// problem notes one; line 0 means the script's first, and a line below its end
// means its last.
func (c *compiler) problem(s source.Script, line int, text string) {
	last := s.Line + strings.Count(strings.TrimRight(s.Body, "\n"), "\n")
	line = max(s.Line, min(line, last))
	c.problems = append(c.problems, Problem{File: s.File, Line: line, Text: text})
}

// build compiles a solution and tries it: a VM is made and the modules run. The program
// is there with an error, too, for its warnings.
func (h *Host) build(ctx context.Context, sol *source.Solution) (*program, error) {
	p, problems := h.compile(ctx, sol)
	if ctx.Err() != nil {
		return p, ctx.Err()
	}
	if len(problems) > 0 {
		if m, err := p.openMachine(nil, 0); err == nil {
			p.advice = p.undefined(m)
		}
		return p, Problems(problems)
	}
	p.pool = pool{program: p, max: h.opts.IdleVMs}
	for _, s := range p.scripts() {
		s.count = h.counters.get(s)
	}
	if err := p.try(ctx); err != nil {
		return p, err
	}
	slices.Sort(p.routes)
	return p, nil
}

// try makes the first VM, in which the modules run for the first time.
func (p *program) try(ctx context.Context) error {
	r := p.host.newRun(ctx, nil)
	r.loading, r.nested = true, runOf(ctx) != nil
	defer r.end()
	grant, err := r.begin(true)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	compiling, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	l := p.linker
	l.ctx = compiling
	m, err := p.newMachine(r, grant, false)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		if m != nil {
			p.advice = p.undefined(m)
		}
		return Problems(append(l.problems, p.located(err)))
	}
	if err := p.link(m); err != nil {
		return err
	}
	p.pool.put(m)
	return nil
}

var position = regexp.MustCompile(`^(.*?):(\d+): `)

// located makes a Problem of a failure while modules run.
func (p *program) located(err error) Problem {
	text := err.Error()
	if m := position.FindStringSubmatch(text); m != nil {
		for _, mod := range p.solution.Modules {
			if strings.HasPrefix(mod.File, m[1]) {
				line, _ := strconv.Atoi(m[2])
				text = text[len(m[0]):]
				return Problem{File: mod.File, Line: line, Text: text + p.order(text, mod.File)}
			}
		}
	}
	note := Problem{Line: 1, Text: text}
	if len(p.solution.Modules) > 0 {
		note.File = p.solution.Modules[0].File
	}
	return note
}

// scripts returns all scripts, the handler included.
func (p *program) scripts() []*script {
	var all []*script
	for _, s := range p.byRoute {
		all = append(all, s)
	}
	if p.handler != nil {
		all = append(all, p.handler)
	}
	for _, s := range p.events {
		all = append(all, s)
	}
	for _, s := range p.functions {
		all = append(all, s)
	}
	return all
}

func (p *program) serves(pattern string) bool {
	if len(p.byRoute) == 0 {
		return slices.Contains(p.routes, pattern) // one at most: the handler's
	}
	return p.byRoute[pattern] != nil
}

// script returns what runs for events on a route.
func (p *program) script(pattern string) *script {
	if p.handler != nil {
		return p.handler
	}
	return p.byRoute[pattern]
}

func (p *program) deployment() Deployment {
	d := Deployment{Routes: p.routes, Warnings: p.warnings()}
	for _, m := range p.solution.Modules {
		d.Modules = append(d.Modules, m.File)
	}
	if p.handler != nil {
		d.Handler = p.handler.file
	}
	for _, e := range p.solution.Events {
		d.Events = append(d.Events, EventHandler{Service: e.Service, Event: e.Name, File: e.File})
	}
	return d
}

// require finds a module by the name that a script gives, for the VM m. That of a
// folder means the file init.lua in it, if there is no file of the name itself.
func (p *program) require(m *machine, name string) (*vm.Chunk, string) {
	key := source.ModuleName(name)
	for _, key := range []string{key, key + ".init"} {
		for i := range p.modules {
			if mod := &p.modules[i]; mod.name == key {
				if p.linker != nil {
					p.linker.linkModule(m, mod)
				}
				return mod.chunk, key
			}
		}
	}
	return nil, key
}
