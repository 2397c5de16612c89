// Package clients lets the WebSocket clients that programs really use talk to a
// server. A client that is not installed is skipped.
package clients

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
)

func TestMain(m *testing.M) { labproc.Main(m) }

// converse runs a program with the server's address as its last argument. All
// of them hold the same conversation, and print "ok" at its end.
func converse(t *testing.T, lab *labproc.Lab, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, append(args, lab.Addr)...).CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "ok") {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}

// each runs the test with and without compression on the server's side.
func each(t *testing.T, test func(t *testing.T, lab *labproc.Lab)) {
	t.Run("plain", func(t *testing.T) { test(t, labproc.Get(t)) })
	t.Run("deflate", func(t *testing.T) { test(t, labproc.Get(t, "-deflate")) })
}

// installed returns the program's path, or skips the test.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: %s is not installed", name)
	}
	return path
}

// The package ws of Node, the version that package.json names.
func TestNodeWS(t *testing.T) {
	node, npm := installed(t, "node"), installed(t, "npm")
	if _, err := os.Stat("node/node_modules/ws"); err != nil {
		cmd := exec.Command(npm, "install", "--no-audit", "--no-fund", "--no-package-lock",
			"--ignore-scripts")
		cmd.Dir = "node"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: the package ws cannot be installed: %v\n%s", err, out)
		}
	}
	each(t, func(t *testing.T, lab *labproc.Lab) { converse(t, lab, node, "node/ws.mjs") })
}

// The WebSocket that is built into Node: from version 22 on, or behind a flag.
func TestNodeBuiltIn(t *testing.T) {
	node := installed(t, "node")
	var flags []string
	if !hasWebSocket(node) {
		if flags = []string{"--experimental-websocket"}; !hasWebSocket(node, flags...) {
			t.Skip("SKIPPED: this Node has no WebSocket")
		}
	}
	each(t, func(t *testing.T, lab *labproc.Lab) {
		converse(t, lab, node, append(flags, "node/builtin.mjs")...)
	})
}

func hasWebSocket(node string, flags ...string) bool {
	return exec.Command(node,
		append(flags, "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)")...).Run() == nil
}

// Python's package websockets.
func TestPythonWebsockets(t *testing.T) {
	var python string
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import websockets").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip("SKIPPED: no python3 that has websockets")
	}
	each(t, func(t *testing.T, lab *labproc.Lab) { converse(t, lab, python, "python/client.py") })
}

// The client of java.net.http.
func TestJava(t *testing.T) {
	java := installed(t, "java")
	if err := exec.Command(java, "--list-modules").Run(); err != nil {
		t.Skipf("SKIPPED: java does not run: %v", err)
	}
	dir := t.TempDir()
	out, err := exec.Command(installed(t, "javac"), "-d", dir,
		filepath.Join("java", "Client.java")).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("javac: %v\n%s", err, out)
	} else if err != nil {
		t.Skipf("SKIPPED: javac does not run: %v", err)
	}
	converse(t, labproc.Get(t), java, "-cp", dir, "Client")
}
