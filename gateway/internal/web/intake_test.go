package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

const refused = `{"status":401,"detail":[{"msg":"this request is not proved to come from the platform","type":"authentication_error"}],"request_id":"REQ"}`

func TestPlatforms(t *testing.T) {
	t.Parallel()
	good := pollqr("r1", 3)
	notJSON := "score=3"
	deep := repeat(`{"a":`, 70) + "1" + repeat("}", 70)
	deep = `{"event":"response.created","survey_id":"s1","response_id":"deep","x":` + deep + `}`
	many := `{"event":"response.created","survey_id":"s1","response_id":"many","response":{"answers":{"0":1` + func() string {
		var b strings.Builder
		for i := 1; i <= 2000; i++ {
			b.WriteString(`,"` + strings.Repeat("q", 1+i%3) + string(rune('a'+i%26)) + strings.Repeat("0", i/26) + `":1`)
		}
		return b.String()
	}() + `}}}`
	largest := `{"event":"` + repeat("x", intake.MaxBody-12) + `"}`
	poltio := `{"content_id":1,"session_id":"x","complete_session":true}`

	for _, c := range []struct {
		name string
		ask  ask
		want int
		body string
		kept string // reason under which it is kept
		of   string // the source it is kept for; pollqr where empty
	}{
		{name: "signed", ask: ask{method: "POST", path: "/in/pollqr", header: signed(good), body: good}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{name: "with a slash", ask: ask{method: "POST", path: "/in/pollqr/", header: signed(good), body: good}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{name: "tenant in the path", ask: ask{method: "POST", path: "/t/default/in/pollqr", header: signed(good), body: good}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{
			name: "another tenant's source", want: 200, body: `{"id":"ID","status":"accepted"}`,
			ask: ask{method: "POST", path: "/t/acme/in/branch", header: map[string]string{"X-PollQR-Signature": sign("acme-"+pollqrSecret, good)}, body: good},
		},
		{name: "another tenant's source as ours", ask: ask{method: "POST", path: "/in/branch", header: signed(good), body: good}, want: 404},
		{name: "path token", ask: ask{method: "POST", path: "/in/poltio/" + pathToken, body: poltio}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{name: "path token and slash", ask: ask{method: "POST", path: "/in/poltio/" + pathToken + "/", body: poltio}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{name: "path token, escaped", ask: ask{method: "POST", path: "/in/poltio/%30" + pathToken[1:], body: poltio}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{name: "wrong path token", ask: ask{method: "POST", path: "/in/poltio/" + pathToken[1:] + "x", body: poltio}, want: 401, body: refused, kept: "signature", of: "poltio"},
		{name: "no path token", ask: ask{method: "POST", path: "/in/poltio", body: poltio}, want: 401, body: refused, kept: "signature", of: "poltio"},
		{name: "no signature", ask: ask{method: "POST", path: "/in/pollqr", body: good}, want: 401, body: refused, kept: "signature"},
		{name: "wrong signature", ask: ask{method: "POST", path: "/in/pollqr", header: map[string]string{"X-PollQR-Signature": sign("other", good)}, body: good}, want: 401, body: refused, kept: "signature"},
		{name: "odd signature", ask: ask{method: "POST", path: "/in/pollqr", header: map[string]string{"X-PollQR-Signature": "zz"}, body: good}, want: 401, body: refused, kept: "signature"},
		{name: "empty", ask: ask{method: "POST", path: "/in/pollqr"}, want: 401, body: refused, kept: "signature"},
		{
			name: "not JSON after a good signature", want: 400, kept: "not json",
			ask:  ask{method: "POST", path: "/in/pollqr", header: signed(notJSON), body: notJSON},
			body: `{"status":400,"detail":[{"msg":"the body is not JSON","type":"validation_error"}],"request_id":"REQ"}`,
		},
		{name: "empty after a good signature", ask: ask{method: "POST", path: "/in/pollqr", header: signed("")}, want: 400, kept: "not json"},
		{name: "does not map", ask: ask{method: "POST", path: "/in/pollqr", header: signed(`{"hello":["world"]}`), body: `{"hello":["world"]}`}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{name: "a lone number", ask: ask{method: "POST", path: "/in/pollqr", header: signed(`7`), body: `7`}, want: 200, body: `{"id":"ID","status":"accepted"}`},
		{name: "too deep", ask: ask{method: "POST", path: "/in/pollqr", header: signed(deep), body: deep}, want: 422, kept: "too deep"},
		{name: "too many answers", ask: ask{method: "POST", path: "/in/pollqr", header: signed(many), body: many}, want: 422, kept: "too many answers"},
		{name: "as large as may be", ask: ask{method: "POST", path: "/in/pollqr", header: signed(largest), body: largest}, want: 200},
		{name: "compressed", ask: ask{method: "POST", path: "/in/pollqr", header: map[string]string{"Content-Encoding": "gzip"}, body: good}, want: 400, kept: "encoding"},
		{name: "GET", ask: ask{path: "/in/poltio/wrong"}, want: 200},
		{name: "HEAD", ask: ask{method: "HEAD", path: "/in/poltio"}, want: 200},
		{name: "PUT", ask: ask{method: "PUT", path: "/in/pollqr", body: good}, want: 405},
		{name: "never configured", ask: ask{method: "POST", path: "/in/nobody", body: good}, want: 404},
		{name: "no name at all", ask: ask{method: "POST", path: "/in/..%2f", body: good}, want: 404},
		{name: "GET of none", ask: ask{path: "/in/nobody"}, want: 404},
		{name: "switched off", ask: ask{method: "POST", path: "/in/off", header: signed(good), body: good}, want: 503},
		{name: "anyone", ask: ask{method: "POST", path: "/in/anyone", body: `{"event":"response.completed","survey":{"id":"s"},"response":{"id":"r"}}`}, want: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			got := r.ask(t, c.ask)
			if got.status != c.want {
				t.Fatalf("status %d, want %d: %s", got.status, c.want, got.body)
			}
			if c.body != "" {
				if diff := cmp.Diff(c.body, plain(got.body)); diff != "" {
					t.Error(diff)
				}
			}
			if got.header.Get("Server") != "" {
				t.Error("the answer names its server")
			}
			if (got.status == 503) != (got.header.Get("Retry-After") != "") {
				t.Errorf("Retry-After %q with %d", got.header.Get("Retry-After"), got.status)
			}
			of := c.of
			if of == "" {
				of = "pollqr"
			}
			var reasons []string
			kept, err := intake.RejectedOf(context.Background(), r.store, "default", of)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range kept {
				reasons = append(reasons, k.Reason)
				if k.Status != c.want {
					t.Errorf("kept with status %d", k.Status)
				}
			}
			if got := strings.Join(reasons, ","); got != c.kept {
				t.Errorf("kept %q, want %q", got, c.kept)
			}
		})
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := pollqr("r1", 3)
	first := r.accept(t, body)
	again := r.ask(t, ask{method: "POST", path: "/in/pollqr", header: signed(body), body: body})
	if want := `{"id":"` + first + `","status":"duplicate"}`; again.status != 200 || again.body != want {
		t.Errorf("%d %s, want %s", again.status, again.body, want)
	}
	scrape := r.ask(t, ask{path: "/metrics"}).body
	for _, line := range []string{
		`surveygate_events_total{outcome="accepted",source="pollqr"} 1`, `surveygate_events_total{outcome="duplicate",source="pollqr"} 1`,
	} {
		if !strings.Contains(scrape, line) {
			t.Error("the scrape lacks", line)
		}
	}
}

// What is kept of a refused request holds what a person needs to find the fault, and no secret.
func TestRejectedWithoutSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := `{"api_key": "sk_live_1", "nested": {"accessToken" : 12345, "note": "my ` + pollqrSecret + ` is here"}, "score": 3`
	r.ask(t, ask{method: "POST", path: "/in/pollqr/sometoken?token=abc&x=1", body: body, header: map[string]string{
		"Authorization": "Bearer sk_live_2", "Cookie": "session=sk_live_3", "X-Api-Key": "sk_live_4",
		"X-Webhook-Secret": "sk_live_5", "X-PollQR-Signature": "00ff", "X-Request-Id": "caller-42",
	}})
	kept, err := intake.RejectedOf(context.Background(), r.store, "default", "pollqr")
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	text, _ := json.Marshal(kept[0])
	for _, secret := range []string{"sk_live", "12345", pollqrSecret, "sometoken", "token=abc"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is kept: %s", secret, text)
		}
	}
	got := kept[0]
	want := view.Rejected{
		Request: view.Request{
			At: noon, Status: 401, RequestID: "caller-42", Method: "POST",
			Path: "/in/pollqr/[secret]?token=[secret]&x=1", Remote: got.Remote, Headers: got.Headers, Size: len(body), SHA256: got.SHA256,
			Body: `{"api_key": "[secret]", "nested": {"accessToken" : "[secret]", "note": "my [secret] is here"}, "score": 3`,
		},
		Reason: "signature", Detail: got.Detail,
		Checks: []source.Check{
			{Kind: "path", Asks: "the path token ends the URL", Reason: "the URL ends with a token, but the source has none"},
			{
				Kind: "hmac", Asks: "HMAC-SHA256 in hex in header `X-PollQR-Signature`, over the body",
				Reason: "the signature has not the form it should have", Signed: "{body}, or the same with the body's white space removed", Given: "00ff",
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	headers := map[string]string{}
	for _, h := range got.Headers {
		headers[h[0]] = h[1]
	}
	for name, value := range map[string]string{"X-Pollqr-Signature": "00ff", "Authorization": "[secret]", "Cookie": "[secret]", "X-Api-Key": "[secret]"} {
		if headers[name] != value {
			t.Errorf("%s is kept as %q, want %q", name, headers[name], value)
		}
	}
}

// Whoever knows an address can make requests fail, and that must fill nothing, nor push out what a platform sent.
func TestRejectedAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ask(t, ask{method: "POST", path: "/in/pollqr", header: signed("no json"), body: "no json"})
	for range 300 {
		r.clock.Advance(100 * time.Millisecond)
		r.ask(t, ask{method: "POST", path: "/in/pollqr", body: repeat("x", 1000)})
	}
	kept, err := intake.RejectedOf(context.Background(), r.store, "default", "pollqr")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(kept); n < 20 || n > 60 {
		t.Errorf("%d kept of 301 within 30 s", n)
	}
	if last := kept[len(kept)-1]; !last.Proved || last.Reason != "not json" {
		t.Errorf("the platform's own request was pushed out: %+v", last)
	}
	r.clock.Advance(25 * time.Hour)
	if kept, err = intake.RejectedOf(context.Background(), r.store, "default", "pollqr"); err != nil || len(kept) > 0 {
		t.Errorf("%d kept after a day, %v", len(kept), err)
	}
	if scrape := r.ask(t, ask{path: "/metrics"}).body; !strings.Contains(scrape, `surveygate_rejected_total{reason="signature",source="pollqr"} 300`) {
		t.Error("not every rejection is counted")
	}
}

// A source that was taken out of the configuration asks its platform to come back: 404 would lose the event.
func TestGoneSource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := pollqr("r1", 3)
	r.plan.Store(load(t, `sources: {popsee: {profile: popsee, unverified: true}}`))
	for path, want := range map[string]int{
		"/in/pollqr": 503, "/t/acme/in/branch": 503, "/in/branch": 404, "/t/acme/in/pollqr": 404, "/in/never": 404,
	} {
		if got := r.ask(t, ask{method: "POST", path: path, header: signed(body), body: body}); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
}

func TestDraining(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := r.ask(t, ask{path: "/readyz"}); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	r.app.Drain()
	body := pollqr("r1", 3)
	for _, a := range []ask{
		{method: "POST", path: "/in/pollqr", header: signed(body), body: body},
		{method: "POST", path: "/v1/events", token: publishToken, body: `{"type":"response.completed"}`},
	} {
		if got := r.ask(t, a); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", a.path, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/readyz"}); got.status != 503 || !strings.Contains(got.body, "the gateway is stopping") {
		t.Errorf("readyz: %d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{path: "/healthz"}); got.status != 200 {
		t.Errorf("healthz: %d %s", got.status, got.body)
	}
}

// What is no HTTP, or tries to be too much of it, is refused in the shape of every error.
func TestRawRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, c := range map[string]struct {
		request string
		want    int
	}{
		"no HTTP":                 {"hello\r\n\r\n", 400},
		"large chunk":             {"POST /in/pollqr HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n300000\r\n" + repeat("x", intake.MaxRead+1), 413},
		"headers without an end":  {"GET /in/pollqr HTTP/1.1\r\nHost: x\r\nX: " + repeat("x", maxHeader) + "\r\n\r\n", 431},
		"odd method":              {"BREW /in/pollqr HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		"negative length":         {"POST /in/pollqr HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400},
		"two lengths":             {"POST /in/pollqr HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		"absolute, another host":  {"GET http://elsewhere/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		"dots in the path":        {"POST /in/../v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404},
		"old HTTP without a host": {"GET /healthz HTTP/1.0\r\n\r\n", 200},
	} {
		got := r.raw(t, c.request)
		if got.status != c.want {
			t.Errorf("%s: %d, want %d: %s", name, got.status, c.want, got.body)
		}
		if got.status >= 400 && !strings.Contains(got.body, `"request_id":"`) {
			t.Errorf("%s: not the shape of an error: %s", name, got.body)
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("r1", 3))
	r.clock.Advance(61 * time.Second)
	got := r.ask(t, ask{path: "/readyz"})
	if got.status != 200 || !strings.Contains(got.body, `1 events wait for their decision, the oldest for 1m1s`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{path: "/healthz"}); got.status != 200 || got.body != `{"status":"alive"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A store that cannot make anything durable is told of with 503, whatever the door.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	body := pollqr("r1", 3)
	for _, a := range []ask{
		{method: "POST", path: "/in/pollqr", header: signed(body), body: body},
		{method: "POST", path: "/v1/events", token: publishToken, body: `[{"type":"response.completed"}]`},
		{path: "/v1/events", token: readToken},
	} {
		if got := r.ask(t, a); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", a.path, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/readyz"}); got.status != 503 {
		t.Errorf("readyz: %d %s", got.status, got.body)
	}
}

// blind panics where the server asks it for deliveries.
type blind struct{ state.Store }

func (blind) Delivery(context.Context, string, string) (*state.Delivery, error) { panic("blind") }

func TestPanic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r2 := &rig{clock: r.clock, store: blind{r.store}}
	r2.start(t)
	got := r2.ask(t, ask{path: "/v1/deliveries/dl_x", token: readToken})
	want := `{"status":500,"detail":[{"msg":"something went wrong here; the request id leads to it in the log","type":"internal"}],"request_id":"REQ"}`
	if got.status != http.StatusInternalServerError || plain(got.body) != want {
		t.Errorf("%d %s", got.status, got.body)
	}
}
