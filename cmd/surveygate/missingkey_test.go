package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// A gateway that is started without the key of its secrets runs: documents that need the key say so, and no secret can be written; all
// others decide. With another key it does not start, so that no secret is sealed that the other replicas cannot open.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Durable...)
	receiver := newPublicSink(t, "hook.example.com")
	config := fmt.Sprintf("redis: %q\noutbound: {proxy: %q}\ntokens: [{name: load, secret: %q, scopes: [read]}]\n", server.URL(), receiver.proxy, testToken)
	dir := t.TempDir()
	p := newCaller(start(t, dir, config, vaultKey, receiver.env))
	const (
		sealed = `{"url": "https://hook.example.com/sealed", "events": ["response.completed"]}`
		open   = `{"url": "https://hook.example.com/open", "events": ["response.completed"], "signature": "none"}`
	)
	for _, tenant := range []string{"acme", "other"} {
		p.must("PUT", "/v1/tenants/"+tenant, "{}")
		p.must("PUT", "/v1/webhooks/open?tenant="+tenant, open)
	}
	p.must("PUT", "/v1/webhooks/sealed?tenant=acme", sealed)
	events := 0
	came := func(what string, want ...string) {
		t.Helper()
		for _, tenant := range []string{"acme", "other"} {
			events++
			p.must("POST", "/v1/events?tenant="+tenant, body(fmt.Sprint("e-", events)))
		}
		for _, path := range want {
			r := <-receiver.came
			if !strings.Contains(strings.Join(want, " "), r.URL.Path) {
				t.Errorf("%s: a request to %s instead of %s", what, r.URL.Path, path)
			}
		}
	}
	came("with the key", "/open", "/open", "/sealed")
	p.kill()
	for _, wrong := range []string{"", "k2:"} { // of the same id, and of another
		_, said, code := invoke(t, dir, []string{"SURVEYGATE_KEY=" + wrong + "YWJjZGVmZ2hpamtsbW5vcDAxMjM0NTY3ODlhYmNkZWY="},
			"run", "--config", "surveygate.yaml", "--data", "data", "--listen", "127.0.0.1:0")
		if code == 0 || !strings.Contains(said, "the key k1") || !strings.Contains(said, "setting of tenant acme") {
			t.Errorf("a start with a wrong key: exit %d: %s", code, said)
		}
	}
	p = newCaller(start(t, dir, config, receiver.env))
	came("without the key", "/open", "/open")
	var broken struct {
		State    string
		Problems []struct{ Msg, Remedy string }
	}
	p.into(&broken, p.must("GET", "/v1/webhooks/sealed?tenant=acme", ""))
	if broken.State != "broken" || len(broken.Problems) == 0 || !strings.Contains(broken.Problems[0].Remedy, "key") {
		t.Errorf("%+v", broken)
	}
	for _, tenant := range []string{"acme", "other"} {
		if text := p.must("GET", "/v1/webhooks/open?tenant="+tenant, ""); !strings.Contains(text, `"state":"active"`) {
			t.Errorf("beside it: %s", text)
		}
		if status, text := p.call("PUT", "/v1/webhooks/new?tenant="+tenant, sealed, ""); status != http.StatusServiceUnavailable || !strings.Contains(text, "SURVEYGATE_KEY") {
			t.Errorf("a secret is written: %d %s", status, text)
		}
	}
	p.must("PUT", "/v1/webhooks/free?tenant=other", `{"url": "https://hook.example.com/free", "events": ["response.partial"], "signature": "none"}`)
	if _, text := p.call("GET", "/readyz", "", ""); !strings.Contains(text, "do not compile") || !strings.Contains(text, "cannot be opened") {
		t.Errorf("readiness: %s", text)
	}
	p.kill()
	p = newCaller(start(t, dir, config, vaultKey, receiver.env))
	came("with the key again", "/open", "/open", "/sealed")
}
