package vm

import (
	"encoding/binary"
	"errors"
	"math"
)

// An instruction has the layout of Lua 5.2: 6 bits of opcode, 8 of A, 9 of C,
// 9 of B; Bx is C and B together, sBx is Bx with an offset.
type instruction uint32

// The opcodes that we have to know, by their number in Lua 5.2.
const (
	opMove     = 0
	opLoadK    = 1
	opLoadNil  = 4
	opGetUpval = 5
	opGetTabUp = 6
	opGetTable = 7
	opSetTabUp = 8
	opSetUpval = 9
	opSetTable = 10
	opSelf     = 12
	opAdd      = 13
	opMod      = 17
	opUnm      = 19
	opLen      = 21
	opConcat   = 22
	opJmp      = 23
	opEq       = 24
	opLt       = 25
	opLe       = 26
	opTest     = 27
	opTestSet  = 28
	opCall     = 29
	opTailCall = 30
	opReturn   = 31
	opForLoop  = 32
	opForPrep  = 33
	opTForCall = 34
	opTForLoop = 35
	opSetList  = 36
	opClosure  = 37
	opVararg   = 38
	opExtraArg = 39
)

const (
	constantBit = 1 << 8 // in B and C: a constant, not a register
	maxSBx      = 1<<17 - 1
	maxRegister = 250
	maxUpvalues = 255
)

func (i instruction) op() int  { return int(i & 0x3f) }
func (i instruction) a() int   { return int(i >> 6 & 0xff) }
func (i instruction) c() int   { return int(i >> 14 & 0x1ff) }
func (i instruction) b() int   { return int(i >> 23 & 0x1ff) }
func (i instruction) bx() int  { return int(i >> 14) }
func (i instruction) sbx() int { return i.bx() - maxSBx }

func (i instruction) withSBx(sbx int) instruction {
	return i&0x3fff | instruction(sbx+maxSBx)<<14
}

func (i instruction) jumps() bool {
	op := i.op()
	return op == opJmp || op == opForLoop || op == opForPrep || op == opTForLoop
}

// tests reports whether the instruction decides whether the jump after it is taken; the two
// must stay together.
func (i instruction) tests() bool { return i.op() >= opEq && i.op() <= opTestSet }

// fits reports whether the registers that the instruction works on are within a
// frame. The compiler does not look when it writes the size of the frame into a
// byte.
func (i instruction) fits(maxStack int) bool {
	last := i.a()
	switch op := i.op(); op {
	case opSetTabUp, opExtraArg:
		return true // A is no register
	case opCall, opTailCall:
		last += max(i.b()-1, i.c()-2)
	case opReturn, opVararg:
		last += i.b() - 2
	case opSetList, opLoadNil:
		last += i.b()
	case opSelf, opTForLoop:
		last++
	case opForLoop, opForPrep:
		last += 3
	case opTForCall:
		last += 2 + i.c()
	case opConcat:
		last = max(last, i.c())
	case opJmp:
		last-- // closes from A-1 on; 0 closes nothing
	default:
		if op >= opEq && op <= opLe {
			return true // A is a condition
		}
	}
	return last < maxStack
}

func abc(op, a, b, c int) instruction {
	return instruction(op) | instruction(a)<<6 | instruction(c)<<14 | instruction(b)<<23
}

func abx(op, a, bx int) instruction {
	return instruction(op) | instruction(a)<<6 | instruction(bx)<<14
}

// A proto is a function's prototype as it stands in a binary chunk. Parts that
// the rewriter does not look into are kept as bytes.
type proto struct {
	lines     [2]int32 // first and last
	params    byte
	vararg    byte
	maxStack  int
	code      []instruction
	constants []byte // with their count
	protos    []*proto
	upvalues  []upvalue
	source    []byte // with its length
	lineInfo  []int32
	locals    []local
}

type upvalue struct {
	fromStack bool // of the enclosing function; else one of its upvalues
	index     int
	name      []byte // with its length
}

type local struct {
	name       []byte // with its length
	start, end int32
}

const chunkHeader = 18 // bytes

var errBytecode = errors.New("malformed binary chunk")

// A decoder reads a binary chunk that this process has dumped: little-endian,
// 4-byte int, 8-byte size_t, 4-byte instructions, 8-byte numbers.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.b) {
		d.err, d.b = errBytecode, nil
		return make([]byte, min(max(n, 0), 8))
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte { return d.take(1)[0] }
func (d *decoder) int() int32 { return int32(binary.LittleEndian.Uint32(d.take(4))) }

// count reads the length of a list whose items take at least size bytes.
func (d *decoder) count(size int) int {
	n := int(d.int())
	if n < 0 || n > len(d.b)/size {
		d.err = errBytecode
		return 0
	}
	return n
}

// string returns a string with its length prefix.
func (d *decoder) string() []byte {
	start := d.b
	n := binary.LittleEndian.Uint64(d.take(8))
	if n > math.MaxInt32 {
		d.err = errBytecode
		return nil
	}
	d.take(int(n))
	if d.err != nil {
		return nil
	}
	return start[: 8+n : 8+n]
}

func (d *decoder) proto() *proto {
	p := &proto{lines: [2]int32{d.int(), d.int()}, params: d.byte(), vararg: d.byte(),
		maxStack: int(d.byte())}
	p.code = make([]instruction, d.count(4))
	for i := range p.code {
		p.code[i] = instruction(d.int())
	}
	p.constants = d.constants()
	p.protos = make([]*proto, d.count(1))
	for i := range p.protos {
		if p.protos[i] = d.proto(); d.err != nil {
			return p
		}
	}
	p.upvalues = make([]upvalue, d.count(2))
	for i := range p.upvalues {
		p.upvalues[i] = upvalue{fromStack: d.byte() != 0, index: int(d.byte())}
	}
	p.source = d.string()
	p.lineInfo = make([]int32, d.count(4))
	for i := range p.lineInfo {
		p.lineInfo[i] = d.int()
	}
	p.locals = make([]local, d.count(1))
	for i := range p.locals {
		p.locals[i] = local{d.string(), d.int(), d.int()}
	}
	if n := d.count(8); n != len(p.upvalues) {
		d.err = errBytecode
		return p
	}
	for i := range p.upvalues {
		p.upvalues[i].name = d.string()
	}
	if len(p.lineInfo) != len(p.code) {
		d.err = errBytecode
	}
	return p
}

func (d *decoder) constants() []byte {
	start := d.b
	for range d.count(1) {
		switch d.byte() {
		case 0: // nil
		case 1:
			d.byte()
		case 3:
			d.take(8)
		case 4:
			d.string()
		default:
			d.err = errBytecode
		}
		if d.err != nil {
			return nil
		}
	}
	return start[:len(start)-len(d.b)]
}

func appendInt(b []byte, v int) []byte {
	return binary.LittleEndian.AppendUint32(b, uint32(int32(v)))
}

func (p *proto) encode(b []byte) []byte {
	b = appendInt(appendInt(b, int(p.lines[0])), int(p.lines[1]))
	b = append(b, p.params, p.vararg, byte(p.maxStack))
	b = appendInt(b, len(p.code))
	for _, i := range p.code {
		b = appendInt(b, int(i))
	}
	b = append(b, p.constants...)
	b = appendInt(b, len(p.protos))
	for _, child := range p.protos {
		b = child.encode(b)
	}
	b = appendInt(b, len(p.upvalues))
	for _, u := range p.upvalues {
		fromStack := byte(0)
		if u.fromStack {
			fromStack = 1
		}
		b = append(b, fromStack, byte(u.index))
	}
	b = append(b, p.source...)
	b = appendInt(b, len(p.lineInfo))
	for _, line := range p.lineInfo {
		b = appendInt(b, int(line))
	}
	b = appendInt(b, len(p.locals))
	for _, v := range p.locals {
		b = appendInt(appendInt(append(b, v.name...), int(v.start)), int(v.end))
	}
	b = appendInt(b, len(p.upvalues))
	for _, u := range p.upvalues {
		b = append(b, u.name...)
	}
	return b
}
