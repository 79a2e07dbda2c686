package offline

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
)

// hubspot is a fake that answers what a check asks, and counts it. Its tokens are good, blind (no scope to write, none
// for properties) and bad.
type hubspot struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
}

func newHubspot(t *testing.T) *hubspot {
	t.Helper()
	h := &hubspot{asked: map[string]int{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hubspot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	h.mu.Lock()
	h.asked[token+" "+r.Method+" "+r.URL.Path]++
	h.mu.Unlock()
	last := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case token == "busy-secret":
		w.WriteHeader(http.StatusServiceUnavailable)
	case token == "bad-secret":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(w, `{"status":"error","message":"%s is no token","category":"INVALID_AUTHENTICATION"}`, token)
	case token == "blind-secret" && (last == "upsert" || r.URL.Path == "/crm/v3/properties/contacts"):
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, `{"status":"error","category":"MISSING_SCOPES"}`)
	case last == "upsert":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprint(w, `{"status":"error","category":"VALIDATION_ERROR"}`)
	case r.URL.Path == "/crm/v3/properties/contacts":
		// A long list, as an account's is: more than a delivery's answer may be.
		long := strings.Repeat(`{"name":"other","description":"`+strings.Repeat("x", 1000)+`"},`, 300)
		_, _ = fmt.Fprint(w, `{"results":[`+long+`{"name":"email"},{"name":"firstname"},{"name":"lastname"},{"name":"phone"},{"name":"sg_nps"}]}`)
	default:
		_, _ = fmt.Fprint(w, `{"total":0,"results":[]}`)
	}
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLive(t *testing.T) {
	t.Parallel()
	fake := newHubspot(t)
	o := Options{Config: written(t, fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
connections:
  good: {hubspot: {token: good-secret, base_url: %[1]q}}
  blind: {hubspot: {token: blind-secret, base_url: %[1]q}}
  bad: {hubspot: {token: bad-secret, base_url: %[1]q}}
  busy: {hubspot: {token: busy-secret, base_url: %[1]q}}
  gone: {hubspot: {token: gone-secret, base_url: "http://127.0.0.1:1"}} # a port that no system gives to anybody
  chat: {slack: {webhook: "https://hooks.slack.com/services/T/B/chat-secret"}}
  theirs: {tenant: acme, hubspot: {token: good-secret, base_url: %[1]q}}
webhooks:
  - {name: house, url: "https://hook.example.com/in", events: [response.completed], signature: none}
rules:
  - name: first
    send: [{good: {properties: {sg_nps: nps_score, sg_nsp: nps_score}}}, {blind: {properties: {sg_nps: nps_score}}}, good.note]
  - name: second
    send: [{good: {properties: {sg_nsp: nps_score}}}, {chat: {text: "NPS {{ nps_score }}"}}]
  - {name: third, tenant: acme, send: [theirs]}
`, fake.URL))}

	found, err := Live(t.Context(), o, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := "a token that HubSpot accepts (401 Unauthorized: INVALID_AUTHENTICATION)"
	want := []Connection{
		{Name: "good", Product: "hubspot", Standing: Missing, Missing: []Lack{{What: "the property sg_nsp", Steps: []string{"first: good", "second: good"}}}},
		{
			Name: "blind", Product: "hubspot", Standing: Missing, Missing: []Lack{{What: "the scope crm.objects.contacts.write"}},
			Unproved: []string{"that its properties exist: the token lacks the scope crm.schemas.contacts.read"},
		},
		{Name: "bad", Product: "hubspot", Standing: Missing, Missing: []Lack{{What: refused}}},
		{Name: "busy", Product: "hubspot", Standing: Unreachable, Reason: "answered 503 Service Unavailable"},
		{Name: "gone", Product: "hubspot", Standing: Unreachable},
		{Name: "chat", Product: "slack", Standing: Unproved},
		{Name: "theirs", Product: "hubspot", Standing: Proved, Tenant: "acme"},
	}
	for i := range want {
		if want[i].Tenant == "" {
			want[i].Tenant = config.DefaultTenant
		}
		if i >= len(found) {
			break
		}
		if got := found[i]; got.Reason != "" && want[i].Reason == "" && want[i].Standing == Unreachable {
			want[i].Reason = got.Reason // in the words of outbound
		}
		if want[i].Product == "slack" {
			want[i].Unproved = found[i].Unproved
			if len(found[i].Unproved) == 0 {
				t.Error("nothing is said of what cannot be proved")
			}
		}
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text, err := json.Marshal(found)
	if err != nil || strings.Contains(string(text), "-secret") {
		t.Errorf("a secret is printed: %s (%v)", text, err)
	}
	fake.mu.Lock()
	defer fake.mu.Unlock()
	for asked, n := range fake.asked {
		if most := map[bool]int{true: 2, false: 1}[strings.HasPrefix(asked, "good-")]; n > most { // of two tenants
			t.Errorf("%s is asked %d times", asked, n)
		}
	}
}

func TestLiveByName(t *testing.T) {
	t.Parallel()
	fake := newHubspot(t)
	o := Options{Config: written(t, fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
connections:
  crm: {hubspot: {token: good-secret, base_url: %[1]q}}
  other: {hubspot: {token: bad-secret, base_url: %[1]q}}
webhooks:
  - {name: house, url: "https://hook.example.com/in", events: [response.completed], signature: none}
`, fake.URL))}
	found, err := Live(t.Context(), o, "", []string{"house", "crm"})
	if err != nil || len(found) != 2 || found[0].Name != "crm" || found[0].Standing != Proved || found[1].Name != "house" || found[1].Standing != Unproved {
		t.Errorf("%+v, %v", found, err)
	}
	fake.mu.Lock()
	for asked := range fake.asked {
		if strings.HasPrefix(asked, "bad-") {
			t.Errorf("asked, though not named: %s", asked)
		}
	}
	fake.mu.Unlock()
	for _, tenant := range []string{"", "acme"} {
		_, err = Live(t.Context(), o, tenant, []string{"crn"})
		if unknown, ok := errors.AsType[*UnknownError](err); !ok || unknown.Names[0] != "crn" {
			t.Errorf("%v", err)
		}
	}
}
