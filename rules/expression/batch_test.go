package expression

import (
	"errors"
	"strings"
	"testing"
)

// A panic in one condition of a batch does not affect the others.
func TestPanicIsOneRulesError(t *testing.T) {
	t.Parallel()
	b := NewBatch([]*Condition{compile(t, "nps_score == 3"), compile(t, "any([1, 2], # == nps_score)"), nil, compile(t, "nps_score > 1")})
	b.progs[1].roots[0] = &node{op: opQuantify, code: codeAny, args: []*node{b.progs[1].roots[0].args[0], nil}}
	ev := parse(t, `{"type":"response.completed","nps_score":3}`)
	for range 2 {
		r := b.Read(ev)
		r.DivideWork(MaxWork, 3*4) // each is asked, and asked why, which may take twice
		for i, want := range []Truth{True, Unknown, True, True} {
			truth, err := b.Match(r, i)
			if truth != want || (err != nil) != (i == 1) {
				t.Errorf("condition %d: %v, %v", i, truth, err)
			}
			if i == 1 && (err == nil || !strings.HasPrefix(err.Error(), "evaluate: ") || errors.Is(err, errWork)) {
				t.Errorf("the panic is told as %v", err)
			}
			if res := b.Result(r, i); res.Truth != want || (res.Err != nil) != (i == 1) {
				t.Errorf("condition %d: %+v", i, res)
			}
		}
		r.Release()
	}
}

func TestEqualities(t *testing.T) {
	t.Parallel()
	tests := []struct {
		condition string
		want      int
	}{
		{`survey.type == "nps"`, 1},
		{`"nps" == survey.type and (nps_score == 3 and consent == true)`, 3},
		{`survey.type in ["nps", "csat"] and nps_score > 3`, 1},
		{`survey.type in ["nps", survey.title]`, 0},
		{`survey.type == "nps" or nps_score == 3`, 0},
		{`not (survey.type == "nps")`, 0},
		{`survey.type != "nps"`, 0},
		{`survey.type == survey.title`, 0},
		{`answer("4") == "x"`, 0}, // not at hand without looking for it
		{`(survey.type ?? "nps") == "nps"`, 0},
		{`lower(survey.type) == "nps"`, 0},
	}
	for _, tt := range tests {
		b := NewBatch([]*Condition{compile(t, tt.condition)})
		if got := b.Equalities(0); len(got) != tt.want {
			t.Errorf("%s has %d equalities, want %d: %v", tt.condition, len(got), tt.want, got)
		}
	}
}
