package gateway_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
func TestReadmeCompiles(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("README.md has %d blocks of Go", len(blocks))
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	var packages []string
	for i, b := range blocks {
		name := fmt.Sprintf("readme%d", i)
		file := filepath.Join(dir, name+".go")
		if err := os.WriteFile(file, []byte(wholeProgram(b[1])), 0o644); err != nil {
			t.Fatal(err)
		}
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(wd, "internal", name, "main.go")] = file
		packages = append(packages, "./internal/"+name)
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(config, list, 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", "-overlay", config, "-o", filepath.Join(dir, "out") + "/"}, packages...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

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
