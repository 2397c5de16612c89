package vm

import "strings"

const (
	maxCaptures     = 32
	maxPatternDepth = 200
)

// Lengths of captures that have none.
const (
	captureOpen     = -1
	capturePosition = -2
)

type capture struct{ start, length int }

// A matcher matches one Lua pattern against one string. Every comparison counts
// as a step of the run's budget, so that no pattern takes for ever, and the
// recursion is bounded.
type matcher struct {
	s        *State
	src, pat string
	level    int // captures in use
	depth    int
	captures [maxCaptures]capture
}

// match tries the pattern from p on against the text from i on and returns
// where the match ends, or -1.
func (m *matcher) match(i, p int) int {
	if m.depth++; m.depth > maxPatternDepth {
		m.s.errorf("pattern too complex")
	}
	defer func() { m.depth-- }()
	for p < len(m.pat) {
		m.s.step(1)
		switch c := m.pat[p]; {
		case c == '(':
			if strings.HasPrefix(m.pat[p+1:], ")") {
				return m.open(i, p+2, capturePosition)
			}
			return m.open(i, p+1, captureOpen)
		case c == ')':
			return m.close(i, p+1)
		case c == '$' && p+1 == len(m.pat):
			if i == len(m.src) {
				return i
			}
			return -1
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'b':
			if i = m.balance(i, p+2); i < 0 {
				return -1
			}
			p += 4
			continue
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'f':
			end := m.frontier(i, p+2)
			if end < 0 {
				return -1
			}
			p = end
			continue
		case c == '%' && p+1 < len(m.pat) && isDigit(m.pat[p+1]):
			if i = m.back(i, m.pat[p+1]); i < 0 {
				return -1
			}
			p += 2
			continue
		}
		end := m.itemEnd(p)
		if end < len(m.pat) {
			switch m.pat[end] {
			case '?':
				if m.single(i, p, end) {
					if e := m.match(i+1, end+1); e >= 0 {
						return e
					}
				}
				p = end + 1
				continue
			case '*':
				return m.longest(i, p, end, 0)
			case '+':
				return m.longest(i, p, end, 1)
			case '-':
				return m.shortest(i, p, end)
			}
		}
		if !m.single(i, p, end) {
			return -1
		}
		i, p = i+1, end
	}
	return i
}

// itemEnd returns where the single-character item at p ends.
func (m *matcher) itemEnd(p int) int {
	switch m.pat[p] {
	case '%':
		if p+1 >= len(m.pat) {
			m.s.errorf("malformed pattern (ends with '%%')")
		}
		return p + 2
	case '[':
		return m.setEnd(p)
	}
	return p + 1
}

func (m *matcher) setEnd(p int) int {
	p++
	if p < len(m.pat) && m.pat[p] == '^' {
		p++
	}
	for first := true; first || p >= len(m.pat) || m.pat[p] != ']'; first = false {
		if p >= len(m.pat) {
			m.s.errorf("malformed pattern (missing ']')")
		}
		if m.pat[p] == '%' {
			p++ // the escaped one is not the end
		}
		p++
	}
	return p + 1
}

// single reports whether the item in pat[p:end] matches the byte at i.
func (m *matcher) single(i, p, end int) bool {
	m.s.step(1)
	if i >= len(m.src) {
		return false
	}
	c := m.src[i]
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		m.s.step((end - p) / 4)
		return inSet(c, m.pat[p+1:end-1])
	}
	return m.pat[p] == c
}

// inSet matches c against what stands between brackets.
func inSet(c byte, set string) bool {
	found := true
	if strings.HasPrefix(set, "^") {
		found, set = false, set[1:]
	}
	for i := 0; i < len(set); i++ {
		switch {
		case set[i] == '%' && i+1 < len(set):
			i++
			if inClass(c, set[i]) {
				return found
			}
		case i+2 < len(set) && set[i+1] == '-':
			if set[i] <= c && c <= set[i+2] {
				return found
			}
			i += 2
		case set[i] == c:
			return found
		}
	}
	return !found
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// inClass matches c against %class; an upper case letter is the complement, and
// what is no class stands for itself.
func inClass(c, class byte) bool {
	var in bool
	switch class | 0x20 {
	case 'a':
		in = isAlpha(c)
	case 'c':
		in = c < ' ' || c == 0x7f
	case 'd':
		in = isDigit(c)
	case 'g':
		in = c > ' ' && c < 0x7f
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'p':
		in = c > ' ' && c < 0x7f && !isAlpha(c) && !isDigit(c)
	case 's':
		in = isSpace(c)
	case 'u':
		in = isUpper(c)
	case 'w':
		in = isAlpha(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if !isAlpha(class) {
		return class == c
	}
	return in != isUpper(class)
}

func (m *matcher) longest(i, p, end, least int) int {
	n := 0
	for m.single(i+n, p, end) {
		n++
	}
	for ; n >= least; n-- {
		if e := m.match(i+n, end+1); e >= 0 {
			return e
		}
	}
	return -1
}

func (m *matcher) shortest(i, p, end int) int {
	for {
		if e := m.match(i, end+1); e >= 0 {
			return e
		}
		if !m.single(i, p, end) {
			return -1
		}
		i++
	}
}

func (m *matcher) open(i, p, length int) int {
	if m.level >= maxCaptures {
		m.s.errorf("too many captures")
	}
	m.captures[m.level] = capture{i, length}
	m.level++
	e := m.match(i, p)
	if e < 0 {
		m.level--
	}
	return e
}

func (m *matcher) close(i, p int) int {
	n := m.level - 1
	for n >= 0 && m.captures[n].length != captureOpen {
		n--
	}
	if n < 0 {
		m.s.errorf("invalid pattern capture")
	}
	m.captures[n].length = i - m.captures[n].start
	e := m.match(i, p)
	if e < 0 {
		m.captures[n].length = captureOpen
	}
	return e
}

func (m *matcher) balance(i, p int) int {
	if p+1 >= len(m.pat) {
		m.s.errorf("unbalanced pattern")
	}
	if i >= len(m.src) || m.src[i] != m.pat[p] {
		return -1
	}
	open, shut, nested := m.pat[p], m.pat[p+1], 1
	for j := i + 1; j < len(m.src); j++ {
		m.s.step(1)
		switch m.src[j] {
		case shut:
			if nested--; nested == 0 {
				return j + 1
			}
		case open:
			nested++
		}
	}
	return -1
}

// frontier returns where the pattern goes on, or -1.
func (m *matcher) frontier(i, p int) int {
	if p >= len(m.pat) || m.pat[p] != '[' {
		m.s.errorf("missing '[' after '%%f' in pattern")
	}
	end := m.setEnd(p)
	var before, at byte
	if i > 0 {
		before = m.src[i-1]
	}
	if i < len(m.src) {
		at = m.src[i]
	}
	set := m.pat[p+1 : end-1]
	if inSet(before, set) || !inSet(at, set) {
		return -1
	}
	return end
}

func (m *matcher) back(i int, digit byte) int {
	n := int(digit) - '1'
	if n < 0 || n >= m.level || m.captures[n].length == captureOpen {
		m.s.errorf("invalid capture index")
	}
	c := m.captures[n]
	if c.length < 0 {
		return -1
	}
	text := m.src[c.start : c.start+c.length]
	m.s.step(len(text) / 16)
	if !strings.HasPrefix(m.src[i:], text) {
		return -1
	}
	return i + len(text)
}

// reset prepares for another try.
func (m *matcher) reset() { m.level, m.depth = 0, 0 }

// pushCapture pushes capture n, or the whole match for capture 0 of a pattern
// without captures.
func (m *matcher) pushCapture(n, start, end int) {
	l := m.s.l
	if n >= m.level {
		if n != 0 {
			m.s.errorf("invalid capture index")
		}
		m.s.pushPart(m.src[start:end], len(m.src))
		return
	}
	switch c := m.captures[n]; c.length {
	case captureOpen:
		m.s.errorf("unfinished capture")
	case capturePosition:
		l.PushInteger(c.start + 1)
	default:
		m.s.pushPart(m.src[c.start:c.start+c.length], len(m.src))
	}
}

// pushCaptures pushes all captures, or the whole match if there are none and
// whole is set, and returns their number.
func (m *matcher) pushCaptures(start, end int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	m.s.grow(m.s.l, n, "too many captures")
	for i := range n {
		m.pushCapture(i, start, end)
	}
	return n
}
