package web

import (
	"strings"
	"testing"
)

// TestWrongInput: a request that is wrong is answered with the place of the fault, and with what is right there.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		method, path, body string
		want               int
		says               []string
	}{
		{"POST", "/v1/webhooks", `{"url": "https://10.0.0.1/in"}`, 422, []string{`private address`, `"loc":["url"]`}},
		{"POST", "/v1/webhooks", `{"url": "https://hook.example.com/in", "headers": {"X Key": "a"}}`, 422, []string{`X Key`, `"loc":["headers"`}},
		{"POST", "/v1/webhooks", `{"url": "https://hook.example.com/in", "timeout": "5 seconds"}`, 422, []string{`"loc":["timeout"]`}},
		{"POST", "/v1/webhooks/warehouse/test", `{"event": "x"}`, 422, []string{"`event` is not a field here; one of: email, event_id, type", `"loc":["event"]`}},
		{"POST", "/v1/webhooks/warehouse/test", `[]`, 422, []string{"the body must be a JSON object, and is a list"}},
		{"POST", "/v1/webhooks/warehouse/recover", `{"sinse": "1h"}`, 422, []string{"did you mean `since`?", `"loc":["sinse"]`}},
		{"POST", "/v1/replays", `{"of": {"destinatin": "hook"}}`, 422, []string{"did you mean `destination`?", `"loc":["of","destinatin"]`}},
		{"POST", "/v1/replays", `{"of": {"destination": 5}}`, 422, []string{"this must be a text, and is a number", `"loc":["of","destination"]`}},
		{"POST", "/v1/replays", `{"of"`, 400, []string{"the body is not JSON"}},
		{"POST", "/v1/try", `{"draft": {"rule": {}}, "events": {"last": 1}}`, 422, []string{"did you mean `rules`?", `"loc":["draft","rule"]`}},
		{"POST", "/v1/try", `{"events": {"last": "1"}, "show": ["difference", 1]}`, 422, []string{"a whole number, and is a text", `"loc":["events","last"]`, `"loc":["show","1"]`}},
		{"POST", "/v1/try", `{"Events": {"last": 1}}`, 422, []string{"did you mean `events`?"}},
		{"POST", "/v1/rules", `{}`, 405, []string{"it takes GET"}},
		{"GET", "/v1/webhook", ``, 404, []string{"/docs"}},
		{"PUT", "/v1/tenants/globex", `{"limits": {"webhook": 3}}`, 422, []string{"did you mean `webhooks`?", `"loc":["limits","webhook"]`}},
		{"PUT", "/v1/tenants/globex", `{"limits": {"webhooks": 1.5}}`, 422, []string{"a whole number", `"loc":["limits","webhooks"]`}},
		{"GET", "/v1/stats?tenant=*&of=rule:", ``, 403, []string{"name one tenant here", `"loc":["tenant"]`}},
	} {
		token := settingsToken
		if c.method == "PUT" || strings.Contains(c.path, "tenant=") {
			token = operatorToken
		}
		got := r.ask(t, ask{method: c.method, path: c.path, token: token, body: c.body})
		if got.status != c.want || strings.Contains(got.body, "json:") || strings.Contains(got.body, "`secrets` is missing") {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, got.status, got.body)
		}
		for _, part := range c.says {
			if !strings.Contains(got.body, part) {
				t.Errorf("%s %s %s: lacks %s: %s", c.method, c.path, c.body, part, got.body)
			}
		}
	}
}
