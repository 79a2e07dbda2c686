package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ownModule copies a module of a company's own, which stands in this repository, to where it stands alone. It replaces
// this module by its folder, and what `go mod tidy` would write is taken from this module's own: what is required, and
// the checksums. So it needs nothing that this module does not need, and nothing is fetched.
func ownModule(t *testing.T, dir string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	alone := t.TempDir()
	if err := os.CopyFS(alone, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(alone, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	absolute := strings.Replace(string(mod), "=> ../..", "=> "+root, 1)
	if absolute == string(mod) {
		t.Fatal("its go.mod does not replace this module by its folder")
	}
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, required := range regexp.MustCompile(`(?ms)^require \(\n.*?^\)\n`).FindAllString(string(ours), -1) {
		absolute += "\n" + required
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"go.mod": []byte(absolute), "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(alone, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return alone
}

// goTool runs go in a module of a company's own, offline.
func goTool(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOPROXY=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", args, err, out)
	}
}

// buildOwn builds the program of such a module.
func buildOwn(t *testing.T, dir string) string {
	t.Helper()
	module := ownModule(t, dir)
	program := filepath.Join(module, "bin", "surveygate")
	goTool(t, module, "build", "-o", program, ".")
	return program
}

// A company's connector in a module of its own: its transcripts pass there, and its program delivers with it.
func TestOwnConnector(t *testing.T) {
	t.Parallel()
	const example = "../../examples/own-connector"
	module := ownModule(t, example)
	goTool(t, module, "test", "./...")
	program := filepath.Join(module, "bin", "surveygate")
	goTool(t, module, "build", "-o", program, ".")

	type call struct{ Path, Token, Body string }
	calls := make(chan call, 10)
	pager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		calls <- call{r.Method + " " + r.URL.Path, r.Header.Get("X-Pager-Token"), string(body)}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(pager.Close)
	p := startWith(t, []string{program}, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
connections:
  duty: {pager: {token: example-token, team: shop, base_url: %q}}
rules:
  - {name: furious, when: nps_score == 0, send: [duty]}
`, testToken, pager.URL+"/v1"))
	for _, body := range []string{
		`{"type":"response.completed","id":"calm","nps_score":1}`,
		`{"type":"response.completed","id":"furious","nps_score":0,"feedback":"empty again"}`,
	} {
		if status, result, err := p.publish(http.DefaultClient, body); err != nil || status != http.StatusOK {
			t.Fatal(status, result, err)
		}
	}
	select {
	case got := <-calls:
		key := got.Body[strings.LastIndex(got.Body, ":")+1:]
		want := call{"POST /v1/calls", "example-token", `{"team":"shop","text":"NPS 0: empty again","key":` + key}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	case <-time.After(patience):
		t.Fatalf("nobody was called:\n%s", p.said())
	}
	p.stop()
	if len(calls) > 0 {
		t.Errorf("somebody else was called too: %v", <-calls)
	}
}
