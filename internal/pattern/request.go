package pattern

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// What can be wrong with a path or a query.
var (
	ErrText = errors.New("not UTF-8 in percent-encoding, or contains NUL")
	ErrDots = errors.New("the path has a dot as a segment") // no pattern matches it
)

// SplitPath decodes the segments of an escaped path, each exactly once. A slash
// that is written %2F belongs to its segment. It fails with ErrText or ErrDots.
func SplitPath(escaped string) ([]string, error) {
	// http.StripPrefix may leave nothing, or a path without its first slash.
	segs := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, s := range segs {
		v, err := s, error(nil)
		if strings.IndexByte(s, '%') >= 0 { // or it would only make the stack grow
			v, err = url.PathUnescape(s)
		}
		if err != nil || !goodText(v) {
			return nil, ErrText
		}
		if v == "." || v == ".." {
			return nil, ErrDots
		}
		segs[i] = v
	}
	return segs, nil
}

// goodText reports whether a parameter may have this value: UTF-8 without NUL.
func goodText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// CheckQuery returns the error that ParseQuery would return, in general without
// the work.
func CheckQuery(raw string) error {
	if strings.IndexByte(raw, '%') < 0 && goodText(raw) {
		return nil
	}
	_, err := ParseQuery(raw)
	return err
}

// ParseQuery decodes each key and value of a raw query exactly once, with + for a
// space as browsers write it. Unlike [url.ParseQuery] it takes a semicolon for what
// it is. It fails with ErrText.
func ParseQuery(raw string) (map[string][]string, error) {
	params := map[string][]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, keyErr := url.QueryUnescape(k)
		value, valueErr := url.QueryUnescape(v)
		if keyErr != nil || valueErr != nil || !goodText(key) || !goodText(value) {
			return nil, ErrText
		}
		params[key] = append(params[key], value)
	}
	return params, nil
}
