package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var ownReplace = regexp.MustCompile(`=> (\.\./?)+`)

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
	if !ownReplace.Match(mod) {
		t.Fatal("its go.mod does not replace this module by its folder")
	}
	absolute := ownReplace.ReplaceAllLiteralString(string(mod), "=> "+root)
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

// A connector whose access tokens are fetched and that takes batches costs a folder and an import line: in a module of its own it
// passes the tests of every connector, and its program delivers with it.
func TestConnectorNumberSixteen(t *testing.T) {
	t.Parallel()
	module := ownModule(t, "testdata/sixteen")
	goTool(t, module, "test", "./...")
	program := filepath.Join(module, "bin", "surveygate")
	goTool(t, module, "build", "-o", program, ".")

	var mu sync.Mutex
	var tokens int
	written := map[string]int{}
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch r.Method + " " + r.URL.Path {
		case "POST /token":
			if r.FormValue("grant_type") != "client_credentials" || r.FormValue("client_id") != "app-1" || r.FormValue("client_secret") != "example-secret" {
				t.Errorf("a token is asked for with %v", r.Form)
			}
			tokens++
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"access_token": "token-%d", "token_type": "Bearer", "expires_in": 3600}`, tokens)
		case "POST /v1/ws_1/signals":
			if got := r.Header.Get("Authorization"); got != "Bearer token-1" {
				t.Errorf("a request has the credential %q", got)
			}
			var body struct{ Signals []struct{ ID string } }
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			ids := []string{}
			for _, s := range body.Signals {
				written[s.ID]++
				ids = append(ids, s.ID)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"written": ids})
		default:
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}))
	t.Cleanup(product.Close)
	p := startWith(t, []string{program}, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
connections:
  waves: {ripple: {client_id: app-1, client_secret: example-secret, workspace: ws_1, token_url: %[2]q, base_url: %[3]q}}
rules: [{name: each, send: [waves]}]
`, testToken, product.URL+"/token", product.URL+"/v1"))
	const events = 5
	for i := range events {
		body := fmt.Sprintf(`{"type":"response.completed","id":"r%d","nps_score":9}`, i)
		if status, result, err := p.publish(http.DefaultClient, body); err != nil || status != http.StatusOK {
			t.Fatal(status, result, err)
		}
	}
	until(t, "every signal is written", func() bool { mu.Lock(); defer mu.Unlock(); return len(written) == events })
	p.stop()
	if tokens != 1 {
		t.Errorf("%d tokens were fetched", tokens)
	}
	for id, times := range written {
		if times != 1 {
			t.Errorf("the signal %s was written %d times", id, times)
		}
	}
}
