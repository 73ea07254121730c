package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// floors is the map of the house: a package imports packages of lower floors only. A
// package that is not here does not belong to the project yet.
var floors = map[string]int{
	"agent/policy":       0,
	"agent/thread":       0,
	"portal/owner":       0,
	"agent/spop":         0,
	"agent/credential":   1,
	"agent/session":      1,
	"agent/regulation":   1,
	"portal/users":       1,
	"portal/factor":      1,
	"portal/mail":        1,
	"portal/journal":     1,
	"portal/strength":    1,
	"agent":              2,
	"store":              2,
	"portal/oidc":        2,
	"portal":             3,
	"haproxy":            3,
	"cmd/postern/config": 4,
	"cmd/postern":        5,
	"cmd/spopbench":      5,
}

// Shape to hold, per file, function and type.
const (
	maxFile      = 500
	maxFunc      = 60
	maxInterface = 5
	maxStruct    = 15
)

// source is one parsed Go file that is not a test.
type source struct {
	dir  string // from the module's root, "agent/spop"
	path string
	file *ast.File
	fset *token.FileSet
}

// sources parses every Go file of the module that is not a test.
func sources(t *testing.T) []source {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (strings.HasPrefix(name, ".") && path != root || name == "testdata" || name == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir, _ := filepath.Rel(root, filepath.Dir(path))
		all = append(all, source{dir: filepath.ToSlash(dir), path: path, file: file, fset: fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files found under %s", len(all), root)
	}
	return all
}

// testSupport says whether a package exists for tests: spoptest, storetest, haproxytest.
func testSupport(dir string) bool { return strings.HasSuffix(dir, "test") }

func (s source) at(n ast.Node) string { return s.fset.Position(n.Pos()).String() }

// TestWallsImportsGoDown holds the floors: lower ones only, and test support from tests only.
func TestWallsImportsGoDown(t *testing.T) {
	for _, s := range sources(t) {
		floor, known := floors[s.dir]
		if testSupport(s.dir) {
			floor, known = floors[filepath.ToSlash(filepath.Dir(s.dir))]+1, true
		}
		if !known {
			t.Errorf("%s: package %s has no floor", s.path, s.dir)
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			below, ours := strings.CutPrefix(path, "postern/")
			if !ours {
				continue
			}
			if testSupport(below) && !testSupport(s.dir) {
				t.Errorf("%s: imports %s, which is for tests", s.at(imp), below)
				continue
			}
			if f, ok := floors[below]; ok && f >= floor {
				t.Errorf("%s: %s (floor %d) imports %s (floor %d)", s.at(imp), s.dir, floor, below, f)
			}
		}
	}
}

// TestWallsPackageComments asks each package to say what it does not do.
func TestWallsPackageComments(t *testing.T) {
	limits := regexp.MustCompile(`(?i)\b(not|nothing|never|no|only|alone)\b`)
	comments := map[string]string{}
	for _, s := range sources(t) {
		comments[s.dir] += s.file.Doc.Text()
	}
	for dir, text := range comments {
		if !limits.MatchString(text) {
			t.Errorf("package %s: its comment does not say what it does not do: %q", dir, text)
		}
	}
}

// TestWallsNoSurprises refuses init, log.Fatal, os.Exit and package variables that change,
// outside cmd.
func TestWallsNoSurprises(t *testing.T) {
	for _, s := range sources(t) {
		inCmd := strings.HasPrefix(s.dir, "cmd/")
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s: init", s.at(n))
				}
			case *ast.SelectorExpr:
				pkg, _ := n.X.(*ast.Ident)
				if pkg == nil || inCmd {
					return true
				}
				name := pkg.Name + "." + n.Sel.Name
				if name == "os.Exit" || strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "log.Panic") {
					t.Errorf("%s: %s", s.at(n), name)
				}
			}
			return true
		})
		for _, name := range changedVariables(s) {
			t.Errorf("%s: package variable %s is assigned", s.path, name)
		}
	}
}

// changedVariables lists the package variables of the file that the file assigns. It goes
// by names: a local variable of the same name counts, and should have another.
func changedVariables(s source) []string {
	vars := map[string]bool{}
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, id := range spec.(*ast.ValueSpec).Names {
				vars[id.Name] = id.Name != "_"
			}
		}
	}
	var changed []string
	note := func(e ast.Expr) {
		if id, ok := e.(*ast.Ident); ok && vars[id.Name] {
			changed = append(changed, id.Name)
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, e := range n.Lhs {
				note(e)
			}
		case *ast.IncDecStmt:
			note(n.X)
		}
		return true
	})
	return changed
}

// TestWallsShape holds the sizes of files, functions, interfaces and structs.
func TestWallsShape(t *testing.T) {
	for _, s := range sources(t) {
		if n := s.fset.File(s.file.Pos()).LineCount(); n > maxFile {
			t.Errorf("%s: %d lines, at most %d", s.path, n, maxFile)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				lines := s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
				if lines > maxFunc {
					t.Errorf("%s: func %s has %d lines, at most %d", s.at(n), n.Name.Name, lines, maxFunc)
				}
			case *ast.TypeSpec:
				if err := typeShape(n); err != nil {
					t.Errorf("%s: %v", s.at(n), err)
				}
			}
			return true
		})
	}
}

// typeShape checks one type; the root of the configuration may be wide.
func typeShape(n *ast.TypeSpec) error {
	switch body := n.Type.(type) {
	case *ast.InterfaceType:
		if k := body.Methods.NumFields(); k > maxInterface {
			return fmt.Errorf("interface %s has %d methods, at most %d", n.Name.Name, k, maxInterface)
		}
	case *ast.StructType:
		if k := body.Fields.NumFields(); k > maxStruct && n.Name.Name != "Config" {
			return fmt.Errorf("struct %s has %d fields, at most %d", n.Name.Name, k, maxStruct)
		}
	}
	return nil
}

// TestWallsDocumented asks every exported name outside cmd for a comment.
func TestWallsDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasPrefix(s.dir, "cmd/") && s.dir != "cmd/postern/config" {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: func %s has no comment", s.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, name := range undocumented(d) {
					t.Errorf("%s: %s has no comment", s.at(d), name)
				}
			}
		}
	}
}

// exportedReceiver says whether a function can be called from outside: a plain function,
// or a method of an exported type that is not one of the standard interfaces' own.
func exportedReceiver(d *ast.FuncDecl) bool {
	switch d.Name.Name {
	case "Error", "String", "Unwrap", "Is", "As", "Len", "Less", "Swap", "MarshalText", "UnmarshalText", "UnmarshalYAML", "MarshalYAML", "MarshalJSON", "UnmarshalJSON":
		return false
	}
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	id, ok := e.(*ast.Ident)
	return ok && id.IsExported()
}

// undocumented lists exported names of a declaration that neither it, nor its group,
// nor its line explains.
func undocumented(d *ast.GenDecl) []string {
	if d.Doc != nil || d.Tok == token.IMPORT {
		return nil
	}
	var names []string
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && spec.Comment == nil {
				names = append(names, spec.Name.Name)
			}
		case *ast.ValueSpec:
			if spec.Names[0].IsExported() && spec.Doc == nil && spec.Comment == nil {
				names = append(names, spec.Names[0].Name)
			}
		}
	}
	return names
}
