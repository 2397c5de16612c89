package vm

import (
	"strings"

	golua "github.com/Shopify/go-lua"
)

func strFind(s *State, l *golua.State) int  { return s.search(l, true) }
func strMatch(s *State, l *golua.State) int { return s.search(l, false) }

func (s *State) search(l *golua.State, find bool) int {
	src, pat := s.checkString(l, 1), s.checkString(l, 2)
	init := s.optInt(l, 3, 1)
	if init < 0 {
		init = max(len(src)+init+1, 1)
	}
	init = min(max(init, 1), len(src)+1) - 1
	if find && (l.ToBoolean(4) && l.Top() >= 4 || !strings.ContainsAny(pat, "^$*+?.([%-")) {
		s.step((len(src) - init) / 16)
		i := strings.Index(src[init:], pat)
		if i < 0 {
			l.PushNil()
			return 1
		}
		l.PushInteger(init + i + 1)
		l.PushInteger(init + i + len(pat))
		return 2
	}
	m := matcher{s: s, src: src, pat: pat}
	p := 0
	if strings.HasPrefix(pat, "^") {
		p = 1
	}
	for i := init; i <= len(src); i++ {
		m.reset()
		if e := m.match(i, p); e >= 0 {
			if !find {
				return m.pushCaptures(i, e, true)
			}
			l.PushInteger(i + 1)
			l.PushInteger(e)
			return 2 + m.pushCaptures(i, e, false)
		}
		if p == 1 {
			break
		}
	}
	l.PushNil()
	return 1
}

func strGmatch(s *State, l *golua.State) int {
	src, pat := s.checkString(l, 1), s.checkString(l, 2)
	at := 0
	s.pushFunction("gmatch", func(s *State, l *golua.State) int {
		m := matcher{s: s, src: src, pat: pat}
		for ; at <= len(src); at++ {
			m.reset()
			if e := m.match(at, 0); e >= 0 {
				start := at
				if at = e; e == start {
					at++ // an empty match is not found again
				}
				return m.pushCaptures(start, e, true)
			}
		}
		l.PushNil()
		return 1
	})
	return 1
}

func strGsub(s *State, l *golua.State) int {
	src, pat := s.checkString(l, 1), s.checkString(l, 2)
	switch l.TypeOf(3) {
	case golua.TypeNumber, golua.TypeString, golua.TypeFunction, golua.TypeTable:
	default:
		s.argError(3, "string/function/table expected")
	}
	most := s.optInt(l, 4, len(src)+1)
	anchored := strings.HasPrefix(pat, "^")
	p := 0
	if anchored {
		p = 1
	}
	r := replacer{m: matcher{s: s, src: src, pat: pat}, meter: builder{s: s}}
	defer r.meter.done()
	r.text, r.isText = str(l, 3)
	i, n := 0, 0
	for n < most {
		r.m.reset()
		e := r.m.match(i, p)
		if e >= 0 {
			n++
			r.replace(l, i, e)
		}
		if e > i {
			i = e
		} else if i < len(src) {
			r.out = append(r.out, src[i])
			i++
		} else {
			break
		}
		if anchored {
			break
		}
	}
	if n == 0 {
		l.PushString(src)
	} else {
		r.out = append(r.out, src[min(i, len(src)):]...)
		s.room(len(r.out))
		l.PushString(string(r.out))
	}
	l.PushInteger(n)
	return 2
}

// A replacer builds the result of gsub.
type replacer struct {
	m      matcher
	out    []byte
	meter  builder // of out
	text   string
	isText bool
}

func (r *replacer) replace(l *golua.State, start, end int) {
	if r.isText {
		r.expand(l, start, end)
	} else {
		r.call(l, start, end)
	}
	r.meter.grown(len(r.out))
}

// expand appends the replacement string with %0 to %9 filled in.
func (r *replacer) expand(l *golua.State, start, end int) {
	text := r.text
	for {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			break
		}
		r.out = append(r.out, text[:i]...)
		if i+1 >= len(text) { // to real Lua the character at the end is a NUL
			r.out = append(r.out, 0)
			return
		}
		switch c := text[i+1]; {
		case c == '0':
			r.out = append(r.out, r.m.src[start:end]...)
		case isDigit(c):
			r.m.pushCapture(int(c-'1'), start, end)
			v, _ := str(l, l.Top())
			r.out = append(r.out, v...)
			l.Pop(1)
		default:
			r.out = append(r.out, c) // LuaJIT takes any character for itself
		}
		r.meter.grown(len(r.out))
		text = text[i+2:]
	}
	r.out = append(r.out, text...)
}

// call asks the function or table for the replacement; false and nil keep what
// was matched.
func (r *replacer) call(l *golua.State, start, end int) {
	s := r.m.s
	if l.IsTable(3) {
		r.m.pushCapture(0, start, end)
		l.Table(3)
	} else {
		l.PushValue(3)
		n := r.m.pushCaptures(start, end, true)
		l.Call(n, 1)
	}
	v, ok := str(l, l.Top())
	switch {
	case ok:
		r.out = append(r.out, v...)
	case !l.ToBoolean(-1):
		r.out = append(r.out, r.m.src[start:end]...)
	default:
		s.errorf("invalid replacement value (a %s)", l.TypeOf(-1))
	}
	l.Pop(1)
}
