package mdtest

import (
	"fmt"
	"regexp"
	"strings"
)

// What the fragments of Go in the documents may use without saying so, by the name under
// which they do.
var imports = map[string]string{
	"cluster": "github.com/wsgateway/gateway/cluster",
	"nats":    "github.com/wsgateway/gateway/cluster/nats",
	"natsd":   "github.com/wsgateway/gateway/cluster/natsd",
	"natsgo":  "github.com/nats-io/nats.go",

	"clustertest": "github.com/wsgateway/gateway/cluster/clustertest",
	"context":     "context", "errors": "errors", "fmt": "fmt", "http": "net/http",
	"json": "encoding/json", "log": "log", "netip": "net/netip", "os": "os",
	"signal": "os/signal", "slog": "log/slog", "strings": "strings", "syscall": "syscall",
	"testing": "testing", "time": "time",

	"gateway":     "github.com/wsgateway/gateway",
	"gatewaytest": "github.com/wsgateway/gateway/gatewaytest",
	"lua":         "github.com/wsgateway/gateway/lua",
	"ticket":      "github.com/wsgateway/gateway/ticket",
}

const prelude = `
var ctx = context.Background()
var gw = gateway.New(nil)
var id string
var srv = new(http.Server)
func userOf(r *http.Request) (string, bool) { return "", false }
var _, _, _, _ = ctx, gw, id, srv
`

// Program makes a program of a block of Go: a whole one stays as it is, functions get
// what they need around them, statements become the body of a function. It is for
// [Build].
func Program(code string) string {
	if strings.HasPrefix(code, "package ") {
		return code
	}
	body := code
	if !strings.HasPrefix(code, "func ") {
		body = "func fragment() {\n" + code + "\n" + useAll(code) + "}\n"
	}
	body += prelude
	plain := regexp.MustCompile(`//.*`).ReplaceAllString(body, "")
	var b strings.Builder
	b.WriteString("package main\n")
	for name, path := range imports {
		if regexp.MustCompile(`\b` + name + `\.[A-Z]`).MatchString(plain) {
			fmt.Fprintf(&b, "import %s %q\n", name, path)
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
