package vm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What LuaJIT reads and the VM's parser does not is changed in the source before the
// parser gets it: goto as a name, and the escape \u{XXX} in strings.

// In Lua 5.1 goto is a name like any other, and in LuaJIT it is one where it does
// not begin a goto statement. To the VM's parser it is a word of the language. So
// the parser is given another name, which becomes goto again in the compiled code.
const gotoName = "_goto_that_is_a_name_"

// translate changes the source; its lines stay what they are.
func translate(source string) string {
	if !strings.Contains(source, "goto") && !strings.Contains(source, `\u{`) {
		return source
	}
	var b strings.Builder
	done := 0
	names := true // a statement may begin here
	for at := 0; at < len(source); {
		end, kind := token(source, at)
		text := source[at:end]
		if kind == tokenWord && text == "goto" && !(names && beginsWord(source, end)) {
			b.WriteString(source[done:at])
			b.WriteString(gotoName)
			done = end
		}
		if kind == tokenValue && source[at] != '[' && strings.Contains(text, `\u{`) {
			b.WriteString(source[done:at])
			b.WriteString(plainEscapes(text))
			done = end
		}
		if kind != tokenBlank {
			names = kind == tokenValue ||
				kind == tokenWord && !strings.Contains(wordsInExpressions, " "+text+" ") ||
				strings.Contains(" ; ) ] } ... :: ", " "+text+" ")
		}
		at = end
	}
	return b.String() + source[done:]
}

var escapes = regexp.MustCompile(`\\(?:u\{([0-9a-fA-F]{1,6})\}|(?s:.))`)

// plainEscapes writes the bytes of each \u{XXX} in a quoted string as numbers.
func plainEscapes(quoted string) string {
	return escapes.ReplaceAllStringFunc(quoted, func(escape string) string {
		n, err := strconv.ParseUint(strings.Trim(escape, `\u{}`), 16, 32)
		if len(escape) < 3 || err != nil || n > unicode.MaxRune {
			return escape
		}
		var b strings.Builder
		for _, c := range utf8.AppendRune(nil, rune(n)) {
			fmt.Fprintf(&b, `\%03d`, c)
		}
		return b.String()
	})
}

// wordsInExpressions are those after which no statement can begin.
const wordsInExpressions = " and elseif for function if in local not or return until while "

const reserved = " and break do else elseif end false for function goto if in local nil not or " +
	"repeat return then true until while "

// beginsWord reports whether the next token is a name.
func beginsWord(source string, at int) bool {
	for at < len(source) {
		end, kind := token(source, at)
		if kind != tokenBlank {
			return kind == tokenWord && !strings.Contains(reserved, " "+source[at:end]+" ")
		}
		at = end
	}
	return false
}

type tokenKind int

const (
	tokenBlank  tokenKind = iota // white space or a comment
	tokenWord                    // a name or a word of the language
	tokenValue                   // a number or a string
	tokenSymbol                  // anything else
)

// token returns where the token that begins at a place ends. Of source that is
// not Lua it returns something; the parser will say what is wrong.
func token(source string, at int) (end int, kind tokenKind) {
	switch c := source[at]; {
	case isSpace(c):
		return at + 1, tokenBlank
	case strings.HasPrefix(source[at:], "--"):
		if end := longBracket(source, at+2); end > 0 {
			return end, tokenBlank
		}
		if i := strings.IndexByte(source[at:], '\n'); i >= 0 {
			return at + i, tokenBlank
		}
		return len(source), tokenBlank
	case c == '"' || c == '\'':
		for end = at + 1; end < len(source) && source[end] != c; end++ {
			if source[end] == '\\' {
				end++
			}
		}
		return min(end+1, len(source)), tokenValue
	case c == '[':
		if end := longBracket(source, at); end > 0 {
			return end, tokenValue
		}
	case isWordByte(c):
		for end = at; end < len(source) &&
			(isWordByte(source[end]) || isDigit(c) && source[end] == '.'); end++ {
		}
		if isDigit(c) {
			return end, tokenValue
		}
		return end, tokenWord
	case strings.HasPrefix(source[at:], "..."):
		return at + 3, tokenSymbol
	case strings.HasPrefix(source[at:], "::"):
		return at + 2, tokenSymbol
	}
	return at + 1, tokenSymbol
}

// longBracket returns the end of the long string that begins at a place, or 0 if
// none does.
func longBracket(source string, at int) int {
	if at >= len(source) || source[at] != '[' {
		return 0
	}
	level := at + 1
	for level < len(source) && source[level] == '=' {
		level++
	}
	if level >= len(source) || source[level] != '[' {
		return 0
	}
	closing := "]" + source[at+1:level] + "]"
	if i := strings.Index(source[level:], closing); i >= 0 {
		return level + i + len(closing)
	}
	return len(source)
}

// showGoto gives compiled code the name back. Its strings have their length, with
// the NUL at their end, in front.
func showGoto(code []byte) []byte {
	encoded := func(name string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, uint64(len(name)+1)), name+"\x00"...)
	}
	return bytes.ReplaceAll(code, encoded(gotoName), encoded("goto"))
}
