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
	host     *Host
	solution source.Solution
	routes   []string // patterns
	modules  []module
	byRoute  map[string]*script
	handler  *script // nil: the default routing
	pool     pool
}

type module struct {
	name  string // for require
	chunk *vm.Chunk
}

// A script is the code of one endpoint, or the event handler.
type script struct {
	pattern string // "" for the handler
	file    string
	place   string // of errors that no line of the script has made: where it begins
	chunk   *vm.Chunk
	count   *counters
}

// A script's chunk returns the function that runs per event. What the wrapper
// adds stands on the line of the header, so that lines are those of the file.
const (
	scriptBefore = "return function(websocketInfo, response) local websocket_info = websocketInfo; "
	scriptAfter  = "\nend"
)

// compileTimeout is for one solution. In the worst case the time that compiling
// takes is cubic in the length of a script.
const compileTimeout = 10 * time.Second

// compile compiles everything and reports all problems, in order.
func (h *Host) compile(ctx context.Context, sol *source.Solution) (*program, []Problem) {
	p := &program{host: h, solution: *sol, routes: sol.Routes(), byRoute: make(map[string]*script, len(sol.Endpoints))}
	problems := slices.Clone(sol.Problems)
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	c := compiler{ctx: ctx}
	for _, m := range sol.Modules {
		chunk := c.chunk(m.Script, "", "")
		p.modules = append(p.modules, module{m.Name, chunk})
	}
	for _, e := range sol.Endpoints {
		p.byRoute[e.Pattern] = &script{pattern: e.Pattern, file: e.File, place: placeOf(e.Script), chunk: c.chunk(e.Script, scriptBefore, scriptAfter)}
	}
	if sol.Handler != nil {
		p.handler = &script{file: sol.Handler.File, place: placeOf(*sol.Handler), chunk: c.chunk(*sol.Handler, scriptBefore, scriptAfter)}
	}
	problems = append(problems, c.problems...)
	slices.SortStableFunc(problems, func(a, b Problem) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return p, problems
}

func placeOf(s source.Script) string { return s.File + ":" + strconv.Itoa(s.Line) }

type compiler struct {
	ctx      context.Context
	problems []Problem
}

// chunk compiles one script, or notes a problem and returns nil.
func (c *compiler) chunk(s source.Script, before, after string) *vm.Chunk {
	if c.ctx.Err() != nil {
		return nil // which script takes so long has been noted
	}
	above := strings.Repeat("\n", s.Line-1)
	var chunk *vm.Chunk
	var err error
	if before != "" { // an end too many or too few must not be told of, or taken for, that of the wrapper
		_, err = vm.Compile(c.ctx, above+"local websocketInfo, websocket_info, response; "+s.Body, s.File)
	}
	if err == nil {
		chunk, err = vm.Compile(c.ctx, above+before+s.Body+after, s.File)
	}
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

// build compiles a solution and tries it: a VM is made and the modules run.
func (h *Host) build(ctx context.Context, sol *source.Solution) (*program, error) {
	p, problems := h.compile(ctx, sol)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if len(problems) > 0 {
		return nil, Problems(problems)
	}
	p.pool = pool{program: p, max: h.opts.IdleVMs}
	for _, s := range p.scripts() {
		s.count = h.counters.get(s.file, s.pattern)
	}
	if err := p.try(ctx); err != nil {
		return nil, err
	}
	slices.Sort(p.routes)
	return p, nil
}

// try makes the first VM.
func (p *program) try(ctx context.Context) error {
	r := p.host.newRun(ctx, nil)
	defer r.end()
	grant, err := r.begin(true)
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	m, err := p.newMachine(r, grant, false)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return Problems{p.located(err)}
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
				return Problem{File: mod.File, Line: line, Text: text[len(m[0]):]}
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
	d := Deployment{Routes: p.routes, Warnings: p.solution.Warnings}
	for _, m := range p.solution.Modules {
		d.Modules = append(d.Modules, m.File)
	}
	if p.handler != nil {
		d.Handler = p.handler.file
	}
	return d
}

// require finds a module by the name that a script gives. That of a folder
// means the file init.lua in it, if there is no file of the name itself.
func (p *program) require(name string) (*vm.Chunk, string) {
	key := source.ModuleName(name)
	for _, key := range []string{key, key + ".init"} {
		for _, m := range p.modules {
			if m.name == key {
				return m.chunk, key
			}
		}
	}
	return nil, key
}
