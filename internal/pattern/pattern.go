// Package pattern has the paths that routes are registered for, a tree that finds
// the most specific one for a path, and the reading of paths and queries. It knows
// nothing of sockets or endpoints.
//
// The syntax, the precedence and the conflicts are those of the paths of
// [net/http.ServeMux].
package pattern

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Pattern is a parsed pattern. The zero Pattern matches nothing.
type Pattern struct {
	text  string
	segs  []segment
	names []string
}

// A segment is one piece of a pattern between slashes.
type segment struct {
	kind kind
	text string // of a literal; the name of a parameter, "" if it has none
}

type kind uint8

const (
	literal kind = iota // more specific than
	param               // {name}: one segment, not empty; more specific than
	rest                // {name...} or a final slash: all that follows
)

// Parse parses "/fixed/path", "/with/{param}", "/tail/{rest...}", "/subtree/" and
// "/exactly/{$}". The error says what is wrong, without the pattern itself.
func Parse(text string) (Pattern, error) {
	p := Pattern{text: text}
	if !strings.HasPrefix(text, "/") {
		if strings.Contains(text, "/") {
			return p, errors.New("it names a method or a host; " +
				"a pattern is a path that starts with a slash")
		}
		return p, errors.New("it does not start with a slash")
	}
	pieces := strings.Split(text[1:], "/")
	for i, piece := range pieces {
		seg, err := parseSegment(piece, i == len(pieces)-1)
		if err != nil {
			return p, err
		}
		p.segs = append(p.segs, seg)
		if seg.kind == literal || seg.text == "" {
			continue
		}
		if slices.Contains(p.names, seg.text) {
			return p, fmt.Errorf("parameter {%s} occurs twice", seg.text)
		}
		p.names = append(p.names, seg.text)
	}
	return p, nil
}

func parseSegment(piece string, last bool) (segment, error) {
	switch {
	case piece == "" && last:
		return segment{kind: rest}, nil // "/sub/" is all of the subtree
	case piece == "":
		return segment{}, errors.New("it has an empty segment")
	case piece == "{$}" && last:
		return segment{kind: literal}, nil // the empty last segment of "/sub/"
	case !strings.ContainsAny(piece, "{}"):
		text, err := url.PathUnescape(piece)
		if err != nil || !goodText(text) || text == "." || text == ".." {
			return segment{}, fmt.Errorf("segment %q can never match", piece)
		}
		return segment{kind: literal, text: text}, nil
	case piece[0] != '{' || piece[len(piece)-1] != '}':
		return segment{}, fmt.Errorf("a parameter must be a whole segment, not part of %q", piece)
	}
	name, isRest := strings.CutSuffix(piece[1:len(piece)-1], "...")
	switch {
	case !isName(name):
		return segment{}, fmt.Errorf("%q is not a parameter's name", name)
	case isRest && !last:
		return segment{}, fmt.Errorf("%s is only allowed at the end", piece)
	case isRest:
		return segment{rest, name}, nil
	}
	return segment{param, name}, nil
}

func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// String returns the pattern as it was parsed.
func (p Pattern) String() string { return p.text }

// Names returns the names of the parameters in order. The caller must not change it.
func (p Pattern) Names() []string { return p.names }

// Conflicts reports whether some path matches both and neither is the more
// specific one, as two equal patterns are.
func (p Pattern) Conflicts(q Pattern) bool {
	pMore, qMore := false, false // somewhere more specific
	for i := 0; ; i++ {
		pEnd, qEnd := i == len(p.segs), i == len(q.segs)
		if pEnd || qEnd {
			return pEnd && qEnd && pMore == qMore
		}
		a, b := p.segs[i], q.segs[i]
		switch {
		case a.kind == rest && b.kind == rest:
			return pMore == qMore
		case a.kind == rest: // q goes on or ends here, and is the more specific
			return pMore
		case b.kind == rest:
			return qMore
		case a.kind == literal && b.kind == literal && a.text != b.text:
			return false
		case isEnd(a) && b.kind == param, isEnd(b) && a.kind == param:
			return false // a parameter does not match the empty segment
		case a.kind < b.kind:
			pMore = true
		case a.kind > b.kind:
			qMore = true
		}
	}
}

// isEnd reports whether the segment is {$}.
func isEnd(s segment) bool { return s.kind == literal && s.text == "" }
