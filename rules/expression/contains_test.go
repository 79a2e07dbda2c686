package expression

import (
	"strings"
	"testing"
)

// One question comes as a text where a platform sends one choice, and as a list where it sends several. What is asked
// of it means the same: contains looks into the text or for an item of the list, in looks for exactly that choice.
func TestContainsAndInOfOneChoiceAndOfSeveral(t *testing.T) {
	t.Parallel()
	tests := []struct {
		answer                          string // the answer's JSON; empty is no answer
		contains, in                    Truth  // of "A"
		missing, containsFault, inFault string
	}{
		{answer: `"A"`, contains: True, in: True},
		{answer: `"AB"`, contains: True, in: False}, // text holds text; it is not that choice
		{answer: `"B"`, contains: False, in: False},
		{answer: `["A"]`, contains: True, in: True},
		{answer: `["B","A"]`, contains: True, in: True},
		{answer: `["AB"]`, contains: False, in: False},
		{answer: `["a"," A "]`, contains: False, in: False},
		{answer: `["AB",null]`, contains: Unknown, in: Unknown}, // one that nobody knows may be it
		{answer: `["A",null]`, contains: True, in: True},
		{answer: `[1,2]`, containsFault: "the list holds no text", inFault: "the list holds no text"},
		{answer: `[1,"B"]`, contains: False, in: False},
		{answer: `3`, containsFault: "a number is not a text", inFault: "a number is not a list"},
		{answer: `{"row":"A"}`, containsFault: "an object is not a text", in: False},
		{answer: ``, missing: `answer("q")`},
	}
	for _, tt := range tests {
		t.Run(tt.answer, func(t *testing.T) {
			t.Parallel()
			body := `{"type":"response.completed","response":{"answers":[{"question_id":"other","value":"A"}]}}`
			if tt.answer != "" {
				body = strings.Replace(body, `[{`, `[{"question_id":"q","value":`+tt.answer+`},{`, 1)
			}
			ev := parse(t, body)
			for condition, want := range map[string]Truth{
				`answer("q") contains "A"`: tt.contains, `not (answer("q") contains "A")`: negate(tt.contains),
				`"A" in answer("q")`: tt.in, `"A" not in answer("q")`: negate(tt.in),
			} {
				fault := tt.containsFault
				if strings.Contains(condition, " in ") {
					fault = tt.inFault
				}
				got := compile(t, condition).Match(ev)
				if got.Truth != want || !strings.Contains(strings.Join(got.Faults, ";"), fault) || (fault == "") != (len(got.Faults) == 0) {
					t.Errorf("%s is %+v, want %v with the fault %q", condition, got, want, fault)
				}
				if tt.missing != "" && (len(got.Missing) != 1 || got.Missing[0] != tt.missing) {
					t.Errorf("%s misses %v, want %s", condition, got.Missing, tt.missing)
				}
			}
		})
	}
}

func negate(t Truth) Truth { return map[Truth]Truth{True: False, False: True}[t] }

// Items may be numbers and booleans, lists may be literals, and a number never equals a text.
func TestContainsOfLists(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","nps_score":3,"feedback":"too slow","respondent":{"params":{"tags":["a","b c"],"marks":[1,2.5],"mixed":[1,"1",true],"none":[]}}}`)
	for condition, want := range map[string]Truth{
		`params.marks contains 2.5`: True, `params.marks contains 25`: False, `params.mixed contains true`: True,
		`params.mixed contains "1"`: True, `params.tags contains "b"`: False, `params.tags contains "b c"`: True,
		`params.none contains "a"`: False, `[3, 4] contains nps_score`: True, `["nps"] contains survey.type`: Unknown,
		`split(feedback, " ") contains "slow"`: True, `split(feedback, " ") contains "low"`: False, `feedback contains "low"`: True,
		`3 in params.marks`: False, `"x" in params.nowhere`: Unknown, `params.tags contains params.nowhere`: Unknown,
	} {
		if got := compile(t, condition).Match(ev); got.Truth != want || len(got.Faults) > 0 {
			t.Errorf("%s is %+v, want %v", condition, got, want)
		}
	}
}
