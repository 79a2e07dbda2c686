package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// answers returns the JSON of an event's answers.
func answers(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"question_id":"q%d","question":"How was part %d of your visit?","value":"answer %d","comment":"no"}`, i, i, i%7)
	}
	return `{"type":"response.completed","nps_score":3,"survey":{"id":"s1"},"feedback":"the set-up took far too long","response":{"answers":[` +
		strings.Join(all, ",") + `]}}`
}

// endless returns conditions that exceed the work limit with a large event.
func endless(tb testing.TB, n int) []*Rule {
	all := make([]*Rule, n)
	for i := range all {
		all[i] = &Rule{
			Tenant: "default", Name: fmt.Sprintf("endless%d", i), Events: []string{"*"},
			When: condition(tb, fmt.Sprintf(`any(response.answers, any(response.answers, any(response.answers, .value == "x%d")))`, i)),
		}
	}
	return all
}

// realistic returns a very large configuration: a thousand rules that each read another answer, and twenty of which iterate over
// all answers.
func realistic(tb testing.TB) []*Rule {
	var all []*Rule
	for i := range 1000 {
		when := fmt.Sprintf(`nps_score <= 6 and answer("q%d") == "answer %d" and feedback contains "long"`, i*2, i*2%7)
		if i%50 == 0 {
			when = fmt.Sprintf(`nps_score <= 6 and count(response.answers, .value == "answer %d") > %d`, i%7, i/20)
		}
		all = append(all, &Rule{Tenant: "default", Name: fmt.Sprint(i), Events: []string{"*"}, When: condition(tb, when)})
	}
	return all
}

// A thousand realistic rules and two thousand answers take less than half of an event's work limit.
func TestRealisticRulesFitTheBudget(t *testing.T) {
	t.Parallel()
	set := NewSet(realistic(t))
	matches, work := set.Match(parse(t, answers(2000)), nil)
	for _, m := range matches {
		if m.Err != nil {
			t.Fatalf("%s: %v", set.Rule(m.Index).Name, m.Err)
		}
	}
	if len(matches) != 1000 {
		t.Errorf("%d rules match", len(matches))
	}
	if work > expression.MaxWork/2 {
		t.Errorf("took %d steps of %d", work, expression.MaxWork)
	}
}

// Endless rules share the work limit of one event, so that many take no longer than one. Each is reported. Other rules, cheap and
// expensive ones, are evaluated at any position, and the result is deterministic.
func TestWorkOfAnEvent(t *testing.T) {
	t.Parallel()
	cheap := func(name string) *Rule {
		return &Rule{Tenant: AllTenants, Name: name, Events: []string{"*"}, When: condition(t, `nps_score <= 6`)}
	}
	dearer := func(name string) *Rule {
		return &Rule{Tenant: "default", Name: name, Events: []string{"*"}, When: condition(t, `count(response.answers, .value == "answer 1") > 3`)}
	}
	var all []*Rule
	all = append(all, cheap("first"), dearer("dearer first"))
	all = append(all, endless(t, 200)...)
	all = append(all, cheap("middle"))
	all = append(all, endless(t, 200)...)
	all = append(all, cheap("last"))
	set := NewSet(all)
	ev := parse(t, answers(1900))
	want, work := set.Match(ev, nil)
	if most := expression.MaxWork + 400*1000; work > most {
		t.Errorf("took %d steps, more than %d", work, most)
	}
	var matched []string
	given := 0
	for _, m := range want {
		if m.Err == nil {
			matched = append(matched, set.Rule(m.Index).Name)
			continue
		}
		given++
		if !strings.HasPrefix(m.Err.Error(), "it takes more work than an event may; ") {
			t.Errorf("%s says %q", set.Rule(m.Index).Name, m.Err)
		}
	}
	if diff := cmp.Diff([]string{"first", "dearer first", "middle", "last"}, matched); diff != "" || given != 400 {
		t.Errorf("%d given up; matched (-want +got):\n%s", given, diff)
	}
	for range 3 {
		got, again := set.Match(parse(t, answers(1900)), nil)
		if again != work || len(got) != len(want) {
			t.Fatalf("took %d steps for %d, and then %d for %d", work, len(want), again, len(got))
		}
	}
	for _, e := range set.Explain(ev) {
		at := -1
		for i, m := range want {
			if m.Index == e.Index {
				at = i
			}
		}
		if at < 0 || e.Matched != (want[at].Err == nil) || (e.Err != nil) != (want[at].Err != nil) {
			t.Fatalf("%s is explained as %+v", e.Rule.Name, e)
		}
		if e.Err != nil && e.Why != "its condition failed: "+want[at].Err.Error() {
			t.Fatalf("%s: %s", e.Rule.Name, e.Why)
		}
	}
}

// A value that one stopped rule could not read is available to the next rules.
func TestStoppedEvaluationIsNotAbsent(t *testing.T) {
	t.Parallel()
	greedy := `any(params.list, any(params.list, # > 1)) or raw("data.x") == 1`
	set := NewSet([]*Rule{
		{Tenant: "default", Name: "greedy", Events: []string{"*"}, When: condition(t, greedy)},
		{Tenant: "default", Name: "reads", Events: []string{"*"}, When: condition(t, `raw("data.x") == 1`)},
	})
	ev := parse(t, `{"type":"response.completed","params":{"list":[`+strings.TrimSuffix(strings.Repeat("1,", 4000), ",")+`]}}`)
	ev.Raw = event.Raw{Body: []byte(`{"data":{"x":1},"pad":"` + strings.Repeat("x", 900_000) + `"}`)}
	got, _ := set.Match(ev, nil)
	if diff := cmp.Diff([]string{"greedy failed", "reads"}, names(set, got)); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkWork measures an event with a very large configuration, with an endless one, and the explanation of the latter.
func BenchmarkWork(b *testing.B) {
	for name, of := range map[string]struct {
		rules []*Rule
		n     int
	}{"realistic": {realistic(b), 2000}, "endless": {endless(b, 400), 1900}} {
		set, ev := NewSet(of.rules), parse(b, answers(of.n))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, work := set.Match(ev, nil)
				b.ReportMetric(float64(work), "steps")
			}
		})
		b.Run(name+"/explain", func(b *testing.B) {
			for b.Loop() {
				set.Explain(ev)
			}
		})
	}
}
