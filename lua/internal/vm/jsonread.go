package vm

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	golua "github.com/Shopify/go-lua"
)

// pushJSON pushes the value of a JSON text (RFC 8259): null is nil, so that a
// null in an object leaves the field out and one in an array leaves a gap. Of
// several equal keys the last counts. Numbers are rounded to float64.
func (s *State) pushJSON(text string) error {
	r := jsonReader{s: s, l: s.l, text: text}
	top := s.l.Top()
	r.skip()
	err := r.value(0)
	if r.skip(); err == nil && r.at < len(text) {
		err = r.errorf("something follows the value")
	}
	if err != nil {
		s.l.SetTop(top)
	}
	return err
}

type jsonReader struct {
	s    *State
	l    *golua.State
	text string
	at   int
}

var errUnexpectedEnd = errors.New("invalid JSON: unexpected end")

func (r *jsonReader) errorf(format string, args ...any) error {
	return fmt.Errorf("invalid JSON at byte %d: %s", r.at+1, fmt.Sprintf(format, args...))
}

func (r *jsonReader) skip() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end.
func (r *jsonReader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *jsonReader) unexpected() error {
	if r.at >= len(r.text) {
		return errUnexpectedEnd
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.at:])
	return r.errorf("unexpected %q", c)
}

// value pushes one value.
func (r *jsonReader) value(depth int) error {
	r.s.step(1)
	switch c := r.peek(); {
	case c == '{' || c == '[':
		if depth >= MaxJSONDepth || !r.l.CheckStack(golua.MinStack) {
			return r.errorf("nested more than %d deep", MaxJSONDepth)
		}
		r.s.alloc(120)
		r.at++
		if c == '{' {
			return r.object(depth + 1)
		}
		return r.array(depth + 1)
	case c == '"':
		text, err := r.string()
		if err != nil {
			return err
		}
		r.l.PushString(text)
		return nil
	case c == '-' || isDigit(c):
		return r.number()
	}
	for _, w := range []struct {
		word  string
		value Value
	}{{"true", true}, {"false", false}, {"null", nil}} {
		if strings.HasPrefix(r.text[r.at:], w.word) {
			r.at += len(w.word)
			r.s.push(w.value)
			return nil
		}
	}
	return r.unexpected()
}

func (r *jsonReader) object(depth int) error {
	r.l.NewTable()
	if r.skip(); r.peek() == '}' {
		r.at++
		return nil
	}
	for {
		if r.skip(); r.peek() != '"' {
			return r.unexpected()
		}
		key, err := r.string()
		if err != nil {
			return err
		}
		if r.skip(); r.peek() != ':' {
			return r.unexpected()
		}
		r.at++
		r.skip()
		r.l.PushString(key)
		if err := r.value(depth); err != nil {
			return err
		}
		r.s.alloc(48)
		r.l.RawSet(-3)
		if done, err := r.next('}'); done || err != nil {
			return err
		}
	}
}

// array marks those that may look like no array, being empty or having gaps, so
// that they are written as one again.
func (r *jsonReader) array(depth int) error {
	r.l.NewTable()
	if r.skip(); r.peek() == ']' {
		r.at++
		r.l.Pop(1)
		r.s.pushArray()
		return nil
	}
	gaps := false
	for i := 1; ; i++ {
		r.skip()
		if err := r.value(depth); err != nil {
			return err
		}
		gaps = gaps || r.l.IsNil(-1)
		r.s.alloc(16)
		r.l.RawSetInt(-2, i)
		if done, err := r.next(']'); done || err != nil {
			if gaps {
				r.s.markTop("array")
			}
			return err
		}
	}
}

// next reads a comma, or the end of the list.
func (r *jsonReader) next(end byte) (done bool, err error) {
	r.skip()
	switch r.peek() {
	case ',':
		r.at++
		return false, nil
	case end:
		r.at++
		return true, nil
	}
	return false, r.unexpected()
}

func (r *jsonReader) digits() bool {
	start := r.at
	for isDigit(r.peek()) {
		r.at++
	}
	return r.at > start
}

func (r *jsonReader) number() error {
	start := r.at
	if r.peek() == '-' {
		r.at++
	}
	if r.peek() == '0' {
		r.at++
	} else if !r.digits() {
		return r.unexpected()
	}
	if r.peek() == '.' {
		if r.at++; !r.digits() {
			return r.unexpected()
		}
	}
	if r.peek()|0x20 == 'e' {
		r.at++
		if c := r.peek(); c == '+' || c == '-' {
			r.at++
		}
		if !r.digits() {
			return r.unexpected()
		}
	}
	f, _ := strconv.ParseFloat(r.text[start:r.at], 64)
	if math.IsInf(f, 0) {
		r.at = start
		return r.errorf("number out of range")
	}
	r.l.PushNumber(f)
	return nil
}

// string reads a string; it copies short parts of a long text, which would keep
// all of it alive.
func (r *jsonReader) string() (string, error) {
	r.at++
	start := r.at
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			part := r.text[start:i]
			r.at = i + 1
			if !utf8.ValidString(part) {
				r.at = start
				return "", r.errorf("string is not UTF-8")
			}
			r.s.step(len(part) / 16)
			r.s.alloc(len(part))
			r.s.long(len(part))
			return strings.Clone(part), nil
		case c == '\\':
			return r.escaped(start, i)
		case c < ' ':
			r.at = i
			return "", r.errorf("control character in a string")
		}
	}
	return "", errUnexpectedEnd
}

// escaped reads on a string whose first escape is at i.
func (r *jsonReader) escaped(start, i int) (string, error) {
	b := []byte(r.text[start:i])
	for i < len(r.text) {
		switch c := r.text[i]; {
		case c == '"':
			r.at = i + 1
			if !utf8.Valid(b) {
				r.at = start
				return "", r.errorf("string is not UTF-8")
			}
			r.s.step(len(b) / 16)
			r.s.alloc(len(b))
			r.s.long(len(b))
			return string(b), nil
		case c < ' ':
			r.at = i
			return "", r.errorf("control character in a string")
		case c != '\\':
			b = append(b, c)
			i++
		default:
			n := 0
			if b, n = appendUnescaped(b, r.text[i:]); n == 0 {
				r.at = i
				return "", r.errorf("invalid escape in a string")
			}
			i += n
		}
	}
	return "", errUnexpectedEnd
}

// appendUnescaped appends what the escape at the beginning of text stands for
// and returns its length, 0 if it is invalid. A lone surrogate is U+FFFD.
func appendUnescaped(b []byte, text string) ([]byte, int) {
	const plain, meaning = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if len(text) < 2 {
		return b, 0
	}
	if i := strings.IndexByte(plain, text[1]); i >= 0 {
		return append(b, meaning[i]), 2
	}
	c, ok := unicodeEscape(text)
	if !ok {
		return b, 0
	}
	if utf16.IsSurrogate(c) {
		if low, ok := unicodeEscape(text[6:]); ok {
			if pair := utf16.DecodeRune(c, low); pair != utf8.RuneError {
				return utf8.AppendRune(b, pair), 12
			}
		}
		c = utf8.RuneError
	}
	return utf8.AppendRune(b, c), 6
}

func unicodeEscape(text string) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[2:6], 16, 16)
	return rune(n), err == nil
}
