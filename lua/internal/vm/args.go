package vm

import (
	"math"

	golua "github.com/Shopify/go-lua"
)

// Arguments are checked here and not with the VM's helpers: those guess the
// function's name from bytecode and may fail doing so, parse numbers in their
// own way, and spell them in Go's.

func (s *State) checkAny(l *golua.State, i int) {
	if i > l.Top() {
		s.argError(i, "value expected")
	}
}

func (s *State) checkTable(l *golua.State, i int) {
	if !l.IsTable(i) {
		s.typeError(l, i, "table")
	}
}

func (s *State) checkFunction(l *golua.State, i int) {
	if !l.IsFunction(i) {
		s.typeError(l, i, "function")
	}
}

func missing(l *golua.State, i int) bool { return i > l.Top() || l.IsNil(i) }

// str returns the string or number at i as a string.
func str(l *golua.State, i int) (string, bool) {
	if i > l.Top() {
		return "", false
	}
	switch v := l.ToValue(i).(type) {
	case string:
		return v, true
	case float64:
		return FormatNumber(v), true
	}
	return "", false
}

func (s *State) checkString(l *golua.State, i int) string {
	v, ok := str(l, i)
	if !ok {
		s.typeError(l, i, "string")
	}
	return v
}

func (s *State) optString(l *golua.State, i int, def string) string {
	if missing(l, i) {
		return def
	}
	return s.checkString(l, i)
}

func num(l *golua.State, i int) (float64, bool) {
	if i > l.Top() {
		return 0, false
	}
	switch v := l.ToValue(i).(type) {
	case float64:
		return v, true
	case string:
		return ParseNumber(v)
	}
	return 0, false
}

func (s *State) checkNumber(l *golua.State, i int) float64 {
	v, ok := num(l, i)
	if !ok {
		s.typeError(l, i, "number")
	}
	return v
}

func (s *State) optNumber(l *golua.State, i int, def float64) float64 {
	if missing(l, i) {
		return def
	}
	return s.checkNumber(l, i)
}

// toInt truncates towards zero and stays within what an int can add and
// multiply a little without overflow; NaN is 0.
func toInt(f float64) int {
	const most = min(1<<53, math.MaxInt/2)
	switch {
	case math.IsNaN(f):
		return 0
	case f > most:
		return most
	case f < -most:
		return -most
	}
	return int(f)
}

func (s *State) checkInt(l *golua.State, i int) int { return toInt(s.checkNumber(l, i)) }

func (s *State) optInt(l *golua.State, i, def int) int {
	if missing(l, i) {
		return def
	}
	return s.checkInt(l, i)
}
