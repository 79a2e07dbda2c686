package web

import (
	"strings"
	"testing"
)

const settingsToken = "sets-0123456789-0123456789-012345"

// TestDocumentIsWritten makes, reads, changes and deletes one document of each kind.
func TestDocumentIsWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tt := range []struct{ collection, name, spec, patch string }{
		{"webhooks", "hook", `{"url": "https://hook.example.com/in", "events": ["response.updated"], "signature": "none", "headers": {"X-Api-Key": "a-secret"}}`, `{"timeout": "5s"}`},
		{"connections", "chat", `{"slack": {"webhook": "https://hooks.slack.com/services/T9/B9/abcdefghijkl"}}`, `{"timeout": "5s"}`},
		{"sources", "forms", `{"profile": "pollqr", "secrets": ["pollqr-secret-abcdef"]}`, `{"enabled": false}`},
		{"rules", "happy", `{"when": "nps_score >= 9", "send": ["alarms"]}`, `{"when": "nps_score >= 8"}`},
	} {
		t.Run(tt.collection, func(t *testing.T) {
			t.Parallel()
			path := "/v1/" + tt.collection + "/" + tt.name
			do := func(method, body, match string, want int, parts ...string) told {
				t.Helper()
				a := ask{method: method, path: path, token: settingsToken, body: body}
				if match != "" {
					a.header = map[string]string{"If-Match": match}
				}
				got := r.ask(t, a)
				if got.status != want {
					t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
				}
				for _, part := range parts {
					if !strings.Contains(got.body, part) {
						t.Errorf("%s %s lacks %s: %s", method, path, part, got.body)
					}
				}
				if strings.Contains(got.body, "secret-") || strings.Contains(got.body, "a-secret") || strings.Contains(got.body, "abcdefghijkl") {
					t.Errorf("%s %s shows a secret: %s", method, path, got.body)
				}
				return got
			}
			do("GET", "", "", 404)
			do("PATCH", tt.patch, "", 404)
			do("PUT", tt.spec, `"1"`, 412)
			do("PUT", tt.spec, `*`, 412)
			first := do("PUT", tt.spec, "", 201, `"provenance":"api"`, `"state":"active"`, `"by":"token:settings"`).header.Get("ETag")
			if got := do("PUT", tt.spec, "", 200).header.Get("ETag"); got != first {
				t.Errorf("an equal document got version %s, not %s", got, first)
			}
			if got := do("GET", "", "", 200, `"spec":{`, `"provenance":"api"`).header.Get("ETag"); got != first {
				t.Errorf("version %s, not %s", got, first)
			}
			second := do("PATCH", tt.patch, `W/"7777", `+first, 200).header.Get("ETag")
			if second == first {
				t.Error("the version did not change")
			}
			do("DELETE", "", first, 412, `"type":"conflict"`, "was written by token:settings")
			do("DELETE", "", second, 200, `"waiting":0`)
			do("DELETE", "", "", 404)
		})
	}
}
