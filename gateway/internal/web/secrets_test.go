package web

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/redact/redacttest"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// keptOf is everything that is kept of a source's requests, as texts: rejected ones with their details and checks, and
// captured ones.
func keptOf(t *testing.T, r *rig, source string) []string {
	t.Helper()
	var texts []string
	of := func(k *view.Request) {
		body, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, k.Path, string(body))
		for _, h := range k.Headers {
			texts = append(texts, h[0]+": "+h[1])
		}
	}
	rejected, _ := list[view.Rejected](t, r.ask(t, ask{path: "/v1/sources/" + source + "/rejected", token: readToken}))
	for i := range rejected {
		of(&rejected[i].Request)
		texts = append(texts, rejected[i].Detail)
		for _, c := range rejected[i].Checks {
			texts = append(texts, c.Asks, c.Reason, c.Signed, c.Given)
		}
	}
	captured, _ := list[view.Captured](t, r.ask(t, ask{path: "/v1/sources/" + source + "/captured", token: readToken}))
	for i := range captured {
		of(&captured[i].Request)
	}
	if len(rejected) == 0 || len(captured) == 0 {
		t.Fatalf("%d rejected and %d captured requests are kept of %s", len(rejected), len(captured), source)
	}
	return texts
}

const multipartForm = "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n%\r\n--B--\r\n"

// TestSecretsOfKeptRequests sends a source's own secret in every spelling to every place of a request: none is kept.
func TestSecretsOfKeptRequests(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, `
sources:
  mine: {profile: pollqr, secrets: ['`+redacttest.Secret+`', `+redacttest.Plain+`], capture: 24h}
`)
	places := map[string]ask{
		"header":       {header: map[string]string{"X-Any": "before % behind"}},
		"long header":  {header: map[string]string{"X-Any": strings.Repeat("x", 970) + "%"}}, // cut off within
		"query":        {path: "?x=%&y=1"},
		"Referer":      {header: map[string]string{"Referer": "https://gate.example/in/mine?x=%"}},
		"form":         {body: "a=1&x=%&b=2", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		"JSON":         {body: `{"a": 1, "x": "%"}`, header: map[string]string{"Content-Type": "application/json"}},
		"multipart":    {body: multipartForm, header: map[string]string{"Content-Type": "multipart/form-data; boundary=B"}},
		"text":         {body: "%", header: map[string]string{"Content-Type": "text/plain"}},
		"cut off body": {body: `{"x": "` + strings.Repeat("x", 64<<10-20) + `%"}`, header: map[string]string{"Content-Type": "application/json"}},
		"signature":    {header: map[string]string{"X-PollQR-Signature": "%"}},
	}
	var requests sparse
	for place, how := range places {
		for _, secret := range []string{redacttest.Secret, redacttest.Plain} {
			for _, s := range redacttest.Spellings() {
				if requests.leavesOut() {
					continue
				}
				written := s.Write(secret)
				a := ask{method: "POST", path: "/in/mine" + strings.ReplaceAll(how.path, "%", written), body: strings.ReplaceAll(how.body, "%", written), header: map[string]string{}}
				if _, err := url.Parse(a.path); err != nil || how.path != "" && strings.ContainsAny(written, `" #<>`) {
					continue // no client sends that
				}
				for name, value := range how.header {
					a.header[name] = strings.ReplaceAll(value, "%", written)
				}
				if a.body == "" {
					a.body = "{}"
				}
				r.clock.Advance(time.Second)
				if got := r.ask(t, a); got.status != 401 {
					t.Fatalf("%s, %s: %d %s", place, s.Name, got.status, got.body)
				}
				cut := false
				for i, text := range newestKept(t, r, "mine") {
					cut = cut || strings.Contains(text, connectors.Hidden)
					if strings.Contains(text, written) || strings.Contains(text, secret) || strings.Contains(place, "long") && strings.Contains(text, "x"+written[:6]) {
						t.Errorf("%s, %s: text %d still holds %q: %.300s", place, s.Name, i, written, text)
					}
				}
				if !cut {
					t.Errorf("%s, %s: nothing was cut", place, s.Name)
				}
			}
		}
	}
}

// newestKept is what is kept of the request before, as keptOf shows it.
func newestKept(t *testing.T, r *rig, source string) []string {
	t.Helper()
	var texts []string
	for _, list := range []string{"rejected/" + source + "/unproved", "captured/" + source + "/unproved"} {
		items, err := r.store.Kept(t.Context(), "default", list, 0, -1)
		if err != nil || len(items) == 0 {
			t.Fatalf("%s: %d items, %v", list, len(items), err)
		}
		var k view.Rejected
		if err := json.Unmarshal(items[0], &k); err != nil {
			t.Fatal(err)
		}
		body, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, k.Path, string(body), k.Detail)
		for _, h := range k.Headers {
			texts = append(texts, h[0]+": "+h[1])
		}
		for _, c := range k.Checks {
			texts = append(texts, c.Signed, c.Given)
		}
	}
	return texts
}

// TestPlacesOfSecrets: where `verify` looks for a secret, whatever stands there is hidden, also a wrong one that a person
// mistyped or has just changed; and so it is wherever else the request repeats it.
func TestPlacesOfSecrets(t *testing.T) {
	t.Parallel()
	const wrong = "0ld l1ve/secret+&=%"
	const right = "the-right-secret-of-today"
	encoded := url.QueryEscape(wrong)
	quoted := strings.ReplaceAll(wrong, "/", `\/`)
	inPath := url.PathEscape(wrong)
	echo := "https://gate.example/in/mine/" + inPath + "?k=" + encoded + "&other=" + encoded + " " + base64.StdEncoding.EncodeToString([]byte("x"+wrong))
	for _, c := range []struct {
		name, source string
		ask          ask
	}{
		{
			"header", `{profile: popsee, verify: [{kind: token, header: X-Acme-Proof, prefix: "Key "}], secrets: [` + right + `]}`,
			ask{header: map[string]string{"X-Acme-Proof": "Key " + wrong}},
		},
		{
			"header that only the profile names", `{profile: popsee, verify: [{kind: token, header: X-Acme-Proof}], path_token: ` + pathToken + `}`,
			ask{header: map[string]string{"X-Acme-Proof": wrong}},
		},
		{"query", `{profile: popsee, verify: [{kind: token, query: k}], secrets: [` + right + `]}`, ask{path: "?a=1&%6B=" + encoded + "&b=2"}},
		{"query twice", `{profile: popsee, verify: [{kind: token, query: k}], secrets: [` + right + `]}`, ask{path: "?k=" + right + "1&k=" + encoded}},
		{
			"form", `{profile: wufoo, verify: [{kind: token, field: k}], secrets: [` + right + `]}`,
			ask{body: "a=1&%6b=" + encoded + "&b=2", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		},
		{"form without a type", `{profile: wufoo, verify: [{kind: token, field: k}], secrets: [` + right + `]}`, ask{body: "a=1&k=" + encoded + "&b=2"}},
		{
			"form twice", `{profile: wufoo, verify: [{kind: token, field: k}], secrets: [` + right + `]}`,
			ask{body: "k=x&k=" + encoded, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		},
		{
			"multipart", `{profile: jotform, verify: [{kind: token, field: k}], secrets: [` + right + `]}`,
			ask{body: strings.NewReplacer(`"x"`, `"k"`, "%", wrong).Replace(multipartForm), header: map[string]string{"Content-Type": "multipart/form-data; boundary=B"}},
		},
		{
			"multipart cut off", `{profile: jotform, verify: [{kind: token, field: k}], secrets: [` + right + `]}`,
			ask{body: strings.NewReplacer(`"x"`, `"k"`, "%", wrong, "--B--\r\n", "").Replace(multipartForm), header: map[string]string{"Content-Type": "multipart/form-data; boundary=B"}},
		},
		{"JSON", `{profile: popsee, verify: [{kind: token, path: auth.k}], secrets: [` + right + `]}`, ask{body: `{"auth": {"k": "` + quoted + `"}, "a": 1}`}},
		{"JSON, escaped", `{profile: popsee, verify: [{kind: token, path: auth.k}], secrets: [` + right + `]}`, ask{body: `{"auth": {"\u006b": "` + quoted + `"}, "a": 1}`}},
		{"JSON, broken", `{profile: popsee, verify: [{kind: token, path: auth.k}], secrets: [` + right + `]}`, ask{body: `{"auth": {"k": "` + quoted + `"`}},
		{"JSON, a list", `{profile: popsee, verify: [{kind: token, path: auth.k}], secrets: [` + right + `]}`, ask{body: `{"auth": {"k": ["` + quoted + `"]}}`}},
		{
			"JSON, a path that computes", `{profile: popsee, verify: [{kind: token, path: 'l.#(n=="k").v'}], secrets: [` + right + `]}`,
			ask{body: `{"l": [{"n": "k", "v": "` + quoted + `"}]}`},
		},
		{
			"basic", `{profile: popsee, verify: [{kind: basic}], secrets: ["jo:` + right + `"]}`,
			ask{header: map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("jo:"+wrong)), "X-Again": echo}},
		},
		{"path token", `{profile: popsee, path_token: ` + pathToken + `}`, ask{path: "/" + inPath}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRigOf(t, "sources: {mine: "+strings.TrimSuffix(c.source, "}")+", capture: 1h}}\n")
			a := c.ask
			a.method, a.path = "POST", "/in/mine"+a.path
			headers := map[string]string{"Referer": "https://gate.example/in/mine/" + inPath + "?a=1&k=" + encoded, "X-Again": echo}
			maps.Copy(headers, a.header)
			if broken := strings.Contains(c.name, "twice") || strings.Contains(c.name, "broken") || strings.Contains(c.name, "list") || strings.Contains(c.name, "cut off"); broken {
				delete(headers, "X-Again") // nobody can tell what that is
				headers["Referer"] = "https://gate.example/in/mine/" + inPath
			}
			if a.header = headers; a.body == "" {
				a.body = "{}"
			}
			if got := r.ask(t, a); got.status != 401 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			for _, text := range keptOf(t, r, "mine") {
				for _, part := range []string{"l1ve", "bDF2Z", "wxdm", "MXZl"} { // of base64 in three alignments
					if strings.Contains(text, part) {
						t.Errorf("kept: %s", text)
						break
					}
				}
			}
			kept := keptOf(t, r, "mine")
			if !slices.ContainsFunc(kept, func(text string) bool { return strings.Contains(text, connectors.Hidden) }) {
				t.Errorf("nothing is hidden in %q", kept)
			}
		})
	}
}
