package vm

import (
	"math"
	"math/bits"

	golua "github.com/Shopify/go-lua"
)

// bitLibrary is the one of LuaJIT: operations on 32 bits whose results have a
// sign.
var bitLibrary = library{
	{"tobit", bitUnary(func(x uint32) uint32 { return x })},
	{"bnot", bitUnary(func(x uint32) uint32 { return ^x })},
	{"bswap", bitUnary(bits.ReverseBytes32)},
	{"band", bitFold(func(x, y uint32) uint32 { return x & y })},
	{"bor", bitFold(func(x, y uint32) uint32 { return x | y })},
	{"bxor", bitFold(func(x, y uint32) uint32 { return x ^ y })},
	{"lshift", bitShift(func(x, n uint32) uint32 { return x << n })},
	{"rshift", bitShift(func(x, n uint32) uint32 { return x >> n })},
	{"arshift", bitShift(func(x, n uint32) uint32 { return uint32(int32(x) >> n) })},
	{"rol", bitShift(func(x, n uint32) uint32 { return bits.RotateLeft32(x, int(n)) })},
	{"ror", bitShift(func(x, n uint32) uint32 { return bits.RotateLeft32(x, -int(n)) })},
	{"tohex", bitTohex},
}

// toBits rounds to an integer and takes its lowest 32 bits, as LuaJIT does: at
// this size a float64 has no room for fractions, and the bits are where they
// should be.
func (s *State) toBits(l *golua.State, i int) uint32 {
	const bias = 1<<52 + 1<<51
	return uint32(math.Float64bits(s.checkNumber(l, i) + bias))
}

func pushBits(l *golua.State, x uint32) int {
	l.PushNumber(float64(int32(x)))
	return 1
}

func bitUnary(f func(x uint32) uint32) libraryFunction {
	return func(s *State, l *golua.State) int { return pushBits(l, f(s.toBits(l, 1))) }
}

func bitFold(f func(x, y uint32) uint32) libraryFunction {
	return func(s *State, l *golua.State) int {
		x := s.toBits(l, 1)
		for i := 2; i <= l.Top(); i++ {
			x = f(x, s.toBits(l, i))
		}
		return pushBits(l, x)
	}
}

func bitShift(f func(x, n uint32) uint32) libraryFunction {
	return func(s *State, l *golua.State) int {
		return pushBits(l, f(s.toBits(l, 1), s.toBits(l, 2)&31))
	}
}

// bitTohex writes as many of the last digits as the second argument says, in
// upper case if that is negative.
func bitTohex(s *State, l *golua.State) int {
	x, n, digits := s.toBits(l, 1), int32(8), "0123456789abcdef"
	if l.Top() > 1 {
		n = int32(s.toBits(l, 2))
	}
	if n < 0 {
		n, digits = -max(n, -254), "0123456789ABCDEF"
	}
	b := make([]byte, min(n, 254)) // beyond that LuaJIT writes anything
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits[x&15]
		x >>= 4
	}
	l.PushString(string(b))
	return 1
}
