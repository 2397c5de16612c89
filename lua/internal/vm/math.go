package vm

import (
	"math"
	"math/rand/v2"

	golua "github.com/Shopify/go-lua"
)

var mathLibrary = library{
	{"abs", unaryMath(math.Abs)}, {"acos", unaryMath(math.Acos)}, {"asin", unaryMath(math.Asin)},
	{"atan", unaryMath(math.Atan)}, {"ceil", unaryMath(math.Ceil)}, {"cos", unaryMath(math.Cos)},
	{"cosh", unaryMath(math.Cosh)}, {"exp", unaryMath(math.Exp)}, {"floor", unaryMath(math.Floor)},
	{"log10", unaryMath(math.Log10)}, {"sin", unaryMath(math.Sin)}, {"sinh", unaryMath(math.Sinh)},
	{"sqrt", unaryMath(math.Sqrt)}, {"tan", unaryMath(math.Tan)}, {"tanh", unaryMath(math.Tanh)},
	{"deg", unaryMath(func(x float64) float64 { return x * (180 / math.Pi) })},
	{"rad", unaryMath(func(x float64) float64 { return x * (math.Pi / 180) })},
	{"atan2", binaryMath(math.Atan2)}, {"fmod", binaryMath(math.Mod)}, {"pow", binaryMath(math.Pow)},
	{"ldexp", mathLdexp}, {"frexp", mathFrexp}, {"modf", mathModf}, {"log", mathLog},
	{"max", mathMax}, {"min", mathMin}, {"random", mathRandom}, {"randomseed", mathRandomseed},
}

func (s *State) openMath() {
	lib := s.Get(s.globals, "math")
	s.Set(lib, "pi", math.Pi)
	s.Set(lib, "huge", math.Inf(1))
}

func unaryMath(f func(float64) float64) libraryFunction {
	return func(s *State, l *golua.State) int {
		l.PushNumber(f(s.checkNumber(l, 1)))
		return 1
	}
}

func binaryMath(f func(a, b float64) float64) libraryFunction {
	return func(s *State, l *golua.State) int {
		l.PushNumber(f(s.checkNumber(l, 1), s.checkNumber(l, 2)))
		return 1
	}
}

func mathLdexp(s *State, l *golua.State) int {
	l.PushNumber(math.Ldexp(s.checkNumber(l, 1), s.checkInt(l, 2)))
	return 1
}

func mathFrexp(s *State, l *golua.State) int {
	f, e := math.Frexp(s.checkNumber(l, 1))
	l.PushNumber(f)
	l.PushInteger(e)
	return 2
}

func mathModf(s *State, l *golua.State) int {
	f := s.checkNumber(l, 1)
	whole, part := math.Trunc(f), 0.0
	if !math.IsInf(f, 0) {
		part = f - whole
	}
	l.PushNumber(whole)
	l.PushNumber(math.Copysign(part, f))
	return 2
}

func mathLog(s *State, l *golua.State) int {
	x := s.checkNumber(l, 1)
	if missing(l, 2) {
		l.PushNumber(math.Log(x))
	} else {
		l.PushNumber(math.Log(x) / math.Log(s.checkNumber(l, 2)))
	}
	return 1
}

func mathMax(s *State, l *golua.State) int {
	most := s.checkNumber(l, 1)
	for i := 2; i <= l.Top(); i++ {
		if v := s.checkNumber(l, i); v > most {
			most = v
		}
	}
	l.PushNumber(most)
	return 1
}

func mathMin(s *State, l *golua.State) int {
	least := s.checkNumber(l, 1)
	for i := 2; i <= l.Top(); i++ {
		if v := s.checkNumber(l, i); v < least {
			least = v
		}
	}
	l.PushNumber(least)
	return 1
}

// mathRandom draws from the State's own source, which starts somewhere else in
// every State.
func mathRandom(s *State, l *golua.State) int {
	low, high := 1.0, 0.0
	switch l.Top() {
	case 0:
		l.PushNumber(s.random.Float64())
		return 1
	case 1:
		high = math.Floor(s.checkNumber(l, 1))
	case 2:
		low, high = math.Floor(s.checkNumber(l, 1)), math.Floor(s.checkNumber(l, 2))
	default:
		s.errorf("wrong number of arguments")
	}
	if !(low <= high) {
		s.argError(l.Top(), "interval is empty")
	}
	l.PushNumber(low + math.Floor(s.random.Float64()*(high-low+1)))
	return 1
}

func mathRandomseed(s *State, l *golua.State) int {
	s.random = rand.New(rand.NewPCG(math.Float64bits(s.checkNumber(l, 1)), 0))
	return 0
}
