package expression

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Comparisons returns every constant text that a field is compared with, and its position.
func TestComparisons(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string][]string{
		`source == "a"`:                 {"source a"},
		`"a" != source`:                 {"source a"},
		`not (source in ["a", 'b'])`:    {"source a", "source b"},
		`source not in ["a"]`:           {"source a"},
		`["a", "b"] contains nps_group`: {"nps_group a", "nps_group b"},
		`nps_score <= 6 and (type == "x" or survey.type == "y")`: {"type x", "survey.type y"},
		`(nps_group ?? "none") in ["none", "detractr"]`:          {"nps_group detractr"},
		`(nps_group ?? params.x) == "detractr"`:                  nil,
		`consent ? source == "a" : source == "b"`:                {"source a", "source b"},
		`any(response.answers, .value == "x" and source == "a")`: {"source a"},
		`params.plan == "pro"`:                                   {"respondent.params.plan pro"},
		`source contains "a" or source startsWith "b" or source > "c" or lower(source) == "d" or source == params.x`: nil,
		`answer("q") == "a" or raw("q") == "a"`: nil,
		`feedback == "é" and source == "a"`:     {"response.feedback é", "source a"},
	} {
		var got []string
		for _, c := range compile(t, condition).Comparisons() {
			got = append(got, c.Name+" "+c.Text)
			if written := condition[c.Offset : c.Offset+c.Length]; strings.Trim(written, `'"`) != c.Text {
				t.Errorf("%s: the place of %s holds %s", condition, c.Text, written)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", condition, diff)
		}
	}
	const text = `é {{ nps_score }} and {{ nps_group == "x" ? 1 : 2 }}`
	v, err := CompileValue(text)
	if err != nil {
		t.Fatal(err)
	}
	if all := v.Comparisons(); len(all) != 1 || text[all[0].Offset:all[0].Offset+all[0].Length] != `"x"` {
		t.Errorf("in a text: %+v", all)
	}
	if all := Constant(1.0).Comparisons(); all != nil {
		t.Errorf("of a constant: %+v", all)
	}
}

func TestRequiredValues(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string][]string{
		`source == "a"`: {"a"}, `consent and "a" == source`: {"a"}, `source in ["a", "b"] and nps_score > 1`: {"a", "b"},
		`source in ["a", "b"] and source == "b"`: {"b"}, `source == "a" and source == "b"`: {},
		`source == "a" or consent`: nil, `not (source == "a")`: nil, `source != "a"`: nil, `source in ["a", params.x]`: nil, `consent`: nil,
	} {
		got, ok := compile(t, condition).RequiredValues("source")
		if ok != (want != nil) || strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s demands %v, %v", condition, got, ok)
		}
	}
	if _, ok := (*Condition)(nil).RequiredValues("source"); ok {
		t.Error("no condition demands something")
	}
}
