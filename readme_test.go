package gateway_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/internal/mdtest"
)

// What the fragments of Go code in the documents may use without saying so.
var fragmentImports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "http": "net/http", "log": "log",
	"os": "os", "slog": "log/slog", "time": "time", "testing": "testing",
	"gateway": "github.com/wsgateway/gateway", "gatewaytest": "github.com/wsgateway/gateway/gatewaytest",
	"lua": "github.com/wsgateway/gateway/lua",
}

const fragmentPrelude = `
var gw = gateway.New(nil)
var srv = new(http.Server)
func userOf(r *http.Request) (string, bool) { return "", false }
var _ = gw
`

// TestReadmeCompiles builds all Go code in README.md: whole programs as they are,
// fragments inside a function.
func TestReadmeCompiles(t *testing.T) { mdtest.Build(t, ".", "README.md", wholeProgram) }

// wholeProgram makes a fragment a program.
func wholeProgram(code string) string {
	if strings.HasPrefix(code, "package ") {
		return code
	}
	body := code
	if !strings.HasPrefix(code, "func ") {
		body = "func fragment() {\n" + code + "\n" + useAll(code) + "}\n"
	}
	body += fragmentPrelude
	var b strings.Builder
	b.WriteString("package main\n")
	for name, path := range fragmentImports {
		if regexp.MustCompile(`\b` + name + `\.`).MatchString(body) {
			fmt.Fprintf(&b, "import %q\n", path)
		}
	}
	return b.String() + body + "func main() {}\n"
}

// useAll uses the variables that a fragment declares, so that it compiles where
// it stops before it needs them.
func useAll(code string) string {
	var b strings.Builder
	for _, m := range regexp.MustCompile(`(?m)^(\w+) := `).FindAllStringSubmatch(code, -1) {
		fmt.Fprintf(&b, "_ = %s\n", m[1])
	}
	return b.String()
}
