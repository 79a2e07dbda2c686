package expression

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClauses: which parts of a condition are true or false by themselves, and which of them a decision gets to.
func TestClauses(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","nps_score":3,"params":{"a":true,"b":false}}`)
	for _, tt := range []struct{ condition, want string }{
		{`nps_score <= 6`, `nps_score <= 6: true`},
		{`nps_score > 6`, `nps_score > 6: false`},
		{`csat_score > 6`, `csat_score > 6: unknown`},
		{`nps_score <= 6 and has(phone)`, `nps_score <= 6: true|has(phone): false`},
		{`has(phone) and nps_score <= 6`, `has(phone): false|nps_score <= 6: unknown`},
		{`csat_score > 3 and nps_score <= 6`, `csat_score > 3: unknown|nps_score <= 6: true`},
		{`nps_score <= 6 or has(phone)`, `nps_score <= 6: true|has(phone): unknown`},
		{`(nps_score > 6 or has(phone)) and params.a`, `nps_score > 6 or has(phone): false|nps_score > 6: false|has(phone): false|params.a: unknown`},
		{`not (nps_score > 6 or params.a)`, `nps_score > 6 or params.a: true|nps_score > 6: false|params.a: true`},
		{`not params.b`, `params.b: false`},
		{`nps_score not in [1, 2]`, `nps_score not in [1, 2]: true`},
		{`not (nps_score in [1, 2])`, `nps_score in [1, 2]: false`},
		{`not (nps_score not in [1, 2])`, `nps_score not in [1, 2]: true`},
		{`params.a ? nps_score > 6 : has(phone)`, `params.a: true|nps_score > 6: false|has(phone): unknown`},
		{`params.c ?? (nps_score > 6)`, `params.c ?? (nps_score > 6): false`},
		{`params.a and true`, `params.a: true`},
		{`any(response.answers, .value == "x" or .value == "y")`, `any(response.answers, .value == "x" or .value == "y"): unknown`},
		{`true`, ``},
	} {
		c := compile(t, tt.condition)
		whole, truths, err := c.Decide(ev)
		if err != nil {
			t.Fatal(err)
		}
		clauses := c.Clauses()
		if len(clauses) != len(truths) {
			t.Fatalf("%s: %d clauses and %d truths", tt.condition, len(clauses), len(truths))
		}
		var got []string
		for i, clause := range clauses {
			got = append(got, clause.Text+": "+truths[i].String())
			if at := tt.condition[clause.From:clause.To]; at != clause.Text {
				t.Errorf("%s: %q stands where %q does", tt.condition, clause.Text, at)
			}
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.condition, diff)
		}
		if want := c.Match(ev).Truth; whole != want {
			t.Errorf("%s is %s, and Match says %s", tt.condition, whole, want)
		}
	}
	var none *Condition
	if whole, truths, err := none.Decide(ev); whole != True || truths != nil || err != nil || none.Clauses() != nil {
		t.Errorf("no condition: %s %v %v", whole, truths, err)
	}
}

// TestDecideAgrees: Decide comes to what Match comes to, for any condition and also where fields are absent.
func TestDecideAgrees(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 11))
	for range 3000 {
		full := newWorld(r)
		for name := range full {
			if r.IntN(4) == 0 {
				full[name] = nil
			}
		}
		text := (&writer{r: r}).truth()
		c, err := CompileCondition(text)
		if err != nil {
			continue // such as a comparison of two constants
		}
		ev := full.event(t)
		want := c.Match(ev)
		whole, truths, err := c.Decide(ev)
		if whole != want.Truth || (err == nil) != (want.Err == nil) {
			t.Fatalf("%s is %s (%v), and Match says %s (%v)", text, whole, err, want.Truth, want.Err)
		}
		if len(truths) != len(c.Clauses()) {
			t.Fatalf("%s: %d clauses, %d truths", text, len(c.Clauses()), len(truths))
		}
	}
}

// TestDecideIsBounded: a condition that takes too much work ends with the error of Match.
func TestDecideIsBounded(t *testing.T) {
	t.Parallel()
	list := "[" + strings.Repeat("1,", 400) + "1]"
	ev := parse(t, `{"type":"response.completed","params":{"tags":`+list+`}}`)
	c := compile(t, `params.a or all(params.tags, all(params.tags, all(params.tags, # == 1)))`)
	want := c.Match(ev).Err
	_, truths, err := c.Decide(ev)
	if want == nil || err == nil || err.Error() != want.Error() || len(truths) != 2 {
		t.Errorf("%v with %v, and Match says %v", err, truths, want)
	}
}
