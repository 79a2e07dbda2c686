package rules

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBothAsOne: two sets together match, explain and work as one set of the rules of both does, also when the work is used up.
func TestBothAsOne(t *testing.T) {
	t.Parallel()
	var all []*Rule
	add := func(tenant, when string, events ...string) {
		r := &Rule{Tenant: tenant, Name: fmt.Sprint(len(all)), Events: events}
		if when != "" {
			r.When = condition(t, when)
		}
		all = append(all, r)
	}
	add(AllTenants, "nps_score <= 6", "*")
	add("default", `survey.id == "s1"`, "response.*")
	add("default", "", "response.completed")
	all = append(all, endless(t, 30)...)
	add("default", `count(response.answers, .value == "answer 1") > 3`, "*")
	add("other", "", "*")
	all = append(all, endless(t, 10)...)
	add("default", "nps_score <= 6", "*")
	add("default", "", "gateway.*")
	whole, ev := NewSet(all), parse(t, answers(1900))
	name := func(set *Set, m Match) string { return fmt.Sprint(set.Rule(m.Index).Name, " ", m.Err) }
	var want []string
	matches, work := whole.Match(ev, nil)
	for _, m := range matches {
		want = append(want, name(whole, m))
	}
	explain := func(all []Explanation) (told []string) {
		for _, e := range all {
			told = append(told, fmt.Sprint(e.Rule.Name, " ", e.Matched, " ", e.Why, " ", e.Err))
		}
		return told
	}
	for cut := 0; cut <= len(all); cut++ {
		first, second := NewSet(all[:cut]), NewSet(all[cut:])
		both, n, took := first.MatchBoth(second, ev, nil)
		var got []string
		for i, m := range both {
			set := first
			if i >= n {
				set = second
			}
			got = append(got, name(set, m))
		}
		if diff := cmp.Diff(want, got); diff != "" || took != work {
			t.Fatalf("cut at %d: work %d, want %d; %s", cut, took, work, diff)
		}
		if cut%9 == 0 { // explaining takes long
			of, ofSecond := first.ExplainBoth(second, ev)
			if diff := cmp.Diff(explain(whole.Explain(ev)), append(explain(of), explain(ofSecond)...)); diff != "" {
				t.Fatalf("cut at %d: %s", cut, diff)
			}
		}
	}
}
