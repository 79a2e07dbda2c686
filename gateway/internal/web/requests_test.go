package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// list is an answer's data, and what else it says.
func list[T any](t testing.TB, got told) (data []T, until string) {
	t.Helper()
	var page struct {
		Data         []T
		CaptureUntil string `json:"capture_until"`
	}
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != 200 {
		t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	return page.Data, page.CaptureUntil
}

const capturing = `
sources:
  new:   {profile: popsee, path_token: ` + pathToken + `, capture: 1h}
  quiet: {profile: popsee, unverified: true}
  hers:  {profile: popsee, secrets: [acme-popsee-secret], tenant: acme, capture: 30m}
`

// While `capture` lasts, whatever an unknown platform sends is kept, refused or not, without secrets; and only its
// tenant sees it.
func TestCapture(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, capturing)
	odd := "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nkeep-me\xff\r\n--b--\r\n"
	for i, a := range []ask{
		{method: "POST", path: "/in/new/" + pathToken + "?token=t0psecret&lang=tr", body: `{"token": "response-7", "x": "` + pathToken + `"}`, header: map[string]string{
			"Authorization": "Bearer t0psecret", "X-Acme-Signature": "00ff", "Content-Type": "application/json",
		}},
		{method: "GET", path: "/in/new?hub.challenge=1"},
		{method: "PUT", path: "/in/new", body: "x=1"},
		{method: "POST", path: "/in/new", body: odd, header: map[string]string{"Content-Type": "multipart/form-data; boundary=b"}},
		{method: "POST", path: "/in/new/" + pathToken, body: "no json"},
		{method: "POST", path: "/in/new/" + pathToken, body: "x", header: map[string]string{"Content-Encoding": "gzip"}},
		{method: "POST", path: "/in/quiet", body: `{"event":"response.completed"}`},
		{method: "POST", path: "/t/acme/in/hers", body: `{"event":"hers"}`},
	} {
		r.clock.Advance(time.Second)
		got := r.ask(t, a)
		if want := []int{200, 200, 405, 401, 400, 400, 200, 401}[i]; got.status != want {
			t.Fatalf("%s %s: %d %s", a.method, a.path, got.status, got.body)
		}
	}
	kept, until := list[view.Captured](t, r.ask(t, ask{path: "/v1/sources/new/captured", token: readToken}))
	var seen []string
	for _, k := range kept {
		seen = append(seen, fmt.Sprintf("%s %d %v", k.Method, k.Status, k.Proved))
	}
	if got, want := strings.Join(seen, ", "), "POST 400 false, POST 400 true, POST 401 false, PUT 405 false, GET 200 false, POST 200 true"; got != want {
		t.Errorf("kept %s, want %s", got, want)
	}
	if until != "2026-01-02T13:00:00.000Z" {
		t.Errorf("captures until %s", until)
	}
	first := kept[len(kept)-1]
	if first.Path != "/in/new/[secret]?token=[secret]&lang=tr" || first.Body != `{"token": "response-7", "x": "[secret]"}` || !first.Redacted || first.Encoding != "" {
		t.Errorf("%+v", first)
	}
	headers := map[string]string{}
	for _, h := range first.Headers {
		headers[h[0]] = h[1]
	}
	if headers["Authorization"] != "[secret]" || headers["X-Acme-Signature"] != "00ff" {
		t.Errorf("%v", headers)
	}
	form := kept[2]
	if body, err := form.Bytes(); err != nil || string(body) != odd || form.Redacted || form.Encoding != "base64" || form.Body != base64.StdEncoding.EncodeToString([]byte(odd)) {
		t.Errorf("%+v, %v", form, err)
	}
	if none, until := list[view.Captured](t, r.ask(t, ask{path: "/v1/sources/quiet/captured", token: readToken})); len(none) != 0 || until != "" {
		t.Errorf("captured without being asked to: %+v, until %s", none, until)
	}

	// Tenants never meet.
	hers, until := list[view.Captured](t, r.ask(t, ask{path: "/v1/sources/hers/captured", token: acmeToken}))
	if len(hers) != 1 || hers[0].Body != `{"event":"hers"}` || hers[0].Path != "/t/acme/in/hers" || until != "2026-01-02T12:30:00.000Z" {
		t.Errorf("%+v, until %s", hers, until)
	}
	for path, token := range map[string]string{"/v1/sources/hers/captured": readToken, "/v1/sources/new/captured": acmeToken} {
		if got := r.ask(t, ask{path: path, token: token}); got.status != 404 || strings.Contains(got.body, "did you mean") {
			t.Errorf("%s of another tenant: %d %s", path, got.status, got.body)
		}
	}
}

// It lasts from the load that brought it: a reload that changes something else makes it no longer, and what is kept
// goes after a day.
func TestCaptureEnds(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, capturing)
	count := func() int {
		t.Helper()
		kept, _ := list[view.Captured](t, r.ask(t, ask{path: "/v1/sources/hers/captured", token: acmeToken}))
		return len(kept)
	}
	send := func() {
		t.Helper()
		r.ask(t, ask{method: "POST", path: "/t/acme/in/hers", body: `{}`})
	}
	send()
	r.clock.Advance(20 * time.Minute)
	r.reload(t, capturing+"  another: {profile: popsee, unverified: true}\n")
	send()
	r.clock.Advance(10 * time.Minute)
	send() // too late
	if n := count(); n != 2 {
		t.Errorf("%d kept, want 2", n)
	}
	r.reload(t, strings.Replace(capturing, "capture: 30m", "capture: 31m", 1))
	send()
	if n := count(); n != 3 {
		t.Errorf("%d kept after another capture began, want 3", n)
	}
	r.reload(t, strings.Replace(capturing, ", capture: 30m", "", 1))
	send()
	if n := count(); n != 3 {
		t.Errorf("%d kept although nothing is captured any more", n)
	}
	r.clock.Advance(24 * time.Hour)
	if n := count(); n != 0 {
		t.Errorf("%d kept after a day", n)
	}
}

func TestCaptureIsBounded(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, capturing)
	r.ask(t, ask{method: "POST", path: "/in/new/" + pathToken, body: `{"event":"the platform's own"}`})
	large := `{"x":"` + repeat("é", 200<<10) + `"}`
	for i := range 120 {
		r.clock.Advance(time.Second)
		body := large
		if i > 2 {
			body = fmt.Sprint(i)
		}
		r.ask(t, ask{method: "POST", path: "/in/new", body: body})
	}
	for range 100 { // at once
		r.ask(t, ask{method: "POST", path: "/in/new", body: "flood"})
	}
	kept, _ := list[view.Captured](t, r.ask(t, ask{path: "/v1/sources/new/captured", token: readToken}))
	flood := 0
	for _, k := range kept {
		if k.Body == "flood" {
			flood++
		}
	}
	if len(kept) != 51 || flood == 0 || flood > 40 {
		t.Errorf("%d kept, %d of a flood", len(kept), flood)
	}
	if last := kept[len(kept)-1]; !last.Proved || !strings.Contains(last.Body, "own") {
		t.Errorf("strangers pushed out what the platform sent: %+v", last)
	}
	r2 := newRigOf(t, capturing)
	r2.ask(t, ask{method: "POST", path: "/in/new", body: large})
	kept, _ = list[view.Captured](t, r2.ask(t, ask{path: "/v1/sources/new/captured", token: readToken}))
	if len(kept) != 1 || !kept[0].Truncated || kept[0].Size != len(large) || len(kept[0].Body) > 256<<10 || !strings.HasPrefix(large, kept[0].Body) {
		t.Errorf("a large body is kept as %d bytes, truncated %v", len(kept[0].Body), kept[0].Truncated)
	}
}

// A rejected request says which check failed and what was signed; the caller hears nothing of it.
func TestRejectedSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, `
sources:
  mine:
    profile: pollqr
    secrets: [`+pollqrSecret+`]
    verify: [{kind: hmac, header: X-Sign, signed: "{timestamp}.{body}", timestamp: {header: X-Time}}]
  hers: {profile: pollqr, secrets: [acme-`+pollqrSecret+`], tenant: acme}
`)
	body := pollqr("r1", 3)
	stale := fmt.Sprint(noon.Add(-time.Hour).Unix())
	now := fmt.Sprint(noon.Unix())
	for _, header := range []map[string]string{
		{"X-Time": stale, "X-Sign": sign(pollqrSecret, stale+"."+body)},
		{"X-Time": now, "X-Sign": sign("another secret", now+"."+body)},
		{"X-Time": now, "X-Sign": sign(pollqrSecret, now+"."+body)},
	} {
		r.clock.Advance(time.Second)
		got := r.ask(t, ask{method: "POST", path: "/in/mine", header: header, body: body})
		if got.status == 401 && plain(got.body) != refused {
			t.Errorf("the sender is told %s", got.body)
		}
	}
	kept, _ := list[view.Rejected](t, r.ask(t, ask{path: "/v1/sources/mine/rejected", token: readToken}))
	if len(kept) != 2 {
		t.Fatalf("%+v", kept)
	}
	for i, want := range []source.Check{
		{Reason: "the signature does not match", Signed: now + ".{body}", Given: sign("another secret", now+"."+body)},
		{Reason: "the timestamp is too far from now", Signed: stale + ".{body}", Given: sign(pollqrSecret, stale+"."+body)},
	} {
		k := kept[i]
		if len(k.Checks) != 1 || k.Checks[0].Signed != want.Signed || k.Checks[0].Given != want.Given || k.Checks[0].Passed || k.Checks[0].Reason == "" || k.Body != body {
			t.Errorf("%d: %+v, want %+v", i, k, want)
		}
	}
	for _, a := range []ask{
		{path: "/v1/sources/hers/rejected", token: readToken},
		{path: "/v1/sources/mine/rejected", token: acmeToken},
	} {
		if got := r.ask(t, a); got.status != 404 {
			t.Errorf("%s of another tenant: %d %s", a.path, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/v1/sources/mien/rejected", token: readToken}); got.status != 404 || !strings.Contains(got.body, "no such source `mien`; did you mean `mine`?") {
		t.Errorf("a misspelt source: %d %s", got.status, got.body)
	}
	r.reload(t, "sources: {other: {profile: popsee, unverified: true}}\n")
	if kept, _ := list[view.Rejected](t, r.ask(t, ask{path: "/v1/sources/mine/rejected", token: readToken})); len(kept) != 2 {
		t.Errorf("%d kept of a source that is gone", len(kept))
	}
}

// The address that counts is the connection's: nobody may write another one into a header.
func TestAllowFrom(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, `
sources:
  near: {profile: popsee, unverified: true, allow_from: ["10.0.0.0/8", "127.0.0.0/8"]}
  far:  {profile: popsee, unverified: true, allow_from: ["10.0.0.0/8", "2001:db8::/32"]}
  nobody: {profile: popsee, unverified: true, allow_from: ["0.0.0.0/8", "::/0"]}
`)
	body := `{"event":"response.completed","survey":{"id":"s"},"response":{"id":"r"}}`
	for _, c := range []struct {
		path   string
		header map[string]string
		socket bool
		want   int
	}{
		{"/in/near", nil, false, 200},
		{"/in/near", map[string]string{"X-Forwarded-For": "203.0.113.9"}, false, 200},
		{"/in/far", nil, false, 401},
		{"/in/far", map[string]string{"X-Forwarded-For": "10.1.2.3", "X-Real-Ip": "10.1.2.3", "Forwarded": "for=10.1.2.3", "Cf-Connecting-Ip": "10.1.2.3"}, false, 401},
		{"/in/nobody", nil, true, 401},
	} {
		if got := r.ask(t, ask{method: "POST", path: c.path, header: c.header, body: body, socket: c.socket}); got.status != c.want {
			t.Errorf("%s with %v: %d, want %d: %s", c.path, c.header, got.status, c.want, got.body)
		}
	}
	kept, _ := list[view.Rejected](t, r.ask(t, ask{path: "/v1/sources/far/rejected", token: readToken}))
	if len(kept) != 2 || kept[0].Remote != "127.0.0.1" || kept[0].Checks[0].Reason != "it came from 127.0.0.1" {
		t.Errorf("%+v", kept)
	}
	// The control socket has no addresses.
	kept, _ = list[view.Rejected](t, r.ask(t, ask{path: "/v1/sources/nobody/rejected", token: readToken}))
	if len(kept) != 1 || kept[0].Remote != "" || kept[0].Checks[0].Reason != "it came from no address" {
		t.Errorf("%+v", kept)
	}
}

// Behind proxies that the configuration names, the sender is who the last of them that is trusted saw.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	const near = `
sources: {near: {profile: popsee, unverified: true, allow_from: ["203.0.113.0/24"]}}
`
	r := newRigOf(t, "trusted_proxies: [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n"+near)
	send := func(forwarded string) int {
		var header map[string]string
		if forwarded != "" {
			header = map[string]string{"X-Forwarded-For": forwarded}
		}
		return r.ask(t, ask{method: "POST", path: "/in/near", header: header, body: `{"event":"response.completed","survey":{"id":"s"},"response":{"id":"r"}}`}).status
	}
	for forwarded, want := range map[string]int{
		"203.0.113.9":                200,
		"198.51.100.7, 203.0.113.9":  200,
		"203.0.113.9, 10.1.2.3":      200,
		"203.0.113.9, 198.51.100.7":  401, // whoever sent it wrote the first one
		"203.0.113.9, unknown":       401,
		"":                           401,
		"198.51.100.7":               401,
		"203.0.113.9, 198.51.100.7,": 401,
	} {
		if got := send(forwarded); got != want {
			t.Errorf("%q: %d, want %d", forwarded, got, want)
		}
	}
	_ = send("203.0.113.9, 198.51.100.8")
	kept, _ := list[view.Rejected](t, r.ask(t, ask{path: "/v1/sources/near/rejected", token: readToken}))
	if !slices.ContainsFunc(kept, func(k view.Rejected) bool {
		return k.Remote == "198.51.100.8" && k.Checks[0].Reason == "it came from 198.51.100.8"
	}) {
		t.Errorf("%+v", kept)
	}
	r.reload(t, near) // and nobody is trusted any more
	if got := send("203.0.113.9"); got != 401 {
		t.Errorf("of a proxy that is no longer trusted: %d", got)
	}
}

// A platform's test button sends no proof: for so long after the load it makes a test, and nothing else.
func TestAcceptTest(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "sources: {pollqr: {profile: pollqr, secrets: ["+pollqrSecret+"], accept_test: 10m}}\n")
	send := func(header map[string]string, body string, want int) string {
		t.Helper()
		got := r.ask(t, ask{method: "POST", path: "/in/pollqr", header: header, body: body})
		if got.status != want {
			t.Fatalf("%d, want %d: %s", got.status, want, got.body)
		}
		return ids.FindString(got.body)
	}
	typeOf := func(id string) string {
		t.Helper()
		record, err := r.store.Event(t.Context(), "default", id)
		if err != nil {
			t.Fatal(err)
		}
		return record.Event.Type + " " + record.Event.Verified
	}
	body := pollqr("r1", 3)
	first := send(nil, body, 200)
	r.clock.Advance(time.Second)
	second := send(nil, body, 200)
	if first == second || typeOf(first) != "test none" || typeOf(second) != "test none" {
		t.Errorf("%s is %s, %s is %s", first, typeOf(first), second, typeOf(second))
	}
	if id := send(nil, "no json", 200); typeOf(id) != "test none" {
		t.Errorf("what cannot be read is %s", typeOf(id))
	}
	send(map[string]string{"X-PollQR-Signature": sign("mistyped", body)}, body, 401)
	if id := send(signed(body), body, 200); typeOf(id) != "response.completed hmac" {
		t.Errorf("a real one is %s", typeOf(id))
	}
	r.clock.Advance(10 * time.Minute)
	send(nil, body, 401)
}

// Times without a zone are the source's: those with one are what they say.
func TestTimezone(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, `
sources:
  here:  {profile: pollqr, unverified: true}
  there: {profile: pollqr, unverified: true, timezone: Europe/Istanbul}
`)
	for path, want := range map[string]string{
		"/in/here 2026-01-02T11:00:00": "11:00", "/in/there 2026-01-02T11:00:00": "08:00", "/in/there 2026-07-02T11:00:00": "08:00",
		"/in/there 2026-01-02T11:00:00Z": "11:00", "/in/there 2026-01-02T11:00:00+01:00": "10:00",
		"/in/there yesterday": "12:00",
	} {
		path, at, _ := strings.Cut(path, " ")
		got := r.ask(t, ask{method: "POST", path: path, body: `{"event":"response.created","survey_id":"s","response_id":"` + at + `","timestamp":"` + at + `"}`})
		record, err := r.store.Event(t.Context(), "default", ids.FindString(got.body))
		if err != nil {
			t.Fatalf("%d %s: %v", got.status, got.body, err)
		}
		if record.Event.Time.Format("15:04") != want {
			t.Errorf("%s: %s is %s, want %s", path, at, record.Event.Time, want)
		}
	}
}

// An event is found by the id it was published with, in its own tenant.
func TestEventByPublishedID(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	publish := func(token, body string) string {
		t.Helper()
		got := r.ask(t, ask{method: "POST", path: "/v1/events", token: token, body: body})
		if got.status != 200 {
			t.Fatal(got.body)
		}
		return ids.FindString(got.body)
	}
	id := publish(publishToken, `{"type":"response.completed","id":"r1 final/2"}`)
	app := publish(publishToken, `{"type":"response.completed","id":"order-7","source":"app"}`)
	ours := publish(publishToken, `{"type":"response.completed","id":"same","source":"pollqr"}`)
	publish(publishToken, `{"type":"response.completed","id":"same","source":"poltio"}`)
	hers := publish(acmeToken, `{"type":"response.completed","id":"hers"}`)
	cloud := publish(publishToken, `{"specversion":"1.0","type":"response.completed","id":"7","source":"https://shop.example.com/a"}`)
	for path, want := range map[string]string{
		"/v1/events/" + id: id, "/v1/events/r1%20final%2F2": id, "/v1/events/r1%20final%2F2/explain": id,
		"/v1/events/order-7?source=app": app, "/v1/events/same?source=pollqr": ours,
		"/v1/events/https:%2F%2Fshop.example.com%2Fa%237": cloud,
		"/v1/events/order-7":                              "no such event", // nobody said which source, and it is not configured
		"/v1/events/same":                                 "both have an event of that id",
		"/v1/events/hers":                                 "no such event",
		"/v1/events/" + hers:                              "no such event",
		"/v1/events/" + id + "?source=x":                  id,
	} {
		got := r.ask(t, ask{path: path, token: readToken})
		if !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s, want %s", path, got.status, got.body, want)
		}
		if strings.HasPrefix(want, "no such") != (got.status == http.StatusNotFound) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := r.ask(t, ask{path: "/v1/events/hers", token: acmeToken}); !strings.Contains(got.body, hers) {
		t.Errorf("acme's own: %d %s", got.status, got.body)
	}
	if got := r.ask(t, ask{path: "/v1/events/r1%20final%2F2", token: acmeToken}); got.status != 404 {
		t.Errorf("another tenant's: %d %s", got.status, got.body)
	}
	if id != event.ID("default", "api", "r1 final/2") {
		t.Error(id)
	}
}

// A name that nothing has is not an empty list; the nearest one is told, of the tenant's own.
func TestMisspeltNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for path, want := range map[string]string{
		"/v1/deliveries?destination=alarm":               "no such destination `alarm`; did you mean `alarms`?",
		"/v1/deliveries?destination=zzzzzz":              "no such destination",
		"/v1/deliveries?state=dead&destination=warehose": "did you mean `warehouse`?",
		"/v1/deliveries?rule=detractors":                 "no such rule or webhook `detractors`; did you mean `detractor`?",
		"/v1/deliveries?destination=crn":                 "no such destination\"", // acme's
		"/v1/deliveries?rule=angry":                      "no such rule or webhook\"",
		"/v1/events?source=polqr":                        "no such source `polqr`; did you mean `pollqr`?",
		"/v1/events?source=branch":                       "no such source\"",
		"/v1/stats?of=destination:alarm":                 "did you mean `alarms`?",
		"/v1/stats?of=source:polqr":                      "did you mean `pollqr`?",
		"/v1/stats?of=rule:detracter":                    "did you mean `detractor`?",
		"/v1/destinations/alarm":                         "did you mean `alarms`?",
		"/v1/rules/detracter":                            "did you mean `detractor`?",
		"/v1/sources/polqr":                              "did you mean `pollqr`?",
		"/v1/deliveries/nonsense":                        "no such delivery",
	} {
		got := r.ask(t, ask{path: path, token: readToken})
		if got.status != 404 || !strings.Contains(strings.ReplaceAll(got.body, `"type"`, ""), want) {
			t.Errorf("%s: %d %s, want %s", path, got.status, got.body, want)
		}
	}
	for _, path := range []string{
		"/v1/deliveries?destination=alarms", "/v1/deliveries?destination=warehouse&rule=warehouse", "/v1/deliveries?rule=promoter",
		"/v1/events?source=pollqr", "/v1/events?source=api", "/v1/stats?of=destination:alarms", "/v1/stats?of=destination:", "/v1/stats?of=source:api", "/v1/stats?of=rule:alarms", "/v1/stats?of=survey:api/s1",
	} {
		if got := r.ask(t, ask{path: path, token: readToken}); got.status != 200 || !strings.Contains(got.body, `"data":[]`) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
