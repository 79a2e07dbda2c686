package web

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/web/api"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	one := `{"type":"response.completed","id":"a","response":{"id":"r1"},"nps_score":3}`
	large := `{"type":"response.completed","feedback":"` + repeat("x", 1<<20) + `"}`
	for _, c := range []struct {
		name string
		ask  ask
		want int
		body string
	}{
		{name: "one", ask: ask{token: publishToken, body: one}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{name: "over the socket", ask: ask{socket: true, body: one}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{name: "with a slash", ask: ask{path: "/v1/events/", token: publishToken, body: one}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{
			name: "one invalid", ask: ask{token: publishToken, body: `{"type":"response.completed","feedbak":"x"}`}, want: 422,
			body: `{"status":422,"detail":[{"msg":"` + "`feedbak` is not a field of an event; did you mean `feedback`?" + `","type":"validation_error","loc":["feedbak"]}],"request_id":"REQ"}`,
		},
		{
			name: "an array, in order", want: 200,
			ask: ask{token: publishToken, body: `[` + one + `,{"type":"nonsense"},` + one + `,7]`},
			body: `{"results":[{"id":"ID","status":"accepted"},` +
				`{"status":"invalid","error":{"msg":"` + "`type` is not a canonical type" + `","type":"validation_error","loc":["type"]}},` +
				`{"id":"ID","status":"duplicate"},` +
				`{"status":"invalid","error":{"msg":"` + "`event` must be an object, not a number" + `","type":"validation_error","loc":["event"]}}]}`,
		},
		{name: "behind a byte order mark", ask: ask{token: publishToken, body: "\ufeff" + one}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{name: "an array behind a byte order mark", ask: ask{token: publishToken, body: "\ufeff[" + one + "]"}, want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`},
		{
			name: "in UTF-16", ask: ask{token: publishToken, body: "\xff\xfe{\x00}\x00"}, want: 400,
			body: `{"status":400,"detail":[{"msg":"the body is not JSON: the text is UTF-16 or UTF-32; send UTF-8","type":"validation_error"}],"request_id":"REQ"}`,
		},
		{name: "an empty array", ask: ask{token: publishToken, body: `[]`}, want: 200, body: `{"results":[]}`},
		{
			name: "lines", want: 200,
			ask:  ask{token: publishToken, header: map[string]string{"Content-Type": "application/x-ndjson"}, body: one + "\n" + `{"type":"test"}` + "\n"},
			body: `{"results":[{"id":"ID","status":"accepted"},{"id":"ID","status":"accepted"}]}`,
		},
		{
			name: "lines, one unreadable", want: 200,
			ask: ask{token: publishToken, body: one + "\n\n{\"type\":\n" + `{"type":"test","nps_scor":3}` + "\n" + `{"type":"response.started"}` + "\n"},
			body: `{"results":[{"id":"ID","status":"accepted"},` +
				`{"status":"invalid","error":{"msg":"the line is not JSON","type":"validation_error","line":3}},` +
				`{"status":"invalid","error":{"msg":"` + "`nps_scor` is not a field of an event; did you mean `nps_score`?" + `","type":"validation_error","loc":["nps_scor"],"line":4}},` +
				`{"id":"ID","status":"accepted"}]}`,
		},
		{
			name: "lines, the first unreadable", want: 200,
			ask:  ask{token: publishToken, header: map[string]string{"Content-Type": "application/x-ndjson"}, body: "x\n" + one},
			body: `{"results":[{"status":"invalid","error":{"msg":"the line is not JSON","type":"validation_error","line":1}},{"id":"ID","status":"accepted"}]}`,
		},
		{
			name: "lines, one that is invalid", want: 200,
			ask:  ask{token: publishToken, header: map[string]string{"Content-Type": "application/x-ndjson"}, body: `{"type":"nonsense"}`},
			body: `{"results":[{"status":"invalid","error":{"msg":"` + "`type` is not a canonical type" + `","type":"validation_error","loc":["type"],"line":1}}]}`,
		},
		{
			name: "what does not fit", want: 200,
			ask:  ask{token: publishToken, body: `{"type":"response.completed","time":"yesterday","nps_score":42}`},
			body: `{"results":[{"id":"ID","status":"accepted","warnings":["time left out: no time that can be read","response.score.nps left out: not between 0 and 10"]}]}`,
		},
		{
			name: "what does not fit of a platform", want: 200,
			ask:  ask{path: "/v1/events?source=pollqr", token: publishToken, body: `{"event":"response.created","response_id":"r1","response":{"nps_score":42}}`},
			body: `{"results":[{"id":"ID","status":"accepted","warnings":["response.score.nps: the value of ` + "`response.nps_score`" + ` is not a number from 0 to 10"]}]}`,
		},
		{
			name: "CloudEvents", want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`,
			ask: ask{token: publishToken, body: `{"specversion":"1.0","type":"response.completed","id":"x","source":"app","data":{"nps_score":3}}`},
		},
		{
			name: "CloudEvents in headers", want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`,
			ask: ask{token: publishToken, body: `{"nps_score":3}`, header: map[string]string{
				"Ce-Specversion": "1.0", "Ce-Type": "response.completed", "Ce-Id": "x", "Ce-Source": "app",
			}},
		},
		{
			name: "a platform's own body", want: 200, body: `{"results":[{"id":"ID","status":"accepted"}]}`,
			ask: ask{path: "/v1/events?source=pollqr", token: publishToken, body: pollqr("r1", 3)},
		},
		{name: "another tenant's source", ask: ask{path: "/v1/events?source=branch", token: publishToken, body: pollqr("r1", 3)}, want: 404},
		{name: "no platform's body", ask: ask{path: "/v1/events?source=pollqr", token: publishToken, body: "x"}, want: 400},
		{name: "not JSON", ask: ask{token: publishToken, body: "x=1"}, want: 400},
		{
			name: "empty", ask: ask{token: publishToken, body: " \n"}, want: 400,
			body: `{"status":400,"detail":[{"msg":"the body is empty: publish an event, such as {\"type\": \"response.completed\", \"id\": \"r1\", \"nps_score\": 9}","type":"validation_error"}],"request_id":"REQ"}`,
		},
		{
			name: "empty, of a platform", ask: ask{path: "/v1/events?source=pollqr", token: publishToken}, want: 400,
			body: `{"status":400,"detail":[{"msg":"the body is empty: with ` + "`source`" + ` it is what that platform sends","type":"validation_error"}],"request_id":"REQ"}`,
		},
		{name: "too deep", ask: ask{token: publishToken, body: `{"type":"test","params":` + repeat(`[`, 70) + repeat(`]`, 70) + `}`}, want: 422},
		{name: "one too large", ask: ask{token: publishToken, body: large}, want: 413},
		{
			name: "one too large among others", want: 200,
			ask:  ask{token: publishToken, body: `[` + one + `,` + large + `]`},
			body: `{"results":[{"id":"ID","status":"accepted"},{"status":"invalid","error":{"msg":"an event has at most 1 MiB","type":"too_large"}}]}`,
		},
		{name: "compressed", ask: ask{token: publishToken, header: map[string]string{"Content-Encoding": "gzip"}, body: one}, want: 415},
		{name: "no token", ask: ask{body: one}, want: 401},
		{name: "somebody's token", ask: ask{token: publishToken + "x", body: one}, want: 401},
		{name: "without the scope", ask: ask{token: readToken, body: one}, want: 403},
		{name: "for another tenant", ask: ask{path: "/v1/events?tenant=acme", token: publishToken, body: one}, want: 403},
		{name: "naming another tenant", ask: ask{token: publishToken, body: `{"type":"test","tenant":"acme"}`}, want: 422},
		{name: "unknown parameter", ask: ask{path: "/v1/events?sorce=pollqr", token: publishToken, body: one}, want: 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.ask.method = http.MethodPost
			if c.ask.path == "" {
				c.ask.path = "/v1/events"
			}
			got := r.ask(t, c.ask)
			if got.status != c.want {
				t.Fatalf("status %d, want %d: %s", got.status, c.want, got.body)
			}
			if c.body != "" {
				if diff := cmp.Diff(c.body, plain(got.body)); diff != "" {
					t.Error(diff)
				}
			}
			if got.status == 401 && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 without WWW-Authenticate")
			}
		})
	}
}

// A body that is too large is refused, and only who may publish may send many events at once.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		path, token string
		length      int
	}{
		{"/in/pollqr", "", intake.MaxRead + 1},
		{"/t/acme/in/branch", "", intake.MaxRead + 1},
		{"/in/pollqr", publishToken, intake.MaxRead + 1},
		{"/v1/events", "", intake.MaxRead + 1},
		{"/v1/events", readToken, intake.MaxRead + 1},
		{"/v1/events", publishToken, api.MaxBody + 1},
		{"/nowhere", publishToken, 1 << 40},
	} {
		got := r.claim(t, c.path, c.token, c.length)
		want := `{"status":413,"detail":[{"msg":"the body is too large","type":"too_large"}],"request_id":"REQ"}`
		if got.status != 413 || plain(got.body) != want {
			t.Errorf("%s: %d %s", c.path, got.status, got.body)
		}
	}
	kept, err := intake.RejectedOf(context.Background(), r.store, "acme", "branch")
	if err != nil || len(kept) != 1 || kept[0].Reason != "too large" || kept[0].Size != intake.MaxRead+1 || kept[0].Path != "/t/acme/in/branch" {
		t.Errorf("kept: %+v, %v", kept, err)
	}
}

// A platform's own server publishes for each of its tenants.
func TestPublishForTenants(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct{ query, body, want string }{
		{"", `{"type":"test","id":"1"}`, "default"},
		{"", `{"type":"test","id":"2","tenant":"acme"}`, "acme"},
		{"?tenant=beta", `{"type":"test","id":"3"}`, "beta"},
	} {
		got := r.ask(t, ask{method: "POST", path: "/v1/events" + c.query, token: platformWide, body: c.body})
		if got.status != 200 {
			t.Fatalf("%s: %d %s", c.body, got.status, got.body)
		}
		if _, err := r.store.Event(context.Background(), c.want, ids.FindString(got.body)); err != nil {
			t.Errorf("%s is not tenant %s's: %v", c.body, c.want, err)
		}
		if strings.Contains(got.body, "warnings") != (c.want == "beta") {
			t.Errorf("%s: %s", c.body, got.body)
		}
	}
	// A misspelt tenant would take the event where nobody looks for it.
	got := r.ask(t, ask{method: "POST", path: "/v1/events", token: platformWide, body: `[{"type":"test","tenant":"acm"},{"type":"test","tenant":"acme"}]`})
	if got.status != 200 || strings.Count(got.body, "warnings") != 1 || !strings.Contains(got.body, `"warnings":["nothing is configured for the tenant `+"`acm`; did you mean `acme`?"+`"]`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}
