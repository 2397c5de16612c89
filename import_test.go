package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	webSocketLibrary = "github.com/coder/websocket"
	luaMachine       = "github.com/Shopify/go-lua"
)

// Who imports a package pays for what it imports. The gateway depends on the
// WebSocket library and the standard library; only package lua on the machine that
// runs the scripts.
func TestImports(t *testing.T) {
	for pkg, allowed := range map[string][]string{
		".":             {webSocketLibrary},
		"./gatewaytest": {webSocketLibrary},
		"./ticket":      {webSocketLibrary}, // through the gateway
		"./lua":         {webSocketLibrary, luaMachine},
		"./cluster":     {webSocketLibrary},
	} {
		used := map[string]bool{}
		for _, dep := range nonStandardDeps(t, pkg) {
			if within(dep, "github.com/wsgateway/gateway") {
				continue
			}
			i := slices.IndexFunc(allowed, func(m string) bool { return within(dep, m) })
			if i < 0 {
				t.Errorf("package %s imports %s; allowed are %q", pkg, dep, allowed)
				continue
			}
			used[allowed[i]] = true
		}
		if len(used) != len(allowed) {
			t.Errorf("package %s uses %v of %q: is the list read at all?", pkg, used, allowed)
		}
	}
}

func within(pkg, module string) bool { return pkg == module || strings.HasPrefix(pkg, module+"/") }

// nonStandardDeps lists what a package is built from. The workspace does not
// count: its other modules are not what a user of this one gets.
func nonStandardDeps(t *testing.T, pkg string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return strings.Fields(string(out))
}

// The WebSocket library is behind one file, which exports nothing: it could be
// exchanged without any user noticing.
func TestLibraryIsBehindOneFile(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var importers []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(f.Imports,
			func(i *ast.ImportSpec) bool {
				return within(strings.Trim(i.Path.Value, `"`), webSocketLibrary)
			}) {
			continue
		}
		importers = append(importers, name)
		for name, obj := range f.Scope.Objects {
			if ast.IsExported(name) {
				t.Errorf("the file that imports the WebSocket library exports %s %s", obj.Kind, name)
			}
		}
	}
	if !slices.Equal(importers, []string{"conn_library.go"}) {
		t.Errorf("the WebSocket library is imported by %q, want conn_library.go alone", importers)
	}
}

// What a package must not import itself, with the reason. Test files do not count.
func TestForbiddenImports(t *testing.T) {
	const module = "github.com/wsgateway/gateway"
	testHelpers := []string{"testing", module + "/gatewaytest", module + "/internal/leaktest",
		module + "/internal/mdtest"}
	for dir, forbidden := range map[string]map[string][]string{
		".": {
			"test helpers stay out of programs":         testHelpers,
			"who embeds the gateway chooses the logger": {"log"},
		},
		"lua": {
			"scripts know operations, not how they travel": {"net/http", webSocketLibrary},
			"the machine is behind lua/internal/vm":        {luaMachine},
			"test helpers stay out of programs":            testHelpers,
		},
		"cluster": {
			"the cluster knows operations, not what asks for them": {module + "/lua", webSocketLibrary},
			"how bytes travel is a transport's":                    {"net", "net/http"},
			"test helpers stay out of programs":                    testHelpers,
		},
		"ticket": {
			"tickets know no sockets":           {webSocketLibrary},
			"test helpers stay out of programs": testHelpers,
		},
		"lua/keystore": {"test helpers stay out of programs": testHelpers},
		"lua/internal/vm": {"the machine knows no gateway": {module},
			"test helpers stay out of programs": testHelpers},
		"lua/internal/source": {"reading files needs no gateway": {module},
			"test helpers stay out of programs": testHelpers},
		"internal/pattern":   {"patterns know no gateway": {module}},
		"internal/forwarded": {"headers know no gateway": {module}},
	} {
		for _, imported := range importsOf(t, dir) {
			if dir == "." && within(imported, module) && !within(imported, module+"/internal") {
				t.Errorf("the root imports %s, and knows nothing below it but what is internal", imported)
			}
			for why, names := range forbidden {
				if slices.Contains(names, imported) ||
					slices.Contains(names, module) && within(imported, module) {
					t.Errorf("%s imports %s: %s", dir, imported, why)
				}
			}
		}
	}
}

// importsOf lists what the files of a directory import, on every system.
func importsOf(t *testing.T, dir string) (imported []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no Go files: %v", dir, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			imported = append(imported, strings.Trim(i.Path.Value, `"`))
		}
	}
	return imported
}
