package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// A pattern is a parsed Route.Pattern.
type pattern struct {
	text string
	segs []segment
}

// A segment is one piece of a pattern between slashes.
type segment struct {
	kind segmentKind
	text string // of a literal; the name of a parameter, "" if it has none
}

type segmentKind uint8

const (
	literal segmentKind = iota // more specific than
	param                      // {name}: one segment, not empty; more specific than
	rest                       // {name...} or a final slash: all that follows
)

// parsePattern parses the path syntax of http.ServeMux.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	if !strings.HasPrefix(text, "/") {
		if strings.Contains(text, "/") {
			return p, fmt.Errorf("it names a method or a host; a pattern is a path that starts with a slash")
		}
		return p, fmt.Errorf("it does not start with a slash")
	}
	pieces := strings.Split(text[1:], "/")
	for i, piece := range pieces {
		last := i == len(pieces)-1
		seg, err := parseSegment(piece, last)
		if err != nil {
			return p, err
		}
		if seg.kind != literal && seg.text != "" && slices.Contains(p.names(), seg.text) {
			return p, fmt.Errorf("parameter {%s} occurs twice", seg.text)
		}
		p.segs = append(p.segs, seg)
	}
	return p, nil
}

func parseSegment(piece string, last bool) (segment, error) {
	switch {
	case piece == "" && last:
		return segment{kind: rest}, nil // "/sub/" is all of the subtree
	case piece == "":
		return segment{}, fmt.Errorf("it has an empty segment")
	case piece == "{$}" && last:
		return segment{kind: literal}, nil // the empty last segment of "/sub/"
	case !strings.ContainsAny(piece, "{}"):
		text, err := url.PathUnescape(piece)
		if err != nil || text == "." || text == ".." {
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
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// names returns the names of the parameters in order.
func (p *pattern) names() []string {
	var names []string
	for _, s := range p.segs {
		if s.kind != literal && s.text != "" {
			names = append(names, s.text)
		}
	}
	return names
}

// conflicts reports whether some path matches both and neither is the more
// specific one, as two equal patterns are. It is the rule of http.ServeMux.
func (p *pattern) conflicts(q *pattern) bool {
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
		case a.kind == param && b.kind == literal && b.text == "", b.kind == param && a.kind == literal && a.text == "":
			return false // a parameter does not match the empty segment
		case a.kind < b.kind:
			pMore = true
		case a.kind > b.kind:
			qMore = true
		}
	}
}

// A node is one step of the tree that paths are matched in.
type node struct {
	literals map[string]*node
	param    *node
	rest     *boundRoute
	end      *boundRoute
}

func (n *node) add(segs []segment, rt *boundRoute) {
	if len(segs) == 0 {
		n.end = rt
		return
	}
	switch seg := segs[0]; seg.kind {
	case rest:
		n.rest = rt
	case param:
		if n.param == nil {
			n.param = new(node)
		}
		n.param.add(segs[1:], rt)
	default:
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		next := n.literals[seg.text]
		if next == nil {
			next = new(node)
			n.literals[seg.text] = next
		}
		next.add(segs[1:], rt)
	}
}

// match finds the most specific route for the decoded segments and appends the
// values of its named parameters.
func (n *node) match(segs, values []string) (*boundRoute, []string) {
	if len(segs) == 0 {
		return n.end, values
	}
	if next := n.literals[segs[0]]; next != nil {
		if rt, v := next.match(segs[1:], values); rt != nil {
			return rt, v
		}
	}
	if n.param != nil && segs[0] != "" {
		if rt, v := n.param.match(segs[1:], append(values, segs[0])); rt != nil {
			return rt, v
		}
	}
	if n.rest == nil {
		return nil, nil
	}
	if len(n.rest.names) > len(values) { // the rest has a name
		values = append(values, strings.Join(segs, "/"))
	}
	return n.rest, values
}

// splitPath decodes the segments of an escaped path, each exactly once. A slash
// that is written %2F belongs to its segment. Segments "." and ".." are no
// names, so such a path has no route; NUL and bytes that are not UTF-8 are an
// error, for no endpoint expects them.
func splitPath(escaped string) ([]string, *Error) {
	// http.StripPrefix may leave nothing, or a path without its first slash.
	segs := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, s := range segs {
		v, err := url.PathUnescape(s)
		if err != nil || !goodText(v) {
			return nil, invalidf("the path is not UTF-8 in percent-encoding, or contains NUL")
		}
		if v == "." || v == ".." {
			return nil, ErrNoRoute
		}
		segs[i] = v
	}
	return segs, nil
}

// goodText is what parameters consist of.
func goodText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// checkQuery refuses a query whose parameters could not be read: bad
// percent-encoding, NUL, or not UTF-8.
func checkQuery(raw string) *Error {
	if strings.IndexByte(raw, '%') < 0 && goodText(raw) {
		return nil
	}
	if _, err := parseQuery(raw); err != nil {
		return invalidf("the query is not UTF-8 in percent-encoding, or contains NUL")
	}
	return nil
}

// parseQuery decodes each key and value exactly once, with + for a space as
// browsers write it. Unlike url.ParseQuery it takes a semicolon for what it is.
func parseQuery(raw string) (Parameters, error) {
	params := Parameters{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(k)
		if err != nil {
			return nil, err
		}
		value, err := url.QueryUnescape(v)
		if err != nil {
			return nil, err
		}
		if !goodText(key) || !goodText(value) {
			return nil, ErrInvalid
		}
		params[key] = append(params[key], value)
	}
	return params, nil
}
