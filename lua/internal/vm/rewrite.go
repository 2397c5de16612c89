package vm

import (
	"errors"
	"slices"
)

// The rewriter goes over the bytecode of every chunk before it runs and mends
// what the VM does wrong, without a change to the VM:
//
//   - CONCAT becomes a call of our own function. The VM's instruction knows no
//     size limit, spells infinities in Go's way, and leaves the top of the stack
//     too low, so that a metamethod called afterwards overwrites live registers.
//   - MOD becomes a call of our own function: the VM truncates where Lua floors.
//   - Where several captured locals leave their scope together, jumps are put
//     in front that close them one by one: the VM keeps dead entries in its list
//     of open upvalues for ever if it closes two at a time. Errors still do that
//     (see [State.Worn]).
//   - A function that captures variables of an outer function captures also a
//     register of its own frame. The VM reuses a closure whose outer variables
//     merely have the same values; with the extra capture it reuses none across
//     calls.

var (
	errTooComplex = errors.New("function or expression too complex")
	errWrapper    = errors.New("unexpected end")
)

// The upvalues of a rewritten main function; _ENV is the first (see loadChunk).
const (
	upvalueEnv    = 1
	upvalueConcat = 2
	upvalueMod    = 3
	upvalueExport = 4 // only where the chunk hands out variables
)

// emptyName is the encoded name of the upvalues that the rewriter adds.
var emptyName = make([]byte, 8)

// rewrite mends a binary chunk and makes it hand out its variables as planned.
func rewrite(chunk []byte, p plan) ([]byte, error) {
	if len(chunk) < chunkHeader {
		return nil, errBytecode
	}
	d := &decoder{b: chunk[chunkHeader:]}
	main := d.proto()
	if d.err != nil {
		return nil, d.err
	}
	if len(main.upvalues) != 1 {
		return nil, errBytecode
	}
	if !p.fits(main) {
		return nil, errWrapper
	}
	if p.chunk != nil {
		p.chunk.Uses.note(main)
		p.chunk.longest = main.longest()
	}
	main.upvalues = append(main.upvalues, upvalue{true, 1, emptyName}, upvalue{true, 2, emptyName})
	f := frame{
		concat: upvalueConcat - 1,
		mod:    upvalueMod - 1,
		unique: []bool{true, true, true},
		plan:   p,
	}
	if p.body >= 0 || len(p.rest) > 0 {
		f.export = f.add(main, upvalue{true, 3, emptyName}, true)
	}
	if len(p.rest) > 0 {
		f.names = make(map[string]bool, len(p.rest))
		for _, name := range p.rest {
			f.names[name] = true
		}
		f.rest = f.add(main, upvalue{true, 4, emptyName}, true)
	}
	if err := f.rewrite(main); err != nil {
		return nil, err
	}
	return main.encode(slices.Clone(chunk[:chunkHeader])), nil
}

// A frame says where a function finds our helpers among its upvalues, and which
// of its upvalues can be one variable only: _ENV and the helpers.
type frame struct {
	concat, mod int
	unique      []bool
	plan        plan // for this function; export is the helper's place if it has one
	export      int
	names       map[string]bool // of variables that are in the table at rest; nil if none are
	rest        int
}

func (f frame) rewrite(p *proto) error {
	temp := p.maxStack // first of the registers that we add
	guard := -1
	for i, child := range p.protos {
		c := frame{unique: make([]bool, len(child.upvalues)), plan: plan{body: -1}}
		alias := false
		for i, u := range child.upvalues {
			c.unique[i] = !u.fromStack && u.index < len(f.unique) && f.unique[u.index]
			alias = alias || !u.fromStack && !c.unique[i]
		}
		if alias {
			if guard < 0 {
				guard = temp
				temp++
			}
			c.add(child, upvalue{true, guard, emptyName}, false)
		}
		c.concat = c.add(child, upvalue{false, f.concat, emptyName}, true)
		c.mod = c.add(child, upvalue{false, f.mod, emptyName}, true)
		if f.names != nil {
			c.names = f.names
			c.rest = c.add(child, upvalue{false, f.rest, emptyName}, true)
		}
		if i == 0 && f.plan.body > 0 { // the body is the first function of those around it
			c.plan = plan{body: f.plan.body - 1, export: f.plan.export, chunk: f.plan.chunk}
			c.export = c.add(child, upvalue{false, f.export, emptyName}, true)
		}
		if len(child.upvalues) > maxUpvalues {
			return errTooComplex
		}
		if err := c.rewrite(child); err != nil {
			return err
		}
	}
	var exports map[int]int
	if f.plan.body == 0 {
		exports = f.plan.exports(p)
	}
	return f.code(p, temp, exports)
}

// add gives p an upvalue and returns its index.
func (f *frame) add(p *proto, u upvalue, unique bool) int {
	p.upvalues, f.unique = append(p.upvalues, u), append(f.unique, unique)
	return len(p.upvalues) - 1
}

// captured returns the registers of p that its children capture, descending.
func captured(p *proto) []int {
	var regs []int
	for _, child := range p.protos {
		for _, u := range child.upvalues {
			if u.fromStack && !slices.Contains(regs, u.index) {
				regs = append(regs, u.index)
			}
		}
	}
	slices.Sort(regs)
	slices.Reverse(regs)
	return regs
}

// code rewrites the instructions of p, whose registers from temp on are free, and
// puts the calls of its exporters where they belong.
func (f frame) code(p *proto, temp int, exports map[int]int) error {
	e := emitter{temp: temp, top: temp, f: f, regs: captured(p)}
	at := make([]int, len(p.code)+1) // old to new
	jumps := make([]jump, 0, 16)
	rest := restOf(p, f.names)
	for pc, i := range p.code {
		if !i.fits(p.maxStack) {
			return errTooComplex
		}
		at[pc] = len(e.out)
		e.line = p.lineInfo[pc]
		if child, ok := exports[pc]; ok {
			e.export(child)
		}
		tested := pc > 0 && p.code[pc-1].tests()
		if rest[pc] {
			e.rest(i)
			continue
		}
		e.instruction(i, tested)
		if i.jumps() { // the last instruction of what it became
			jumps = append(jumps, jump{pc: pc, out: len(e.out) - 1, detour: tested && e.closes(i)})
		}
	}
	at[len(p.code)] = len(e.out)
	for _, j := range jumps {
		target := j.pc + 1 + p.code[j.pc].sbx()
		if target < 0 || target > len(p.code) {
			return errBytecode
		}
		if j.detour {
			e.line = p.lineInfo[j.pc]
			j.out = e.detour(j.out)
		}
		to := at[target]
		if _, ok := exports[target]; ok && target <= j.pc {
			to += exportLength // a loop, around which the variables do not begin anew
		}
		if !e.link(j.out, to) {
			return errTooComplex
		}
	}
	for i, v := range p.locals {
		if int(v.start) >= len(at) || int(v.end) >= len(at) || v.start < 0 || v.end < 0 {
			return errBytecode
		}
		p.locals[i].start, p.locals[i].end = int32(at[v.start]), int32(at[v.end])
	}
	if e.top > maxRegister {
		return errTooComplex
	}
	p.code, p.lineInfo, p.maxStack = e.out, e.lines, e.top
	return nil
}

// A jump is an instruction that jumps.
type jump struct {
	pc, out int  // its old position and its new one
	detour  bool // there is no room in front of it, since a test is
}

// An emitter collects the new code of one function.
type emitter struct {
	out   []instruction
	lines []int32 // of out
	line  int32   // of what is emitted
	temp  int     // first free register
	top   int     // size of the frame
	f     frame
	regs  []int // captured, descending
}

func (e *emitter) emit(i ...instruction) {
	e.out = append(e.out, i...)
	for range i {
		e.lines = append(e.lines, e.line)
	}
}

// closes reports whether a jump closes more than one captured register.
func (e *emitter) closes(i instruction) bool {
	return i.op() == opJmp && i.a() > 0 && len(e.regs) > 1 && e.regs[1] >= i.a()-1
}

// detour makes the jump at from go to the end of the code, where there is room to
// close registers one by one, and returns the position of the jump that is to go
// on to the target.
func (e *emitter) detour(from int) int {
	i := e.out[from]
	e.out[from] = abx(opJmp, 0, maxSBx)
	if !e.link(from, len(e.out)) {
		e.out[from] = i
		return from // it is a rare place, and closing several at once is only slow
	}
	e.closeFrom(i.a() - 1)
	e.emit(i)
	return len(e.out) - 1
}

// link sets the target of a jump, if it is not too far.
func (e *emitter) link(from, target int) bool {
	distance := target - from - 1
	if distance < -maxSBx || distance > maxSBx {
		return false
	}
	e.out[from] = e.out[from].withSBx(distance)
	return true
}

func (e *emitter) instruction(i instruction, tested bool) {
	switch i.op() {
	case opConcat:
		e.concat(i.a(), i.b(), i.c())
		return
	case opMod:
		e.mod(i)
		return
	case opReturn, opTailCall:
		e.closeFrom(0)
	case opJmp:
		if i.a() > 0 && !tested {
			e.closeFrom(i.a() - 1)
		}
	}
	e.emit(i)
}

// closeFrom closes all captured registers from level on but the lowest, which
// the instruction that follows closes.
func (e *emitter) closeFrom(level int) {
	n := 0
	for n < len(e.regs) && e.regs[n] >= level {
		n++
	}
	for k := 0; k < n-1; k++ {
		e.emit(abx(opJmp, e.regs[k]+1, maxSBx))
	}
}

// concat calls our function with the operands, which are the topmost registers
// in use: they move up by one to make room for the function.
func (e *emitter) concat(a, b, c int) {
	for r := c; r >= b; r-- {
		e.emit(abc(opMove, r+1, r, 0))
	}
	e.emit(abc(opGetUpval, b, e.f.concat, 0), abc(opCall, b, c-b+2, 2))
	if a != b {
		e.emit(abc(opMove, a, b, 0))
	}
	e.top = max(e.top, c+2)
}

func (e *emitter) mod(i instruction) {
	t := e.temp
	e.emit(abc(opGetUpval, t, e.f.mod, 0))
	for k, rk := range []int{i.b(), i.c()} {
		if rk&constantBit != 0 {
			e.emit(abx(opLoadK, t+1+k, rk&^constantBit))
		} else {
			e.emit(abc(opMove, t+1+k, rk, 0))
		}
	}
	e.emit(abc(opCall, t, 3, 2), abc(opMove, i.a(), t, 0))
	e.top = max(e.top, t+3)
}

// exportLength is how many instructions export emits.
const exportLength = 3

// export calls our function with an exporter.
func (e *emitter) export(child int) {
	t := e.temp
	e.emit(abc(opGetUpval, t, e.f.export, 0), abx(opClosure, t+1, child), abc(opCall, t, 2, 1))
	e.top = max(e.top, t+2)
}
