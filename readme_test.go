package gateway_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/internal/mdtest"
)

// TestReadmeCompiles builds all Go code in README.md: whole programs as they are,
// fragments inside a function.
func TestReadmeCompiles(t *testing.T) { mdtest.Build(t, ".", "README.md", 4, mdtest.Program) }

// TestReadmeIsShort keeps the README a page that is read in one sitting. What does not
// fit belongs in docs/.
func TestReadmeIsShort(t *testing.T) {
	const most = 8192
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > most {
		t.Errorf("README.md has %d bytes, want at most %d", len(b), most)
	}
}

// TestTheTestCommandCoversEveryModule holds the command that the README and
// CONTRIBUTING.md give against the modules of go.work.
func TestTheTestCommandCoversEveryModule(t *testing.T) {
	for _, page := range []string{"README.md", "CONTRIBUTING.md"} {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), "\ngo test work ") {
			t.Errorf("%s does not give the command go test work", page)
		}
	}
	if got := strings.TrimSpace(goOutput(t, "env", "GOWORK")); got == "" || got == "off" {
		t.Skip("NOT TESTED: the modules are not joined by go.work here")
	}
	covered := strings.Fields(goOutput(t, "list", "-f", "{{.Module.Dir}}", "work"))
	for _, dir := range strings.Fields(goOutput(t, "list", "-m", "-f", "{{.Dir}}")) {
		if !slices.Contains(covered, dir) {
			t.Errorf("go test work tests no package of the module in %s", dir)
		}
	}
}

// goOutput returns what the go command prints.
func goOutput(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
