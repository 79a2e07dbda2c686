package rules

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func names(s *Set, matches []Match) []string {
	var out []string
	for _, m := range matches {
		name := s.Rule(m.Index).Name
		if m.Err != nil {
			name += " failed"
		}
		out = append(out, name)
	}
	return out
}

// match returns the rules that match or failed.
func match(s *Set, ev *event.Event) []Match {
	var out []Match
	matches, _ := s.Match(ev, nil)
	for _, m := range matches {
		if !m.Unknown {
			out = append(out, m)
		}
	}
	return out
}

// A rule whose condition was evaluated and is unknown is told apart, and one that the index skipped is asked all the same.
func TestUnknownAndAsked(t *testing.T) {
	t.Parallel()
	completed := []string{event.TypeResponseCompleted}
	off := &Rule{Tenant: "default", Name: "off", Events: completed, Disabled: true}
	set := NewSet([]*Rule{
		{Tenant: "default", Name: "scored", Events: completed, When: condition(t, "nps_score <= 6")},
		{Tenant: "default", Name: "here", Events: completed, When: condition(t, `survey.id == "s1" and nps_score <= 6`)},
		{Tenant: "default", Name: "elsewhere", Events: completed, When: condition(t, `survey.id == "s2" and nps_score <= 6`)},
		{Tenant: "*", Name: "every", Events: []string{"*"}},
		{Tenant: "default", Name: "partial", Events: []string{event.TypeResponsePartial}},
		{Tenant: "acme", Name: "foreign", Events: completed},
		off,
	})
	got, _ := set.Match(parse(t, `{"type":"response.completed","id":"r1","survey":{"id":"s1"}}`), nil)
	if diff := cmp.Diff([]Match{{Index: 0, Unknown: true}, {Index: 1, Unknown: true}, {Index: 3}}, got); diff != "" {
		t.Error(diff)
	}
	var asked []string
	set.Asked("default", event.TypeResponseCompleted, func(r *Rule) { asked = append(asked, r.Name) })
	if diff := cmp.Diff([]string{"scored", "here", "elsewhere", "every"}, asked); diff != "" {
		t.Error(diff)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	completed := []string{event.TypeResponseCompleted}
	rule := func(tenant, name string, events []string, when string) *Rule {
		r := &Rule{Tenant: tenant, Name: name, Events: events}
		if when != "" {
			r.When = condition(t, when)
		}
		return r
	}
	off := rule("default", "off", completed, "")
	off.Disabled = true
	set := NewSet([]*Rule{
		rule("default", "detractor", completed, "nps_score <= 6"),
		rule("default", "nps", completed, `survey.type == "nps"`),
		rule("default", "csat", completed, `"csat" == survey.type and nps_score <= 6`),
		rule("default", "either", completed, `survey.type in ["nps", "csat", "nps"]`),
		rule("default", "group", completed, `nps_group == "detractor"`),
		rule("default", "nine", completed, "nps_score == 9"),
		rule("default", "consent", completed, "consent == true"),
		rule("default", "all-types", []string{"*"}, ""),
		rule("default", "responses", []string{"response.*"}, ""),
		rule("default", "named", []string{"test", "unknown", "gateway.paused"}, ""),
		rule("default", "gateway", []string{"gateway.*"}, ""),
		rule("*", "everywhere", completed, `source == "app"`),
		rule("acme", "other-tenant", completed, ""),
		rule("default", "nothing", nil, ""),
		off,
	})
	tests := []struct {
		event string
		want  []string
	}{
		{
			`{"type":"response.completed","nps_score":3,"survey":{"type":"nps"},"source":"app"}`,
			[]string{"detractor", "nps", "either", "group", "all-types", "responses", "everywhere"},
		},
		{`{"type":"response.completed","nps_score":9,"survey":{"type":"csat"}}`, []string{"either", "nine", "all-types", "responses"}},
		{`{"type":"response.completed","consent":true}`, []string{"consent", "all-types", "responses"}},
		{`{"type":"response.completed","tenant":"acme","nps_score":3,"source":"app"}`, []string{"everywhere", "other-tenant"}},
		{`{"type":"response.completed","tenant":"zeta"}`, nil},
		{`{"type":"response.started"}`, []string{"all-types", "responses"}},
		{`{"type":"survey.closed"}`, []string{"all-types"}},
		{`{"type":"test"}`, []string{"named"}},
		{`{"type":"unknown"}`, []string{"named"}},
		{`{"type":"gateway.paused"}`, []string{"named", "gateway"}},
		{`{"type":"gateway.resumed"}`, []string{"gateway"}},
	}
	for _, tt := range tests {
		t.Run(tt.event, func(t *testing.T) {
			t.Parallel()
			ev := parse(t, strings.ReplaceAll(tt.event, "gateway.", "test\",\"id\":\""))
			if _, own, is := strings.Cut(tt.event, "gateway."); is { // nobody else may publish these
				ev.Type = "gateway." + strings.TrimSuffix(own, `"}`)
			}
			if diff := cmp.Diff(tt.want, names(set, match(set, ev))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// The explanation, which uses no index, says the same.
			var explained []string
			for _, e := range set.Explain(ev) {
				if e.Matched {
					explained = append(explained, e.Rule.Name)
				}
			}
			if diff := cmp.Diff(tt.want, explained); diff != "" {
				t.Errorf("explained (-want +got):\n%s", diff)
			}
		})
	}
}

// TestIndexAgrees compares the index with an evaluation of every rule, for many different rules.
func TestIndexAgrees(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	word := func() string { return fmt.Sprintf("%q", []string{"nps", "csat", "ces", "quiz"}[r.IntN(4)]) }
	shapes := []func() string{
		func() string { return "survey.type == " + word() },
		func() string { return word() + " == survey.type and nps_score > " + fmt.Sprint(r.IntN(10)) },
		func() string { return "survey.type != " + word() },
		func() string { return "survey.type in [" + word() + ", " + word() + "]" },
		func() string { return "survey.type in [" + word() + ", survey.title]" },
		func() string {
			return fmt.Sprintf("(params.a == %d and (params.b == %s)) and nps_score >= 2", r.IntN(3), word())
		},
		func() string { return fmt.Sprintf("params.a == %d or survey.type == %s", r.IntN(3), word()) },
		func() string { return fmt.Sprintf("not (params.a == %d)", r.IntN(3)) },
		func() string { return fmt.Sprintf(`answer("q") == %d and survey.type == %s`, r.IntN(3), word()) },
		func() string { return fmt.Sprintf(`nps_group == "passive" and params.a in [%d, true]`, r.IntN(3)) },
		func() string { return "survey.type == survey.title" },
		func() string { return fmt.Sprintf("1 <= params.a <= %d and params.a == %d", r.IntN(3), r.IntN(3)) },
	}
	var rules []*Rule
	for i := range 400 {
		rules = append(rules, &Rule{
			Tenant: []string{"default", "acme", "*"}[r.IntN(3)], Name: fmt.Sprint(i),
			Events: [][]string{{"*"}, {"response.completed"}, {"response.*", "test"}}[r.IntN(3)],
			When:   condition(t, shapes[r.IntN(len(shapes))]()),
		})
	}
	set := NewSet(rules)
	matched := 0
	for range 300 {
		body := fmt.Sprintf(`{"type":%q,"tenant":%q`, []string{"response.completed", "response.partial", "test", "survey.closed"}[r.IntN(4)], []string{"default", "acme"}[r.IntN(2)])
		for _, field := range []string{
			fmt.Sprintf(`"nps_score":%d`, r.IntN(11)), `"survey":{"type":` + word() + `,"title":` + word() + "}",
			fmt.Sprintf(`"params":{"a":%s,"b":%s}`, []string{"0", "1", "2", `"1"`, "true", "null"}[r.IntN(6)], word()), fmt.Sprintf(`"response":{"answers":{"q":%d}}`, r.IntN(3)),
		} {
			if r.IntN(4) > 0 {
				body += "," + field
			}
		}
		ev := parse(t, body+"}")
		var want []Match
		for i, rule := range rules {
			if (rule.Tenant == "*" || rule.Tenant == ev.Tenant) && rule.AcceptsType(ev.Type) && rule.When.Match(ev).Truth == expression.True {
				want = append(want, Match{Index: i})
			}
		}
		matched += len(want)
		if diff := cmp.Diff(want, match(set, ev)); diff != "" {
			t.Fatalf("%s (-every +indexed):\n%s", body, diff)
		}
		all, _ := set.Match(ev, nil)
		for _, m := range all {
			if m.Unknown && rules[m.Index].When.Match(ev).Truth != expression.Unknown {
				t.Fatalf("%s: rule %d is not unknown", body, m.Index)
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d matches: the test has lost its subject", matched)
	}
}

// A rule whose evaluation is stopped is reported, and does not affect the others.
func TestOneRuleFails(t *testing.T) {
	t.Parallel()
	set := NewSet([]*Rule{
		{Tenant: "default", Name: "before", Events: []string{"*"}},
		{Tenant: "default", Name: "heavy", Events: []string{"*"}, When: condition(t, "all(params.list, all(params.list, # > 0))")},
		{Tenant: "default", Name: "after", Events: []string{"*"}, When: condition(t, "len(params.list) == 4000")},
	})
	ev := parse(t, `{"type":"response.completed","params":{"list":[`+strings.TrimSuffix(strings.Repeat("1,", 4000), ",")+`]}}`)
	for range 3 {
		got := match(set, ev)
		if diff := cmp.Diff([]string{"before", "heavy failed", "after"}, names(set, got)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if want := "it takes more work than an event may"; !strings.HasPrefix(got[1].Err.Error(), want) {
			t.Errorf("says %q, want %q", got[1].Err, want)
		}
	}
	if e := set.Explain(ev)[1]; e.Matched || e.Err == nil || !strings.HasPrefix(e.Why, "its condition failed: ") {
		t.Errorf("explained as %+v", e)
	}
}

func TestSetInParallel(t *testing.T) {
	t.Parallel()
	var rules []*Rule
	for i := range 50 {
		rules = append(rules, &Rule{
			Tenant: "default", Name: fmt.Sprint(i), Events: []string{"*"},
			When: condition(t, fmt.Sprintf(`nps_score == %d and any(response.answers, .value == "x%d") and answer("q") == "x%d"`, i%10, i%10, i%10)),
		})
	}
	set := NewSet(rules)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 200 {
				n := (worker + i) % 10
				ev := parse(t, fmt.Sprintf(`{"type":"response.completed","nps_score":%d,"response":{"answers":{"q":"x%d"}}}`, n, n))
				got := match(set, ev)
				if len(got) != 5 || got[0].Index != n {
					t.Errorf("nps %d: %v", n, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestExplain(t *testing.T) {
	t.Parallel()
	completed := []string{event.TypeResponseCompleted}
	set := NewSet([]*Rule{
		{Tenant: "default", Name: "true", Events: completed, When: condition(t, "nps_score <= 6")},
		{Tenant: "default", Name: "false", Events: completed, When: condition(t, "nps_score > 6")},
		{Tenant: "default", Name: "missing", Events: completed, When: condition(t, "ces_score > 6 or has(phone)")},
		{Tenant: "default", Name: "misfit", Events: completed, When: condition(t, "params.seats > 6")},
		{Tenant: "default", Name: "always", Events: completed},
		{Tenant: "default", Name: "deaf", Events: []string{"survey.*", "test"}},
		{Tenant: "default", Name: "mute"},
		{Tenant: "default", Name: "off", Events: completed, Disabled: true},
		{Tenant: "acme", Name: "other", Events: completed},
	})
	got := set.Explain(parse(t, `{"type":"response.completed","nps_score":3,"params":{"seats":"nine"}}`))
	var why []string
	for _, e := range got {
		why = append(why, fmt.Sprintf("%d %s %v: %s", e.Index, e.Rule.Name, e.Matched, e.Why))
	}
	want := []string{
		"0 true true: its condition is true",
		"1 false false: its condition is false",
		"2 missing false: its condition is unknown: the event has no ces_score",
		"3 misfit false: its condition is unknown: `params.seats > 6`: a text is not compared with a number",
		"4 always true: it has no condition",
		"5 deaf false: its events are survey.*, test, and this is response.completed",
		"6 mute false: it has no events",
		"7 off false: it is disabled",
	}
	if diff := cmp.Diff(want, why); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ces_score"}, got[2].Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if len(got[3].Faults) != 1 || len(got[0].Parts) != 2 || got[0].Parts[1] != (Part{Text: "nps_score", Value: "3", Depth: 1, Operand: true}) {
		t.Errorf("parts %+v, faults %v", got[0].Parts, got[3].Faults)
	}
}

func TestExpandEvents(t *testing.T) {
	t.Parallel()
	aliases := map[string][]string{
		"SURVEY_COMPLETED": {"response.completed"}, "survey.completed": {"survey.closed"},
		"response.created": {"response.completed", "response.started"}, "form_response": {"response.completed"},
	}
	tests := []struct {
		names, want []string
		fault       string
	}{
		{[]string{"response.completed"}, []string{"response.completed"}, ""},
		{[]string{"*", "test", "gateway.*", "gateway.paused", "response.*"}, []string{"*", "test", "gateway.*", "gateway.paused", "response.*"}, ""},
		{[]string{"SURVEY_COMPLETED", "form_response", "survey.completed"}, []string{"response.completed", "survey.closed"}, ""},
		{[]string{"response.created"}, []string{"response.completed", "response.started"}, ""},
		{[]string{"response.complete"}, nil, "`response.complete` is not an event; did you mean response.completed?"},
		{[]string{"SURVEY_COMPLETE"}, nil, "`SURVEY_COMPLETE` is not an event; did you mean SURVEY_COMPLETED?"},
		{[]string{"responses.*", "qwertz", "test"}, nil, "`responses.*` is not an event; did you mean response.*?\n`qwertz` is not an event"},
		{[]string{"resp*"}, nil, "`resp*` is not an event"},
		{[]string{""}, nil, "`` is not an event"},
		{nil, nil, ""},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.names, " "), func(t *testing.T) {
			t.Parallel()
			got, err := ExpandEvents(tt.names, aliases)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.fault == "" && err != nil || tt.fault != "" && (err == nil || err.Error() != tt.fault) {
				t.Errorf("fault %v, want %s", err, tt.fault)
			}
			var one *EventError
			if tt.fault != "" && !errors.As(err, &one) {
				t.Errorf("%T holds no EventError", err)
			}
		})
	}
}

func TestTypeMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, eventType string
		want               bool
	}{
		{"*", "response.completed", true},
		{"*", "test", false},
		{"*", "unknown", false},
		{"*", "gateway.paused", false},
		{"test", "test", true},
		{"response.*", "response.completed", true},
		{"response.*", "respondent.unsubscribed", false},
		{"response.*", "response.", false},
		{"gateway.*", "gateway.paused", true},
		{"respon*", "response.completed", false},
		{"response.completed", "response.partial", false},
	} {
		if got := TypeMatches(tt.pattern, tt.eventType); got != tt.want {
			t.Errorf("%s hears %s: %v, want %v", tt.pattern, tt.eventType, got, tt.want)
		}
	}
}
