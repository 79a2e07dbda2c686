package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// watchCaptures follows what is asked for on other replicas.
func (r *rig) watchCaptures(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); r.app.WatchCaptures(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
}

func (r *rig) captured(t testing.TB, query, token string) view.CapturedPage {
	t.Helper()
	var page view.CapturedPage
	got := r.ask(t, ask{path: "/v1/sources/pollqr/captured" + query, token: token})
	if got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	decode(t, got.body, &page)
	return page
}

// TestCaptureOnEveryReplica: what somebody asks for on one replica is kept on all, ends by itself or by hand, survives a change of the
// configuration, and concerns no other tenant.
func TestCaptureOnEveryReplica(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.plan.Load()
	r.plan.Store(p.With(documents(t, p.Config, "acme", "anvil"))) // with a source of the same name
	other := &rig{clock: r.clock, store: r.store}
	other.start(t)
	r.watchCaptures(t)
	other.watchCaptures(t)
	capture := func(lasts string) told {
		return r.ask(t, ask{method: "POST", path: "/v1/sources/pollqr/capture", socket: true, body: fmt.Sprintf(`{"for": %q}`, lasts)})
	}
	until := r.clock.Now().Add(time.Hour)
	if got := capture("1h"); got.status != 200 || !strings.Contains(got.body, `"capture_until":"2026-01-02T13:00:00.000Z"`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, replica := range []*rig{r, other} {
		replica.until(t, "the replica captures", func() bool { return replica.captured(t, "", readToken).CaptureUntil.Equal(until) })
	}
	other.accept(t, pollqr("r1", 3))
	if page := r.captured(t, "", readToken); len(page.Data) != 1 || !strings.Contains(page.Data[0].Body, "r1") {
		t.Errorf("%+v", page)
	}
	// The same name of another tenant captures nothing.
	if page := r.captured(t, "?tenant=acme", platformWide); page.Data == nil || !page.CaptureUntil.IsZero() || len(page.Data) != 0 {
		t.Errorf("%+v", page)
	}
	other.reload(t, someSettings[:strings.Index(someSettings, "tokens:")]+"# changed\n")
	if !other.captured(t, "", readToken).CaptureUntil.Equal(until) {
		t.Error("a change of the configuration ended it")
	}
	// A replica that starts later captures too.
	late := &rig{clock: r.clock, store: r.store}
	late.start(t)
	late.watchCaptures(t)
	late.until(t, "the late replica captures", func() bool { return late.captured(t, "", readToken).CaptureUntil.Equal(until) })
	r.clock.Advance(time.Hour)
	if !r.captured(t, "", readToken).CaptureUntil.IsZero() {
		t.Error("it does not end")
	}
	capture("24h")
	other.until(t, "it captures again", func() bool { return !other.captured(t, "", readToken).CaptureUntil.IsZero() })
	if got := capture("0s"); got.status != 200 || !strings.Contains(got.body, `"capture_until":null`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	other.until(t, "it captures no more", func() bool { return other.captured(t, "", readToken).CaptureUntil.IsZero() })
	lines, err := r.app.options.Book.Audit.Lines(t.Context(), "default", 0, 10)
	if err != nil || len(lines) != 3 || lines[0].Did != "source.capture" || lines[0].Of != "source/pollqr" {
		t.Errorf("%+v, %v", lines, err)
	}
}

// TestStoredCaptures: a setting that cannot be read, or lasts too long, captures nothing and is left alone; one that is over for long is
// deleted.
func TestStoredCaptures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	put := func(name, value string) {
		t.Helper()
		if _, err := r.store.Put(t.Context(), "default", "capture", name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	put("pollqr", `{"until": "2099-01-02T12:00:00Z"}`)
	put("poltio", `[1]`)
	put("off", `{"until": "2026-01-02T10:59:00Z"}`)
	put("anyone", `{"until": "2026-01-02T12:30:00Z"}`)
	r.watchCaptures(t)
	r.until(t, "the settings are read", func() bool {
		_, err := r.store.Get(t.Context(), "default", "capture", "off")
		return errors.Is(err, state.ErrNotFound)
	})
	r.until(t, "one captures", func() bool {
		var page view.CapturedPage
		r.into(t, &page, "/v1/sources/anyone/captured")
		return !page.CaptureUntil.IsZero()
	})
	if !r.captured(t, "", readToken).CaptureUntil.IsZero() {
		t.Error("a capture without end")
	}
	for _, name := range []string{"pollqr", "poltio"} {
		if _, err := r.store.Get(t.Context(), "default", "capture", name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCaptureRefuses: a time that is none or too long, a source that is not there, and a caller who may not.
func TestCaptureRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		name, token, body string
		status            int
		part              string
	}{
		{"pollqr", "", `{"for": "1h"}`, 401, ""},
		{"pollqr", everyToken, `{"for": "1h"}`, 403, "settings"},
		{"polqr", "", `{"for": "1h"}`, 404, "did you mean `pollqr`"},
		{"branch", "", `{"for": "1h"}`, 404, "no such source"}, // acme's
		{"pollqr", "", `{"for": "25h"}`, 422, `"loc":["for"]`},
		{"pollqr", "", `{"for": "-1h"}`, 422, `"loc":["for"]`},
		{"pollqr", "", `{"for": 3600}`, 422, `"loc":["for"]`},
		{"pollqr", "", `{}`, 422, `"loc":["for"]`},
	} {
		got := r.ask(t, ask{method: "POST", path: "/v1/sources/" + c.name + "/capture", token: c.token, body: c.body, socket: c.token == "" && c.status != 401})
		if got.status != c.status || !strings.Contains(got.body, c.part) {
			t.Errorf("%s %s: %d %s", c.name, c.body, got.status, got.body)
		}
	}
}

// TestTestASource: a request is read as its source would read it, and is neither kept nor counted; no secret is answered.
func TestTestASource(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	test := func(name, body string) (view.SourceTested, told) {
		t.Helper()
		got := r.ask(t, ask{method: "POST", path: "/v1/sources/" + name + "/test", token: readToken, body: body})
		var v view.SourceTested
		if got.status == 200 {
			decode(t, got.body, &v)
		}
		if strings.Contains(got.body, pollqrSecret) || strings.Contains(got.body, pathToken) {
			t.Errorf("a secret is answered: %s", got.body)
		}
		return v, got
	}
	body := strings.Replace(pollqr("r1", 3), `"business_id"`, `"novel":{"thing":1},"business_id"`, 1)
	text := fmt.Sprintf("%q", body)
	v, got := test("pollqr", `{"body": `+text+`, "headers": {"x-pollqr-signature": "`+sign(pollqrSecret, body)+`"}}`)
	if got.status != 200 || !v.Proved || v.Status != 200 || len(v.Events) != 1 || v.Events[0].Type != "response.completed" || len(v.Checks) != 1 || !v.Checks[0].Passed {
		t.Errorf("%d %s", got.status, got.body)
	}
	if !strings.Contains(fmt.Sprint(v.Unmapped), "novel.thing") || v.Incomplete {
		t.Errorf("not mapped: %v", v.Unmapped)
	}
	v, got = test("pollqr", `{"body": `+body+`, "headers": {"X-PollQR-Signature": "00"}}`)
	if v.Proved || v.Status != 401 || len(v.Events) != 1 || v.Checks[0].Passed || !strings.HasPrefix(v.Checks[0].Signed, "{body}") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if v, got = test("poltio", `{"body": {"a": 1}, "token": "wrong"}`); v.Proved || v.Status != 401 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if v, got = test("poltio", `{"body": {"a": 1}}`); !v.Proved {
		t.Errorf("%d %s", got.status, got.body)
	}
	if v, got = test("pollqr", `{"body": "no JSON"}`); v.Status != 401 || v.Error == "" || len(v.Events) != 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
	for body, status := range map[string]int{`{}`: 422, ``: 400, `{"body": 1, "x": 2}`: 422, `{"body": 1, "headers": {"a": 1}}`: 422} {
		if _, got := test("pollqr", body); got.status != status {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	if _, got = test("branch", `{"body": {}}`); got.status != 404 {
		t.Errorf("the source of another tenant: %d", got.status)
	}
	if _, got = test("pollqr", `{"body": "`+repeat("x", 1<<20+1)+`"}`); got.status != 413 {
		t.Errorf("a long body: %d", got.status)
	}
}

func decode(t testing.TB, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatal(err)
	}
}
