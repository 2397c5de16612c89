package source_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/lua/internal/source"
)

func TestCheckPattern(t *testing.T) {
	for path, want := range map[string]string{
		"/":              "",
		"/a":             "",
		"/a/":            "",
		"/a/{$}":         "",
		"/{a}/{b_2}":     "",
		"/a/{rest...}":   "",
		"/a b":           `expected no " " in a path`,
		"/a?b":           `expected no "?" in a path`,
		"":               `expected "/" at its start`,
		"a":              `expected "/" at its start`,
		"//":             `expected no empty part: no request path has one`,
		"/a/../b":        `expected no part "..": no request path has one`,
		"/{a-b}":         `expected a name of ASCII letters, digits and _ between { and }, found "a-b"`,
		"/{1}":           `expected a name of ASCII letters, digits and _ between { and }, found "1"`,
		"/{}":            `expected a name of ASCII letters, digits and _ between { and }, found ""`,
		"/{a...}/b":      `expected {a...} only at the end`,
		"/{$}/b":         `expected {$} only at the end`,
		"/{a}/{a}":       `expected each parameter once, found {a} twice`,
		"/x{a}":          `expected {name} as a whole part between slashes, found "x{a}"`,
		"/{a}x":          `expected {name} as a whole part between slashes, found "{a}x"`,
		"/{a":            `expected {name} as a whole part between slashes, found "{a"`,
		"/a}":            `expected {name} as a whole part between slashes, found "a}"`,
		"/{{a}}":         `expected {name} as a whole part between slashes, found "{{a}}"`,
		"/caf\u00e9/%20": "",
		"/{\u00e9}":      `expected a name of ASCII letters, digits and _ between { and }, found "é"`,
		"/%zz":           `expected no part "%zz": no request path has one`,
		"/%2e%2e/a":      `expected no part "%2e%2e": no request path has one`,
		"/%00":           `expected no part "%00": no request path has one`,
	} {
		got := ""
		if err := source.CheckPattern(path); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("CheckPattern(%q) = %q, want %q", path, got, want)
		}
	}
}

// TestPatternsAgreeWithServeMux compares validity and conflicts with those of
// net/http, whose syntax and precedence routes have.
func TestPatternsAgreeWithServeMux(t *testing.T) {
	parts := []string{"", "a", "b", "{x}", "{y}", "{r...}", "{$}", "{q", "c{d}"}
	var all []string
	for _, p := range parts {
		all = append(all, "/"+p)
		for _, q := range parts {
			all = append(all, "/"+p+"/"+q)
			for _, r := range parts[:6] {
				all = append(all, "/"+p+"/"+q+"/"+r)
			}
		}
	}
	var valid []string
	for _, p := range all {
		if strings.Contains(p, "//") {
			continue // ServeMux takes them, though they match nothing
		}
		err, mux := source.CheckPattern(p), register(p)
		if (err == nil) != (mux == nil) {
			t.Errorf("CheckPattern(%q) = %v, ServeMux says %v", p, err, mux)
		}
		if err == nil {
			valid = append(valid, p)
		}
	}
	for i, a := range valid {
		for _, b := range valid[i:] {
			s := source.ParseText("a.lua", "--#ENDPOINT WEBSOCKET "+a+"\n--#ENDPOINT WEBSOCKET "+b+"\n")
			if mux := register(a, b); (len(s.Problems) > 0) != (mux != nil) {
				t.Errorf("%q and %q: problems %v, ServeMux says %v", a, b, s.Problems, mux)
			}
		}
	}
}

// register reports the panic of a ServeMux that refuses the patterns.
func register(patterns ...string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, http.NotFoundHandler())
	}
	return nil
}
