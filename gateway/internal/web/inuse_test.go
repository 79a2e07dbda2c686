package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// What is written is in use with the answer: it can be asked for and acted on at once.
func TestWrittenIsInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	do := func(want int, method, path, body string) string {
		t.Helper()
		got := r.ask(t, ask{method: method, path: path, token: adminToken, body: body})
		if got.status != want {
			t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
		}
		return got.body
	}
	const hook = `{"url": "https://hook.example.com/", "events": ["response.partial"], "signature": "none"}`
	for range 3 {
		do(201, "PUT", "/v1/webhooks/h", hook)
		do(200, "GET", "/v1/destinations/h", "")
		do(200, "POST", "/v1/destinations/h/pause", "")
		do(200, "POST", "/v1/destinations/h/resume", "")
		do(201, "PUT", "/v1/connections/c", `{"hubspot": {"token": "pat-na1-0123456789"}}`)
		do(200, "GET", "/v1/destinations/c", "")
		do(201, "PUT", "/v1/sources/s", `{"profile": "pollqr", "secrets": ["pollqr-secret-abcdef"]}`)
		if got := r.ask(t, ask{method: "POST", path: "/in/s", body: "{}"}); got.status != http.StatusUnauthorized {
			t.Errorf("a new source: %d %s", got.status, got.body)
		}
		do(201, "PUT", "/v1/rules/r", `{"when": "nps_score == 9", "send": ["h", "c"]}`)
		if p := r.plan.Load(); p.DocumentVersion("default", "rule/r") == 0 {
			t.Error("a new rule is not in the plan")
		}
		do(200, "DELETE", "/v1/rules/r", "")
		if p := r.plan.Load(); p.DocumentVersion("default", "rule/r") != 0 {
			t.Error("a deleted rule is in the plan")
		}
		do(200, "DELETE", "/v1/webhooks/h", "")
		do(404, "GET", "/v1/destinations/h", "")
		do(200, "DELETE", "/v1/connections/c", "")
		do(200, "DELETE", "/v1/sources/s", "")
		do(200, "POST", "/v1/settings/import?owner=ci", "webhooks: [{name: of-ci, url: \"https://hook.example.com/\", signature: none}]\n")
		do(200, "GET", "/v1/destinations/of-ci", "")
		do(200, "POST", "/v1/settings/import?owner=ci&mode=replace", "webhooks: []\n")
		do(404, "GET", "/v1/destinations/of-ci", "")
	}
}

// Where that takes too long, the answer says so.
func TestWrittenIsPending(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.book.Await = func(context.Context, ...string) bool { return false }
	r.stopWorker()
	const hook = `{"url": "https://hook.example.com/", "signature": "none"}`
	for _, step := range []struct{ method, path, body, want string }{
		{"PUT", "/v1/webhooks/h", hook, `"state":"pending"`},
		{"GET", "/v1/webhooks/h", "", `"state":"pending"`},
		{"GET", "/v1/webhooks", "", `"state":"pending"`},
		{"POST", "/v1/settings/import", "webhooks: [{name: h, url: \"https://hook.example.com/2\", signature: none}]\n", `"pending":true`},
		{"DELETE", "/v1/webhooks/h", "", `"pending":true`},
	} {
		got := r.ask(t, ask{method: step.method, path: step.path, token: adminToken, body: step.body})
		if got.status > 201 || !strings.Contains(got.body, step.want) {
			t.Errorf("%s %s: %d %s", step.method, step.path, got.status, got.body)
		}
	}
}
