package vm

import (
	"reflect"
	"regexp"
	"strings"

	golua "github.com/Shopify/go-lua"
)

// The VM's messages about operands name any variable that happens to have the same
// value, or none. While the function that fails is still there, its code says which
// one it was.

var (
	aboutOperand = regexp.MustCompile(
		`^attempt to (index|call|perform arithmetic on|get length of) ` +
			`(?:\w+ '[^']*' \()?(a (\w+) value)\)?$`)
	aboutOrder = regexp.MustCompile(`^attempt to compare (?:two '(\w+)' values|'(\w+)' with '(\w+)')$`)
)

// mend words a message of the VM as Lua 5.1 does. The function that fails is at
// level 1 of the stack.
func (s *State) mend(message string) string {
	i := strings.LastIndex(message, ": attempt to ")
	if i < 0 {
		return message
	}
	where, text := message[:i+2], message[i+2:]
	if m := aboutOrder.FindStringSubmatch(text); m != nil {
		if m[1] != "" {
			return where + "attempt to compare two " + m[1] + " values"
		}
		return where + "attempt to compare " + m[2] + " with " + m[3]
	}
	m := aboutOperand.FindStringSubmatch(text)
	if m == nil {
		return message
	}
	return where + "attempt to " + m[1] + " " +
		s.named(m[2], func(f *failing) (name, kind string) { return f.operand(m[1], m[3]) })
}

// named puts the name of an operand in front of what it is, as in "global 'x' (a
// nil value)", if the name can be found.
func (s *State) named(what string, find func(f *failing) (name, kind string)) (text string) {
	defer func() {
		if recover() != nil { // a release of the VM with other structures
			text = what
		}
	}()
	frame, ok := golua.Stack(s.l, 1)
	if !ok {
		return what
	}
	f := newFailing(s.l, frame)
	s.run.steps += f.pc // about as many are looked at
	if name, kind := find(f); name != "" && !strings.HasPrefix(name, "(") {
		return kind + " '" + name + "' (" + what + ")"
	}
	return what
}

// operandOf names argument i of the call that the Lua function at level 1 is in:
// an operand of an instruction that the rewriter has made a call.
func (s *State) operandOf(i int, typ string) string {
	return s.named("a "+typ+" value", func(f *failing) (name, kind string) {
		return f.name(f.at(f.pc).a()+i, f.pc)
	})
}

// calledAs says what the Lua function at level 1 has called the library function that
// it is in; both are "" if another library function has called it. Of a method, as in
// s:rep(x), the first argument is not counted.
func (s *State) calledAs() (name, kind string) {
	defer func() {
		if recover() != nil { // no Lua function, or a release with other structures
			name, kind = "", ""
		}
	}()
	frame, ok := golua.Stack(s.l, 1)
	if !ok {
		return "", ""
	}
	f := newFailing(s.l, frame)
	i := f.at(f.pc)
	if i.op() != opCall && i.op() != opTailCall {
		return "", ""
	}
	s.run.steps += f.pc // about as many are looked at
	return f.name(i.a(), f.pc)
}

// failing is the Lua function that fails, seen by reflection.
type failing struct {
	code, constants, locals, upvalues, registers reflect.Value
	pc                                           int // of the instruction that fails
}

func newFailing(l *golua.State, frame golua.Frame) *failing {
	call := reflect.ValueOf(frame).Elem()
	stack := reflect.ValueOf(l).Elem().FieldByName("stack")
	p := stack.Index(int(call.FieldByName("function").Int())).Elem().Elem().FieldByName(
		"prototype").Elem()
	return &failing{
		code: p.FieldByName("code"), constants: p.FieldByName("constants"),
		locals: p.FieldByName("localVariables"), upvalues: p.FieldByName("upValues"),
		registers: call.FieldByName("frame"), pc: int(call.FieldByName("savedPC").Int()) - 1,
	}
}

func (f *failing) at(pc int) instruction { return instruction(f.code.Index(pc).Uint()) }

// operand names what the failing instruction could not use, which is of a type.
func (f *failing) operand(operation, typ string) (name, kind string) {
	i := f.at(f.pc)
	switch op := i.op(); {
	case op == opGetTabUp && operation == "index":
		return f.upvalue(i.b()), "upvalue"
	case op == opSetTabUp && operation == "index":
		return f.upvalue(i.a()), "upvalue"
	case (op == opGetTable || op == opSelf) && operation == "index" && f.is(i.b(), typ):
		return f.name(i.b(), f.pc)
	case op == opSetTable && operation == "index" && f.is(i.a(), typ):
		return f.name(i.a(), f.pc)
	case (op == opCall || op == opTailCall) && operation == "call" && f.is(i.a(), typ):
		return f.name(i.a(), f.pc)
	case op == opLen && operation == "get length of" && f.is(i.b(), typ):
		return f.name(i.b(), f.pc)
	case op >= opAdd && op <= opUnm && operation == "perform arithmetic on":
		if f.is(i.b(), typ) {
			return f.name(i.b(), f.pc)
		}
		if op != opUnm && f.is(i.c(), typ) {
			return f.name(i.c(), f.pc)
		}
	}
	return "", ""
}

// is reports whether a register holds a value of a type that has no use: strings
// that are numbers can be reckoned with.
func (f *failing) is(register int, typ string) bool {
	if register&constantBit != 0 {
		return false
	}
	switch v := f.registers.Index(register).Elem(); v.Kind() {
	case reflect.Invalid:
		return typ == "nil"
	case reflect.Float64:
		return typ == "number"
	case reflect.Bool:
		return typ == "boolean"
	case reflect.String:
		_, number := ParseNumber(v.String())
		return typ == "string" && !number
	}
	return typ != "nil" && typ != "number" && typ != "boolean" && typ != "string"
}

// name says where the value comes from that a register holds before the
// instruction at pc.
func (f *failing) name(register, pc int) (name, kind string) {
	if name := f.local(register, pc); name != "" {
		return name, "local"
	}
	set := f.lastSet(register, pc)
	if set < 0 {
		return "", ""
	}
	switch i := f.at(set); i.op() {
	case opMove:
		if i.b() < i.a() {
			return f.name(i.b(), set)
		}
	case opGetTabUp:
		return f.field(i.c(), f.upvalue(i.b()) == "_ENV")
	case opGetTable:
		return f.field(i.c(), f.local(i.b(), set) == "_ENV")
	case opGetUpval:
		return f.upvalue(i.b()), "upvalue"
	case opSelf:
		name, _ = f.field(i.c(), false)
		return name, "method"
	}
	return "", ""
}

// field names a field by its key.
func (f *failing) field(key int, global bool) (name, kind string) {
	name, kind = "?", "field"
	if key&constantBit != 0 {
		if k := f.constants.Index(key &^ constantBit).Elem(); k.Kind() == reflect.String {
			name = k.String()
		}
	}
	if global {
		kind = "global"
	}
	return name, kind
}

func (f *failing) upvalue(i int) string { return f.upvalues.Index(i).FieldByName("name").String() }

// local returns the name of the local variable that a register holds, or "".
func (f *failing) local(register, pc int) string {
	for i := range f.locals.Len() {
		v := f.locals.Index(i)
		if int(v.FieldByName("startPC").Int()) > pc {
			break
		}
		if pc < int(v.FieldByName("endPC").Int()) {
			if register == 0 {
				return v.FieldByName("name").String()
			}
			register--
		}
	}
	return ""
}

// lastSet returns the instruction before pc that has set the register, or -1 if it
// depends on the way that was taken.
func (f *failing) lastSet(register, pc int) int {
	set, target := -1, 0 // of jumps over instructions
	for at := range pc {
		i := f.at(at)
		sets := false
		switch op := i.op(); op {
		case opLoadNil:
			sets = i.a() <= register && register <= i.a()+i.b()
		case opTForCall:
			sets = register >= i.a()+2
		case opCall, opTailCall:
			sets = register >= i.a()
		case opJmp:
			if to := at + 1 + i.sbx(); at < to && to <= pc {
				target = max(target, to)
			}
		case opSetTabUp, opSetUpval, opSetTable, opEq, opLt, opLe, opTest, opReturn, opSetList,
			opExtraArg:
		default:
			sets = i.a() == register
		}
		if sets {
			set = at
			if at < target {
				set = -1
			}
		}
	}
	return set
}
