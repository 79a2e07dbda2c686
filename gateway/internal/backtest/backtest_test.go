package backtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

const connections = `
connections:
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T/B/a-secret-of-mine"}}
  room: {discord: {webhook: "https://discord.com/api/webhooks/1/abc"}}
`

// same compares a part of a result with what it is as JSON.
func same(t *testing.T, what string, got any, want string) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != want {
		t.Errorf("%s: %s\nwant %s", what, text, want)
	}
}

// What a rule matches is counted by day and hour of its time zone, by source and by survey; what it does not match, and events of another
// tenant or time, are not.
func TestCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, connections+`
rules:
  - {name: low, when: nps_score <= 6, send: [alarms], timezone: Europe/Istanbul}
  - {name: every, events: ["response.*"], send: [alarms], enabled: false}
`)
	const day = 24 * time.Hour
	for i, before := range []time.Duration{time.Hour, 2 * time.Hour, 14 * time.Hour, 16 * time.Hour, 16*time.Hour - time.Minute, 3 * day} {
		r.add(before, `{"type": "response.completed", "id": "low%d", "nps_score": 3, "survey": {"id": "s%d", "title": "Survey %d"}}`, i, i%2, i%2)
	}
	r.add(time.Hour, `{"type": "response.completed", "id": "high", "nps_score": 9}`)
	r.add(time.Hour, `{"type": "response.completed", "id": "none"}`)
	r.add(time.Hour, `{"type": "response.updated", "id": "other", "nps_score": 3}`)
	r.add(time.Hour, `{"type": "test", "id": "test", "nps_score": 3}`)
	r.add(40*day, `{"type": "response.completed", "id": "old", "nps_score": 3}`)
	r.added = append(r.added, r.event("acme", time.Hour, `{"type": "response.completed", "id": "theirs", "nps_score": 3}`))
	got := r.does(Ask{Rules: []string{"low", "every"}})
	if got.Asked != 10 || got.Stopped != "" || !got.BackTo.Equal(noon.Add(-3*day)) || len(got.Notes) > 0 {
		t.Errorf("%d events, stopped %q, back to %s, notes %q", got.Asked, got.Stopped, got.BackTo, got.Notes)
	}
	low := &got.Rules[0]
	if low.Asked != 8 || low.Matched != 6 || low.Unknown != 1 || len(low.Failed) > 0 || !low.Live || low.Whole || low.Timezone != "Europe/Istanbul" {
		t.Errorf("%+v", low)
	}
	same(t, "days", low.Days, `[{"day":"2026-03-07","count":1},{"day":"2026-03-09","count":2},{"day":"2026-03-10","count":3}]`)
	same(t, "busiest", low.Busiest, `{"from":"2026-03-09T23:00","count":2}`)
	same(t, "sources", low.Sources, `[{"name":"api","count":6}]`)
	same(t, "surveys", low.Surveys, `[{"name":"s0","title":"Survey 0","count":3},{"name":"s1","title":"Survey 1","count":3}]`)
	same(t, "steps", low.Steps, `[{"step":"alarms","destination":"alarms","connector":"slack","sent":6,"skipped":0,"rejected":0,"waiting":0,"clipped":0}]`)
	if every := &got.Rules[1]; every.Asked != 9 || every.Matched != 9 || every.Live || every.Timezone != "UTC" {
		t.Errorf("one that is disabled is asked as if it were not: %+v", every)
	}
	for _, c := range []struct {
		ask  Ask
		want int
	}{
		{Ask{Type: "response.updated"}, 1},
		{Ask{Source: "nobody"}, 0},
		{Ask{Survey: "s1"}, 3},
		{Ask{Since: noon.Add(-100 * day)}, 11},
		{Ask{Since: noon.Add(-90 * time.Minute)}, 5},
	} {
		c.ask.Rules = []string{"low"}
		if got := r.does(c.ask); got.Asked != c.want {
			t.Errorf("%+v: %d events, want %d", c.ask, got.Asked, c.want)
		}
	}
}

// What becomes of each delivery is counted by step, with its reasons and examples that show no secret.
func TestResults(t *testing.T) {
	t.Parallel()
	long := "{{ feedback }}" + strings.Repeat("{{ feedback }}", 9)
	r := newRig(t, connections+`
  off: {slack: {webhook: "https://hooks.slack.com/services/T/B/b"}, enabled: false}
rules:
  - name: low
    when: nps_score <= 6
    quiet: {from: "22:00", to: "08:00"}
    send:
      - alarms
      - room: {title: "{{ feedback }}", text: "{{ survey.title }}"}
      - {room: {text: "`+long+`"}, as: long}
      - off
`)
	r.add(1*time.Hour, `{"type": "response.completed", "id": "1", "nps_score": 3, "feedback": "short", "survey": {"title": "A"}}`)
	r.add(2*time.Hour, `{"type": "response.completed", "id": "2", "nps_score": 3, "feedback": "%s", "survey": {"title": "A"}}`, strings.Repeat("x", 300))
	r.add(3*time.Hour, `{"type": "response.completed", "id": "3", "nps_score": 3, "feedback": "I do not know…"}`)
	r.add(4*time.Hour, `{"type": "response.completed", "id": "4", "nps_score": 3, "feedback": "%s"}`, strings.Repeat("y", 500_000))
	got := r.does(Ask{Rules: []string{"low"}}).Rules[0]
	same(t, "steps", got.Steps, `[{"step":"alarms","destination":"alarms","connector":"slack","sent":4,"skipped":0,"rejected":0,"waiting":0,"clipped":1},`+
		`{"step":"room","destination":"room","connector":"discord","sent":2,"skipped":2,"rejected":0,"waiting":0,"clipped":1},`+
		`{"step":"long","destination":"room","connector":"discord","sent":3,"skipped":0,"rejected":1,"waiting":0,"clipped":0},`+
		`{"step":"off","destination":"off","connector":"slack","sent":0,"skipped":0,"rejected":0,"waiting":4,"clipped":0}]`)
	same(t, "skipped", got.Skipped, `[{"reason":"the text comes out empty","count":2}]`)
	same(t, "waiting", got.Waiting, `[{"reason":"off is switched off","count":4}]`)
	same(t, "clipped", got.Clipped, "[{\"reason\":\"alarms: `attachments[].fields[].value` is cut to 2000 characters\",\"count\":1},"+
		"{\"reason\":\"room: `embeds[].title` is cut to 256 characters\",\"count\":1}]")
	if len(got.Rejected) != 1 || got.Rejected[0].Count != 1 || !strings.Contains(got.Rejected[0].Reason, "it is larger than the 4 MiB") {
		t.Errorf("rejected: %+v", got.Rejected)
	}
	counts := map[string]int{}
	for _, s := range got.Samples {
		counts[s.Result]++
		if s.Why != "its condition is true" || len(s.Parts) == 0 || s.Event == "" || s.Received.IsZero() || s.Step == "" || s.Note == "" {
			t.Errorf("%+v", s)
		}
		if hasRequest := s.Result == view.BacktestSent || s.Result == view.BacktestClipped; hasRequest != strings.Contains(s.Text, "POST [secret]") || strings.Contains(s.Text, "a-secret-of-mine") {
			t.Errorf("%s: %s", s.Result, s.Text)
		}
		if s.Cut != (len(s.Text) == maxRequestText) {
			t.Errorf("%d bytes, cut %v", len(s.Text), s.Cut)
		}
	}
	same(t, "samples", counts, `{"clipped":2,"rejected":1,"sent":3,"skipped":2,"waiting":3}`)
	if !slices.IsSortedFunc(got.Samples, func(a, b view.BacktestSample) int {
		order := "sent clipped skipped rejected waiting"
		return strings.Index(order, a.Result) - strings.Index(order, b.Result)
	}) {
		t.Error("the samples are in no order")
	}
	if notes := r.does(Ask{Rules: []string{"low"}}).Notes; len(notes) != 1 || !strings.Contains(notes[0], "rule low: quiet hours, at_most and contact_cap are not applied") {
		t.Errorf("notes %q", notes)
	}
}

// With `once: response`, one event of each response is sent; of a rule with `settle`, responses are counted, as they stand.
func TestResponses(t *testing.T) {
	t.Parallel()
	r := newRig(t, connections+`
rules:
  - {name: once, once: response, when: nps_score <= 6, send: [alarms]}
  - {name: each, when: nps_score <= 6, send: [alarms]}
  - {name: settled, settle: 1m, events: [response.partial, response.completed], when: nps_score <= 6, send: [alarms, room]}
  - {name: until, settle: {for: 1h, until: has(email)}, events: [response.partial, response.completed], when: has(feedback), send: [alarms]}
`)
	event := func(before time.Duration, id, kind, more string) {
		r.add(before, `{"type": "response.%s", "id": "%s-%s-%d", "response": {"id": "%s"}%s}`, kind, id, kind, before, id, more)
	}
	event(5*time.Hour, "a", "partial", `, "nps_score": 9, "feedback": "slow"`)
	event(4*time.Hour, "a", "completed", `, "nps_score": 3`) // as it stands: 3
	event(3*time.Hour, "a", "completed", `, "nps_score": 4, "email": "jo@example.com"`)
	event(5*time.Hour, "b", "completed", `, "nps_score": 2`)
	event(4*time.Hour, "b", "completed", `, "nps_score": 10`)  // as it stands: 10
	event(5*time.Hour, "c", "partial", `, "feedback": "nice"`) // as it stands: unknown
	event(-time.Hour, "b", "completed", `, "nps_score": 1`)    // behind the end of the span
	r.add(time.Hour, `{"type": "response.completed", "id": "alone1", "nps_score": 3}`)
	r.add(time.Hour, `{"type": "response.completed", "id": "alone2", "nps_score": 3}`)
	got := r.does(Ask{Rules: []string{"once", "each", "settled", "until"}})
	once, each, settled, until := &got.Rules[0], &got.Rules[1], &got.Rules[2], &got.Rules[3]
	if once.Matched != 5 || once.Steps[0].Sent != 4 || once.Steps[0].Skipped != 1 || once.Skipped[0].Reason != reasonOnce || each.Steps[0].Sent != 5 {
		t.Errorf("once %+v, each %+v", once, each)
	}
	if !settled.Whole || settled.Asked != 5 || settled.Matched != 3 || settled.Unknown != 1 {
		t.Errorf("settled: %+v", settled)
	}
	same(t, "settled", settled.Steps, `[{"step":"alarms","destination":"alarms","connector":"slack","sent":3,"skipped":0,"rejected":0,"waiting":0,"clipped":0},`+
		`{"step":"room","destination":"room","connector":"discord","sent":3,"skipped":0,"rejected":0,"waiting":0,"clipped":0}]`)
	if until.Matched != 2 || until.Steps[0].Sent != 2 {
		t.Errorf("until: %+v", until)
	}
	for _, s := range settled.Samples {
		if s.Why != "its condition is true" || len(s.Parts) == 0 || !strings.Contains(s.Text, "Score 3/10") && !strings.Contains(s.Text, "Score 4/10") {
			t.Errorf("%+v", s)
		}
	}
	if len(got.Notes) != 2 || !strings.Contains(got.Notes[0], "rule settled: it is asked once of each response") {
		t.Errorf("notes %q", got.Notes)
	}
}

// The counts have bounds, and say what is beyond them.
func TestBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t, connections+`
rules:
  - {name: every, events: [response.completed], send: [alarms]}
`)
	const days = 24 * time.Hour
	for i := range 150 {
		r.add(time.Duration(i)*4*days+time.Hour, `{"type": "response.completed", "id": "%d", "survey": {"id": "s%d"}}`, i, i)
	}
	got := r.does(Ask{Rules: []string{"every"}, Since: noon.Add(-1000 * days)})
	rule := &got.Rules[0]
	if rule.Matched != 150 || len(rule.Days) != 100 || rule.Earlier != 50 {
		t.Errorf("%d matched, %d days, %d earlier", rule.Matched, len(rule.Days), rule.Earlier)
	}
	if last := rule.Surveys[len(rule.Surveys)-1]; len(rule.Surveys) != maxNames+1 || !last.Other || last.Count != 50 {
		t.Errorf("%d surveys, at last %+v", len(rule.Surveys), last)
	}
	if got = r.does(Ask{Rules: []string{"every"}, Since: noon.Add(-1000 * days), Limit: 7}); got.Asked != 7 || got.Stopped != "events" || !got.BackTo.Equal(noon.Add(-24*days-time.Hour)) {
		t.Errorf("%d events, stopped %q, back to %s", got.Asked, got.Stopped, got.BackTo)
	}
	var many reasons
	for i := range 2 * maxReasons {
		many.add(fmt.Sprint("reason ", i))
	}
	if all := many.sorted(); len(all) != maxReasons+1 || all[0].Reason != otherReasons || all[0].Count != maxReasons {
		t.Errorf("%d reasons, first %+v", len(all), all[0])
	}
}

// It ends when its caller wants no more, and with its context.
func TestEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, connections+"rules: [{name: every, send: [alarms]}]\n")
	for i := range 3 {
		r.add(time.Hour, `{"type": "response.completed", "id": "%d"}`, i)
	}
	r.does(Ask{Rules: []string{"every"}})
	run, err := r.Prepare(t.Context(), span(Ask{Rules: []string{"every"}}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run.Do(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// What is remembered of responses has bounds, and the result says when they were reached.
func TestBoundsOfResponses(t *testing.T) {
	t.Parallel()
	r := newRig(t, connections+`
rules:
  - {name: once, once: response, send: [alarms]}
  - {name: settled, settle: 1m, send: [alarms]}
`)
	for i := range 8 {
		r.add(time.Duration(8-i)*time.Hour, `{"type": "response.completed", "id": "%d", "response": {"id": "r%d"}}`, i, i%4)
	}
	r.does(Ask{Rules: []string{"once"}}) // stores them
	run, err := r.Prepare(t.Context(), span(Ask{Rules: []string{"once", "settled"}}))
	if err != nil {
		t.Fatal(err)
	}
	run.once.most, run.whole.most = 3, 3
	got, err := run.Do(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if once, settled := &got.Rules[0].Steps[0], &got.Rules[1]; once.Sent != 5 || once.Skipped != 3 || settled.Asked != 3 || settled.Steps[0].Sent != 3 {
		t.Errorf("once %+v, settled %+v", once, settled)
	}
	for _, note := range []string{"once: 3 deliveries are remembered", "3 responses were asked as a whole; 2 events of others"} {
		if !slices.ContainsFunc(got.Notes, func(n string) bool { return strings.HasPrefix(n, note) }) {
			t.Errorf("no %q in %q", note, got.Notes)
		}
	}
}
