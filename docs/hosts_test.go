package docs_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/internal/mdtest"
)

// What the fragments of Go on the page for hosts may use without saying so.
const hostPrelude = `
var (
	ctx   = context.Background()
	files fs.FS
	gw    = gateway.New(nil)
	store = keystore.New(nil)
	host  = lua.New(gw, nil)
	srv   = new(http.Server)

	timers lua.Service
)

var _, _, _, _, _, _, _, _ = ctx, files, gw, store, host, srv, timers, fragment
`

var hostImports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "fs": "io/fs", "http": "net/http",
	"os": "os", "slog": "log/slog",
	"gateway": "github.com/wsgateway/gateway", "lua": "github.com/wsgateway/gateway/lua",
	"luatest":    "github.com/wsgateway/gateway/lua/luatest",
	"keystore":   "github.com/wsgateway/gateway/lua/keystore",
	"httpclient": "github.com/wsgateway/gateway/lua/httpclient",
	"time":       "time",
}

// TestHostsPage builds all Go code on the page for hosts, each fragment inside a
// function.
func TestHostsPage(t *testing.T) { mdtest.Build(t, "..", "lua-hosts.md", 5, hostPackage) }

// TestMovingPage builds its Go code, and runs its scripts over sockets.
func TestMovingPage(t *testing.T) {
	mdtest.Build(t, "..", "lua-moving.md", 2, hostPackage)
	all := examples(t, "lua-moving.md")
	if len(all) < 2 {
		t.Fatalf("the page has %d examples", len(all))
	}
	for _, e := range all {
		t.Run(fmt.Sprintf("line %d", e.line), e.run)
	}
}

// hostPackage makes a fragment a package.
func hostPackage(code string) string {
	var use strings.Builder // a fragment may stop before it needs what it declares
	for _, m := range regexp.MustCompile(`(?m)^(\w+), err := |^(\w+) := `).FindAllStringSubmatch(code,
		-1) {
		if name := m[1] + m[2]; name != "_" {
			fmt.Fprintf(&use, "_ = %s\n", name)
		}
	}
	if regexp.MustCompile(`(?m)^(\w+, )?err := `).MatchString(code) {
		use.WriteString("return err\n")
	} else {
		use.WriteString("return nil\n")
	}
	body := "func fragment() error {\n" + code + use.String() + "}\n" + hostPrelude
	var b strings.Builder
	b.WriteString("package fragment\n")
	for name, path := range hostImports {
		if regexp.MustCompile(`\b` + name +
			`\.`).MatchString(regexp.MustCompile(`//.*`).ReplaceAllString(body, "")) {
			fmt.Fprintf(&b, "import %q\n", path)
		}
	}
	return b.String() + body
}
