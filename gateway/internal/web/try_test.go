package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// sealedStore is a store that fails the test when something is written while it is sealed.
type sealedStore struct {
	state.Store
	t      testing.TB
	sealed atomic.Bool
}

func (s *sealedStore) check(what string) {
	if s.sealed.Load() {
		s.t.Errorf("%s was called", what)
	}
}

func (s *sealedStore) Append(ctx context.Context, events []*event.Event) ([]state.Appended, error) {
	s.check("Append")
	return s.Store.Append(ctx, events)
}

func (s *sealedStore) Once(ctx context.Context, tenant string, keys []state.OnceKey, ttl time.Duration) ([]string, error) {
	s.check("Once")
	return s.Store.Once(ctx, tenant, keys, ttl)
}

func (s *sealedStore) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	s.check("Put")
	return s.Store.Put(ctx, tenant, kind, name, value, version)
}

func (s *sealedStore) WriteAll(ctx context.Context, b *state.Batch) ([]uint64, error) {
	s.check("WriteAll")
	return s.Store.WriteAll(ctx, b)
}

func (s *sealedStore) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	s.check("Delete")
	return s.Store.Delete(ctx, tenant, kind, name, version)
}

func (s *sealedStore) Keep(ctx context.Context, tenant, list string, item []byte, most int, ttl time.Duration) error {
	s.check("Keep")
	return s.Store.Keep(ctx, tenant, list, item, most, ttl)
}

func (s *sealedStore) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	s.check("Lease")
	return s.Store.Lease(ctx, name, holder, ttl)
}

func (s *sealedStore) Schedule(ctx context.Context, tenant string, deliveries []state.Delivery) ([]bool, error) {
	s.check("Schedule")
	return s.Store.Schedule(ctx, tenant, deliveries)
}

func (s *sealedStore) Commit(ctx context.Context, c *state.Commit) (*state.Committed, error) {
	s.check("Commit")
	return s.Store.Commit(ctx, c)
}

func (s *sealedStore) AddCounts(ctx context.Context, counts []state.Count) ([]state.Count, error) {
	s.check("AddCounts")
	return s.Store.AddCounts(ctx, counts)
}

const editToken = "edit-0123456789-0123456789-012345"

// tryRig is a rig whose store is sealed, with a receiver that fails the test when it is called, and events of two tenants.
func tryRig(t *testing.T) (r *rig, ids map[string]string) {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		t.Errorf("something was sent: %s %s", q.Method, q.URL)
	}))
	t.Cleanup(receiver.Close)
	text := strings.Replace(someSettings, "tokens:", `outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens:
  - {name: editor, secret: `+editToken+`, tenant: default, scopes: [read, settings]}`, 1)
	text = strings.ReplaceAll(text, "https://hook.example.com/in", receiver.URL+"/in")
	r = &rig{clock: clock.NewManual(noon)}
	r.plan.Store(load(t, text))
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sealed := &sealedStore{Store: store, t: t}
	r.store = sealed
	r.start(t)
	ids = map[string]string{}
	for n := range 10 {
		ids[fmt.Sprint(n)] = r.accept(t, pollqr(fmt.Sprint("r", n), n))
		r.clock.Advance(time.Second)
	}
	got := r.ask(t, ask{method: "POST", path: "/v1/events", token: acmeToken, body: `{"type": "response.completed", "id": "a1", "nps_score": 2}`})
	if ids["acme"] = acmeID(t, got); ids["acme"] == "" {
		t.Fatal(got.body)
	}
	sealed.sealed.Store(true)
	return r, ids
}

func acmeID(t *testing.T, got told) string {
	t.Helper()
	return ids.FindString(got.body)
}

func (r *rig) try(t testing.TB, token, body string) (view.Tried, told) {
	t.Helper()
	got := r.ask(t, ask{method: "POST", path: "/v1/try", token: token, body: body})
	var v view.Tried
	if got.status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.body), &v); err != nil {
			t.Fatal(err)
		}
	}
	return v, got
}

// TestTryADraft: what a draft changes is counted and shown with samples, requests and explanations, and nothing is sent or written.
func TestTryADraft(t *testing.T) {
	t.Parallel()
	r, ids := tryRig(t)
	v, got := r.try(t, editToken, `{"draft": {"rules": {"low": {"events": ["response.updated", "response.completed"], "when": "nps_score <= 4", "send": [{"alarms": {"text": "{{ nps_score }}"}}], "once": "response"}}},
		"events": {"last": 500}}`)
	if got.status != 200 {
		t.Fatal(got.body)
	}
	if v.Asked != 10 || v.Stopped != "" || v.SearchedBackTo.IsZero() {
		t.Errorf("asked %d, stopped %q, back to %v", v.Asked, v.Stopped, v.SearchedBackTo)
	}
	d := v.Difference
	if d == nil || d.Before != 0 || d.Now != 5 || d.Added != 5 || d.Removed != 0 || d.Changed != 0 || len(d.Samples) != 3 {
		t.Fatalf("difference %+v in %s", d, got.body)
	}
	if s := d.Samples[0]; s.Rule != "low" || s.Before || !s.Now || len(s.Parts) == 0 || s.Event != ids["4"] {
		t.Errorf("sample %+v", s)
	}
	if len(v.Draft) != 1 || v.Draft[0].Would != "create" || v.Draft[0].State != "active" {
		t.Errorf("draft %+v", v.Draft)
	}
	if len(v.Requests) != 5 || !strings.Contains(v.Requests[0].Text, "[secret]") || strings.Contains(got.body, "abcdefghijkl") {
		t.Errorf("requests %+v", v.Requests)
	}
	if len(v.Explain) != 10 || v.Explain[0].Event.ID != ids["9"] {
		t.Errorf("%d explanations", len(v.Explain))
	}
	// A changed destination concerns the rules of files that send there, and only those.
	v, got = r.try(t, editToken, `{"draft": {"connections": {"other": {"slack": {"webhook": "https://hooks.slack.com/services/T0/B0/zzzzzzzzzzzz"}}},
		"webhooks": {"copy": {"url": "https://copy.example.com/", "events": ["response.updated", "response.completed"], "signature": "none", "headers": {"X-Api-Key": "key-of-the-draft"}}}},
		"events": {"ids": ["`+ids["2"]+`", "`+ids["acme"]+`", "nothing"]}}`)
	if got.status != 200 {
		t.Fatal(got.body)
	}
	if v.Asked != 1 || !slices.Equal(v.NotFound, []string{ids["acme"], "nothing"}) {
		t.Errorf("asked %d, not found %v", v.Asked, v.NotFound)
	}
	if strings.Contains(got.body, "key-of-the-draft") || strings.Contains(got.body, "zzzzzzzzzzzz") {
		t.Errorf("a secret of the draft is answered: %s", got.body)
	}
}

// TestTryVariables: the copy of what a file defines can be tried, though its variables have no value. What is written has none.
func TestTryVariables(t *testing.T) {
	t.Parallel()
	r, ids := tryRig(t)
	const draft = `"draft": {"webhooks": {"copy": {"url": "${HOOK}", "events": ["response.completed", "response.updated"], "when": "nps_score <= 2", "secrets": ["${HOOK_SECRET}"], "headers": {"Authorization": "Bearer ${TOKEN}"}}}}`
	if _, got := r.try(t, editToken, `{`+draft+`, "events": {"last": 10}}`); got.status != 422 || !strings.Contains(got.body, "nothing is looked up") {
		t.Errorf("without `variables`: %d %s", got.status, got.body)
	}
	v, got := r.try(t, editToken, `{`+draft+`, "variables": true, "events": {"ids": ["`+ids["2"]+`", "`+ids["3"]+`"]}}`)
	if got.status != 200 || len(v.Draft) != 1 || v.Draft[0].State != "active" || v.Difference == nil || v.Difference.Added != 1 {
		t.Errorf("with `variables`: %d %s", got.status, got.body)
	}
	if _, got := r.try(t, editToken, `{"draft": {"sources": {"copy": {"profile": "pollqr", "secrets": ["${POLLS}"], "path_token": "${PATH}"}}}, "variables": true, "events": {"source": "copy", "body": `+pollqr("x", 9)+`}}`); got.status != 200 || !strings.Contains(got.body, `"value":"9"`) || strings.Contains(got.body, "without secrets") {
		t.Errorf("a source: %d %s", got.status, got.body)
	}
	if _, got := r.try(t, editToken, `{"draft": {"connections": {"copy": {"slack": {"token": "${SLACK}", "channel": "${CHANNEL}"}}}, "rules": {"low": {"when": "nps_score <= 6", "send": ["copy"]}}}, "variables": true, "events": {"ids": ["`+ids["2"]+`"]}}`); got.status != 200 || strings.Contains(got.body, `"state":"broken"`) {
		t.Errorf("a connection: %d %s", got.status, got.body)
	}
}

// TestTryWhatRuns: without a draft the running configuration is asked; a body need not be published.
func TestTryWhatRuns(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	v, got := r.try(t, readToken, `{"events": {"body": {"type": "response.completed", "nps_score": 3, "respondent": {"name": "<script>alert(1)</script>"}}}}`)
	if got.status != 200 || v.Asked != 1 || v.Difference != nil || len(v.Requests) != 1 || v.Requests[0].Rule != "detractor" {
		t.Errorf("%d %s", got.status, got.body)
	}
	v, got = r.try(t, readToken, `{"events": {"source": "pollqr", "body": `+pollqr("x", 9)+`}, "show": ["requests"]}`)
	if got.status != 200 || v.Asked != 1 || v.Explain != nil {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestTryRefuses: bad requests get an answer that says where.
func TestTryRefuses(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	for _, c := range []struct {
		token, body string
		status      int
		part        string
	}{
		{editToken, ``, 400, "empty"},
		{editToken, `{`, 400, "not JSON"},
		{editToken, `{"event": {}}`, 422, "`event`"},
		{editToken, `{"events": {}}`, 422, "say which events"},
		{editToken, `{"events": {"last": 501}}`, 422, "1 to 500"},
		{editToken, `{"events": {"last": "many"}}`, 422, `"loc":["events","last"]`},
		{editToken, `{"events": {"last": 1, "ids": ["x"]}}`, 422, "exclude"},
		{editToken, `{"events": {"last": 1, "type": "response.complete"}}`, 422, "did you mean"},
		{editToken, `{"events": {"last": 1}, "show": ["all"]}`, 422, `"loc":["show","0"]`},
		{editToken, `{"events": {"last": 1}, "show": ["difference"]}`, 422, "draft"},
		{editToken, `{"events": {"body": {"type": "response.completed", "nps_scor": 1}}}`, 422, `"loc":["events","body","nps_scor"]`},
		{editToken, `{"events": {"body": {"type": "response.completed", "tenant": "acme"}}}`, 422, "tenant"},
		{editToken, `{"events": {"source": "polqr", "body": {}}}`, 404, "did you mean `pollqr`"},
		{editToken, `{"draft": {"rules": {"x": {"when": "nps_scor <= 6", "send": ["alarms"]}}}, "events": {"last": 1}}`, 422, `"loc":["draft","rules","x","when"]`},
		{editToken, `{"draft": {"rules": {"../x": {}}}, "events": {"last": 1}}`, 422, `"loc":["draft","rules","../x"]`},
		{readToken, `{"draft": {"rules": {}}, "events": {"last": 1}}`, 403, "settings"},
		{publishToken, `{"events": {"last": 1}}`, 403, "read"},
	} {
		if _, got := r.try(t, c.token, c.body); got.status != c.status || !strings.Contains(got.body, c.part) {
			t.Errorf("%s: %d %s", c.body, got.status, got.body)
		}
	}
}

// TestTryOneAtATime: a token's second trial is refused while its first runs.
func TestTryOneAtATime(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	var all sync.WaitGroup
	var ok, busy atomic.Int32
	for range 8 {
		all.Go(func() {
			switch _, got := r.try(t, readToken, `{"events": {"last": 500}}`); got.status {
			case 200:
				ok.Add(1)
			case 429:
				if busy.Add(1); got.header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			default:
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	all.Wait()
	if ok.Load() == 0 || ok.Load()+busy.Load() != 8 {
		t.Errorf("%d answered, %d refused", ok.Load(), busy.Load())
	}
}

// TestTryAStoredDocument: a draft may hold the masks of the document that it changes, at their places; the secrets stay hidden; a
// document that others need cannot be tried away.
func TestTryAStoredDocument(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	r.store.(*sealedStore).sealed.Store(false)
	const key = "key-0123456789-0123456789"
	put := func(path, body string) {
		t.Helper()
		if got := r.ask(t, ask{method: "PUT", path: path, token: editToken, body: body}); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	put("/v1/webhooks/mine", `{"url": "https://mine.example.com/", "events": ["response.completed"], "signature": "none", "headers": {"X-Api-Key": "`+key+`"}}`)
	put("/v1/rules/tomine", `{"when": "nps_score <= 2", "send": ["mine"]}`)
	r.store.(*sealedStore).sealed.Store(true)
	var w view.Webhook
	decode(t, r.ask(t, ask{path: "/v1/webhooks/mine", token: editToken}).body, &w)
	draft := func(kind, name, spec string) string {
		return `{"draft": {"` + kind + `": {"` + name + `": ` + spec + `}}, "events": {"last": 500}}`
	}
	elsewhere := strings.Replace(string(w.Spec), `https://mine.example.com/`, `https://other.example.com/`, 1)
	if _, got := r.try(t, editToken, draft("webhooks", "mine", elsewhere)); got.status != 422 || !strings.Contains(got.body, `"headers","X-Api-Key"]`) {
		t.Errorf("to another server: %d %s", got.status, got.body)
	}
	changed := strings.Replace(string(w.Spec), `https://mine.example.com/`, `https://mine.example.com/other`, 1)
	v, got := r.try(t, editToken, draft("webhooks", "mine", changed))
	// It is sent all ten events by itself, and those with 0 to 2 by the rule.
	if got.status != 200 || v.Difference.Before != 13 || v.Difference.Changed != 13 || v.Difference.Added != 0 || strings.Contains(got.body, key) {
		t.Errorf("%d %+v", got.status, v.Difference)
	}
	if len(v.Requests) != 13 || !strings.Contains(v.Requests[0].Text, "X-Api-Key: [secret]") {
		t.Errorf("%+v", v.Requests)
	}
	if v, got = r.try(t, editToken, draft("webhooks", "mine", string(w.Spec))); got.status != 200 || v.Draft[0].Would != "nothing" || v.Difference.Changed != 0 || v.Difference.Now != 13 {
		t.Errorf("%d %+v", got.status, v.Difference)
	}
	moved := strings.Replace(string(w.Spec), "X-Api-Key", "X-Other", 1)
	if _, got = r.try(t, editToken, draft("webhooks", "mine", moved)); got.status != 422 || !strings.Contains(got.body, "masked value") {
		t.Errorf("a mask at another place: %d %s", got.status, got.body)
	}
	if _, got = r.try(t, editToken, draft("webhooks", "mine", "null")); got.status != 409 {
		t.Errorf("deleting what a rule needs: %d %s", got.status, got.body)
	}
	if _, got = r.try(t, editToken, draft("rules", "detractor", `{"send": ["alarms"]}`)); got.status != 403 || !strings.Contains(got.body, "defined_in_file") {
		t.Errorf("what a file defines: %d %s", got.status, got.body)
	}
	// A webhook without secrets is given one when it is written, so it can be tried without.
	bare := `{"url": "https://bare.example.com/", "events": ["response.completed"]}`
	if v, got = r.try(t, editToken, draft("webhooks", "bare", bare)); got.status != 200 || v.Difference.Added != 10 || strings.Contains(got.body, "whsec_") {
		t.Errorf("without secrets: %d %.500s", got.status, got.body)
	}
	both := `{"draft": {"webhooks": {"mine": null}, "rules": {"tomine": null}}, "events": {"last": 500}, "show": ["difference"]}`
	if v, got = r.try(t, editToken, both); got.status != 200 || v.Difference.Removed != 13 || v.Difference.Now != 0 {
		t.Errorf("%d %s", got.status, got.body)
	}
	// The source of a draft reads a body that was not published.
	body := `{"draft": {"sources": {"pollqr2": {"profile": "pollqr", "secrets": ["0123456789abcdef0123456789abcdef"]}}}, "events": {"source": "pollqr2", "body": ` + pollqr("x", 1) + `}, "show": ["explain", "difference"]}`
	if v, got = r.try(t, editToken, body); got.status != 200 || v.Asked != 1 || strings.Contains(got.body, "0123456789abcdef0123456789abcdef") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestTryASource: the roles of a draft are applied to the bodies that came before.
func TestTryASource(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	r.store.(*sealedStore).sealed.Store(false)
	source := `{"profile": "pollqr", "secrets": ["` + pollqrSecret + `"]}`
	if got := r.ask(t, ask{method: "PUT", path: "/v1/sources/own", token: editToken, body: source}); got.status != 201 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	body := pollqr("own", 3)
	r.until(t, "the source is there", func() bool {
		return r.ask(t, ask{method: "POST", path: "/in/own", header: signed(body), body: body}).status == 200
	})
	r.store.(*sealedStore).sealed.Store(true)
	draft := `{"draft": {"sources": {"own": ` + strings.Replace(source, "}", `, "roles": {"2": "response.feedback"}}`, 1) + `},
		"rules": {"slow": {"when": "feedback == 'slow'", "send": ["alarms"]}}}, "events": {"last": 500, "source": "own"}}`
	v, got := r.try(t, editToken, draft)
	if got.status != 200 || v.Asked != 1 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	// The rule detractor owes a delivery without the draft too; its text has the feedback, which is new.
	if d := v.Difference; d.Before != 1 || d.Now != 2 || d.Added != 1 || d.Changed != 1 || d.Samples[1].Rule != "slow" {
		t.Errorf("%+v", d)
	}
}
