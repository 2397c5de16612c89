package vm

import "fmt"

// explain says in the words of Lua 5.1 why source that the VM's parser has refused is
// none. It returns nil if it finds nothing wrong: the parser has limits, and rules about
// goto, that are not looked at here.
func explain(source, name string) (err *SyntaxError) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *SyntaxError:
			err = p
		case tooDeep:
		default:
			panic(p)
		}
	}()
	g := &grammar{lexer: lexer{name: name, source: source, line: 1}, varargs: true}
	g.next()
	g.block()
	g.check(lexEnd)
	return nil
}

// A grammar reads a chunk by the rules of the language, and keeps nothing of it.
type grammar struct {
	lexer
	depth   int
	varargs bool // of the function that is read
	loops   int  // in it
}

// tooDeep ends the reading of what is nested deeper than the VM's parser allows.
type tooDeep struct{}

func (g *grammar) enter() func() {
	if g.depth++; g.depth > 250 {
		panic(tooDeep{})
	}
	return func() { g.depth-- }
}

func (g *grammar) is(kind string) bool { return g.token.kind == kind }

func (g *grammar) test(kind string) bool {
	if !g.is(kind) {
		return false
	}
	g.next()
	return true
}

func (g *grammar) check(kind string) {
	if !g.is(kind) {
		g.fail("'"+kind+"' expected", g.token)
	}
}

func (g *grammar) want(kind string) {
	g.check(kind)
	g.next()
}

// match wants what closes something that was opened on a line.
func (g *grammar) match(what, who string, line int) {
	if !g.is(what) && line != g.line {
		g.fail(fmt.Sprintf("'%s' expected (to close '%s' at line %d)", what, who, line), g.token)
	}
	g.want(what)
}

func (g *grammar) blockEnds() bool {
	switch g.token.kind {
	case "else", "elseif", "end", "until", lexEnd:
		return true
	}
	return false
}

func (g *grammar) block() {
	defer g.enter()()
	for !g.blockEnds() {
		if g.is("return") {
			g.next()
			if !g.blockEnds() && !g.is(";") {
				g.list()
			}
			g.test(";")
			return
		}
		g.statement()
		g.test(";")
	}
}

func (g *grammar) statement() {
	line := g.line
	switch kind := g.token.kind; {
	case kind == ";": // none
	case kind == "if":
		g.condition("then")
		for g.is("elseif") {
			g.condition("then")
		}
		if g.test("else") {
			g.block()
		}
		g.match("end", "if", line)
	case kind == "while":
		g.loops++
		g.condition("do")
		g.match("end", "while", line)
		g.loops--
	case kind == "do":
		g.next()
		g.block()
		g.match("end", "do", line)
	case kind == "for":
		g.loop(line)
	case kind == "repeat":
		g.next()
		g.loops++
		g.block()
		g.match("until", "repeat", line)
		g.loops--
		g.expression(0)
	case kind == "function":
		g.next()
		g.want(lexName)
		for g.is(".") {
			g.field()
		}
		if g.is(":") {
			g.field()
		}
		g.body(line)
	case kind == "local":
		g.next()
		g.local()
	case kind == "break":
		if g.next(); g.loops == 0 {
			g.fail("no loop to break", g.token)
		}
	case kind == lexName && g.token.text == "goto" && g.peek() == lexName:
		g.next()
		g.next()
	case kind == ":" && g.peek() == ":":
		g.next()
		g.next()
		g.want(lexName)
		g.want(":")
		g.want(":")
	default:
		g.call()
	}
}

// condition reads an expression between two words, and a block.
func (g *grammar) condition(word string) {
	g.next()
	g.expression(0)
	g.want(word)
	g.block()
}

func (g *grammar) loop(line int) {
	g.next()
	g.want(lexName)
	switch g.token.kind {
	case "=":
		g.next()
		g.expression(0)
		g.want(",")
		g.expression(0)
		if g.test(",") {
			g.expression(0)
		}
	case ",", "in":
		for g.test(",") {
			g.want(lexName)
		}
		g.want("in")
		g.list()
	default:
		g.fail("'=' or 'in' expected", g.token)
	}
	g.want("do")
	g.loops++
	g.block()
	g.loops--
	g.match("end", "for", line)
}

func (g *grammar) local() {
	if g.test("function") {
		g.want(lexName)
		g.body(g.line)
		return
	}
	g.want(lexName)
	for g.test(",") {
		g.want(lexName)
	}
	if g.test("=") {
		g.list()
	}
}

// body reads the parameters of a function, and what it does.
func (g *grammar) body(line int) {
	varargs, loops := g.varargs, g.loops
	g.varargs, g.loops = false, 0
	g.want("(")
	for more := !g.is(")"); more; more = !g.varargs && g.test(",") {
		switch g.token.kind {
		case lexName:
		case "...":
			g.varargs = true
		default:
			g.fail("<name> or '...' expected", g.token)
		}
		g.next()
	}
	g.want(")")
	g.block()
	g.match("end", "function", line)
	g.varargs, g.loops = varargs, loops
}

// What an expression without operators is.
const (
	isValue = iota
	isVariable
	isCall
)

// call reads a call or an assignment.
func (g *grammar) call() {
	what := g.primary()
	if what == isCall {
		return
	}
	for {
		if what != isVariable {
			g.fail("syntax error", g.token)
		}
		if !g.test(",") {
			break
		}
		what = g.primary()
	}
	g.want("=")
	g.list()
}

func (g *grammar) primary() (what int) {
	line := g.line
	switch g.token.kind {
	case lexName:
		what = isVariable
		g.next()
	case "(":
		g.next()
		g.expression(0)
		g.match(")", "(", line)
	default:
		g.fail("unexpected symbol", g.token)
	}
	for {
		switch g.token.kind {
		case ".":
			g.field()
			what = isVariable
		case "[":
			g.index()
			what = isVariable
		case ":":
			g.field()
			g.arguments()
			what = isCall
		case "(", lexString, "{":
			g.arguments()
			what = isCall
		default:
			return what
		}
	}
}

func (g *grammar) field() {
	g.next()
	g.want(lexName)
}

func (g *grammar) index() {
	g.next()
	g.expression(0)
	g.want("]")
}

func (g *grammar) arguments() {
	line := g.line
	switch g.token.kind {
	case "(":
		if g.next(); !g.is(")") {
			g.list()
		}
		g.match(")", "(", line)
	case "{":
		g.constructor()
	case lexString:
		g.next()
	default:
		g.fail("function arguments expected", g.token)
	}
}

func (g *grammar) constructor() {
	line := g.line
	g.want("{")
	for !g.is("}") {
		switch {
		case g.is(lexName) && g.peek() == "=":
			g.next()
			g.next()
			g.expression(0)
		case g.is("["):
			g.index()
			g.want("=")
			g.expression(0)
		default:
			g.expression(0)
		}
		if !g.test(",") && !g.test(";") {
			break
		}
	}
	g.match("}", "{", line)
}

func (g *grammar) list() {
	g.expression(0)
	for g.test(",") {
		g.expression(0)
	}
}

// binding says how strongly an operator binds to its left and its right.
var binding = map[string][2]int{
	"+": {6, 6}, "-": {6, 6}, "*": {7, 7}, "/": {7, 7}, "%": {7, 7}, "^": {10, 9}, "..": {5, 4},
	"~=": {3, 3}, "==": {3, 3}, "<": {3, 3}, "<=": {3, 3}, ">": {3, 3}, ">=": {3, 3},
	"and": {2, 2}, "or": {1, 1},
}

// expression reads one of operators that bind more strongly than limit.
func (g *grammar) expression(limit int) {
	defer g.enter()()
	switch g.token.kind {
	case "not", "-", "#":
		g.next()
		g.expression(8)
	default:
		g.simple()
	}
	for {
		binds, ok := binding[g.token.kind]
		if !ok || binds[0] <= limit {
			return
		}
		g.next()
		g.expression(binds[1])
	}
}

func (g *grammar) simple() {
	switch g.token.kind {
	case lexNumber, lexString, "nil", "true", "false":
		g.next()
	case "...":
		if !g.varargs {
			g.fail("cannot use '...' outside a vararg function", g.token)
		}
		g.next()
	case "{":
		g.constructor()
	case "function":
		g.next()
		g.body(g.line)
	default:
		g.primary()
	}
}
