package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// Secrets of the configuration in noticesConfig. None may be in a notice.
var noticeSecrets = []string{
	testToken, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "key-in-a-url-0123456789", "secret-in-a-header-0123", "secret-of-a-source-0123456789",
	"secret-in-a-slack-url", "secret-given-by-api-0123456789", "path-token-0123456789abcdefgh",
}

func noticesConfig(watch, other, target string) string {
	return fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: all, secret: %[1]q, tenant: "*", scopes: [publish, read, write, settings, secrets]}]
sources:
  pollqr: {profile: pollqr, secrets: [secret-of-a-source-0123456789], tenant: acme}
  poltio: {profile: poltio, path_token: path-token-0123456789abcdefgh, tenant: acme}
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T1/B1/secret-in-a-slack-url"}, tenant: acme}
webhooks:
  - {name: watch, url: %[3]q, events: ["gateway.*"], secrets: [%[2]q], tenant: acme}
  - {name: blue-watch, url: %[4]q, events: ["gateway.*"], secrets: [%[2]q], tenant: blue}
  - {name: refuses, url: "%[5]s/400?key=key-in-a-url-0123456789", events: [response.completed], secrets: [%[2]q], tenant: acme}
  - {name: refuses-too, url: "%[5]s/400?key=key-in-a-url-0123456789", events: [response.updated], secrets: [%[2]q], tenant: acme}
  - {name: refuses-notices, url: "%[5]s/400?key=key-in-a-url-0123456789", events: ["gateway.*"], secrets: [%[2]q], tenant: acme}
  - {name: gone, url: "%[5]s/410?key=key-in-a-url-0123456789", events: [response.completed], secrets: [%[2]q], tenant: acme}
  - {name: revoked, url: "%[5]s/401", events: [response.completed], headers: {X-Key: secret-in-a-header-0123}, signature: none, tenant: acme}
  - {name: away, url: "http://127.0.0.1:1/?key=key-in-a-url-0123456789", events: [response.completed], secrets: [%[2]q], retry: [10ms], tenant: acme}
`, testToken, noticeSecrets[1], watch, other, target)
}

// A tenant is told each transition once: by two replicas on one store, and by a gateway that is killed right at a dead letter and started
// again. No notice holds a secret, none is of another tenant, and the dead letters of notices are not told.
func TestNoticesAreToldOnce(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := 0
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
		_, _ = fmt.Fprintln(w, "your key is secret-in-a-header-0123", r.URL)
	}))
	t.Cleanup(target.Close)
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			program, err := mortal()
			if err != nil {
				t.Fatal(err)
			}
			watch, other := newSink(t, nil), newSink(t, nil)
			config := noticesConfig(watch.url, other.url, target.URL)
			dirs := []string{t.TempDir()}
			if engine == "redis" {
				config += fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL())
				dirs = append(dirs, t.TempDir())
			}
			var all []*process
			for _, dir := range dirs {
				all = append(all, start(t, dir, config, exampleEnv...))
			}
			first, last := all[0], all[len(all)-1]
			ask := func(p *process, status int, method, path, body string) string {
				t.Helper()
				got, text := p.send(method, path, map[string]string{"Authorization": "Bearer " + testToken, "Content-Type": "application/json"}, body)
				if got != status {
					t.Fatalf("%s %s: %d %s", method, path, got, text)
				}
				return text
			}
			told := func(want ...string) {
				t.Helper()
				watch.await(t, func(map[string][]time.Time) bool {
					var got []string
					for _, body := range watch.bodies {
						got = append(got, noticeIn(body))
					}
					return !slices.ContainsFunc(want, func(each string) bool { return !slices.Contains(got, each) })
				})
			}
			ask(first, 200, "POST", "/v1/events?tenant=acme", `{"type":"response.completed","id":"e-1","nps_score":9}`)
			ask(last, 200, "POST", "/v1/events?tenant=blue", `{"type":"response.completed","id":"e-1","nps_score":9}`)
			ask(last, 201, "PUT", "/v1/webhooks/made?tenant=acme", `{"url":"https://hook.example.com/in?key=secret-given-by-api-0123456789","events":["response.started"],"signature":"none"}`)
			want := []string{
				"delivery.dead refuses", "delivery.dead away", "delivery.dead gone", "destination.disabled gone", "settings.changed webhook/made",
			}
			told(want...)
			if engine == "embedded" {
				first.stop()
				first = startWith(t, []string{program}, dirs[0], config, append(slices.Clip(exampleEnv), "SURVEYGATE_CRASH_AT=committed:1")...)
				// The answer may be missing: the gateway dies when the delivery has become a dead letter.
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+first.address+"/v1/events?tenant=acme", strings.NewReader(`{"type":"response.updated","id":"e-2","nps_score":9}`))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+testToken)
				if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
					_ = res.Body.Close()
				}
				<-first.ended
				first = start(t, dirs[0], config, exampleEnv...)
				// It may have died at another commit, before it had the event: then the platform sends it again.
				ask(first, 200, "POST", "/v1/events?tenant=acme", `{"type":"response.updated","id":"e-2","nps_score":9}`)
				want = append(want, "delivery.dead refuses-too")
				told(want...)
			}
			// A stop tells what waits, and the next start what the one before did not.
			for _, p := range all {
				p.stop()
			}
			first.stop()
			first = start(t, dirs[0], config, exampleEnv...)
			var page struct {
				Data []struct {
					ID     string
					Type   string
					Source string
				}
			}
			text := ask(first, 200, "GET", "/v1/events?tenant=acme&limit=200", "")
			if err := json.Unmarshal([]byte(text), &page); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, ev := range page.Data {
				if !strings.HasPrefix(ev.Type, "gateway.") {
					continue
				}
				text := ask(first, 200, "GET", "/v1/events/"+ev.ID+"?tenant=acme", "")
				got = append(got, noticeIn(text))
				for _, secret := range noticeSecrets {
					if strings.Contains(text, secret) {
						t.Errorf("a notice has the secret %s: %s", secret, text)
					}
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("notices (-want +got):\n%s", diff)
			}
			if text := ask(first, 200, "GET", "/v1/events?tenant=blue&limit=200", ""); strings.Contains(text, "gateway.") {
				t.Errorf("notices of another tenant: %s", text)
			}
			watch.mu.Lock()
			defer watch.mu.Unlock()
			for _, body := range watch.bodies {
				for _, secret := range noticeSecrets {
					if strings.Contains(body, secret) {
						t.Errorf("a notice was sent with the secret %s: %s", secret, body)
					}
				}
			}
		})
	}
}

// noticeIn returns what a notice is about, as TYPE NAME.
func noticeIn(text string) string {
	var whole struct {
		Type  string
		Data  json.RawMessage
		Event struct {
			Type string
			Data json.RawMessage
		}
	}
	_ = json.Unmarshal([]byte(text), &whole)
	if whole.Event.Type != "" {
		whole.Type, whole.Data = whole.Event.Type, whole.Event.Data
	}
	var data struct {
		Notice struct{ Destination, Source, Setting string }
	}
	_ = json.Unmarshal(whole.Data, &data)
	return strings.TrimPrefix(whole.Type, "gateway.") + " " + data.Notice.Destination + data.Notice.Source + data.Notice.Setting
}
