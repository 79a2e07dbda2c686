package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/surveygate/surveygate/"

type room struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// rooms are all packages of the module, as go list sees them.
func rooms(t *testing.T) []room {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []room
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var r room
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		r.ImportPath = strings.TrimPrefix(r.ImportPath, module)
		all = append(all, r)
	}
	return all
}

// Imports point down: cmd, gateway, connectors, rules. Each ban says what it protects.
func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	bans := []struct {
		from, to string
		except   []string
		why      string
	}{
		{"rules", "connectors", nil, "the language knows no product"},
		{"rules", "gateway", nil, "the language does no I/O"},
		{"rules", "cmd", nil, "doors stand above"},
		{"connectors", "gateway", nil, "a connector says what to send and never sends"},
		{"connectors", "cmd", nil, "doors stand above"},
		{"gateway", "cmd", nil, "doors stand above"},
		{"configs", "gateway", nil, "configs holds files; embed.go is its only code"},
		{"configs", "connectors", nil, "configs holds files; embed.go is its only code"},
		{"cmd", "gateway/internal", nil, "commands use the façade, as a company's own main does"},
		{"rules/event", "rules/expression", nil, "the event does not know who asks it"},
	}
	for _, r := range rooms(t) {
		for _, imported := range r.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			for _, ban := range bans {
				if within(r.ImportPath, ban.from) && within(to, ban.to) && !slices.Contains(ban.except, r.ImportPath) {
					t.Errorf("%s imports %s: %s", r.ImportPath, to, ban.why)
				}
			}
			if product(r.ImportPath) != "" && product(to) != "" && product(r.ImportPath) != product(to) {
				t.Errorf("%s imports %s: products never know each other", r.ImportPath, to)
			}
		}
	}
}

// Each outside library has one door.
func TestOneDoorPerLibrary(t *testing.T) {
	t.Parallel()
	doors := map[string][]string{
		"github.com/tidwall/gjson":            {"rules/jsonpath"},
		"github.com/expr-lang/expr":           {"rules/expression"},
		"go.yaml.in/yaml":                     {"gateway/internal/document", "connectors/connectortest"},
		"github.com/cockroachdb/pebble":       {"gateway/internal/state/embedded"},
		"github.com/redis/go-redis":           {"gateway/internal/redis", "gateway/internal/state/redis", "gateway/internal/stream"}, // address and client; the engine's commands; commands on streams of other programs
		"github.com/gofiber/fiber":            {"gateway/internal/web"},
		"github.com/slack-go/slack":           {"connectors/slack"},
		"github.com/getkin/kin-openapi":       {"connectors/connectortest/contract"},
		"github.com/prometheus/client_golang": {"gateway/internal/stats"},
		"github.com/spf13/cobra":              {"cmd"},
		"net/http/httputil":                   {},
	}
	for _, r := range rooms(t) {
		for _, imported := range r.Imports {
			for library, allowed := range doors {
				if imported != library && !strings.HasPrefix(imported, library+"/") {
					continue
				}
				if !slices.ContainsFunc(allowed, func(door string) bool { return within(r.ImportPath, door) }) {
					t.Errorf("%s imports %s, whose door is %v", r.ImportPath, imported, allowed)
				}
			}
		}
	}
}

// A connector does no I/O: it says what to send.
func TestConnectorsDoNoIO(t *testing.T) {
	t.Parallel()
	forbidden := []string{"net", "os", "os/exec", "io/ioutil", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "syscall"}
	for _, r := range rooms(t) {
		if product(r.ImportPath) == "" {
			continue
		}
		for _, imported := range r.Imports {
			if slices.Contains(forbidden, imported) {
				t.Errorf("%s imports %s: Build reads no clock, chance, environment, log or network", r.ImportPath, imported)
			}
		}
	}
}

// What a configuration is made of is read through one door, which remembers it: else a change in it would not be noticed.
func TestConfigurationIsReadThroughOneDoor(t *testing.T) {
	t.Parallel()
	readers := []string{
		"os.ReadFile", "os.Open", "os.OpenFile", "os.ReadDir", "os.Stat", "os.Lstat", "os.DirFS", "filepath.WalkDir", "filepath.Walk", "filepath.Glob",
		"tls.LoadX509KeyPair",
	}
	elsewhere := []string{
		"gateway/internal/files/",                          // the door
		"gateway/internal/state/embedded/",                 // the store's own folder
		"gateway/internal/redis/certificates.go",           // read again for each connection; config reads them through the door
		"gateway/internal/state/redis/emptied.go",          // a note in the data folder, which the store writes itself
		"gateway/internal/run/folder_unix.go",              // who may write to the data folder
		"gateway/internal/socket/",                         // the control socket in the data folder
		"gateway/internal/leaktest/", "gateway/redistest/", // tests
	}
	looked := 0
	for _, room := range []string{"gateway/config", "gateway/internal"} {
		err := filepath.WalkDir(filepath.Join("../..", room), func(path string, d fs.DirEntry, err error) error {
			name := strings.TrimPrefix(filepath.ToSlash(path), "../../")
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
				slices.ContainsFunc(elsewhere, func(part string) bool { return strings.HasPrefix(name, part) }) {
				return err
			}
			looked++
			positions := token.NewFileSet()
			file, err := parser.ParseFile(positions, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if of, ok := s.X.(*ast.Ident); ok && slices.Contains(readers, of.Name+"."+s.Sel.Name) {
						t.Errorf("%s: %s.%s: read it through gateway/internal/files", positions.Position(s.Pos()), of.Name, s.Sel.Name)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if looked < 100 {
		t.Errorf("looked at %d files", looked)
	}
}

func within(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

// product is the product a package belongs to; empty for the frame.
func product(path string) string {
	rest, ok := strings.CutPrefix(path, "connectors/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || slices.Contains([]string{"all", "connectortest", "declared"}, name) {
		return ""
	}
	return name
}
