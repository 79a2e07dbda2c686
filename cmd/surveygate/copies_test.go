package main

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// visitor is a browser without scripts that is signed in to the console.
type visitor struct {
	t      *testing.T
	base   string
	client *http.Client
}

func (p *process) signIn(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, "http://" + p.address, &http.Client{Jar: jar}}
	res, err := v.client.PostForm(v.base+"/console/login", url.Values{"token": {p.token}})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || strings.Contains(res.Request.URL.Path, "login") {
		t.Fatalf("signing in led to %s: %d", res.Request.URL, res.StatusCode)
	}
	return v
}

// page returns a page of the console.
func (v *visitor) page(path string) string {
	v.t.Helper()
	res, err := v.client.Get(v.base + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: %d %v\n%s", path, res.StatusCode, err, text)
	}
	return string(text)
}

// names are those of a kind, in the order of the file.
func (p *process) names(t *testing.T, kind string) (names []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/v1/"+kind+"?limit=200", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	type defined struct {
		Name string
		At   struct{ Line int } `json:"defined_in"`
	}
	var list struct{ Data []defined }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list.Data, func(a, b defined) int { return a.At.Line - b.At.Line })
	for _, one := range list.Data {
		names = append(names, one.Name)
	}
	return names
}

// asFile finds the text of the editor as a part of a file.
var asFile = regexp.MustCompile(`(?s)aria-label="the text as a part of a file">(.*?)</pre>`)

// What the editor shows of a rule, webhook, connection or source that a file defines is that rule, webhook, connection or source: an
// example in which each stands as the editor copies it passes its checks and tests, and its commands print what the example's do.
func TestCopiesOfExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatal("the examples are gone", err)
	}
	for _, file := range files {
		dir, name := filepath.Split(file)
		t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) {
			t.Parallel()
			program := binary
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				program = buildOwn(t, dir)
			}
			text, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				t.Fatal(err)
			}
			beside := t.TempDir() // what the file names is there
			if err := os.CopyFS(beside, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			p := startWith(t, []string{program}, beside, withToken(string(text)), exampleEnv...)
			copied := p.copies(t)
			p.kill()

			there := t.TempDir()
			if err := os.CopyFS(there, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(there, name), []byte(copied), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"check"}, {"test"}} {
				if out, errs, code := call(t, program, there, exampleEnv, append(args, "--config", name)...); code != 0 {
					t.Errorf("surveygate %s: exit %d\n%s%s\n%s", args, code, out, errs, copied)
				}
			}
			archive, err := txtar.ParseFile(filepath.Join(dir, "expected.txtar"))
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range archive.Files {
				out, errs, _ := call(t, program, there, exampleEnv, strings.Fields(command.Name)[1:]...)
				if got := out + errs; got != string(command.Data) {
					t.Errorf("%s printed\n%s\nwant\n%s\nof\n%s", command.Name, got, command.Data, copied)
				}
			}
		})
	}
}

// withToken adds the test's token to a configuration.
func withToken(text string) string {
	const head = "\ntokens:\n"
	token := fmt.Sprintf("  - {name: test, secret: %q, scopes: [read, settings]}\n", testToken)
	if strings.Contains(text, head) {
		return strings.Replace(text, head, head+token, 1)
	}
	return text + head + token
}

// copies returns a configuration of all that the gateway's files define, as the editor copies it.
func (p *process) copies(t *testing.T) string {
	t.Helper()
	v := p.signIn(t)
	var all strings.Builder
	for _, kind := range []string{"sources", "connections", "webhooks", "rules"} {
		part := kind
		if kind == "connections" || kind == "webhooks" {
			part = "destinations"
		}
		for i, name := range p.names(t, kind) {
			shown := v.page("/console/t/default/" + part + "/" + url.PathEscape(name) + "/edit")
			found := asFile.FindStringSubmatch(shown)
			if found == nil {
				t.Fatalf("the editor has no copy of %s of %s:\n%s", name, kind, shown)
			}
			text := html.UnescapeString(found[1])
			if i > 0 {
				text = strings.TrimPrefix(text, kind+":\n")
			}
			all.WriteString(text)
		}
	}
	return all.String()
}
