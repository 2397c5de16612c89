package vm

import (
	"strings"

	golua "github.com/Shopify/go-lua"
)

var stringLibrary = library{
	{"len", strLen}, {"sub", strSub}, {"upper", strUpper}, {"lower", strLower},
	{"rep", strRep}, {"reverse", strReverse}, {"byte", strByte}, {"char", strChar},
	{"format", strFormat}, {"find", strFind}, {"match", strMatch}, {"gmatch", strGmatch},
	{"gsub", strGsub}, {"dump", strDump},
}

// pushPart pushes a part of a longer string. A short part of a long string is
// copied, or it would keep all of it alive while it counts as short.
func (s *State) pushPart(part string, of int) {
	if of > 256 && len(part) < of/2 {
		s.room(len(part))
		part = strings.Clone(part)
	}
	s.l.PushString(part)
}

func strLen(s *State, l *golua.State) int {
	l.PushInteger(len(s.checkString(l, 1)))
	return 1
}

// rangeOf turns Lua's first and last, which may be negative, into a Go range of
// a string of n bytes.
func rangeOf(i, j, n int) (from, to int) {
	if i < 0 {
		i = max(n+i+1, 1)
	} else if i == 0 {
		i = 1
	}
	if j < 0 {
		j = n + j + 1
	} else if j > n {
		j = n
	}
	if i > j {
		return 0, 0
	}
	return i - 1, j
}

func strSub(s *State, l *golua.State) int {
	text := s.checkString(l, 1)
	from, to := rangeOf(s.checkInt(l, 2), s.optInt(l, 3, -1), len(text))
	s.pushPart(text[from:to], len(text))
	return 1
}

// mapBytes pushes the string at 1 with every byte replaced.
func mapBytes(s *State, l *golua.State, f func(c byte) byte) int {
	text := s.checkString(l, 1)
	s.room(len(text))
	b := []byte(text)
	for i, c := range b {
		b[i] = f(c)
	}
	l.PushString(string(b))
	return 1
}

func strUpper(s *State, l *golua.State) int {
	return mapBytes(s, l, func(c byte) byte {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		return c
	})
}

func strLower(s *State, l *golua.State) int {
	return mapBytes(s, l, func(c byte) byte {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	})
}

func strReverse(s *State, l *golua.State) int {
	text := s.checkString(l, 1)
	s.room(len(text))
	b := make([]byte, len(text))
	for i := range len(text) {
		b[len(text)-1-i] = text[i]
	}
	l.PushString(string(b))
	return 1
}

func strRep(s *State, l *golua.State) int {
	text, n, sep := s.checkString(l, 1), s.checkInt(l, 2), s.optString(l, 3, "")
	if n <= 0 || len(text)+len(sep) == 0 {
		l.PushString("")
		return 1
	}
	limit := s.cfg.Limits.String
	if n > limit/(len(text)+len(sep))+1 {
		s.errorf("resulting string too large (limit %d)", limit)
	}
	s.room(n*len(text) + (n-1)*len(sep))
	if sep == "" {
		l.PushString(strings.Repeat(text, n))
	} else {
		l.PushString(strings.Repeat(text+sep, n-1) + text)
	}
	return 1
}

func strByte(s *State, l *golua.State) int {
	text := s.checkString(l, 1)
	i := s.optInt(l, 2, 1)
	from, to := rangeOf(i, s.optInt(l, 3, i), len(text))
	if missing(l, 3) && i < 0 && -i > len(text) {
		return 0
	}
	s.grow(l, to-from, "string slice too long")
	for _, c := range []byte(text[from:to]) {
		l.PushInteger(int(c))
	}
	return to - from
}

// grow makes room for n results.
func (s *State) grow(l *golua.State, n int, problem string) {
	const most = 250_000 // of the VM's million slots
	if n > most || !l.CheckStack(n+golua.MinStack) {
		s.errorf("%s", problem)
	}
	s.step(n)
}

func strChar(s *State, l *golua.State) int {
	n := l.Top()
	b := make([]byte, n)
	for i := range b {
		c := s.checkInt(l, i+1)
		if c < 0 || c > 255 {
			s.argError(i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	s.room(n)
	l.PushString(string(b))
	return 1
}

func strDump(s *State, _ *golua.State) int {
	s.errorf("string.dump: binary chunks are not supported")
	return 0
}
