package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// A tenant is deleted with all that it owns, and nothing of another one is.
func TestDeleteTenantWithAllItOwns(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			config := ""
			if engine == "redis" {
				config = fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL())
			}
			p := start(t, t.TempDir(), config+fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: all, secret: %q, tenant: "*", scopes: [publish, read, write, settings, admin]}]
`, testToken))
			ask := func(status int, method, path, body string) string {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+testToken)
				res, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				var text json.RawMessage
				_ = json.NewDecoder(res.Body).Decode(&text)
				if res.StatusCode != status {
					t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
				}
				return string(text)
			}
			for _, tenant := range []string{"acme", "other"} {
				of := "?tenant=" + tenant
				ask(201, "PUT", "/v1/tenants/"+tenant, `{"title": "A tenant"}`)
				ask(201, "PUT", "/v1/webhooks/sink"+of, `{"url": "https://hook.example.com/in", "signature": "none"}`)
				ask(201, "PUT", "/v1/rules/all"+of, `{"send": ["sink"]}`)
				ask(201, "POST", "/v1/tokens"+of, `{"name": "own", "scopes": ["read"]}`)
				// The webhook alone gets no event: the rule names it. Where a replica is slow, it does not use the rule yet when it answers `pending`.
				until(t, "its documents are in use", func() bool { return strings.Contains(ask(200, "GET", "/v1/rules/all"+of, ""), `"state":"active"`) })
				ask(200, "POST", "/v1/destinations/sink/pause"+of, "") // nothing is sent
				for n := range 3 {
					ask(200, "POST", "/v1/events"+of, body(fmt.Sprint("e-", n)))
				}
				until(t, "its deliveries wait", func() bool {
					return strings.Count(ask(200, "GET", "/v1/deliveries?tenant="+tenant+"&state=waiting", ""), `"waiting"`) >= 3
				})
			}
			replay := json.RawMessage(ask(202, "POST", "/v1/replays?tenant=acme", `{"of": {"destination": "sink", "state": "waiting"}}`)) // waits for the pause
			ask(409, "DELETE", "/v1/tenants/acme", "")
			var job struct{ ID, State, Tenant string }
			into := func(text string) {
				t.Helper()
				if err := json.Unmarshal([]byte(text), &job); err != nil {
					t.Fatal(err)
				}
			}
			into(ask(202, "DELETE", "/v1/tenants/acme?cascade=true", ""))
			if job.Tenant != "acme" {
				t.Errorf("the job is of %q", job.Tenant)
			}
			until(t, "the deletion ends", func() bool {
				into(ask(200, "GET", "/v1/jobs/"+job.ID, ""))
				return job.State != "queued" && job.State != "running"
			})
			if job.State != "done" {
				t.Fatalf("it is %s: %s", job.State, ask(200, "GET", "/v1/jobs/"+job.ID, ""))
			}
			ask(404, "GET", "/v1/jobs/job_none", "")
			if text := ask(200, "GET", "/v1/jobs", ""); strings.Count(text, `"tenant_deletion"`) != 1 || !strings.Contains(text, job.ID) {
				t.Errorf("jobs: %s", text)
			}
			ask(404, "DELETE", "/v1/tenants/acme", "")
			for tenant, kept := range map[string]bool{"acme": false, "other": true} {
				if text := ask(200, "GET", "/v1/tenants", ""); strings.Contains(text, `"`+tenant+`"`) != kept {
					t.Errorf("tenants: %s", text)
				}
				if !kept {
					continue
				}
				for path, what := range map[string]string{"webhooks": "sink", "rules": "all", "tokens": "own", "destinations": "paused"} {
					if text := ask(200, "GET", "/v1/"+path+"?tenant="+tenant, ""); !strings.Contains(text, what) {
						t.Errorf("%s of %s lack %s: %s", path, tenant, what, text)
					}
				}
				if text := ask(200, "GET", "/v1/deliveries?state=waiting&tenant="+tenant, ""); strings.Count(text, `"waiting"`) < 3 {
					t.Errorf("deliveries of %s: %s", tenant, text)
				}
			}
			// Its events stay, so its name is not given to another customer. The same one gets them back, and has nothing else.
			if text := ask(409, "PUT", "/v1/tenants/acme", `{}`); !strings.Contains(text, "restore=true") {
				t.Errorf("made again: %s", text)
			}
			ask(409, "POST", "/v1/tokens?tenant=acme", `{"name": "own", "scopes": ["read"]}`)
			ask(409, "POST", "/v1/events?tenant=acme", body("e-9"))
			ask(201, "PUT", "/v1/tenants/acme?restore=true", `{}`)
			if text := ask(200, "GET", "/v1/events?tenant=acme", ""); !strings.Contains(text, "e-0") {
				t.Errorf("its events: %s", text)
			}
			into(string(replay))
			if text := ask(200, "GET", "/v1/replays?tenant=acme", ""); strings.Contains(text, job.ID) {
				t.Errorf("it sees the replay of the deleted one: %s", text)
			}
			for _, path := range []string{"webhooks", "rules", "tokens", "deliveries?state=waiting"} {
				of := "?tenant=acme"
				if strings.Contains(path, "?") {
					of = "&tenant=acme"
				}
				if text := ask(200, "GET", "/v1/"+path+of, ""); strings.Contains(text, `"own"`) || strings.Contains(text, `"sink"`) || strings.Contains(text, `"rules/all"`) {
					t.Errorf("%s: %s", path, text)
				}
			}
		})
	}
}
