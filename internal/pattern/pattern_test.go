package pattern_test

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wsgateway/gateway/internal/pattern"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"/":                    "",
		"/fixed":               "",
		"/rooms/{id}":          "id",
		"/a/{b}/c/{d...}":      "b d",
		"/tree/":               "",
		"/exactly/{$}":         "",
		"/{_1}/{Ab2}":          "_1 Ab2",
		"/caf%C3%A9/{x}":       "x",
		"x":                    "error: it does not start with a slash",
		"GET /x":               "error: it names a method or a host",
		"//x":                  "error: it has an empty segment",
		"/{}":                  `error: "" is not a parameter's name`,
		"/{1a}":                `error: "1a" is not a parameter's name`,
		"/{a}b":                "error: a parameter must be a whole segment",
		"/{a...}/b":            "error: {a...} is only allowed at the end",
		"/{a}/b/{a...}":        "error: parameter {a} occurs twice",
		"/%2e%2e/b":            `error: segment "%2e%2e" can never match`,
		"/a/{$}/b":             `error: "$" is not a parameter's name`,
		"/100%":                `error: segment "100%" can never match`,
		"/a/b%00":              `error: segment "b%00" can never match`,
		"/\x00/":               `error: segment "\x00" can never match`,
		"/%ff/{x}":             `error: segment "%ff" can never match`,
		"/caf\xe9":             `error: segment "caf\xe9" can never match`,
		"/{\xc3\xa9t\xc3\xa9}": "error: ",
	} {
		p, err := pattern.Parse(text)
		got := strings.Join(p.Names(), " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want && !(err != nil && strings.HasPrefix(want, "error: ") && strings.HasPrefix(got,
			want)) {
			t.Errorf("Parse(%q) has the names %q, want %q", text, got, want)
		}
		if p.String() != text {
			t.Errorf("Parse(%q).String() = %q", text, p.String())
		}
	}
}

func parse(t *testing.T, text string) pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return p
}

func TestConflicts(t *testing.T) {
	for pair, want := range map[string]bool{
		"/a /a":                true,
		"/{x} /{y}":            true,
		"/a /{x}":              false, // the first is more specific
		"/a/{x} /{y}/b":        true,  // neither is
		"/a/{x} /{y}/{z}":      false,
		"/a/ /a/{r...}":        true,
		"/a/ /a/b":             false,
		"/a/ /a/{$}":           false,
		"/{x} /{$}":            false, // no path matches both
		"/a/{x...} /{y}/b":     true,
		"/{x}/ /a/{y...}":      false,
		"/a /b":                false,
		"/a /a/b":              false,
		"/%61 /a":              true,
		"/{a}/b/ /a/{b}/{c}":   true,
		"/a/{$} /{x}/{y}":      false,
		"/{x}/{$} /a/{y...}":   true,
		"/{x}/{y...} /{z}/{w}": false,
	} {
		a, b, _ := strings.Cut(pair, " ")
		p, q := parse(t, a), parse(t, b)
		if p.Conflicts(q) != want || q.Conflicts(p) != want {
			t.Errorf("%s and %s conflict: %v and %v, want %v", a, b, p.Conflicts(q), q.Conflicts(p), want)
		}
	}
}

func TestTree(t *testing.T) {
	var tree pattern.Tree[string]
	if _, _, ok := tree.Match([]string{""}); ok {
		t.Error("an empty tree matches")
	}
	for _, text := range []string{"/a", "/a/{x}", "/a/b", "/a/{x}/c/{y...}", "/a/b/", "/{$}",
		"/{any}/z"} {
		tree.Add(parse(t, text), text)
	}
	for path, want := range map[string]string{
		"":           "/{$}",
		"/":          "/{$}",
		"/a":         "/a",
		"/a/b":       "/a/b",
		"/a/q":       "/a/{x} q",
		"/a/b/x":     "/a/b/",
		"/a/b/c/d/e": "/a/b/",
		"/a/q/c/":    "/a/{x}/c/{y...} q|",
		"/a/q/c/d/e": "/a/{x}/c/{y...} q|d/e",
		"/a/q/c":     "",
		"/b/z":       "/{any}/z b",
		"/a/z":       "/a/{x} z", // a literal comes first
		"/b":         "",
	} {
		segs, err := pattern.SplitPath(path)
		if err != nil {
			t.Fatal(err)
		}
		v, params, ok := tree.Match(segs)
		got := strings.TrimSpace(v + " " + strings.Join(params, "|"))
		if len(params) > 1 && params[1] == "" {
			got = v + " " + strings.Join(params, "|")
		}
		if got != want || ok != (want != "") {
			t.Errorf("path %q matches %q (%v), want %q", path, got, ok, want)
		}
	}
	tree.Add(parse(t, "/a"), "second")
	if v, _, _ := tree.Match([]string{"a"}); v != "second" {
		t.Errorf("after adding /a again it has %q, want the second value", v)
	}
}

func TestSplitPath(t *testing.T) {
	for escaped, want := range map[string]string{
		"":               "",
		"/":              "",
		"a":              "a",
		"/a/b/":          "a|b|",
		"/a%2Fb":         "a/b",
		"/a+b%20c":       "a+b c",
		"/%252F":         "%2F",
		"/.":             pattern.ErrDots.Error(),
		"/a/%2e%2e/b":    pattern.ErrDots.Error(),
		"/...":           "...",
		"/%00":           pattern.ErrText.Error(),
		"/%ff":           pattern.ErrText.Error(),
		"/%":             pattern.ErrText.Error(),
		"/\xc3\xa9/\xc3": pattern.ErrText.Error(),
	} {
		segs, err := pattern.SplitPath(escaped)
		got := strings.Join(segs, "|")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("SplitPath(%q) = %q, want %q", escaped, got, want)
		}
	}
}

func TestParseQuery(t *testing.T) {
	for raw, want := range map[string]map[string][]string{
		"":              {},
		"&&":            {},
		"a=1&b=2&a=3":   {"a": {"1", "3"}, "b": {"2"}},
		"a":             {"a": {""}},
		"=x":            {"": {"x"}},
		"a=b;c":         {"a": {"b;c"}},
		"a+b=%C3%BC%26": {"a b": {"ü&"}},
		"a=1=2":         {"a": {"1=2"}},
		"a=%zz":         nil,
		"%ff=1":         nil,
		"a=%00":         nil,
		"a=\xff":        nil,
	} {
		got, err := pattern.ParseQuery(raw)
		if want == nil {
			if !errors.Is(err, pattern.ErrText) || !errors.Is(pattern.CheckQuery(raw), pattern.ErrText) {
				t.Errorf("query %q: %v and %v, want ErrText of both", raw, err, pattern.CheckQuery(raw))
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) || pattern.CheckQuery(raw) != nil {
			t.Errorf("ParseQuery(%q) = %q, %v, want %q", raw, got, err, want)
		}
	}
}

// FuzzMatch: a path that is put together from a pattern's segments and any values
// matches that pattern, and gives the values back; no path panics.
func FuzzMatch(f *testing.F) {
	f.Add("/rooms/{id}", "blue", "/a/b")
	f.Add("/files/{dir}/{path...}", "a/b c%", "/files/..")
	f.Add("/%C3%BC/{x}/{$}", "é", "")
	f.Fuzz(func(t *testing.T, text, value, path string) {
		p, err := pattern.Parse(text)
		if err != nil {
			return
		}
		var tree pattern.Tree[int]
		tree.Add(p, 7)
		if segs, err := pattern.SplitPath(path); err == nil {
			if v, params, ok := tree.Match(segs); ok && (v != 7 || len(params) != len(p.Names())) {
				t.Fatalf("%q matches %q with value %d and parameters %q", text, path, v, params)
			}
		}
		if value == "" || value == "." || value == ".." || !utf8.ValidString(value+text) ||
			strings.ContainsAny(value+text, "\x00") {
			return
		}
		var made strings.Builder
		for _, piece := range strings.Split(text[1:], "/") {
			made.WriteByte('/')
			switch {
			case piece == "{$}":
			case strings.HasPrefix(piece, "{"):
				made.WriteString(url.PathEscape(value))
			default:
				made.WriteString(piece)
			}
		}
		segs, err := pattern.SplitPath(made.String())
		if err != nil {
			return // the pattern's own text is not one that a path can have
		}
		v, params, ok := tree.Match(segs)
		if !ok || v != 7 || slices.ContainsFunc(params, func(p string) bool { return p != value }) {
			t.Errorf("%q against %q: %v, parameters %q, want all to be %q", text, made.String(), ok,
				params, value)
		}
	})
}
