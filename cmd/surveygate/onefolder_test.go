package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// A product costs one folder in connectors and one import line in connectors/all. Code elsewhere that knows a product by its name is a
// list that the next product has to be added to; these are the exceptions, each with its reason.
func TestProductsAreKnownInTheirFoldersOnly(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"connectors/chat.go":                            "the hosts that are often pasted for another product; one that it leaves out costs nothing",
		"cmd/command/demo.go":                           "the demo shows a chat",
		"cmd/command/demo_parts.go":                     "the demo shows a chat",
		"cmd/command/init.go":                           "the help shows how a product is named",
		"cmd/docgen/reference.go":                       "a sample of a rule's steps",
		"connectors/connectortest/contract/contract.go": "a document that says itself that it is incomplete",
		"connectors/connectortest/contract/route.go":    "a document whose host is a placeholder",
		"gateway/internal/state/statetest/statetest.go": "a sample of a delivery",
		"gateway/config/checks/credentials.go":          "examples of warnings",
		"gateway/config/checks/destinations.go":         "examples of warnings",
		"gateway/config/checks/rules.go":                "examples of warnings",
		"cmd/surveygate/doors_test.go":                  "a library that one product needs",
	}
	products := slices.DeleteFunc(connectors.Names(), func(name string) bool {
		return strings.Contains(name, ".") || name == "webhook" // a word of the configuration, too
	})
	named := regexp.MustCompile(`\b(` + strings.Join(products, "|") + `)\b`)
	folder := regexp.MustCompile(`^(\.\./)*connectors/(` + strings.Join(products, "|") + `)\b`)
	used := map[string]bool{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch name = filepath.ToSlash(name); {
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" || name == "examples" || name == "connectors/all"):
			return fs.SkipDir
		case d.IsDir() && slices.Contains(products, strings.TrimPrefix(name, "connectors/")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		list := named
		if strings.HasSuffix(path, "_test.go") {
			list = folder // tests may use any product as their sample
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if _, isImport := n.(*ast.ImportSpec); isImport || !ok || literal.Kind != token.STRING {
				return !isImport
			}
			text, err := strconv.Unquote(literal.Value)
			if product := list.FindString(text); err == nil && product != "" {
				if used[name] = true; allowed[name] == "" {
					t.Errorf("%s names %s: whatever depends on a product belongs into its folder", files.Position(literal.Pos()), product)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range allowed {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil && !used[name] {
			t.Errorf("%s no longer names a product: take it out of this list", name)
		}
	}
}
