package vm

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	golua "github.com/Shopify/go-lua"
)

// FormatNumber writes a number as Lua 5.1 does: C's "%.14g", with inf and nan.
func FormatNumber(f float64) string {
	if i := int64(f); float64(i) == f && i > -1e14 && i < 1e14 && (i != 0 || !math.Signbit(f)) {
		return strconv.FormatInt(i, 10)
	}
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return strconv.FormatFloat(f, 'g', 14, 64)
}

// space is what C's isspace says.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func trimSpace(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// ParseNumber reads a number as tonumber does: decimal or hexadecimal, with
// white space around.
func ParseNumber(s string) (float64, bool) {
	s = trimSpace(s)
	if s == "" || len(s) > 512 || strings.IndexByte(s, '_') >= 0 {
		return 0, false
	}
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" {
		return 0, false
	}
	if len(digits) > 1 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		return parseHex(s, digits[2:])
	}
	if c := digits[0] | 0x20; c == 'i' || c == 'n' {
		switch strings.ToLower(digits) {
		case "inf", "infinity", "nan":
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func parseHex(s, digits string) (float64, bool) {
	mantissa, _, hasExp := strings.Cut(strings.ToLower(digits), "p")
	if strings.Trim(mantissa, ".") == "" {
		return 0, false
	}
	if !hasExp {
		s += "p0"
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// parseBase reads an integer in a base other than 10.
func parseBase(s string, base int) (float64, bool) {
	s = strings.ToLower(trimSpace(s))
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative, s = s[0] == '-', s[1:]
	}
	if base == 16 {
		s = strings.TrimPrefix(s, "0x")
	}
	if s == "" {
		return 0, false
	}
	n, most := uint64(0), false // as C's strtoul: what does not fit is the largest
	for i := range len(s) {
		d := 99
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			d = int(c - '0')
		case c >= 'a' && c <= 'z':
			d = int(c-'a') + 10
		}
		if d >= base {
			return 0, false
		}
		high, low := bits.Mul64(n, uint64(base))
		sum, carry := bits.Add64(low, uint64(d), 0)
		most = most || high > 0 || carry > 0
		n = sum
	}
	if most {
		n = math.MaxUint64
	}
	if negative {
		return -float64(n), true
	}
	return float64(n), true
}

// modulo is a % b as Lua 5.1 defines it.
func modulo(a, b float64) float64 {
	return a - float64(math.Floor(a/b)*b) // the conversion forbids a fused operation
}

// mod is what the rewriter puts in the place of the MOD instruction.
func mod(s *State, l *golua.State) int {
	a, okA := l.ToValue(1).(float64)
	b, okB := l.ToValue(2).(float64)
	if !okA || !okB {
		a, okA = num(l, 1)
		b, okB = num(l, 2)
	}
	if okA && okB {
		l.PushNumber(modulo(a, b))
		return 1
	}
	if s.binaryMeta(l, 1, 2, "__mod") {
		return 1
	}
	culprit := 1
	if okA {
		culprit = 2
	}
	s.errorf("attempt to perform arithmetic on %s", s.operandOf(culprit, l.TypeOf(culprit).String()))
	return 0
}

// binaryMeta calls the metamethod of either operand, if there is one, and
// leaves its result on top of the stack.
func (s *State) binaryMeta(l *golua.State, a, b int, event string) bool {
	if !golua.MetaField(l, a, event) && !golua.MetaField(l, b, event) {
		return false
	}
	l.PushValue(a)
	l.PushValue(b)
	l.Call(2, 1)
	return true
}
