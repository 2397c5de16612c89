package vm

import (
	"fmt"
	"strings"
)

// A lexer reads tokens as Lua 5.1 does, for the words of its errors. It reads what
// LuaJIT does beyond that, too.
type lexer struct {
	name, source string
	at, line     int
	token        lexeme
}

// A lexeme is a token: kind is itself for words and symbols.
type lexeme struct {
	kind string // or one of the constants below
	text string // of names, numbers and strings, as errors show it
}

const (
	lexEnd    = "<eof>"
	lexName   = "<name>"
	lexNumber = "<number>"
	lexString = "<string>"
)

// shown is how errors show a token, in quotes.
func (t lexeme) shown() string {
	switch t.kind {
	case lexName, lexNumber, lexString:
		text, _, _ := strings.Cut(t.text, "\x00") // as C does
		return "'" + text + "'"
	}
	if len(t.kind) == 1 && (t.kind < " " || t.kind == "\x7f") {
		return fmt.Sprintf("'char(%d)'", t.kind[0])
	}
	return "'" + t.kind + "'"
}

// fail ends the reading with an error.
func (x *lexer) fail(text string, near lexeme) {
	panic(&SyntaxError{Name: x.name, Line: x.line, Text: text + " near " + near.shown()})
}

func (x *lexer) next() { x.token = x.read() }

// peek returns the kind of the token after this one.
func (x *lexer) peek() string {
	at, line := x.at, x.line
	t := x.read()
	x.at, x.line = at, line
	return t.kind
}

var symbols = []string{"...", "..", "==", "~=", "<=", ">="}

func (x *lexer) read() lexeme {
	for x.at < len(x.source) {
		switch c := x.source[x.at]; {
		case c == '\n' || c == '\r':
			x.newline()
		case isSpace(c):
			x.at++
		case strings.HasPrefix(x.source[x.at:], "--"):
			x.comment()
		case c == '[':
			if level, ok := x.long(); ok {
				return x.longText(level, "string")
			}
			x.at++
			return lexeme{kind: "["}
		case c == '"' || c == '\'':
			return x.quoted(c)
		case isDigit(c), c == '.' && x.at+1 < len(x.source) && isDigit(x.source[x.at+1]):
			return x.number()
		case isWordByte(c) || c >= 0x80:
			return x.word()
		default:
			for _, s := range symbols {
				if strings.HasPrefix(x.source[x.at:], s) {
					x.at += len(s)
					return lexeme{kind: s}
				}
			}
			x.at++
			return lexeme{kind: x.source[x.at-1 : x.at]}
		}
	}
	return lexeme{kind: lexEnd}
}

// newline passes the end of a line, which may have two bytes.
func (x *lexer) newline() {
	c := x.source[x.at]
	x.at++
	if x.at < len(x.source) && x.source[x.at] != c &&
		(x.source[x.at] == '\n' || x.source[x.at] == '\r') {
		x.at++
	}
	x.line++
}

func (x *lexer) comment() {
	x.at += len("--")
	if x.at < len(x.source) && x.source[x.at] == '[' {
		begin := x.at
		if level, ok := x.bracket(); ok {
			x.longText(level, "comment")
			return
		}
		x.at = begin
	}
	for x.at < len(x.source) && x.source[x.at] != '\n' && x.source[x.at] != '\r' {
		x.at++
	}
}

// bracket reports whether a long string begins here, and with how many "=". It stays
// where it is.
func (x *lexer) bracket() (level int, ok bool) {
	for x.at+1+level < len(x.source) && x.source[x.at+1+level] == '=' {
		level++
	}
	end := x.at + 1 + level
	return level, end < len(x.source) && x.source[end] == '['
}

// long is bracket where nothing else can begin with "[=".
func (x *lexer) long() (level int, ok bool) {
	level, ok = x.bracket()
	if !ok && level > 0 {
		x.fail("invalid long string delimiter",
			lexeme{lexString, x.source[x.at : x.at+1+level]})
	}
	return level, ok
}

func (x *lexer) longText(level int, what string) lexeme {
	begin := x.at
	closing := "]" + strings.Repeat("=", level) + "]"
	for x.at += level + 2; x.at < len(x.source); {
		switch c := x.source[x.at]; {
		case c == '\n' || c == '\r':
			x.newline()
		case strings.HasPrefix(x.source[x.at:], closing):
			x.at += len(closing)
			return lexeme{lexString, x.source[begin:x.at]}
		default:
			x.at++
		}
	}
	x.fail("unfinished long "+what, lexeme{kind: lexEnd})
	return lexeme{}
}

// quoted reads a string. What errors show of it has its escapes replaced.
func (x *lexer) quoted(quote byte) lexeme {
	b := []byte{quote}
	for x.at++; x.at < len(x.source); {
		switch c := x.source[x.at]; c {
		case quote:
			x.at++
			return lexeme{lexString, string(append(b, quote))}
		case '\n', '\r':
			x.fail("unfinished string", lexeme{lexString, string(b)})
		case '\\':
			b = x.escape(b)
		default:
			b = append(b, c)
			x.at++
		}
	}
	x.fail("unfinished string", lexeme{kind: lexEnd})
	return lexeme{}
}

func (x *lexer) escape(b []byte) []byte {
	if x.at++; x.at == len(x.source) {
		return b
	}
	switch c := x.source[x.at]; {
	case c == '\n' || c == '\r':
		x.newline()
		return append(b, '\n')
	case isDigit(c):
		n := 0
		for range 3 {
			if x.at < len(x.source) && isDigit(x.source[x.at]) {
				n = 10*n + int(x.source[x.at]-'0')
				x.at++
			}
		}
		if n > 255 {
			x.fail("escape sequence too large", lexeme{lexString, string(b)})
		}
		return append(b, byte(n))
	default:
		x.at++
		if i := strings.IndexByte("abfnrtv", c); i >= 0 {
			c = "\a\b\f\n\r\t\v"[i]
		}
		return append(b, c)
	}
}

func (x *lexer) number() lexeme {
	begin := x.at
	x.at = numeral(x.source, begin)
	t := lexeme{lexNumber, x.source[begin:x.at]}
	if _, ok := ParseNumber(t.text); !ok {
		x.fail("malformed number", t)
	}
	return t
}

func (x *lexer) word() lexeme {
	begin := x.at
	for x.at < len(x.source) && (isWordByte(x.source[x.at]) || x.source[x.at] >= 0x80) {
		x.at++
	}
	text := x.source[begin:x.at]
	if text != "goto" && strings.Contains(reserved, " "+text+" ") {
		return lexeme{kind: text}
	}
	return lexeme{lexName, text}
}
