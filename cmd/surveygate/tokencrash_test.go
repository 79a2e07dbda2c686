package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// A gateway that is killed between the answer of a token endpoint and its record sends the refresh token once more, and delivers what
// waited, once.
func TestKilledBeforeATokenIsStored(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			program := buildFetching(t)
			var mu sync.Mutex
			var used []string // refresh tokens
			var delivered int
			product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case r.URL.Path == "/token":
					used = append(used, r.FormValue("refresh_token"))
					w.Header().Set("Content-Type", "application/json")
					_, _ = fmt.Fprintf(w, `{"access_token":"access-%[1]d","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-%[1]d"}`, len(used))
				case r.Header.Get("Authorization") == "Bearer access-2":
					delivered++
				default:
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			t.Cleanup(product.Close)
			dir, env := t.TempDir(), []string{"SURVEYGATE_CRASH_AT=token-fetched:1"}
			config := fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: load, secret: %q, scopes: [read, publish, secrets]}]
connections: {contacts: {fetched: {base_url: %q}}}
rules: [{name: all, send: [contacts]}]
`, testToken, product.URL)
			if engine == "redis" {
				config = fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL()) + config
				key, _, code := invoke(t, dir, nil, "secret", "--for", "key")
				if code != 0 {
					t.Fatalf("no key: exit %d", code)
				}
				env = append(env, "SURVEYGATE_KEY="+strings.TrimSpace(key))
			}
			p := startWith(t, []string{program}, dir, config, env...)
			set := exec.CommandContext(t.Context(), program, "token", "set", "contacts", "--data", filepath.Join(dir, "data"))
			set.Stdin = strings.NewReader(firstRefresh + "\n")
			if out, err := set.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			client := &http.Client{Timeout: patience}
			defer client.CloseIdleConnections()
			if status, result, err := p.publish(client, body("e-1")); err != nil || status != http.StatusOK {
				t.Logf("answered %d %s, %v", status, result, err) // the gateway may have died before its answer was read
			}
			select {
			case <-p.ended:
			case <-time.After(patience):
				t.Fatalf("it passed the point and lives:\n%s", p.said())
			}

			p = startWith(t, []string{program}, dir, config, env[1:]...)
			until(t, "the event is delivered", func() bool { return p.countDelivered(t) == 1 })
			p.stop()
			mu.Lock()
			defer mu.Unlock()
			if diff := cmp.Diff([]string{firstRefresh, firstRefresh}, used); diff != "" || delivered != 1 {
				t.Errorf("delivered %d times; refresh tokens (-want +got):\n%s", delivered, diff)
			}
		})
	}
}
