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

// floors are all packages of the module in the order of their imports, lowest first: a package imports only packages of
// lower floors, and so do its tests. connectors/* is every product; the products share a floor, so none imports another.
var floors = [][]string{
	{"rules/jsonpath", "configs", "gateway/config/checks", "connectors/declared", "connectors/connectortest/contract", "connectors/connectortest/credentials"},
	{"rules/event"},
	{"rules/expression", "rules/response"},
	{"rules", "connectors"},
	{"connectors/connectortest", "connectors/*"},
	{"connectors/all"},

	{"gateway/internal/clock", "gateway/internal/redact", "gateway/internal/document", "gateway/internal/redis", "gateway/internal/socket", "gateway/internal/crashpoint", "gateway/internal/tenantmap"},
	{"gateway/internal/leaktest", "gateway/redistest", "gateway/internal/redact/redacttest", "gateway/browser"},
	{"gateway/signature", "gateway/internal/files", "gateway/internal/repeats", "gateway/internal/transcript"},
	{"gateway/internal/source", "gateway/internal/state", "gateway/internal/outbound"},
	{"gateway/internal/state/statetest", "gateway/internal/vault", "gateway/internal/responses"},
	{"gateway/config"},
	{"gateway/config/actiontest", "gateway/internal/state/embedded", "gateway/internal/state/redis"},
	{"gateway/internal/access", "gateway/internal/audit", "gateway/internal/decide", "gateway/internal/oauth", "gateway/internal/stats"},
	{"gateway/internal/job", "gateway/internal/notice", "gateway/internal/scan", "gateway/internal/settings"},
	{"gateway/internal/view"},
	{"gateway/internal/live", "gateway/internal/renormalise"},
	{"gateway/internal/explain"},
	{"gateway/internal/accept", "gateway/internal/compare", "gateway/internal/suggest", "gateway/internal/try"},
	{"gateway/internal/deliver", "gateway/internal/stream", "gateway/internal/tail"},
	{"gateway/internal/act"},
	{"gateway/internal/deletion", "gateway/internal/erase", "gateway/internal/replay"},
	{"gateway/internal/web/answer", "gateway/internal/web/chart", "gateway/internal/web/listener"},
	{"gateway/internal/web/intake", "gateway/internal/web/sse", "gateway/internal/web/route"},
	{"gateway/internal/web/api", "gateway/internal/web/manage", "gateway/internal/web/openapi"},
	{"gateway/internal/web/docs", "gateway/internal/web/page"},
	{"gateway/internal/web/compat", "gateway/internal/web/console", "gateway/internal/web/inspect", "gateway/internal/web/observe", "gateway/internal/web/portal"},
	{"gateway/internal/web"},
	{"gateway/client", "gateway/offline", "gateway/receiver"},
	{"gateway/internal/run"},
	{"gateway"},

	{"cmd/command"},
	{"cmd/docgen", "cmd/surveygate"},
}

// testHelpers are imported by tests (and by each other) alone, whatever their floor.
var testHelpers = []string{
	"connectors/connectortest", "connectors/connectortest/contract", "connectors/connectortest/credentials", "gateway/internal/leaktest", "gateway/internal/redact/redacttest",
	"gateway/internal/state/statetest", "gateway/browser", "gateway/redistest",
}

// upward are the imports that run up, each with its reason. One that is no longer needed is an error.
var upward = []exception{
	{"gateway/internal/vault", "gateway/internal/state/embedded", true, "sealed values are kept by each engine"},
	{"gateway/internal/vault", "gateway/internal/state/redis", true, "sealed values are kept by each engine"},
	{"gateway/config", "gateway/internal/decide", true, "a configuration and its kept form are compared by what they decide"},
	{"gateway/config", "gateway/internal/settings", true, "exports of the configurations that its tests generate are compared by what they decide"},
	{"gateway/config", "gateway/internal/state/embedded", true, "exports are made from a store"},
	{"gateway/config", "gateway/internal/audit", true, "exports are made by what keeps an audit"},
}

type exception struct {
	from, to string
	tests    bool // imported by its tests, not by itself
	why      string
}

// bans are what the floors allow and something else forbids.
var bans = []struct {
	from, to string
	except   []string
	why      string
}{
	{"gateway", "gateway/internal/state/embedded", []string{"gateway/internal/run", "gateway/offline"}, "the store is used through the interface in state; run opens the engine"},
	{"gateway", "gateway/internal/state/redis", []string{"gateway/internal/run"}, "the store is used through the interface in state; run opens the engine"},
	{"gateway/client", "gateway/internal/web", nil, "a client of the API brings no server with it"},
	{"gateway/internal/act", "gateway/internal/deliver", nil, "it acts on the store, and tells the loop through Options"},
	{"gateway/internal/web/console", "gateway/internal/state", nil, "a page shows what the API answers"},
	{"gateway/internal/web/console", "gateway/internal/settings", nil, "a page changes what the API changes"},
	{"gateway/internal/web/portal", "gateway/internal/state", nil, "a page shows what the API answers"},
	{"gateway/internal/web/portal", "gateway/internal/settings", nil, "a page changes what the API changes"},
	{"gateway/internal/web", "gateway/internal/deliver", nil, "a handler calls accept or act; the delivery loop belongs to run"},
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// packages are all packages of the module, as go list sees them, with the tests that want vendors' documents.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", "contracts", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
	return all
}

// floorOf is the number of a package's floor; -1 for one that floors does not name.
func floorOf(path string) int {
	name := path
	if product(path) != "" {
		name = "connectors/*"
	}
	return slices.IndexFunc(floors, func(floor []string) bool { return slices.Contains(floor, name) })
}

// TestImportsPointDown holds floors and bans, for tests as well.
func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	all := packages(t)
	exists := func(path string) bool {
		return slices.ContainsFunc(all, func(p goPackage) bool { return p.ImportPath == path })
	}
	needed := map[int]bool{}
	check := func(from, to string, test bool) {
		if i := slices.IndexFunc(upward, func(u exception) bool { return u.from == from && u.to == to && test == u.tests }); i >= 0 {
			needed[i] = true
			return
		}
		if slices.Contains(testHelpers, to) {
			if !test && !slices.Contains(testHelpers, from) {
				t.Errorf("%s imports %s outside its tests", from, to)
			}
			return
		}
		if floorOf(to) >= floorOf(from) && from != to {
			t.Errorf("%s imports %s%s, which is on no lower floor", from, to, map[bool]string{true: " in its tests"}[test])
		}
		if test {
			return
		}
		for _, ban := range bans {
			if within(from, ban.from) && within(to, ban.to) && !within(from, ban.to) && !slices.Contains(ban.except, from) {
				t.Errorf("%s imports %s: %s", from, to, ban.why)
			}
		}
	}
	for _, p := range all {
		if floorOf(p.ImportPath) < 0 {
			t.Errorf("floors does not name %s", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours {
				check(p.ImportPath, to, false)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if to, ours := strings.CutPrefix(imported, module); ours {
				check(p.ImportPath, to, true)
			}
		}
	}
	for i, u := range upward {
		if !needed[i] {
			t.Errorf("upward: %s no longer imports %s", u.from, u.to)
		}
	}
	for _, name := range slices.Concat(slices.Concat(floors...), testHelpers) {
		if name != "connectors/*" && !exists(name) {
			t.Errorf("there is no package %s", name)
		}
	}
}

// A connector does no I/O: it says what to send.
func TestConnectorsDoNoIO(t *testing.T) {
	t.Parallel()
	forbidden := []string{"net", "os", "os/exec", "io/ioutil", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "syscall"}
	for _, p := range packages(t) {
		if product(p.ImportPath) == "" {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(forbidden, imported) {
				t.Errorf("%s imports %s: Build reads no clock, chance, environment, log or network", p.ImportPath, imported)
			}
		}
	}
}

// A panic in a goroutine of its own ends the process, and not the request that raised it.
func TestRequestsStartNoGoroutine(t *testing.T) {
	t.Parallel()
	mayStart := []string{
		"route/together.go", // catches what is raised
		"route/once.go",     // renews a lease
		"observe/live.go",   // one for all streams
		"observe/tail.go",   // one for a stream, which outlives its request
		"web.go", "listener/connections.go",
	}
	looked := 0
	err := filepath.WalkDir("../../gateway/internal/web", func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(filepath.ToSlash(path), "../../gateway/internal/web/")
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		looked++
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			_, starts := n.(*ast.GoStmt)
			if of, ok := n.(*ast.SelectorExpr); ok && of.Sel.Name == "Go" {
				starts = true
			}
			if starts && !slices.Contains(mayStart, name) {
				t.Errorf("%s: call it with route.Together, which catches a panic", positions.Position(n.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 100 {
		t.Errorf("looked at %d files", looked)
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
		"gateway/internal/vault/keyfile.go",                // the key in the data folder, which the gateway makes itself
		"gateway/internal/leaktest/", "gateway/redistest/", // tests
	}
	looked := 0
	for _, folder := range []string{"gateway/config", "gateway/internal"} {
		err := filepath.WalkDir(filepath.Join("../..", folder), func(path string, d fs.DirEntry, err error) error {
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

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// product is the product a package belongs to; empty for the frame.
func product(path string) string {
	rest, ok := strings.CutPrefix(path, "connectors/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || slices.Contains([]string{"all", "connectortest", "declared"}, name) {
		return ""
	}
	return name
}
