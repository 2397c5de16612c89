package vm

import (
	"slices"

	golua "github.com/Shopify/go-lua"
)

// A function has up to 255 upvalues. A chunk that uses more variables of modules than
// that takes the rest from a table, whose fields the rewriter puts in the place of the
// globals of these names: each access is a call then, but no solution is refused.

// maxOuter is how many variables of modules a chunk has as upvalues.
const maxOuter = 200

// upvalueRest is the upvalue of a main function that holds this table.
const upvalueRest = 5

// restOf returns which of the instructions of p use a global of the names in rest.
func restOf(p *proto, rest map[string]bool) map[int]bool {
	env := slices.IndexFunc(p.upvalues, isEnv)
	if env < 0 || len(rest) == 0 {
		return nil
	}
	texts := p.texts()
	pcs := make(map[int]bool)
	for pc, i := range p.code {
		key := -1
		switch {
		case i.op() == opGetTabUp && i.b() == env:
			key = i.c()
		case i.op() == opSetTabUp && i.a() == env:
			key = i.b()
		}
		if key < 0 {
			continue
		}
		if k := constantOf(p, key, pc); k >= 0 && rest[texts[k]] {
			pcs[pc] = true
		}
	}
	return pcs
}

func isEnv(v upvalue) bool { return localName(local{name: v.name}) == "_ENV" }

// constantOf returns which constant an operand is before the instruction at pc, or -1.
// One beyond the first 256 is loaded into a register.
func constantOf(p *proto, operand, pc int) int {
	if operand&constantBit != 0 {
		return operand &^ constantBit
	}
	for at := pc - 1; at >= 0; at-- {
		if i := p.code[at]; i.op() == opLoadK && i.a() == operand {
			return i.bx()
		}
	}
	return -1
}

// rest does what the instruction does with the table in the place of the globals.
func (e *emitter) rest(i instruction) {
	t := e.temp
	e.emit(abc(opGetUpval, t, e.f.rest, 0))
	if i.op() == opGetTabUp {
		e.emit(abc(opGetTable, i.a(), t, i.c()))
	} else {
		e.emit(abc(opSetTable, t, i.b(), i.c()))
	}
	e.top = max(e.top, t+1)
}

// restTable makes the table for a chunk: its fields are the variables as they are now.
func (s *State) restTable(names []string) Value {
	held := make(map[string]variable, len(names))
	for _, name := range names {
		if v, ok := s.variables[name]; ok {
			held[name] = v
		}
	}
	l := s.l
	top := l.Top()
	l.NewTable()
	l.CreateTable(0, 2)
	s.pushFunction("index", func(s *State, l *golua.State) int {
		name, _ := l.ToString(2)
		v, ok := held[name]
		if !ok {
			return 0
		}
		s.push(v.holder)
		golua.UpValue(l, l.Top(), v.index)
		return 1
	})
	l.SetField(-2, "__index")
	s.pushFunction("newindex", func(s *State, l *golua.State) int {
		name, _ := l.ToString(2)
		if v, ok := held[name]; ok {
			s.push(v.holder)
			l.PushValue(3)
			golua.SetUpValue(l, l.Top()-1, v.index)
		}
		return 0
	})
	l.SetField(-2, "__newindex")
	l.SetMetaTable(-2)
	t := l.ToValue(-1)
	l.SetTop(top)
	return t
}
