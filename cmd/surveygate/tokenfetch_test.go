package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A connection without a refresh token goes on hold; `token set` ends the hold, and what waits is delivered.
func TestTokenSetEndsAHold(t *testing.T) {
	t.Parallel()
	program := buildFetching(t)
	var delivered atomic.Int32
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && r.FormValue("refresh_token") == firstRefresh:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `{"access_token":"access-1","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-2"}`)
		case r.URL.Path == "/records" && r.Header.Get("Authorization") == "Bearer access-1":
			delivered.Add(1)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(product.Close)
	dir := t.TempDir()
	config := fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [read, publish, secrets]}]
connections: {contacts: {fetched: {base_url: %q}}}
rules: [{name: all, send: [contacts]}]
`, testToken, product.URL)
	p := startWith(t, []string{program}, dir, config)
	if status, result, err := p.publish(http.DefaultClient, `{"type":"response.completed","id":"e1","nps_score":3}`); err != nil || status != 200 {
		t.Fatal(status, result, err)
	}
	state := func() string { _, text := p.request(t, "GET", "/v1/destinations/contacts"); return text }
	until(t, "on hold", func() bool { return strings.Contains(state(), `"state":"revoked"`) })
	t.Log(state())
	cmd := exec.CommandContext(t.Context(), program, "token", "set", "contacts", "--data", filepath.Join(dir, "data"))
	cmd.Stdin = strings.NewReader(firstRefresh + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	until(t, "delivered", func() bool { return delivered.Load() == 1 })
	p.stop()
	p = startWith(t, []string{program}, dir, config, "SURVEYGATE_KEY=k2:YWJjZGVmZ2hpamtsbW5vcDAxMjM0NTY3ODlhYmNkZWY=")
	out, code := p.say("vault", "reseal")
	t.Log(out, code)
	if _, _, err := p.publish(http.DefaultClient, `{"type":"response.completed","id":"e2","nps_score":3}`); err != nil {
		t.Fatal(err)
	}
	until(t, "delivered", func() bool { return delivered.Load() == 2 })
	p.stop()
}
