package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

func (r *rig) backtest(t testing.TB, token, body string) (view.Backtested, told) {
	t.Helper()
	got := r.ask(t, ask{method: "POST", path: "/v1/backtests", token: token, body: body})
	var v view.Backtested
	if got.status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.body), &v); err != nil {
			t.Fatal(err)
		}
	}
	return v, got
}

// TestBacktest: what a rule that runs, or one of a draft, would have done is answered as JSON and as a stream, and nothing is sent or
// written.
func TestBacktest(t *testing.T) {
	t.Parallel()
	r, ids := tryRig(t)
	v, got := r.backtest(t, readToken, `{"rules": ["promoter", "warehouse"], "since": "1d"}`)
	if got.status != 200 || v.Asked != 10 || len(v.Rules) != 2 || v.Stopped != "" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if p := &v.Rules[0]; p.Kind != "rule" || !p.Live || p.Matched != 1 || p.Steps[1].Sent != 1 || p.Sources[0].Name != "pollqr" || p.Surveys[0].Name != "s1" || p.Surveys[0].Title != "Onboarding" || p.Samples[0].Event != ids["9"] {
		t.Errorf("%+v", p)
	}
	if w := &v.Rules[1]; w.Kind != "webhook" || w.Asked != 0 || w.Matched != 0 || len(w.Samples) != 0 { // it hears of another type
		t.Errorf("%+v", w)
	}
	if strings.Contains(got.body, "abcdefghijkl") || strings.Contains(got.body, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") {
		t.Errorf("a secret is answered: %s", got.body)
	}
	const draft = `"draft": {"rules": {"detractor": {"when": "nps_score <= 4", "send": ["alarms", {"mine": {"text": "{{ nps_score }}"}}]}},
		"connections": {"mine": {"slack": {"webhook": "${SLACK}"}}, "alarms": {"slack": {"webhook": "${SLACK}"}}}}`
	v, got = r.backtest(t, editToken, `{`+draft+`, "variables": true, "limit": 8}`)
	if got.status != 200 || v.Asked != 8 || v.Stopped != "events" || len(v.Notes) != 1 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if d := &v.Rules[0]; d.Rule != "detractor" || d.Live || d.Matched != 3 || len(d.Steps) != 2 || d.Samples[0].Event != ids["4"] || !strings.HasPrefix(d.Samples[0].Text, "POST [secret]") {
		t.Errorf("%+v", d)
	}
	stream := r.ask(t, ask{method: "POST", path: "/v1/backtests", token: readToken, body: `{"rules": ["detractor"]}`, header: map[string]string{"Accept": "text/event-stream"}})
	_, text, found := strings.Cut(stream.body, "event: result\ndata: ")
	if stream.status != 200 || stream.header.Get("Content-Type") != "text/event-stream" || !found {
		t.Fatalf("%d %s", stream.status, stream.body)
	}
	var streamed view.Backtested
	if decode(t, strings.TrimSpace(text), &streamed); streamed.Kind != view.BacktestKind || streamed.Rules[0].Matched != 7 {
		t.Errorf("%+v", streamed)
	}
}

// TestBacktestTenants: a tenant asks its own rules about its own events.
func TestBacktestTenants(t *testing.T) {
	t.Parallel()
	r, ids := tryRig(t)
	v, got := r.backtest(t, acmeToken, `{"rules": ["angry"]}`)
	if got.status != 200 || v.Asked != 1 || v.Rules[0].Matched != 1 || v.Rules[0].Samples[0].Event != ids["acme"] {
		t.Errorf("%d %s", got.status, got.body)
	}
	if _, got = r.backtest(t, acmeToken, `{"rules": ["detractor"]}`); got.status != 404 || strings.Contains(got.body, "did you mean") {
		t.Errorf("a rule of another tenant: %d %s", got.status, got.body)
	}
	if _, got = r.backtest(t, acmeToken, `{"draft": {"rules": {"mine": {"send": ["alarms"]}}}}`); got.status != 422 || !strings.Contains(got.body, `"loc":["draft","rules","mine","send","0"]`) {
		t.Errorf("a connection of another tenant: %d %s", got.status, got.body)
	}
	if got = r.ask(t, ask{method: "POST", path: "/v1/backtests?tenant=default", token: acmeToken, body: `{"rules": ["detractor"]}`}); got.status != 403 && got.status != 404 {
		t.Errorf("another tenant: %d %s", got.status, got.body)
	}
}

// TestBacktestRefuses: bad requests get an answer that says where, also where a stream was asked for.
func TestBacktestRefuses(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	for _, c := range []struct {
		token, body string
		status      int
		part        string
	}{
		{editToken, ``, 400, "empty"},
		{editToken, `{}`, 422, `"loc":["rules"]`},
		{editToken, `{"rule": "detractor"}`, 422, "did you mean `rules`?"},
		{editToken, `{"rules": ["detracto"]}`, 404, "no such rule `detracto`; did you mean `detractor`?"},
		{editToken, `{"rules": ["1","2","3","4","5","6","7","8","9","10","11"]}`, 422, `"loc":["rules"]`},
		{editToken, `{"rules": ["detractor"], "limit": 1000001}`, 422, `"loc":["limit"]`},
		{editToken, `{"rules": ["detractor"], "limit": -1}`, 422, `"loc":["limit"]`},
		{editToken, `{"rules": ["detractor"], "since": "yesterday"}`, 422, `"loc":["since"]`},
		{editToken, `{"rules": ["detractor"], "since": "1h", "until": "2h"}`, 422, `"loc":["since"]`},
		{editToken, `{"rules": ["detractor"], "type": "response.complete"}`, 422, "did you mean `response.completed`?"},
		{editToken, `{"rules": ["detractor"], "draft": {}}`, 422, `"loc":["draft"]`},
		{editToken, `{"draft": {"rules": {"x": {"when": "nps_scor <= 6", "send": ["alarms"]}}}}`, 422, `"loc":["draft","rules","x","when"]`},
		{editToken, `{"draft": {"rules": {"detractor": {"when": "nps_scor <= 6", "send": ["alarms"]}}}}`, 422, `"loc":["draft","rules","detractor","when"]`},
		{editToken, `{"draft": {"rules": {"x": {"send": ["alarms"]}}}, "rules": ["y"]}`, 404, "no such rule in the draft"},
		{editToken, `{"draft": {"rules": {"x": null}}}`, 422, "it has no rule"},
		{editToken, `{"draft": {"rules": {"x": {"send": ["mine"]}}, "connections": {"mine": {"slack": {"webhook": "${X}"}}}}}`, 422, "nothing is looked up"},
		{readToken, `{"draft": {"rules": {"x": {"send": ["alarms"]}}}}`, 403, "settings"},
		{publishToken, `{"rules": ["detractor"]}`, 403, "read"},
	} {
		for _, accept := range []string{"", "text/event-stream"} {
			got := r.ask(t, ask{method: "POST", path: "/v1/backtests", token: c.token, body: c.body, header: map[string]string{"Accept": accept}})
			if got.status != c.status || !strings.Contains(got.body, c.part) {
				t.Errorf("%s: %d %s", c.body, got.status, got.body)
			}
		}
	}
}

// TestBacktestOneAtATime: a token's second backtest is refused while its first runs, and says so.
func TestBacktestOneAtATime(t *testing.T) {
	t.Parallel()
	r, _ := tryRig(t)
	var all sync.WaitGroup
	var ok, busy atomic.Int32
	for range 8 {
		all.Go(func() {
			switch _, got := r.backtest(t, readToken, `{"rules": ["warehouse"]}`); got.status {
			case 200:
				ok.Add(1)
			case 429:
				if busy.Add(1); got.header.Get("Retry-After") == "" || !strings.Contains(got.body, " is running: ask again when it has ended") {
					t.Errorf("%v %s", got.header, got.body)
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
