package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const plainServer = "bench/operate/plain"

// measureAgainst compares the echo server of two commits, or of one and the working tree,
// where that is "".
func measureAgainst(older, newer string) {
	dir, err := os.MkdirTemp("", "operate")
	check(err)
	defer os.RemoveAll(dir)
	name := newer
	if newer == "" {
		name = "working tree"
	}
	old, next := buildPlain(dir, older), buildPlain(dir, newer)
	measureCPU([]contender{
		{older, func() *server { return startProgram(old) }},
		{older + " again", func() *server { return startProgram(old) }},
		{name, func() *server { return startProgram(next) }},
	})
}

// buildPlain builds the echo server with the gateway of a commit, or of the working tree,
// and returns the program.
func buildPlain(dir, commit string) string {
	if commit == "" {
		program := filepath.Join(dir, "working-tree")
		run("", "go", "build", "-o", program, "./"+plainServer)
		return program
	}
	name := strings.ReplaceAll(commit, "/", "-")
	program, tree := filepath.Join(dir, name), filepath.Join(dir, name+"-tree")
	check(os.Mkdir(tree, 0o755))
	archive := tree + ".tar"
	run("", "git", "archive", "-o", archive, commit)
	run("", "tar", "-x", "-f", archive, "-C", tree)
	source, err := os.ReadFile(plainServer + "/main.go")
	check(err)
	check(os.Mkdir(filepath.Join(tree, "plain-echo"), 0o755))
	check(os.WriteFile(filepath.Join(tree, "plain-echo", "main.go"), source, 0o644))
	// The root module alone: the others may have needed what is no longer there.
	run(tree, "env", "GOWORK=off", "go", "build", "-o", program, "./plain-echo")
	return program
}

// run runs a command in a directory; "" is the present one.
func run(dir, name string, args ...string) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		check(fmt.Errorf("%v: %w\n%s", cmd, err, out))
	}
}
