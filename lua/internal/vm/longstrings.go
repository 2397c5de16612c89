package vm

import (
	"fmt"
	"math/bits"
	"reflect"
	"strconv"

	golua "github.com/Shopify/go-lua"
)

// Arithmetic on a string is the one instruction that can take long: the VM parses the
// string, some 70 ns a byte, and nothing interrupts it. So a State knows how long the
// strings can be that its code may meet. The longer they are, the more often the hook
// fires, so that no more is parsed in between than takes 150 ms, and if it was much, less the
// next time. With huge ones it fires before each instruction, and refuses arithmetic on
// them, for no number is as long.
const (
	parsedAtOnce = 2 << 20 // bytes
	longString   = 2 << 10 // what is shorter is not worth knowing
	hugeString   = 1 << 20
	hugeInterval = 1

	longRuns      = 64      // runs between two searches for long strings that are still there
	longSearch    = 4 << 20 // bytes that such a search goes over; beyond it there may be any
	longestNumber = 4 << 10 // what is a number is not longer
)

// mostInterval is how many instructions may pass between two firings of the hook where
// strings may have n bytes: a power of two.
func mostInterval(n int) int {
	if n < longString {
		return maxInterval
	}
	if n >= hugeString {
		return hugeInterval
	}
	return parsedAtOnce >> bits.Len(uint(n-1))
}

// long notes that there is a string of n bytes.
func (s *State) long(n int) {
	if n < longString || n <= s.longest {
		return
	}
	s.longest = n
	if most := mostInterval(n); most < s.run.most {
		s.run.used += int64(s.run.interval - golua.DebugHookCount(s.l))
		s.run.most = most
		s.setInterval(most)
	}
}

// forgetLong looks from time to time, after a run, whether the long strings are gone.
func (s *State) forgetLong() {
	if s.longest < longString || s.broken {
		return
	}
	if s.longCount++; s.longCount >= longRuns {
		s.longCount = 0
		if n, ok := s.longestHeld(longSearch); ok {
			s.longest = n
		}
	}
}

// frameLayout is where the VM keeps what the running function does; ok is false for a
// release in which it cannot be found.
var frameLayout = func() (at struct {
	code, pc, registers, function, stack []int
	ok                                   bool
}) {
	call := reflect.TypeFor[golua.Frame]().Elem()
	at.ok = true
	find := func(t reflect.Type, name string, kind reflect.Kind) []int {
		f, ok := t.FieldByName(name)
		at.ok = at.ok && ok && f.Type.Kind() == kind
		return f.Index
	}
	at.code = find(call, "code", reflect.Slice)
	at.registers = find(call, "frame", reflect.Slice)
	at.function = find(call, "function", reflect.Int)
	at.stack = find(reflect.TypeFor[golua.State](), "stack", reflect.Slice)
	if f, ok := call.FieldByName("savedPC"); ok && f.Type.ConvertibleTo(reflect.TypeFor[int]()) {
		at.pc = f.Index
	} else {
		at.ok = false
	}
	return at
}()

// checkOperands raises an error if the next instruction is arithmetic on a huge string.
// It is called by the hook.
func (s *State) checkOperands(l *golua.State) {
	f, ok := golua.Stack(l, 0)
	if !ok || !frameLayout.ok {
		return
	}
	call := reflect.ValueOf(f).Elem()
	code := call.FieldByIndex(frameLayout.code)
	i := instruction(code.Index(int(call.FieldByIndex(frameLayout.pc).Int())).Uint())
	var operands [3]int
	switch op := i.op(); {
	case op >= opAdd && op < opUnm:
		operands = [3]int{i.b(), i.c(), i.c()}
	case op == opUnm:
		operands = [3]int{i.b(), i.b(), i.b()}
	case op == opForPrep:
		operands = [3]int{i.a(), i.a() + 1, i.a() + 2}
	default:
		return
	}
	registers := call.FieldByIndex(frameLayout.registers)
	for _, operand := range operands {
		var v reflect.Value
		if operand&constantBit == 0 {
			v = registers.Index(operand).Elem()
		} else {
			v = s.constant(l, call, operand&^constantBit)
		}
		if v.Kind() == reflect.String && v.Len() > longestNumber {
			s.noNumber(v.Len())
		}
	}
}

// constant returns a constant of the function that runs.
func (s *State) constant(l *golua.State, call reflect.Value, i int) reflect.Value {
	stack := reflect.ValueOf(l).Elem().FieldByIndex(frameLayout.stack)
	closure := stack.Index(int(call.FieldByIndex(frameLayout.function).Int())).Elem().Elem()
	return closure.FieldByName("prototype").Elem().FieldByName("constants").Index(i).Elem()
}

// noNumber raises the error of arithmetic on a string of n bytes, in the hook.
func (s *State) noNumber(n int) {
	text := fmt.Sprintf("attempt to perform arithmetic on a string of %d bytes", n)
	if chunk, line := s.Position(); chunk != "" {
		text = chunk + ":" + strconv.Itoa(line) + ": " + text
	}
	s.l.PushString(text)
	if s.run.protects == 0 {
		s.run.traceback = s.trace(0)
	}
	s.run.hooked = false
	panic(errThrown)
}
