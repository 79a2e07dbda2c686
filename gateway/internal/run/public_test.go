package run

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
)

// What /metrics and /readyz tell who has no token names nobody's things but those that the files define for the default tenant, after
// all kinds of traffic. A token of one tenant opens no more; one that may read every tenant, and the control socket, open everything.
func TestStrangersLearnNoNames(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	t.Cleanup(refusing.Close)
	s := newSite(t)
	const wide, own = "wide-0123456789-0123456789-012345", "own-0123456789-0123456789-0123456"
	tenants := []string{"telltalea", "telltaleb"}
	var sources, webhooks, rules strings.Builder
	for _, tenant := range tenants {
		fmt.Fprintf(&sources, "  %[1]ssource: {profile: pollqr, secrets: [0123456789abcdef0123456789abcdef], tenant: %[1]s}\n", tenant)
		fmt.Fprintf(&webhooks, "  - {name: %[1]ssick, url: %[2]q, secrets: [%[3]s], tenant: %[1]s}\n", tenant, refusing.URL, hookSecret)
		fmt.Fprintf(&webhooks, "  - {name: %[1]sgood, url: %[2]q, secrets: [%[3]s], tenant: %[1]s}\n", tenant, s.hook, hookSecret)
		fmt.Fprintf(&rules, "  - {name: %[1]srule, when: nps_score <= 6, send: [%[1]ssick, %[1]sgood], tenant: %[1]s}\n", tenant)
	}
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
sources:
  pollqr: {profile: pollqr, secrets: [0123456789abcdef0123456789abcdef]}
%swebhooks:
  - {name: hook, url: %q, secrets: [%s]}
%srules:
  - {name: low, when: nps_score <= 6, send: [hook]}
%stokens:
  - {name: wide, secret: %s, tenant: "*", scopes: [read]}
  - {name: own, secret: %s, tenant: telltalea, scopes: [read, write, publish]}
`, &sources, s.hook, hookSecret, &webhooks, &rules, wide, own))
	s.start()
	ask := func(method, path, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.started.Address+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	s.delivered(s.publish("mine", 3))
	for _, tenant := range tenants {
		for range 6 {
			if status, text := ask(http.MethodPost, "/t/"+tenant+"/in/"+tenant+"source", ""); status != http.StatusUnauthorized {
				t.Fatal(status, text)
			}
		}
		publish := func(id string) {
			body := fmt.Sprintf(`{"type":"response.completed","id":%q,"tenant":%q,"nps_score":3}`, id, tenant)
			call := client.Call{Method: http.MethodPost, Path: "/v1/events", Body: []byte(body), Query: url.Values{"tenant": {tenant}}}
			if err := s.client.Do(t.Context(), call); err != nil {
				t.Fatal(err)
			}
		}
		publish("e1")
		s.until("its webhook is gone", func() bool {
			return s.metric(fmt.Sprintf(`surveygate_destination_held{destination="%[1]s/%[1]ssick",kind="gone"} 1`, tenant))
		})
		publish("e2")
		s.until("its webhook is on hold", func() bool { return strings.Contains(s.readyWarnings(), tenant+"/"+tenant+"sick is on hold") })
		s.until("it is delivered", func() bool {
			return s.metric(fmt.Sprintf(`surveygate_deliveries_total{connector="webhook",destination="%[1]s/%[1]sgood",verdict="delivered"} 2`, tenant))
		})
	}
	for _, path := range []string{"/metrics", "/readyz"} {
		for _, token := range []string{"", own, "no-token-at-all"} {
			if status, text := ask(http.MethodGet, path, token); status != http.StatusOK || strings.Contains(text, "telltale") {
				t.Errorf("%s with %q: %d\n%s", path, token, status, text)
			}
		}
		_, whole := ask(http.MethodGet, path, wide)
		for _, tenant := range tenants {
			if !strings.Contains(whole, tenant+"/"+tenant+"sick") || !strings.Contains(whole, tenant+"/"+tenant+"source") {
				t.Errorf("%s with a token for all tenants lacks the names of %s:\n%s", path, tenant, whole)
			}
		}
	}
	_, metrics := ask(http.MethodGet, "/metrics", "")
	for _, line := range []string{
		`surveygate_rejected_total{reason="signature",source="other"} 12`, `surveygate_events_total{outcome="accepted",source="other"} 4`,
		`surveygate_events_total{outcome="accepted",source="api"} 1`, `surveygate_deliveries_total{connector="webhook",destination="hook",verdict="delivered"} 1`,
		`surveygate_destination_waiting{destination="hook"} 0`, `surveygate_destinations_on_hold{kind="gone"} 2`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	_, ready := ask(http.MethodGet, "/readyz", "")
	for _, sentence := range []string{
		"sources that refused all of their last requests: 2", "destinations that are on hold until somebody does something, while deliveries wait for them: 2",
	} {
		if !strings.Contains(ready, sentence) {
			t.Errorf("readiness lacks %q: %s", sentence, ready)
		}
	}
}
