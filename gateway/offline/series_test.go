package offline_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Each event of a series is valid, has its own ids, and its own values in the fields to vary.
func TestSeries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body, field, path string
		want              []string // of the first events
	}{
		{`{"type":"response.completed","nps_score":3}`, "nps_score", "nps_score", []string{"0", "1", "2"}},
		{`{"type":"response.completed","response":{"score":{"nps":3}}}`, "nps_score", "response.score.nps", []string{"0", "1"}},
		{`{"type":"response.completed"}`, "csat_score", "response.score.csat", []string{"1", "2", "3", "4", "5", "1"}},
		{`{"type":"response.completed"}`, "response.score.ces", "response.score.ces", []string{"1"}},
		{`{"type":"response.completed","response":{"duration_s":12.5}}`, "response.duration_s", "response.duration_s", []string{"12.5", "13.5"}},
		{`{"type":"response.completed","email":"jo@example.com"}`, "email", "email", []string{`"jo1@example.com"`, `"jo2@example.com"`}},
		{`{"type":"response.completed"}`, "email", "respondent.email", []string{`"person1@example.com"`}},
		{`{"type":"response.completed","name":"Jo"}`, "name", "name", []string{`"Jo 1"`, `"Jo 2"`}},
		{`{"type":"response.completed","phone":"+90555"}`, "phone", "phone", []string{`"+905551"`}},
		{`{"type":"response.completed","feedback":"Too slow"}`, "feedback", "feedback", []string{`"Too slow 1"`}},
		{`{"type":"response.completed"}`, "respondent.external_id", "respondent.external_id", []string{`"external_id-1"`}},
		{`{"type":"response.completed"}`, "consent", "respondent.consent", []string{"true", "false", "true"}},
		{`{"type":"response.completed","params":{"plan":"pro"}}`, "params.plan", "params.plan", []string{`"pro-1"`, `"pro-2"`}},
		{`{"type":"response.completed"}`, "params.plan", "respondent.params.plan", []string{`"plan-1"`}},
	} {
		s, err := offline.NewSeries([]byte(c.body), []string{c.field}, "seed")
		if err != nil {
			t.Errorf("%s of %s: %v", c.field, c.body, err)
			continue
		}
		for n, want := range c.want {
			body, err := s.Event(n)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := event.ParseOne(body, event.Defaults{Tenant: "default", Received: time.Unix(1, 0)}); err != nil {
				t.Errorf("%s: %v", body, err)
			}
			if got := jsonpath.Read(body, c.path).Raw(); string(got) != want {
				t.Errorf("%s: event %d has %s, want %s", c.field, n, got, want)
			}
			id := fmt.Sprintf(`"seed-%d"`, n+1)
			if got, of := jsonpath.Read(body, "id").Raw(), jsonpath.Read(body, "response.id").Raw(); string(got) != id || string(of) != id {
				t.Errorf("%s: the id is %s and that of the response %s, want %s", c.field, got, of, id)
			}
		}
	}
}

// What no response has gets none; digits of the event are kept.
func TestSeriesKeepsTheEvent(t *testing.T) {
	t.Parallel()
	s, err := offline.NewSeries([]byte(`{"type":"survey.closed","survey":{"id":12345678901234567890}}`), nil, "a")
	if err != nil {
		t.Fatal(err)
	}
	body, err := s.Event(4)
	if want := `{"id":"a-5","survey":{"id":12345678901234567890},"type":"survey.closed"}`; err != nil || string(body) != want {
		t.Errorf("%s %v, want %s", body, err, want)
	}
	random, err := offline.NewSeries([]byte(`{"type":"test"}`), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	other, err := offline.NewSeries([]byte(`{"type":"test"}`), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	one, _ := random.Event(0)
	two, _ := other.Event(0)
	if string(one) == string(two) {
		t.Errorf("two series have the same ids: %s", one)
	}
}

func TestSeriesRefuses(t *testing.T) {
	t.Parallel()
	event := `{"type":"response.completed","response":{"answers":[{"question_id":"a","value":1}]}}`
	for _, c := range []struct{ body, field, says string }{
		{event, "nps_scor", "`nps_scor` is not a field: did you mean `nps_score`?"},
		{event, "xyzzyxyzzy", "`xyzzyxyzzy` is not a field: `surveygate fields` lists them all"},
		{event, "type", "`type` cannot be varied: it is not a field of the response or the respondent"},
		{event, "nps_group", "`nps_group` cannot be varied"},
		{event, "response.id", "each event has a response id of its own anyway"},
		{event, "response.started_at", "it is a time"},
		{event, "response.version", "no event that is published has it"},
		{event, "notice.count", "no event that is published has it"},
		{event, "context.ip", "its values have a form of their own"},
		{event, "response.answers", "it is no score"},
		{event, "response.answers.0.value", "it is no score"},
		{event, "params", "it is no score"},
		{`[` + event + `]`, "email", "one event as a JSON object can be repeated"},
		{event + "\n" + event, "email", "one event as a JSON object can be repeated"},
		{`{"specversion":"1.0"}`, "email", "this is a CloudEvent"},
		{`{"type":"response.complete"}`, "email", "did you mean `response.completed`?"},
	} {
		if _, err := offline.NewSeries([]byte(c.body), []string{c.field}, "seed"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s of %s: %v, want %q", c.field, c.body, err, c.says)
		}
	}
}

// Samples of a platform get new ids each time, and the same ones for the same seed.
func TestSampleSeries(t *testing.T) {
	t.Parallel()
	s, err := offline.SampleSeries("popsee", "a")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for n := range 20 {
		body, err := s.Event(n)
		if err != nil || !json.Valid(body) {
			t.Fatalf("%s %v", body, err)
		}
		seen[string(body)] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d different samples of 20", len(seen))
	}
	if _, err := offline.SampleSeries("nobody", "a"); err == nil || !strings.Contains(err.Error(), "there is no sample of `nobody`") {
		t.Error(err)
	}
}
