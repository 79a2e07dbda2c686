package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// rotating is a product like Constant Contact: it gives another refresh token with each access token, and refuses one that was used.
type rotating struct {
	mu     sync.Mutex
	used   []string // refresh tokens
	access string   // the access token that is good
}

func (r *rotating) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case req.URL.Path == "/token":
		want := fmt.Sprintf("cc-refresh-token-%d", len(r.used))
		if r.used = append(r.used, req.FormValue("refresh_token")); r.used[len(r.used)-1] != want {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		r.access = fmt.Sprintf("cc-access-token-%d", len(r.used))
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":86400,"refresh_token":"cc-refresh-token-%d"}`, r.access, len(r.used))
	case req.Header.Get("Authorization") != "Bearer "+r.access:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"error_key":"unauthorized"}`)
	case req.URL.Path == "/contact_lists":
		_, _ = fmt.Fprint(w, `{"lists":[{"list_id":"07936f78-662a-11eb-af0a-fa163e56c9b0","name":"Newsletter"}],"_links":{}}`)
	case req.URL.Path == "/contact_custom_fields":
		_, _ = fmt.Fprint(w, `{"custom_fields":[],"_links":{}}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// `check --live` has the running gateway check a connection whose refresh token rotates: nobody else may use that token.
func TestCheckLiveByTheGateway(t *testing.T) {
	t.Parallel()
	fake := &rotating{}
	product := httptest.NewServer(fake)
	t.Cleanup(product.Close)
	text := `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens:
  - {name: load, secret: ` + testToken + `, scopes: [read, write]}
  - {name: reader, secret: cc-reader-0123456789-0123456789-0123, scopes: [read]}
connections:
` + connectionOf("letters", "11111111-662a-11eb-af0a-fa163e56c9b0", product.URL)
	dir := t.TempDir()
	p := start(t, dir, text)
	check := func(code int, want string, args ...string) {
		t.Helper()
		out, got := p.say(append([]string{"check", "--live"}, args...)...)
		if got != code || !strings.Contains(out, want) || strings.Contains(out, "cc-") {
			t.Errorf("%v: exit %d, want %d and %q:\n%s", args, got, code, want, out)
		}
	}
	const missing = `missing: the list 11111111-662a-11eb-af0a-fa163e56c9b0; the account has 07936f78-662a-11eb-af0a-fa163e56c9b0 ("Newsletter")`
	check(1, missing)
	check(1, `"standing": "missing"`, "--json")
	check(1, missing, "--server", "http://"+p.address, "--token", testToken)
	fake.mu.Lock()
	fake.access = "" // the product withdraws the access token
	fake.mu.Unlock()
	check(1, missing)
	check(0, "lacks the scope `write`", "--server", "http://"+p.address, "--token", "cc-reader-0123456789-0123456789-0123")

	text = strings.Replace(text, "11111111", "07936f78", 1) + connectionOf("more", "07936f78-662a-11eb-af0a-fa163e56c9b0", product.URL)
	// A file that the gateway does not run: it would reload its own by itself.
	newer := filepath.Join(dir, "newer.yaml")
	if err := os.WriteFile(newer, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	check(1, missing, "letters", "--config", newer)
	check(0, "does not have it yet: `surveygate reload`", "more", "--config", newer)
	if err := os.Rename(newer, filepath.Join(dir, "surveygate.yaml")); err != nil {
		t.Fatal(err)
	}
	if out, code := p.say("reload"); code != 0 {
		t.Fatal(out)
	}
	check(0, "letters      constantcontact proved\n", "letters")
	fake.mu.Lock()
	if len(fake.used) != 2 || fake.used[0] != "cc-refresh-token-0" || fake.used[1] != "cc-refresh-token-1" {
		t.Errorf("refresh tokens used: %v", fake.used)
	}
	fake.mu.Unlock()
	p.stop()
	check(0, "not checked: anything: only the running gateway may use the refresh token", "letters")
	fake.mu.Lock()
	defer fake.mu.Unlock()
	if len(fake.used) != 2 {
		t.Errorf("refresh tokens used without a gateway: %v", fake.used)
	}
}

// connectionOf is a connection to the product.
func connectionOf(name, list, url string) string {
	return fmt.Sprintf("  %s: {constantcontact: {client_id: id, client_secret: cc-secret, refresh_token: cc-refresh-token-0, lists: [%s], base_url: %q, token_url: %q}}\n",
		name, list, url, url+"/token")
}
