// Package mdtest compiles the Go code of Markdown pages, and follows their links.
package mdtest

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

// Build compiles every block of Go in the page, as the package that pkg makes of it,
// within the module whose directory is root. The packages exist in an overlay only.
// A page with fewer than least blocks is a failure: something was not found.
func Build(t *testing.T, root, page string, least int, pkg func(code string) string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < least {
		t.Fatalf("%s has %d blocks of Go, want at least %d", page, len(blocks), least)
	}
	if root, err = filepath.Abs(root); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	config := filepath.Join(dir, "overlay.json")
	args := []string{"list", "-export", "-overlay", config} // compiles, and does not link
	for i, b := range blocks {
		name := fmt.Sprintf("page%d", i)
		file := filepath.Join(dir, name+".go")
		write(t, file, []byte(pkg(b[1])))
		overlay[filepath.Join(root, "internal", name, "main.go")] = file
		args = append(args, "./internal/"+name)
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, list)
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil { // the output says where
		t.Errorf("%s: %v\n%s", page, err, out)
	}
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Links returns the local files that the page links to, as paths from the directory in
// which the test runs. A link to a file or a heading that does not exist is a failure.
func Links(t *testing.T, page string) (files []string) {
	t.Helper()
	text := read(t, page)
	for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		target, heading, _ := strings.Cut(m[1], "#")
		file := page
		if target != "" {
			file = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			files = append(files, file)
		}
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s links to %s: %v", page, m[1], err)
		} else if heading != "" && !hasHeading(read(t, file), heading) {
			t.Errorf("%s links to %s: there is no such heading", page, m[1])
		}
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// hasHeading reports whether a page has a heading, or an anchor, with the id.
func hasHeading(text, id string) bool {
	if strings.Contains(text, `<a id="`+id+`">`) {
		return true
	}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(m[1])), " ", "-")
		if regexp.MustCompile(`[^\p{L}\p{N}_-]`).ReplaceAllString(name, "") == id {
			return true
		}
	}
	return false
}
