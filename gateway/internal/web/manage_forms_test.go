package web

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

const plainHook = `{"url": "https://hook.example.com/in", "signature": "none", "events": ["response.updated"]}`

// TestAddressesAreRefused: no URL of a document leads into the network of the gateway, in whatever form it is written.
func TestAddressesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, address := range []string{
		"http://hook.example.com/in", "https://127.0.0.1/in", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[::1]/",
		"https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[fd00::1]/", "https://[fe80::1%25eth0]/", "https://2130706433/", "https://0x7f000001/",
		"https://0177.0.0.1/", "https://127.1/", "https://user@hook.example.com/", "https://user:pass@hook.example.com/", "https://localhost/", "https://0.0.0.0/",
		"https://[64:ff9b::7f00:1]/", "https://100.64.0.1/", "ftp://hook.example.com/", "file:///etc/passwd", "gopher://127.0.0.1/", "//127.0.0.1/", "https:127.0.0.1", "",
		"https://hook.example.com:0/", "https://hook.example.com:99999/", "https://１２７.0.0.1/", "https://127.0.0.1\\@hook.example.com/", "https://[::]/",
	} {
		for path, spec := range map[string]string{
			"/v1/webhooks/hook":    `{"url": %q, "signature": "none", "events": ["response.updated"]}`,
			"/v1/connections/chat": `{"slack": {"webhook": %q}}`,
			"/v1/connections/crm":  `{"hubspot": {"token": "pat-na1-0123456789", "base_url": %q}}`,
		} {
			if address == "" && strings.HasSuffix(path, "crm") {
				continue // the default
			}
			got := r.ask(t, ask{method: "PUT", path: path, token: settingsToken, body: fmt.Sprintf(spec, address)})
			if got.status != 422 || !strings.Contains(got.body, `"loc":[`) {
				t.Errorf("%s to %q: %d %s", path, address, got.status, got.body)
			}
		}
	}
}

// TestFormsOfWrites: preconditions, dry runs, faults with their place, names of files, and switching on and off.
func TestFormsOfWrites(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	do := func(method, path, body string, want int, headers ...string) told {
		t.Helper()
		a := ask{method: method, path: path, token: settingsToken, body: body, header: map[string]string{}}
		for i := 0; i+1 < len(headers); i += 2 {
			a.header[headers[i]] = headers[i+1]
		}
		got := r.ask(t, a)
		if got.status != want {
			t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, want, got.body)
		}
		return got
	}
	holds := func(got told, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(got.body, part) {
				t.Errorf("lacks %s: %s", part, got.body)
			}
		}
	}
	for _, empty := range []string{"", " \n", "\ufeff"} {
		do("PATCH", "/v1/webhooks/hook", empty, 400)
		do("PUT", "/v1/webhooks/hook", empty, 400)
		do("POST", "/v1/webhooks", empty, 400)
	}
	do("PATCH", "/v1/webhooks/hook", "null", 422)
	holds(do("PUT", "/v1/webhooks/hook?dry_run=true", plainHook, 200), `"would":"create"`)
	holds(do("POST", "/v1/webhooks?dry_run=true", plainHook, 200), `"would":"create"`)
	do("GET", "/v1/webhooks/hook", "", 404)
	do("PUT", "/v1/webhooks/hook", plainHook, 201, "If-None-Match", "*")
	holds(do("PUT", "/v1/webhooks/hook", plainHook, 412, "If-None-Match", "*"), `"loc":["If-None-Match"]`)
	do("PUT", "/v1/webhooks/hook", plainHook, 200, "If-Match", "*")
	do("PUT", "/v1/webhooks/hook", plainHook, 422, "If-Match", "17")
	holds(do("PUT", "/v1/webhooks/hook", plainHook, 412, "If-Match", `"seventeen"`), `"loc":["If-Match"]`)
	holds(do("PUT", "/v1/webhooks/hook?dry_run=true", plainHook, 200), `"would":"nothing"`)
	holds(do("PATCH", "/v1/webhooks/hook?dry_run=true", `{"timeout": "5s"}`, 200), `"would":"update"`)
	holds(do("PATCH", "/v1/webhooks/hook", `{"timeout": "5s"}`, 200, "Content-Type", "application/merge-patch+json"), `"timeout":"5s"`)
	holds(do("PATCH", "/v1/webhooks/hook", `{"timeout": null}`, 200, "Content-Type", "application/json"), `"spec":{"events":["response.updated"],"signature":"none","url"`)
	holds(do("DELETE", "/v1/webhooks/hook?dry_run=true", "", 200), `"would":"delete"`)
	holds(do("POST", "/v1/webhooks/hook/disable", "", 200), `"state":"disabled"`, `"enabled":false`)
	off := do("GET", "/v1/webhooks/hook", "", 200).header.Get("ETag")
	if again := do("POST", "/v1/webhooks/hook/disable", "", 200).header.Get("ETag"); again != off {
		t.Error("what is switched off already got another version")
	}
	holds(do("POST", "/v1/webhooks/hook/enable", "", 200), `"state":"active"`, `"enabled":true`)

	holds(do("PUT", "/v1/rules/low", `{"when": "nps_scor <= 6", "send": ["alarms"]}`, 422), `"loc":["when"]`, `"at":[0,8]`, "did you mean nps_score?")
	holds(do("PUT", "/v1/rules/low", `{"when": "nps_score <= 6", "send": ["alarm"]}`, 422), `"loc":["send","0"]`)
	holds(do("PUT", "/v1/rules/low", `{"when": "nps_score <= 6", "send": ["alarms"]}`, 201), `"when":"nps_score <= 6"`)
	do("PUT", "/v1/rules/low", "", 400)
	do("PUT", "/v1/rules/low", "{}", 422)
	do("PUT", "/v1/rules/Low", `{"when": "nps_score <= 6", "send": ["alarms"]}`, 422)

	// A file's name is a file's on every path.
	for _, path := range []string{"/v1/webhooks/warehouse", "/v1/rules/detractor", "/v1/sources/pollqr", "/v1/connections/alarms"} {
		for method, body := range map[string]string{"PUT": plainHook, "PATCH": "{}", "DELETE": ""} {
			holds(do(method, path, body, 403), "defined_in_file", "surveygate.yaml:")
		}
	}
	holds(do("POST", "/v1/rules/detractor/disable", "", 403), "defined_in_file")
	holds(do("GET", "/v1/rules/detractor", "", 200), `"provenance":"file"`, `"spec":{"when":"nps_score <= 6","send":["alarms"]}`)

	// Lists have both, by name, page after page.
	var names []string
	for cursor := ""; ; {
		p := read[view.Page[view.Webhook]](t, do("GET", "/v1/webhooks?limit=1&include=standing"+cursor, "", 200), 200)
		for _, w := range p.Data {
			names = append(names, w.Name)
			if w.Standing == nil {
				t.Errorf("%s has no standing", w.Name)
			}
		}
		if p.Next == nil {
			break
		}
		cursor = "&cursor=" + *p.Next
	}
	if got := strings.Join(names, " "); got != "hook relay signed warehouse" {
		t.Error(got)
	}

	// A rule needs its connection: neither leaves alone.
	do("PUT", "/v1/connections/chat", `{"slack": {"webhook": "https://hooks.slack.com/services/T9/B9/abcdefghijkl"}}`, 201)
	do("PUT", "/v1/rules/chats", `{"when": "nps_score <= 6", "send": ["chat"]}`, 201)
	holds(do("DELETE", "/v1/connections/chat", "", 409), "rule/chats")
}

// TestShadowedDocument: a file that takes a document's name wins; the document is shown with it, and can be deleted.
func TestShadowedDocument(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.keep(t, "default", config.Document{Name: "rule/detractor", Spec: []byte(`{"when": "nps_score <= 2", "send": ["alarms"]}`)},
		config.Document{Name: "rule/broken", Spec: []byte(`{"when": "nps_scor <= 2", "send": ["alarms"]}`)})
	one := read[view.Rule](t, r.ask(t, ask{path: "/v1/rules/detractor", token: settingsToken}), 200)
	if one.Provenance != "file" || one.Shadowed == nil || one.Shadowed.State != "shadowed" || len(one.Shadowed.Problems) != 1 {
		t.Fatalf("%+v", one)
	}
	broken := read[view.Rule](t, r.ask(t, ask{path: "/v1/rules/broken", token: settingsToken}), 200)
	if broken.State != "broken" || len(broken.Problems) != 1 || broken.Problems[0].Loc[0] != "when" {
		t.Errorf("%+v", broken)
	}
	if got := r.ask(t, ask{method: "PUT", path: "/v1/rules/detractor", token: settingsToken, body: `{"when": "nps_score <= 1", "send": ["alarms"]}`}); got.status != 403 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{method: "DELETE", path: "/v1/rules/detractor", token: settingsToken}); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	r.await(func(p *decide.Plan) bool { return p.DocumentVersion("default", "rule/detractor") == 0 })
	if one := read[view.Rule](t, r.ask(t, ask{path: "/v1/rules/detractor", token: settingsToken}), 200); one.Shadowed != nil || one.State != "active" {
		t.Errorf("%+v", one)
	}
}

// TestTwoWriters: of many that change a document with the version that they read, one does; without a version, all do, one after another.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.ask(t, ask{method: "PUT", path: "/v1/webhooks/hook", token: settingsToken, body: plainHook}).header.Get("ETag")
	var counts [3]map[int]int
	for i, header := range []map[string]string{{"If-Match": first}, nil, {"If-None-Match": "*"}} {
		counts[i] = map[int]int{}
		var mu sync.Mutex
		var writers sync.WaitGroup
		for n := range 6 {
			writers.Go(func() {
				path, body := "/v1/webhooks/hook", fmt.Sprintf(`{"timeout": "%ds"}`, n+1)
				method := http.MethodPatch
				if i == 2 {
					method, path, body = http.MethodPut, "/v1/webhooks/new", plainHook
				}
				got := r.ask(t, ask{method: method, path: path, token: settingsToken, body: body, header: header})
				mu.Lock()
				counts[i][got.status]++
				mu.Unlock()
			})
		}
		writers.Wait()
	}
	if got := fmt.Sprint(counts); got != "[map[200:1 412:5] map[200:6] map[201:1 412:5]]" {
		t.Error(got)
	}
}
