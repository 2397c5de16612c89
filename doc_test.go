package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEverythingIsDocumented reads the packages: every exported name, with methods
// and fields, has a comment of its own or that of its group.
func TestEverythingIsDocumented(t *testing.T) {
	for _, dir := range []string{".", "gatewaytest", "lua", "lua/keystore", "lua/luatest",
		"cluster", "cluster/clustertest", "cluster/nats", "cluster/natsd",
		"lua/keystore/redis"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no Go files: %v", dir, err)
		}
		fset, withDoc := token.NewFileSet(), false
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			withDoc = withDoc || f.Doc.Text() != ""
			for _, decl := range f.Decls {
				for _, id := range undocumented(decl) {
					t.Errorf("%s: %s is exported and has no comment", fset.Position(id.Pos()), id.Name)
				}
			}
		}
		if !withDoc {
			t.Errorf("package %s has no comment", dir)
		}
	}
}

// TestArchitectureNamesEveryFile holds the table of files against the files.
func TestArchitectureNamesEveryFile(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+\\.go)`").FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
		if _, err := os.Stat(m[1]); err != nil {
			t.Errorf("ARCHITECTURE.md names %s: %v", m[1], err)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files: %v", err)
	}
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") && !named[name] {
			t.Errorf("ARCHITECTURE.md does not name %s", name)
		}
	}
}

// undocumented returns the exported names of a declaration that no comment
// describes.
func undocumented(decl ast.Decl) (ids []*ast.Ident) {
	add := func(names ...*ast.Ident) {
		for _, id := range names {
			if id.IsExported() {
				ids = append(ids, id)
			}
		}
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc.Text() == "" && exportedReceiver(d.Recv) {
			add(d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				if d.Doc.Text()+spec.Doc.Text()+spec.Comment.Text() == "" {
					add(spec.Names...)
				}
			case *ast.TypeSpec:
				if d.Doc.Text()+spec.Doc.Text() == "" {
					add(spec.Name)
				}
				if spec.Name.IsExported() {
					add(undocumentedFields(spec.Type)...)
				}
			}
		}
	}
	return ids
}

// exportedReceiver reports whether a function is one that users can call.
func exportedReceiver(recv *ast.FieldList) bool {
	if recv == nil {
		return true
	}
	typ := recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return !ok || id.IsExported()
}

// undocumentedFields returns the fields or methods of a type without a comment.
// Fields in lines that follow each other may share the comment above them.
func undocumentedFields(typ ast.Expr) (ids []*ast.Ident) {
	var list []*ast.Field
	switch typ := typ.(type) {
	case *ast.StructType:
		list = typ.Fields.List
	case *ast.InterfaceType:
		list = typ.Methods.List
	}
	shared := false // the field before has a comment above it
	for i, f := range list {
		// a newline and a tab
		shared = f.Doc.Text() != "" || shared && i > 0 && f.Pos() == list[i-1].End()+2
		if f.Doc.Text()+f.Comment.Text() == "" && !shared {
			ids = append(ids, f.Names...)
		}
	}
	return ids
}
