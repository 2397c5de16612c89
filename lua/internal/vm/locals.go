package vm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	golua "github.com/Shopify/go-lua"
)

// The files of a solution are compiled one by one and yet hang together as if all
// were one text: what is local at the top level of a module is known to the modules
// that run after it, and to the scripts.
//
// Both sides are upvalues, so that a variable stays one variable, whoever assigns
// it. A module hands out a variable where the variable begins: the rewriter adds the
// call of a helper there, with a function that captures it. Code that uses variables
// of others is compiled inside of a function that declares these names; when it is
// loaded, its upvalues are joined to the variables.

// A Link says what a chunk has to do with the variables of others.
type Link struct {
	// Outer are the names of variables of modules that the source may use. That a
	// name does not occur in it costs nothing at run time.
	Outer []string

	// Export reports whether another chunk may use a variable of this name that is
	// local at the top level of this one. Nil means that none is.
	Export func(name string) bool
}

// outerLevel is how many names one function declares: it can have 200 locals.
const outerLevel = 180

// CompileModule is [Compile] for the file of a module, whose variables and those of
// others the link is about. Such a chunk is loaded by [State.LoadLinked].
func CompileModule(ctx context.Context, source, name string, link Link) (*Chunk, error) {
	p := plan{body: -1, export: link.Export}
	if link.Export != nil {
		p.body = 0
	}
	if len(link.Outer) == 0 {
		return compileLinked(ctx, source, name, p)
	}
	outer, rest := divide(link.Outer)
	declared, levels := declare(outer, "return function(...) "+source+"\nend")
	p.rest = rest
	if p.wrap = levels; p.body == 0 {
		p.body = levels
	}
	return compileWrapped(ctx, declared, source, name, p)
}

// CompileScript is [Compile] for a body that becomes a function, between the text
// before and the word end: that function is what [State.LoadLinked] returns. above is
// line ends for the lines that are above the body in its file, and params the names
// that the text before gives it.
func CompileScript(
	ctx context.Context,
	above, before, params, body, name string,
	link Link,
) (*Chunk, error) {
	declared, levels := above+before+body+"\nend", 1
	outer, rest := divide(link.Outer)
	if len(outer) > 0 {
		declared, levels = declare(outer, declared)
	}
	return compileWrapped(
		ctx,
		declared,
		above+"local "+params+"; "+body,
		name,
		plan{body: -1, wrap: levels, rest: rest},
	)
}

// compileWrapped compiles source in a wrapper. An end too many or too few in it must
// not be told of, or taken for, that of the wrapper: then the plain source is compiled
// for its error.
func compileWrapped(ctx context.Context, declared, plain, name string, p plan) (*Chunk, error) {
	c, err := compileLinked(ctx, declared, name, p)
	if err == nil {
		return c, nil
	}
	if _, plainErr := Compile(ctx, plain, name); plainErr != nil {
		return nil, plainErr
	}
	return nil, err
}

func compileLinked(ctx context.Context, source, name string, p plan) (*Chunk, error) {
	c := &Chunk{Name: name, returns: p.wrap > 0, rest: p.rest}
	p.chunk = c
	var err error
	if c.code, err = compile(golua.NewState(), source, name, ctx.Err, p); err != nil {
		return nil, err
	}
	return c, nil
}

// divide returns the names that are to be upvalues and those that are not.
func divide(names []string) (outer, rest []string) {
	n := min(len(names), maxOuter)
	return names[:n], names[n:]
}

// declare puts source that returns a function into functions that declare names,
// without a line more, and returns how many functions deep it is then.
func declare(names []string, source string) (declared string, levels int) {
	var before, after strings.Builder
	for group := range slices.Chunk(names, outerLevel) {
		if levels > 0 {
			before.WriteString("return (function() ")
			after.WriteString(" end)()")
		}
		fmt.Fprintf(&before, "local %s; ", strings.Join(group, ", "))
		levels++
	}
	return before.String() + source + after.String(), levels
}

// Words returns the words of source that may be names of variables.
func Words(source string) map[string]struct{} {
	words := make(map[string]struct{})
	for at := 0; at < len(source); {
		end, kind := token(source, at)
		if kind == tokenWord {
			if word := source[at:end]; word == "goto" || !strings.Contains(reserved, " "+word+" ") {
				words[word] = struct{}{}
			}
		}
		at = end
	}
	return words
}

// A variable is one that a module has handed out: an upvalue of a function.
type variable struct {
	holder Value
	index  int
}

// LoadLinked returns the function of a chunk made by [CompileModule] or
// [CompileScript]. It must be called inside Run or Setup.
func (s *State) LoadLinked(c *Chunk) (Value, error) {
	f, err := s.Load(c)
	if err != nil || !c.returns {
		return f, err
	}
	f = s.Call(f)
	l := s.l
	s.push(f)
	at := l.Top()
	for n := 1; ; n++ {
		name, ok := golua.UpValue(l, at, n)
		if !ok {
			break
		}
		l.SetTop(at)
		if v, ok := s.variables[name]; ok {
			s.push(v.holder)
			golua.UpValueJoin(l, at, n, at+1, v.index)
			l.SetTop(at)
		}
	}
	l.SetTop(at - 1)
	return f, nil
}

// exportVariables is called by modules with a function whose upvalues are variables
// that are known to the code that is loaded from now on.
func exportVariables(s *State, l *golua.State) int {
	for n := 1; ; n++ {
		name, ok := golua.UpValue(l, 1, n)
		if !ok {
			break
		}
		l.SetTop(1)
		if s.variables == nil {
			s.variables = make(map[string]variable)
		}
		holder := l.ToValue(1)
		s.variables[name] = variable{holder, n}
		s.Set(s.holders, name, holder) // what is held is counted
	}
	return 0
}

// HasVariable reports whether a module that has run has a top-level local of this
// name, one that is exported.
func (s *State) HasVariable(name string) bool {
	_, ok := s.variables[name]
	return ok
}

// A plan says what there is to do about the variables of a chunk.
type plan struct {
	wrap   int // how many functions are around the source, each the only one in the one around it
	body   int // how many functions deep the one is that hands out variables; -1 for none
	export func(name string) bool
	chunk  *Chunk   // that is made, or nil
	rest   []string // variables of modules beyond those that are upvalues
}

// plain is the plan of code that is loaded at run time.
var plain = plan{body: -1}

// fits reports whether the wrapper is around the whole of the source.
func (e plan) fits(main *proto) bool {
	for range e.wrap {
		if len(main.protos) != 1 {
			return false
		}
		main = main.protos[0]
	}
	return true
}

// exports adds to p a function for each place where variables begin that are local
// at its top level, and returns the functions by place.
func (e plan) exports(p *proto) map[int]int {
	places := make(map[int]int)
	register := 0
	for _, v := range p.locals {
		if int(v.end) != len(p.code) {
			continue // of a block in it
		}
		if name := localName(v); e.export(name) {
			start := int(v.start)
			child, ok := places[start]
			if !ok {
				child = len(p.protos)
				places[start] = child
				p.protos = append(p.protos, newExporter(p))
			}
			if e.chunk != nil {
				e.chunk.Variables = append(e.chunk.Variables, name)
			}
			c := p.protos[child]
			c.upvalues = append(c.upvalues, upvalue{true, register, v.name})
		}
		register++
	}
	return places
}

// newExporter returns a function that does nothing.
func newExporter(p *proto) *proto {
	return &proto{
		lines: p.lines, maxStack: 2, code: []instruction{abc(opReturn, 0, 1, 0)},
		constants: appendInt(nil, 0), source: p.source, lineInfo: []int32{p.lines[0]},
	}
}

// localName is the name without its length and the NUL at its end.
func localName(v local) string {
	if len(v.name) < 9 {
		return ""
	}
	return string(v.name[8 : len(v.name)-1])
}
