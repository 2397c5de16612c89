// Package mdtest compiles the Go code of Markdown pages.
package mdtest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// Build builds every block of Go in the page, as the package that pkg makes of it,
// within the module whose directory is root. The packages exist in an overlay only.
func Build(t *testing.T, root, page string, pkg func(code string) string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("%s has %d blocks of Go", page, len(blocks))
	}
	if root, err = filepath.Abs(root); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	config := filepath.Join(dir, "overlay.json")
	args := []string{"build", "-overlay", config} // of several packages, which keeps no result
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
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", page, err, out)
	}
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
