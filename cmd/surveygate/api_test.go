package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway"
	"github.com/surveygate/surveygate/gateway/redistest"
)

const apiPage = "../../gateway/API.md"

// TestAPIPage makes every request of gateway/API.md, and finds in each answer what the page shows.
func TestAPIPage(t *testing.T) {
	t.Parallel()
	page := &pageReader{t: t, dir: t.TempDir(), address: "127.0.0.1:8080", receiver: fmt.Sprint("127.0.0.1:", redistest.Port(t))}
	played := page.follow(apiPage)
	if played["sh"] < 10 || played["text"] < 10 {
		t.Errorf("the page lost its examples: %v", played)
	}
}

var routesTable = regexp.MustCompile(`(?s)<!-- routes -->\n(.*?)<!-- /routes -->`)

// The page's table of paths is that of the program.
func TestAPIRoutes(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("\n| path | for | scope | parameters |\n| --- | --- | --- | --- |\n")
	patched := map[string]bool{} // paths with PUT, PATCH and DELETE alike
	for _, r := range gateway.Routes() {
		patched[r.Path] = patched[r.Path] || r.Method == "PATCH"
	}
	last := ""
	for _, r := range gateway.Routes() {
		if r.For == "" {
			t.Errorf("%s %s: nothing says what it is for", r.Method, r.Path)
		}
		if patched[r.Path] && (r.Method == "PATCH" || r.Method == "DELETE") {
			continue // as PUT, which stands for all three
		}
		method := r.Method
		if method == "PUT" && patched[r.Path] {
			method = "PUT, PATCH, DELETE"
		}
		query := make([]string, len(r.Query))
		for i, name := range r.Query {
			query[i] = "`" + name + "`"
		}
		if r.AllTenants {
			query = append(query, "`tenant=*`")
		}
		if r.Once {
			query = append(query, "Idempotency-Key")
		}
		scopes := strings.Join(r.Scopes, " ")
		if scopes == "" {
			scopes = "any"
		}
		line := fmt.Sprintf("| %s `%s` | %s | %s | %s |\n", method, r.Path, r.For, scopes, strings.Join(query, " "))
		if line != last {
			b.WriteString(line)
		}
		last = line
	}
	b.WriteString("\n")
	text, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	at := routesTable.FindSubmatchIndex(text)
	if at == nil {
		t.Fatal("the page has no table of paths")
	}
	if string(text[at[2]:at[3]]) == b.String() {
		return
	}
	if !*update {
		t.Fatal("the table of paths is stale: go test ./cmd/surveygate -run TestAPIRoutes -update")
	}
	if err := os.WriteFile(apiPage, []byte(string(text[:at[2]])+b.String()+string(text[at[3]:])), 0o600); err != nil {
		t.Fatal(err)
	}
}
