package expression

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// received is an event that was received on a Sunday at 23:30 UTC, which is Monday in Istanbul.
func receivedEvent(t testing.TB, body string) *event.Event {
	t.Helper()
	ev, err := event.ParseOne([]byte(body), event.Defaults{
		Tenant: "default", Source: "api", Type: event.TypeResponseCompleted, Received: time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// The truth table of every function and name: of values that are known, absent, and of a wrong type.
func TestWords(t *testing.T) {
	t.Parallel()
	const nothing = `{}`
	const jo = `{"time": "2026-02-27T23:00:00Z", "nps_score": 7, "csat_score": 4, "feedback": "Too slow", "survey": {"type": "x"},
		"response": {"duration_s": 129601, "answers": [{"question_id": "a", "value": ["Fast", "Cheap"]}, {"question_id": "b", "value": 5},
		{"question_id": "c", "value": "", "comment": "the REFUND"}, {"question_id": "d", "value": ""}, {"question_id": "e", "value": null}]}}`
	tests := []struct {
		text, body string
		want       Truth
		missing    string
		fault      string
	}{
		{text: `between(nps_score, 7, 8)`, body: jo, want: True},
		{text: `between(nps_score, 6, 7)`, body: jo, want: True},
		{text: `between(nps_score, 8, 9)`, body: jo, want: False},
		{text: `between(nps_score, 0, 6)`, body: jo, want: False},
		{text: `not between(nps_score, 0, 6)`, body: jo, want: True},
		{text: `between(nps_score, 7, 8)`, body: nothing, want: Unknown, missing: "nps_score"},
		{text: `not between(nps_score, 7, 8)`, body: nothing, want: Unknown, missing: "nps_score"},
		{text: `between(7, nps_score, ces)`, body: jo, want: Unknown, missing: "ces"},
		{text: `between(nps_score, 7, 8) ?? true`, body: nothing, want: True},
		{text: `between(time, "2026-02-27", "2026-02-28")`, body: jo, want: True},
		{text: `between(time, "2026-02-28", "2026-03-01")`, body: jo, want: False},
		{text: `between(answer("b"), 5, 5)`, body: jo, want: True},
		{text: `between(answer("b"), "1", "9")`, body: jo, want: Unknown, fault: "it compares a number with a text"},
		{text: `between(answer("a"), 1, 2)`, body: jo, want: Unknown, fault: "a list is not a number or a text"},

		{text: `contains_any(feedback, ["slow", "late"])`, body: jo, want: True},
		{text: `contains_any(feedback, ["Slow", "late"])`, body: jo, want: False},
		{text: `contains_any(feedback, ["slow"])`, body: nothing, want: Unknown, missing: "feedback"},
		{text: `contains_any(feedback, ["late", email])`, body: jo, want: Unknown, missing: "email"},
		{text: `contains_any(feedback, [email, "slow"])`, body: jo, want: True},
		{text: `contains_any(answer("a"), ["Cheap", "Good"])`, body: jo, want: True},
		{text: `contains_any(answer("a"), ["Che", "Good"])`, body: jo, want: False},
		{text: `contains_any(answer("a"), [1, "Good"])`, body: jo, want: Unknown},
		{text: `contains_any(answer("a"), [email])`, body: jo, want: Unknown, missing: "email"},
		{text: `contains_any(answer("b"), [5])`, body: jo, want: Unknown, fault: "a number is not a text or a list"},
		{text: `contains_any(answer("z"), [5])`, body: jo, want: Unknown, missing: `answer("z")`},
		{text: `contains_any("x", answer("a"))`, body: jo, want: False},

		{text: `any_answer("refund")`, body: jo, want: True},
		{text: `any_answer("CHEAP")`, body: jo, want: True},
		{text: `any_answer("slow")`, body: jo, want: False}, // the feedback is no answer
		{text: `any_answer("ΟΔΟΣ")`, body: `{"response": {"answers": {"a": "οδος"}}}`, want: True},
		{text: `any_answer("iyi")`, body: `{"response": {"answers": {"a": "İYI"}}}`, want: True},
		{text: `any_answer("5")`, body: jo, want: False}, // a number is no text
		{text: `any_answer("refund")`, body: nothing, want: Unknown, missing: "response.answers"},
		{text: `any_answer(survey.type)`, body: jo, want: False},
		{text: `any_answer(email)`, body: jo, want: Unknown, missing: "email"},

		{text: `csat_percent(5) == 75`, body: jo, want: True},
		{text: `csat_percent(1, 5) == 75`, body: jo, want: True},
		{text: `csat_percent(0, 10) == 40`, body: jo, want: True},
		{text: `csat_percent(3) > 0`, body: jo, want: Unknown, fault: "the score is not on this scale"},
		{text: `csat_percent(5) > 0`, body: nothing, want: Unknown, missing: "csat_score"},
		{text: `has(ces) or ces > 2`, body: nothing, want: Unknown, missing: "ces"},
		{text: `ces > 2`, body: `{"ces_score": 3}`, want: True},

		{text: `response.duration_s > duration("36h")`, body: jo, want: True},
		{text: `response.duration_s > duration("1d12h1s")`, body: jo, want: False},
		{text: `duration("1w2d3h4m5s") == 788645`, body: nothing, want: True},
		{text: `duration("0s") == 0`, body: nothing, want: True},

		{text: `is_complete`, body: nothing, want: True},
		{text: `is_complete`, body: `{"type": "response.partial"}`, want: False},
		{text: `is_complete`, body: `{"type": "response.partial", "response": {"completed": true}}`, want: True},
		{text: `is_complete`, body: `{"type": "response.deleted"}`, want: Unknown, missing: "is_complete"},
		{text: `completion_rate == 60`, body: jo, want: True}, // d and e are given as empty
		{text: `completion_rate == 100`, body: `{"response": {"answers": {"a": 1}}}`, want: True},
		{text: `completion_rate == 50`, body: `{"response": {"answers": {"a": 1}, "cleared": ["b", "response.feedback"]}}`, want: True},
		{text: `completion_rate == 0`, body: `{"response": {"cleared": ["b"]}}`, want: True},
		{text: `completion_rate > 0`, body: nothing, want: Unknown, missing: "completion_rate"},

		{text: `age_days == 2`, body: jo, want: True},
		{text: `age_days == 0`, body: nothing, want: True},
		{text: `age_days == 0`, body: `{"time": "2030-01-01T00:00:00Z"}`, want: True}, // the platform's clock is ahead
		{text: `received.hour == 23 and received.weekday == "sunday"`, body: nothing, want: True},
		{text: `received == "2026-03-01T23:30:00Z"`, body: nothing, want: True},
	}
	tried := map[string]bool{}
	for _, tt := range tests {
		for _, name := range slices.Concat(Functions(), event.DerivedNames, []string{"ces"}) {
			tried[name] = tried[name] || strings.Contains(tt.text, name)
		}
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			ev := receivedEvent(t, tt.body)
			c := compile(t, tt.text)
			got := c.Match(ev)
			if got.Truth != tt.want || got.Err != nil {
				t.Errorf("it is %v, want %v: %+v", got.Truth, tt.want, got)
			}
			if strings.Join(got.Missing, " ") != tt.missing {
				t.Errorf("it misses %q, want %q", got.Missing, tt.missing)
			}
			if !strings.Contains(strings.Join(got.Faults, " "), tt.fault) || tt.fault == "" && len(got.Faults) > 0 {
				t.Errorf("its faults are %q, want %q", got.Faults, tt.fault)
			}
			again := NewBatch([]*Condition{compile(t, `nps_score == 1`), c}) // other slots stand before its own
			r := again.Read(ev)
			defer r.Release()
			if truth, err := again.Match(r, 1); truth != tt.want || err != nil {
				t.Errorf("in a batch it is %v, %v", truth, err)
			}
			parts, err := c.Explain(ev)
			if err != nil || len(parts) == 0 || parts[0].Value != tt.want.String() {
				t.Errorf("explained as %v, %v", parts, err)
			}
		})
	}
	for _, word := range []string{"between", "contains_any", "any_answer", "csat_percent", "duration", "is_complete", "completion_rate", "age_days", "received", "received.hour", "received.weekday", "ces"} {
		if !tried[word] {
			t.Errorf("%s is not tried", word)
		}
	}
}

func TestFaultsOfWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`between(nps_score, 7)`:                                 "`between` takes 3 values, not 2",
		`between(nps_score, "7", 8)`:                            "`nps_score` is a number and `\"7\"` is a text: they are never compared",
		`between(nps_score, 8, 7)`:                              "nothing is between them",
		`between(received.hour, 22, 6)`:                         "for the hours over midnight write not between(received.hour, 7, 21)",
		`between(received.hour, 23, 22)`:                        "write the smaller one first",
		`between(time, "b", "a")`:                               "nothing is between them",
		`between(response.answers, 1, 2)`:                       "`between` wants a number or a text",
		`contains_any(feedback, "slow")`:                        "`contains_any` wants a list",
		`contains_any(feedback, [])`:                            "the list is empty",
		`contains_any(feedback, [1])`:                           "`contains_any` looks for a text",
		`contains_any(nps_score, [1])`:                          "`contains_any` wants a text or a list",
		`contains_any(answer("a"), [answer("b") == 1, params])`: "`contains_any` looks for a number, a text or true or false",
		`any_answer()`:                                          "`any_answer` takes one text, not 0 values",
		`any_answer(" ")`:                                       "every answer contains an empty text",
		`any_answer(5)`:                                         "`any_answer` looks for a text",
		`csat_percent > 50`:                                     "it is a function: csat_percent(5)",
		`csat_percent() > 50`:                                   "`csat_percent` takes the ends of the scale",
		`csat_percent(5, 1) > 50`:                               "a scale from 5 to 1 has no range",
		`csat_percent(nps_score) > 50`:                          "the ends of the scale are fixed numbers",
		`csat_percent("5") > 50`:                                "an end of the scale is a number",
		`response.duration_s > duration(36)`:                    "`duration` wants a fixed text in quotes",
		`response.duration_s > duration("36")`:                  "`36` is not a duration",
		`response.duration_s > duration("1h1h")`:                "`1h1h` is not a duration",
		`response.duration_s > duration("1m1h")`:                "`1m1h` is not a duration",
		`response.duration_s > duration("1.5h")`:                "`1.5h` is not a duration",
		`response.duration_s > duration("-1h")`:                 "`-1h` is not a duration",
		`response.duration_s > duration("")`:                    "`` is not a duration",
		`response.duration_s > duration("999999999999w")`:       "is not a duration",
		`response.duration_s > duration("1h", "2h")`:            "`duration` takes one fixed text, not 2 values",
		`received.hours > 3`:                                    "did you mean received.hour?",
		`received.hour == "3"`:                                  "write 3 without quotes",
		`hour > 3`:                                              "did you mean received.hour?",
		`weekday == "monday"`:                                   "did you mean received.weekday?",
		`age > 3`:                                               "did you mean age_days?",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := CompileCondition(text)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("it says %v, want %q", err, want)
			}
		})
	}
}

// settings are settings as a connector has them.
type settings struct {
	When   *Condition
	Text   Text
	Value  Value
	Values Values
	List   []Text
	ByName map[string]Text
	Inner  *inner
	Hidden hidden
	Plain  string
}

type inner struct{ Text Text }

type hidden struct{ text *Text }

func (h *hidden) InZone(zone *time.Location) { h.text = InZone(h.text, zone) }

// A time zone applies to all expressions of the settings, and not to what others share with them.
func TestInZone(t *testing.T) {
	t.Parallel()
	istanbul, err := time.LoadLocation("Europe/Istanbul")
	if err != nil {
		t.Fatal(err)
	}
	const hole = "{{ received.weekday }} {{ received.hour }}"
	text := MustText(hole)
	value, err := CompileValue(`received.hour`)
	if err != nil {
		t.Fatal(err)
	}
	holes, err := CompileValue(hole)
	if err != nil {
		t.Fatal(err)
	}
	values, err := CompileValues([]Pair{{"a", `received.hour`}, {"b", []Pair{{"c", []any{hole, `nps_score`}}}}, {"d", 1}})
	if err != nil {
		t.Fatal(err)
	}
	shared := &settings{
		When: compile(t, `received.weekday == "monday" and received.hour == 2 and nps_score == 3`),
		Text: text, Value: value, Values: values, List: []Text{text}, ByName: map[string]Text{"x": text}, Inner: &inner{text}, Hidden: hidden{&text}, Plain: "p",
	}
	var any any = shared
	zoned := InZone(any, istanbul).(*settings)
	ev := receivedEvent(t, `{"nps_score": 3}`)
	render := func(t Text) string {
		s, err := t.Render(ev)
		if err != nil {
			return err.Error()
		}
		return s
	}
	shows := func(s *settings) []string {
		v, _, _ := s.Value.Evaluate(ev)
		all, err := s.Values.Evaluate(ev)
		if err != nil {
			t.Error(err)
		}
		j, _ := marshal(all)
		return []string{
			s.When.Match(ev).Truth.String(), render(s.Text), formatAny(v), string(j), render(s.List[0]), render(s.ByName["x"]), render(s.Inner.Text), render(*s.Hidden.text), s.Plain,
		}
	}
	if got, want := shows(zoned), []string{"true", "monday 2", "2", `{"a":2,"b":{"c":["monday 2",3]},"d":1}`, "monday 2", "monday 2", "monday 2", "monday 2", "p"}; !slices.Equal(got, want) {
		t.Errorf("in the zone: %q", got)
	}
	if got, want := shows(shared), []string{"false", "sunday 23", "23", `{"a":23,"b":{"c":["sunday 23",3]},"d":1}`, "sunday 23", "sunday 23", "sunday 23", "sunday 23", "p"}; !slices.Equal(got, want) {
		t.Errorf("what is shared: %q", got)
	}
	if got := render(InZone(InZone(text, istanbul), nil)); got != "sunday 23" {
		t.Errorf("back in UTC: %q", got)
	}
	v, _, _ := InZone(holes, istanbul).Evaluate(ev)
	if v != "monday 2" {
		t.Errorf("a value with holes: %v", v)
	}
	both := NewBatch([]*Condition{shared.When, zoned.When})
	r := both.Read(ev)
	defer r.Release()
	for i, want := range []Truth{False, True} {
		if truth, err := both.Match(r, i); truth != want || err != nil {
			t.Errorf("condition %d in one batch is %v, %v", i, truth, err)
		}
	}
	if same := compile(t, `nps_score == 3`); InZone(same, istanbul).prog != same.prog {
		t.Error("a condition without a clock is compiled anew")
	}
}
