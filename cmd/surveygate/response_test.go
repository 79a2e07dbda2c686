package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A response id alone identifies no response: platforms count 1, 2, 3 for each survey. Whoever means "the same response" asks
// Header.ResponseKey; these are the files that may name the id itself, each with its reason.
func TestResponseIDIsNoIdentity(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"connectors/ga4/params.go":                       "shows it in reports, beside survey_id",
		"connectors/message.go":                          "names the survey to people, by its response where nothing else does",
		"gateway/internal/explain/explain.go":            "shows it, beside source and survey",
		"gateway/internal/explain/text.go":               "shows it, beside source and survey",
		"gateway/internal/source/field.go":               "fills it",
		"gateway/internal/source/normalise.go":           "asks whether anything was filled",
		"gateway/internal/state/embedded/read_events.go": "looks up what a person has in hand, in every source and survey",
		"gateway/internal/state/embedded/records.go":     "indexes it as a search term",
		"gateway/internal/state/redis/append.go":         "indexes it as a search term, and places events in shards",
		"gateway/internal/state/redis/read_events.go":    "looks up what a person has in hand, in every source and survey",
		"gateway/internal/state/statetest/intake.go":     "a test's own ids",
		"gateway/internal/state/statetest/lists.go":      "a test's own ids",
		"gateway/internal/state/statetest/retention.go":  "a test's own ids",
		"gateway/internal/web/api/view.go":               "shows it, beside source and survey",
		"rules/event/decode.go":                          "reads it",
		"rules/event/envelope.go":                        "writes it",
		"rules/event/fields.go":                          "names it in expressions",
		"rules/event/new.go":                             "completes it",
		"rules/event/response.go":                        "makes the identity",
	}
	used := map[string]bool{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		ast.Inspect(parsed, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, _ := s.X.(*ast.SelectorExpr)
			if s.Sel.Name != "ResponseID" && (s.Sel.Name != "ID" || of == nil || of.Sel.Name != "Response") {
				return true
			}
			used[name] = true
			if allowed[name] == "" {
				t.Errorf("%s:%d names a response by its id alone; Header.ResponseKey identifies it", name, files.Position(s.Pos()).Line)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range allowed {
		if !used[name] {
			t.Errorf("%s no longer names a response id: take it out of this list", name)
		}
	}
}
