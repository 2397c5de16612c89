package source

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// CheckPattern returns what is wrong with the path of an endpoint, or nil. The
// syntax is that of gateway.Route.
func CheckPattern(path string) error {
	_, err := parsePattern(path)
	return err
}

// A pattern is the segments of a path between its slashes. "/a/{$}" ends in an
// empty literal and "/a/" in a nameless rest, as in net/http.
type pattern []segment

type segment struct {
	kind segmentKind
	text string // of a literal, decoded
}

type segmentKind uint8

const (
	literal segmentKind = iota // this text
	param                      // any one segment that is not empty
	rest                       // one segment or more, the last of which may be empty
)

func parsePattern(path string) (pattern, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New(`expected "/" at its start`)
	}
	if i := strings.IndexFunc(path,
		func(r rune) bool { return r <= ' ' || r == 0x7f || r == '?' || r == '#' || r == '\\' }); i >= 0 {
		return nil, fmt.Errorf("expected no %q in a path", path[i:i+1])
	}
	parts := strings.Split(path[1:], "/")
	p := make(pattern, 0, len(parts))
	names := map[string]bool{}
	for i, part := range parts {
		seg, err := parseSegment(part, i == len(parts)-1, names)
		if err != nil {
			return nil, err
		}
		p = append(p, seg)
	}
	return p, nil
}

func parseSegment(part string, last bool, names map[string]bool) (segment, error) {
	switch {
	case part == "" && last:
		return segment{kind: rest}, nil
	case part == "":
		return segment{}, errors.New("expected no empty part: no request path has one")
	case !strings.ContainsAny(part, "{}"):
		text, err := url.PathUnescape(part)
		if err != nil || text == "." || text == ".." || strings.Contains(text, "\x00") ||
			!utf8.ValidString(text) {
			return segment{}, fmt.Errorf("expected no part %.80q: no request path has one", part)
		}
		return segment{kind: literal, text: text}, nil
	case part[0] != '{' || strings.Index(part, "}") != len(part)-1 || strings.Count(part, "{") != 1:
		return segment{}, fmt.Errorf("expected {name} as a whole part between slashes, found %.80q", part)
	case part == "{$}" && last:
		return segment{kind: literal}, nil
	}
	name, isRest := strings.CutSuffix(part[1:len(part)-1], "...")
	switch {
	case part == "{$}":
		return segment{}, errors.New("expected {$} only at the end")
	case isRest && !last:
		return segment{}, fmt.Errorf("expected {%.80s...} only at the end", name)
	case !validName(name):
		return segment{},
			fmt.Errorf("expected a name of ASCII letters, digits and _ between { and }, found %.80q", name)
	case names[name]:
		return segment{}, fmt.Errorf("expected each parameter once, found {%.80s} twice", name)
	}
	names[name] = true
	if isRest {
		return segment{kind: rest}, nil
	}
	return segment{kind: param}, nil
}

func validName(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// A relation says which paths two patterns, or two segments, share.
type relation uint8

const (
	equal    relation = iota // the same paths
	wider                    // the first matches all that the second does, and more
	narrower                 // the other way round
	overlap                  // some paths, and each matches others that are its own
	disjoint                 // none
)

// conflict says why a and b cannot both be routes, or returns "".
func conflict(a, b pattern) string {
	switch compare(a, b) {
	case equal:
		return "is the same as"
	case overlap:
		return "matches the same requests as"
	}
	return ""
}

func compare(a, b pattern) relation {
	r := equal
	for len(a) > 0 && len(b) > 0 {
		if r = combine(r, compareSegments(a[0], b[0])); r == disjoint {
			return disjoint
		}
		if a[0].kind == rest || b[0].kind == rest {
			return r // a rest takes all that is left of the other
		}
		a, b = a[1:], b[1:]
	}
	if len(a) != len(b) {
		return disjoint // a rest, too, needs one segment more
	}
	return r
}

func compareSegments(a, b segment) relation {
	switch {
	case a.kind == literal && b.kind == literal:
		if a.text == b.text {
			return equal
		}
		return disjoint
	case a.kind == b.kind:
		return equal
	case a.kind == param && b.kind == literal && b.text == "", b.kind == param && a.kind == literal &&
		a.text == "":
		return disjoint // a parameter is never empty
	case a.kind > b.kind:
		return wider
	}
	return narrower
}

// combine is the relation of two patterns whose beginnings relate as r and
// whose next segments relate as s.
func combine(r, s relation) relation {
	switch {
	case r == disjoint || s == disjoint:
		return disjoint
	case r == equal || r == s:
		return s
	case s == equal:
		return r
	}
	return overlap
}
