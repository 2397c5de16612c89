package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/internal/mdtest"
)

// TestPagesCompile builds all Go code of the pages, with the least number of blocks that
// each must have.
func TestPagesCompile(t *testing.T) {
	for page, least := range map[string]int{
		"mounting.md": 5, "limits.md": 5, "errors.md": 5, "production.md": 5, "migrating.md": 2,
		"proxies.md": 1,
	} {
		t.Run(page, func(t *testing.T) { mdtest.Build(t, "..", page, least, mdtest.Program) })
	}
}

// TestEveryPageIsLinked has every page of docs/ linked from the README and from another
// page, and every link lead somewhere.
func TestEveryPageIsLinked(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	fromReadme := mdtest.Links(t, filepath.Join("..", "README.md"))
	links := map[string][]string{} // by page
	for _, page := range pages {
		links[page] = mdtest.Links(t, page)
		if !slices.Contains(links[page], filepath.Join("..", "README.md")) {
			t.Errorf("%s has no link back to the README", page)
		}
	}
	for _, page := range pages {
		if !slices.Contains(fromReadme, filepath.Join("..", "docs", page)) {
			t.Errorf("README.md does not link to docs/%s", page)
		}
		linked := slices.ContainsFunc(pages, func(other string) bool {
			return other != page && slices.Contains(links[other], page)
		})
		if !linked {
			t.Errorf("no other page links to %s", page)
		}
	}
	for _, page := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md",
		"bench/README.md"} {
		mdtest.Links(t, filepath.Join("..", filepath.FromSlash(page)))
	}
}

// TestLimitsNamesEveryOption holds the page against the fields of Options and Limits.
func TestLimitsNamesEveryOption(t *testing.T) {
	page := readPage(t, "limits.md")
	for _, options := range []any{gateway.Options{}, gateway.Limits{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(options)) {
			if f.IsExported() && !strings.Contains(page, "`"+f.Name+"`") {
				t.Errorf("limits.md does not name the option %s", f.Name)
			}
		}
	}
}

// TestCausesAndErrorsAreNamed holds the pages against the source: every cause for which
// a socket closes, and every type of error with the name that it has in Go.
func TestCausesAndErrorsAreNamed(t *testing.T) {
	causes, errorTypes := declared(t)
	if len(causes) < 17 || len(errorTypes) < 16 {
		t.Fatalf("found %d causes and %d types of errors in the source", len(causes), len(errorTypes))
	}
	limits, errors := readPage(t, "limits.md"), readPage(t, "errors.md")
	for _, cause := range causes {
		if !strings.Contains(limits, "| `"+cause+"` |") {
			t.Errorf("limits.md has no line for the cause %s", cause)
		}
	}
	for name, typ := range errorTypes {
		if !strings.Contains(errors, "| `"+typ+"` | `"+name+"` |") {
			t.Errorf("errors.md has no line for %s, of type %s", name, typ)
		}
	}
}

// declared reads the root package: the words of its constants of type Cause, and the
// types of its sentinel errors by the names of their variables.
func declared(t *testing.T) (causes []string, errorTypes map[string]string) {
	t.Helper()
	files, err := filepath.Glob("../*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files: %v", err)
	}
	errorTypes = map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, v := range spec.Values {
				if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Cause" {
					causes = append(causes, literal(v))
				}
				if call, ok := v.(*ast.CallExpr); ok && isIdent(call.Fun, "sentinel") {
					errorTypes[spec.Names[i].Name] = literal(call.Args[0])
				}
			}
			return true
		})
	}
	return causes, errorTypes
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// literal is the value of a string literal, "" of anything else.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	s, _ := strconv.Unquote(lit.Value)
	return s
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
