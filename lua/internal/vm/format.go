package vm

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	golua "github.com/Shopify/go-lua"
)

// A verb is one conversion of string.format: %[flags][width][.precision]letter.
type verb struct {
	letter                        byte
	minus, plus, blank, alt, zero bool
	width, precision              int // -1: none
}

func strFormat(s *State, l *golua.State) int {
	format := s.checkString(l, 1)
	var b []byte
	meter := builder{s: s}
	defer meter.done()
	arg := 1
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			break
		}
		b = append(b, format[:i]...)
		format = format[i+1:]
		if strings.HasPrefix(format, "%") {
			b, format = append(b, '%'), format[1:]
			continue
		}
		v, n := s.parseVerb(format)
		format = format[n:]
		if arg++; arg > l.Top() {
			s.argError(arg, "no value")
		}
		before := len(b)
		b = s.appendVerb(l, b, v, arg)
		s.step(1 + (len(b)-before)/16)
		meter.grown(len(b))
	}
	b = append(b, format...)
	s.room(len(b))
	l.PushString(string(b))
	return 1
}

// parseVerb reads what follows '%' and returns its length.
func (s *State) parseVerb(f string) (verb, int) {
	v := verb{width: -1, precision: -1}
	i := 0
flags:
	for ; i < len(f); i++ {
		switch f[i] {
		case '-':
			v.minus = true
		case '+':
			v.plus = true
		case ' ':
			v.blank = true
		case '#':
			v.alt = true
		case '0':
			v.zero = true
		default:
			break flags
		}
	}
	if i > 5 {
		s.errorf("invalid format (repeated flags)")
	}
	v.width, i = s.twoDigits(f, i)
	if i < len(f) && f[i] == '.' {
		if v.precision, i = s.twoDigits(f, i+1); v.precision < 0 {
			v.precision = 0
		}
	}
	if i >= len(f) || strings.IndexByte("cdiouxXeEfFgGaAqs", f[i]) < 0 {
		s.errorf("invalid option '%%%s' to 'format'", f[:min(i+1, len(f))])
	}
	v.letter = f[i]
	return v, i + 1
}

func (s *State) twoDigits(f string, i int) (int, int) {
	start := i
	for i < len(f) && f[i] >= '0' && f[i] <= '9' {
		i++
	}
	if i-start > 2 {
		s.errorf("invalid format (width or precision too long)")
	}
	if i == start {
		return -1, i
	}
	n, _ := strconv.Atoi(f[start:i])
	return n, i
}

func (s *State) appendVerb(l *golua.State, b []byte, v verb, arg int) []byte {
	switch v.letter {
	case 'c':
		return v.pad(b, "", string([]byte{byte(s.checkInt(l, arg))}))
	case 'd', 'i':
		return v.signed(b, s.checkNumber(l, arg))
	case 'o', 'u', 'x', 'X':
		return v.unsigned(b, s.checkNumber(l, arg))
	case 'q':
		return appendQuoted(b, s.checkString(l, arg))
	case 's':
		s.checkAny(l, arg)
		text := s.toString(l, arg)
		if v.precision >= 0 && v.precision < len(text) {
			text = text[:v.precision]
		}
		v.zero = false
		return v.pad(b, "", text)
	}
	return v.float(b, s.checkNumber(l, arg))
}

// pad appends sign and digits with the width filled up.
func (v verb) pad(b []byte, sign, digits string) []byte {
	fill := max(0, v.width-len(sign)-len(digits))
	switch {
	case v.minus:
		b = append(append(b, sign...), digits...)
		return appendRepeat(b, ' ', fill)
	case v.zero:
		b = appendRepeat(append(b, sign...), '0', fill)
		return append(b, digits...)
	}
	b = append(appendRepeat(b, ' ', fill), sign...)
	return append(b, digits...)
}

func appendRepeat(b []byte, c byte, n int) []byte {
	for range n {
		b = append(b, c)
	}
	return b
}

func (v verb) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case v.plus:
		return "+"
	case v.blank:
		return " "
	}
	return ""
}

// toInt64 truncates as C on amd64 does: what does not fit is the smallest.
func toInt64(f float64) int64 {
	if f >= math.MaxInt64 || f < math.MinInt64 || math.IsNaN(f) {
		return math.MinInt64
	}
	return int64(f)
}

func (v verb) signed(b []byte, f float64) []byte {
	n := toInt64(f)
	digits := strconv.FormatUint(uint64(max(n, -n)), 10) // also of the smallest
	return v.integer(b, v.sign(n < 0), digits)
}

func (v verb) unsigned(b []byte, f float64) []byte {
	var n uint64
	if math.IsNaN(f) {
		n = 1 << 63 // as C on amd64
	} else if f >= math.MaxInt64 && f < math.MaxUint64 {
		n = uint64(f)
	} else if f < math.MaxUint64 {
		n = uint64(toInt64(f))
	}
	base := map[byte]int{'o': 8, 'u': 10, 'x': 16, 'X': 16}[v.letter]
	digits := strconv.FormatUint(n, base)
	prefix := ""
	if v.alt && n != 0 {
		switch v.letter {
		case 'o':
			digits = "0" + digits
		case 'x', 'X':
			prefix = "0x"
		}
	}
	if v.letter == 'X' {
		digits, prefix = strings.ToUpper(digits), strings.ToUpper(prefix)
	}
	return v.integer(b, prefix, digits)
}

func (v verb) integer(b []byte, sign, digits string) []byte {
	if v.precision >= 0 {
		v.zero = false
		if v.precision == 0 && digits == "0" && !(v.alt && v.letter == 'o') {
			digits = ""
		}
		if n := v.precision - len(digits); n > 0 {
			digits = strings.Repeat("0", n) + digits
		}
	}
	return v.pad(b, sign, digits)
}

func (v verb) float(b []byte, f float64) []byte {
	negative := math.Signbit(f) && !math.IsNaN(f)
	f = math.Abs(f)
	sign := v.sign(negative)
	upper := v.letter < 'a'
	var digits string
	switch {
	case math.IsNaN(f):
		digits, v.zero = "nan", false
		sign = strings.Trim(sign, "+")
	case math.IsInf(f, 0):
		digits, v.zero = "inf", false
	case v.letter|0x20 == 'a':
		digits = hexFloat(f, v.precision)
		sign, digits = sign+digits[:2], digits[2:]
	default:
		precision := v.precision
		if precision < 0 {
			precision = 6
		}
		if v.alt {
			digits = fmt.Sprintf("%#.*"+string(rune(v.letter|0x20)), precision, f)
		} else {
			digits = strconv.FormatFloat(f, v.letter|0x20, precision, 64)
		}
	}
	if upper {
		sign, digits = strings.ToUpper(sign), strings.ToUpper(digits)
	}
	return v.pad(b, sign, digits)
}

// hexFloat is C's %a: Go writes at least two digits of the exponent.
func hexFloat(f float64, precision int) string {
	digits := strconv.FormatFloat(f, 'x', precision, 64)
	i := strings.IndexByte(digits, 'p') + 2
	exponent := strings.TrimLeft(digits[i:], "0")
	if exponent == "" {
		exponent = "0"
	}
	return digits[:i] + exponent
}

// appendQuoted writes %q: a literal that Lua reads back.
func appendQuoted(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; c {
		case '"', '\\', '\n':
			b = append(b, '\\', c)
		case '\r':
			b = append(b, `\r`...)
		case 0:
			b = append(b, `\000`...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
