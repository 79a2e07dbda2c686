package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A response id alone identifies no response: platforms count 1, 2, 3 for each survey. Whoever means "the same response" asks
// Header.ResponseKey. A connector may show the id to people, beside what tells it apart: the survey's id, or the response's key or
// code. These are the other files that may name the id itself, each with its reason.
func TestResponseIDIsNoIdentity(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"gateway/internal/explain/explain.go":        "shows it, beside source and survey",
		"cmd/command/events.go":                      "shows it, beside the source",
		"gateway/internal/explain/text.go":           "shows it, beside source and survey",
		"gateway/internal/source/field.go":           "fills it",
		"gateway/internal/source/normalise.go":       "asks whether anything was filled",
		"gateway/internal/state/read.go":             "looks up what a person has in hand, in every source and survey",
		"gateway/internal/state/embedded/records.go": "indexes it as a search term",
		"gateway/internal/state/redis/append.go":     "indexes it as a search term, and places events in shards",
		"gateway/internal/state/redis/revise.go":     "writes it, as a field of the revision",
		"gateway/internal/view/event.go":             "shows it, beside source and survey",
		"gateway/internal/view/response.go":          "shows it, beside source and survey",
		"gateway/internal/responses/responses.go":    "looks events up by it, of which it takes those with the same key",
		"gateway/internal/erase/search.go":           "looks up the events of a response by it, of which it takes those with the same key",
		"rules/event/decode.go":                      "reads it",
		"rules/event/envelope.go":                    "writes it",
		"rules/event/fields.go":                      "names it in expressions",
		"rules/event/new.go":                         "completes it",
		"rules/event/response.go":                    "makes the identity",
	}
	used := map[string]bool{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "statetest"): // a room of tests
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
		for _, declaration := range parsed.Decls {
			at, completed := responseIDs(declaration)
			if len(at) == 0 {
				continue
			}
			if strings.HasPrefix(name, "connectors/") {
				if !completed {
					t.Errorf("%s:%d names a response by its id alone; add survey.id, or take Header.ResponseKey or connectors.ResponseCode",
						name, files.Position(at[0]).Line)
				}
				continue
			}
			used[name] = true
			if allowed[name] == "" {
				t.Errorf("%s:%d names a response by its id alone; Header.ResponseKey identifies it", name, files.Position(at[0]).Line)
			}
		}
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

// responseIDs returns where a declaration names the id of a response, and whether it names what tells it apart too.
func responseIDs(declaration ast.Node) (at []token.Pos, completed bool) {
	ast.Inspect(declaration, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of := ""
		if x, ok := s.X.(*ast.SelectorExpr); ok {
			of = x.Sel.Name
		}
		switch name := of + "." + s.Sel.Name; {
		case name == "Response.ID" || s.Sel.Name == "ResponseID":
			at = append(at, s.Pos())
		case name == "Survey.ID" || s.Sel.Name == "ResponseKey" || s.Sel.Name == "ResponseCode":
			completed = true
		}
		return true
	})
	return at, completed
}

// LimeSurvey and Wufoo count the responses of each survey 1, 2, 3. `once: response` sends each of them, and no response twice.
func TestPlatformsThatCountAlike(t *testing.T) {
	t.Parallel()
	receiver := newSink(t, nil)
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [publish, read]}]
sources:
  limesurvey: {profile: limesurvey, secrets: [lime-token]}
  wufoo: {profile: wufoo, secrets: [wufoo-key]}
webhooks: [{name: crm, url: %q, signature: none, body: {of: "source", survey: survey.id, response: response.id}}]
rules: [{name: each, once: response, send: [crm]}]
`, testToken, receiver.url))
	send := func(source, contentType, body string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.address+"/in/"+source, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		if status, answer, err := do(req); err != nil || status != http.StatusOK || !strings.Contains(answer, `"accepted"`) {
			t.Fatal(status, answer, err)
		}
	}
	lime := func(survey, response int, submitted string) {
		send("limesurvey", "application/json", fmt.Sprintf(
			`{"api_token":"lime-token","survey":%d,"event":"afterSurveyComplete","respondId":%d,"submitDate":%q,"response":{"id":"%[2]d","NPS":"9"}}`,
			survey, response, submitted))
	}
	var want []string
	for n := 1; n <= 3; n++ {
		for _, survey := range []int{111, 222} {
			lime(survey, n, "2026-01-02 15:30:00")
			want = append(want, fmt.Sprintf(`{"of":"limesurvey","survey":"%d","response":"%d"}`, survey, n))
		}
		for _, form := range []string{"z5pkt3w03lj0nv", "q1w2e3"} {
			send("wufoo", "application/x-www-form-urlencoded", url.Values{
				"HandshakeKey": {"wufoo-key"}, "EntryId": {fmt.Sprint(n)}, "DateCreated": {"2026-01-02 15:30:00"},
				"FormStructure": {fmt.Sprintf(`{"Name":"Contact","Hash":%q}`, form)}, "FieldStructure": {`{"Fields":[]}`},
			}.Encode())
			want = append(want, fmt.Sprintf(`{"of":"wufoo","survey":"%s","response":"%d"}`, form, n))
		}
	}
	receiver.await(t, func(times map[string][]time.Time) bool { return len(times) == len(want) })
	lime(111, 1, "2026-01-02 16:00:00") // told already
	var skipped struct{ Data []shownDelivery }
	until(t, "the changed response is skipped", func() bool {
		p.ask(&skipped, "deliveries", "list", "--state", "skipped")
		return len(skipped.Data) == 1 && strings.HasPrefix(skipped.Data[0].Reason, "once: ")
	})
	receiver.mu.Lock()
	heard := map[string]int{}
	for _, body := range receiver.bodies {
		heard[body]++
	}
	receiver.mu.Unlock()
	for _, body := range want {
		if heard[body] != 1 {
			t.Errorf("%s was heard %d times, want once", body, heard[body])
		}
	}

	// A person looks for a response id, sees whose each is, and narrows the list to one response.
	type found struct {
		Data []struct {
			Source, Type string
			Survey       string `json:"survey_id"`
			Response     string `json:"response_id"`
		}
	}
	for query, n := range map[string]int{"response=1": 5, "response=1&source=wufoo": 2, "response=1&source=limesurvey&survey=111": 2} {
		var page found
		if err := json.Unmarshal([]byte(p.page(t, "/v1/events?"+query)), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Data) != n {
			t.Errorf("%s: %+v, want %d", query, page.Data, n)
		}
		for _, e := range page.Data {
			if e.Response != "1" || e.Survey == "" || e.Source == "" {
				t.Errorf("%s does not say whose response it is: %+v", query, e)
			}
		}
	}
}
