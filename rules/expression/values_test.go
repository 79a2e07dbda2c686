package expression

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const valuesEvent = `{"type":"response.completed","nps_score":3,"csat_score":4.5,"feedback":"slow & <b>","email":"jo@example.com","consent":true,
	"params":{"plan":"pro","big":12345678901234567890,"tiny":0.00000012,"list":[1,"a",null,[true]],"o":{"z":1,"a":{"b":2}}},
	"response":{"answers":{"4":["red","blue"],"why":"slow"}}}`

func TestValue(t *testing.T) {
	t.Parallel()
	ev := parse(t, valuesEvent)
	tests := []struct {
		text    string
		want    any
		missing []string
	}{
		{"nps_score", 3.0, nil},
		{"csat_score * 2", 9.0, nil},
		{"'lead'", "lead", nil},
		{`"lead"`, "lead", nil},
		{"nps_group", "detractor", nil},
		{"consent", true, nil},
		{"nps_score <= 6", true, nil},
		{"phone", nil, []string{"phone"}},
		{"phone ?? 'none'", "none", nil},
		{"ces_score <= 6", nil, []string{"ces_score"}},
		{"params.big", json.Number("12345678901234567890"), nil},
		{"params.list", []any{1.0, "a", []any{true}}, nil},
		{"params.o", Object{{"z", 1.0}, {"a", Object{{"b", 2.0}}}}, nil},
		{"params.o.a.b", 2.0, nil},
		{`answer("4")`, []any{"red", "blue"}, nil},
		{"[nps_score, phone, 'x']", []any{3.0, "x"}, nil},
		{`map(response.answers, .value)`, []any{[]any{"red", "blue"}, "slow"}, nil},
		{"NPS {{ nps_score }}", "NPS 3", nil},
		{"{{ phone }}", "", []string{"phone"}},
		{"''", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			v, err := CompileValue(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			got, present, err := v.Evaluate(ev)
			if err != nil || present != (tt.want != nil) || !cmp.Equal(got, tt.want) {
				t.Errorf("is %#v, %v, %v, want %#v", got, present, err, tt.want)
			}
			if diff := cmp.Diff(tt.missing, v.Missing(ev)); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if v.String() != tt.text || v.IsZero() {
				t.Errorf("prints as %q", v)
			}
		})
	}
}

// A literal text without inner quotes is a common mistake.
func TestQuotingHint(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, message, remedy string }{
		{"detractor", "`detractor` is not a name of the rule language", `a fixed word is quoted inside: "'detractor'"`},
		{"needs follow up", "`needs follow up` is not an expression", `a fixed word is quoted inside: "'needs follow up'"`},
		{"jo@example.com", "`jo@example.com` is not an expression", `a fixed word is quoted inside: "'jo@example.com'"`},
		{"https://example.com/a-b", "`https://example.com/a-b` is not an expression", `a fixed word is quoted inside: "'https://example.com/a-b'"`},
		{"follow-up", "`follow-up` is not an expression", `a fixed word is quoted inside: "'follow-up'"`},
		{"Hot Lead!", "`Hot Lead!` is not an expression", `a fixed word is quoted inside: "'Hot Lead!'"`},
		{"çok iyi", "`çok iyi` is not an expression", `a fixed word is quoted inside: "'çok iyi'"`},
		{"emial", "`emial` is not a name of the rule language", `did you mean email? A fixed word is quoted inside: "'emial'"`},
		{"respondent.emial", "`respondent.emial` is not a name of the rule language", "did you mean respondent.email?"},
		{"nps_scor + 1", "`nps_scor` is not a name of the rule language", "did you mean nps_score?"},
		{"nps_score + csat", "`csat` is not a name of the rule language", "did you mean csat_score?"},
		{"", "here stands no expression", `an empty text is quoted inside: "''"`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			_, err := CompileValue(tt.text)
			var faults Errors
			if !errors.As(err, &faults) || len(faults) != 1 {
				t.Fatalf("got %v, want one fault", err)
			}
			if faults[0].Message != tt.message || faults[0].Remedy != tt.remedy {
				t.Errorf("says %q; %q\nwant %q; %q", faults[0].Message, faults[0].Remedy, tt.message, tt.remedy)
			}
		})
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	v, err := CompileValues([]Pair{
		{"z_nps", "nps_score"},
		{"phone", "phone"},
		{"segment", "'detractor'"},
		{"seats", int64(3)},
		{"ratio", 0.5},
		{"hot", true},
		{"note", "{{ feedback }}!"},
		{"list", []any{"nps_score", "phone", "'x'", int64(1), []Pair{{"k", "email"}}}},
		{"inner", []Pair{{"b", "email"}, {"a", "ces_score"}, {"empty", []Pair{{"x", "phone"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ev := parse(t, valuesEvent)
	got, err := v.Evaluate(ev)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"z_nps":3,"segment":"detractor","seats":3,"ratio":0.5,"hot":true,"note":"slow \u0026 \u003cb\u003e!",` +
		`"list":[3,"x",1,{"k":"jo@example.com"}],"inner":{"b":"jo@example.com","empty":{}}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	own, err := got.MarshalJSON()
	if err != nil || !strings.Contains(string(own), `"slow & <b>!"`) {
		t.Errorf("MarshalJSON escapes: %s, %v", own, err)
	}
	if diff := cmp.Diff([]string{"phone", "ces_score"}, v.Missing(ev)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if note, ok := got.Lookup("note"); !ok || note != "slow & <b>!" {
		t.Errorf("Lookup: %v, %v", note, ok)
	}
	if diff := cmp.Diff([]string{"z_nps", "phone", "segment", "seats", "ratio", "hot", "note", "list", "inner"}, v.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	var zero Values
	if out, err := zero.Evaluate(ev); err != nil || len(out) != 0 || !zero.IsZero() {
		t.Errorf("zero Values: %v, %v", out, err)
	}
}

func TestValuesFaults(t *testing.T) {
	t.Parallel()
	_, err := CompileValues([]Pair{
		{"segment", "detractor"},
		{"ok", "nps_score"},
		{"inner", []Pair{{"list", []any{"email", "emial"}}}},
		{"nothing", nil},
	})
	want := "segment: `detractor` is not a name of the rule language; a fixed word is quoted inside: \"'detractor'\"\n" +
		"inner.list.1: `emial` is not a name of the rule language; did you mean email? A fixed word is quoted inside: \"'emial'\"\n" +
		"nothing: <nil> is not a value; write a number, true, false, an expression or a text; to leave the field out, leave the line out"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var one *Error
	if !errors.As(err, &one) || !cmp.Equal(one.Path, []string{"segment"}) {
		t.Errorf("errors.As finds %v", one)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"3": "3", "3.0": "3", "0.1": "0.1", "1e21": "1e+21", "1e20": "100000000000000000000", "0.0000001": "1e-7", "0.000001": "0.000001",
		"-0.0": "0", "9007199254740993": "9007199254740993", "1.5e-9": "1.5e-9", "1e100": "1e+100",
	} {
		v, err := CompileText("{{ " + text + " }}")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.Render(parse(t, valuesEvent)); got != want || err != nil {
			t.Errorf("%s is written %s, want %s (%v)", text, got, want, err)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	ev := parse(t, valuesEvent)
	shout := func(s string) string { return "<" + strings.ToUpper(s) + ">" }
	tests := []struct {
		text, want, escaped string
		missing             []string
	}{
		{"no holes & no escape", "no holes & no escape", "no holes & no escape", nil},
		{"NPS {{ nps_score }}: {{ feedback ?? 'no comment' }}", "NPS 3: slow & <b>", "NPS <3>: <SLOW & <B>>", nil},
		{"{{phone}}|{{ email }}", "|jo@example.com", "<>|<JO@EXAMPLE.COM>", []string{"phone"}},
		{"{{ answer('4') }} {{ consent }} {{ csat_score }}", "red, blue true 4.5", "<RED, BLUE> <TRUE> <4.5>", nil},
		{"{{ params.o }}", `{"z":1,"a":{"b":2}}`, `<{"Z":1,"A":{"B":2}}>`, nil},
		{"{{ params.big }}", "12345678901234567890", "<12345678901234567890>", nil},
		{`{{ "}}" }} {{ '{{' }} }} {`, "}} {{ }} {", "<}}> <{{> }} {", nil},
		{"{{ `a` + \"b\" + 'c\\'d' }}", "abc'd", "<ABC'D>", nil},
		{"{{ nps_score <= 6 ? 'low' : 'high' }}\n", "low\n", "<LOW>\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			text := MustText(tt.text)
			if got, err := text.Render(ev); got != tt.want || err != nil {
				t.Errorf("is %q, %v, want %q", got, err, tt.want)
			}
			if got, err := text.Render(ev, shout); got != tt.escaped || err != nil {
				t.Errorf("escaped is %q, %v, want %q", got, err, tt.escaped)
			}
			if diff := cmp.Diff(tt.missing, text.Missing(ev)); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if text.String() != tt.text || text.IsZero() {
				t.Errorf("prints as %q", text)
			}
		})
	}
}

func TestTextFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text   string
		offset int
		want   string
	}{
		{"NPS {{ nps_scor }} of {{ emial }}", 7, "`nps_scor` is not a name of the rule language; did you mean nps_score?\n`emial` is not a name of the rule language; did you mean email?"},
		{"NPS {{ nps_score", 4, "the hole {{ is not closed; close it with }}"},
		{"NPS {{ nps_score } {{ email }}", 4, "the hole {{ is not closed; close it with }}"},
		{"{{ answer(", 0, "the hole {{ is not closed; " + quoteRemedy},
		{"é {{ answer(4) }}", 13, "`answer` wants a fixed text in quotes; write answer('4')"},
		{"{{ email contains 'x }} y", 18, "a text that begins with ' is not closed in this hole; " + quoteRemedy},
		{"{{ }}", 2, "here stands no expression; as in nps_score <= 6"},
		{strings.Repeat("x", MaxTextLength+1), MaxTextLength, "this text is longer than 65536 bytes; shorten it"},
		{strings.Repeat("{{ nps_score }}", MaxNodes+1), 15 * MaxNodes, "the holes of this text have more than 500 parts; shorten it"},
	}
	for _, tt := range tests {
		t.Run(clip(tt.text), func(t *testing.T) {
			t.Parallel()
			_, err := CompileText(tt.text)
			var faults Errors
			if !errors.As(err, &faults) {
				t.Fatalf("got %v", err)
			}
			if err.Error() != tt.want || faults[0].Offset != tt.offset {
				t.Errorf("at %d:\n%v\nwant at %d:\n%s", faults[0].Offset, err, tt.offset, tt.want)
			}
		})
	}
}

func TestTextBudget(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","params":{"list":[`+strings.TrimSuffix(strings.Repeat("1,", 4000), ",")+`]}}`)
	text := MustText("{{ count(params.list, any(params.list, # > 1)) }}")
	if got, err := text.Render(ev); err == nil {
		t.Errorf("is %q, want it given up", got)
	}
	v, err := CompileValues([]Pair{{"n", "count(params.list, any(params.list, # > 1))"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Evaluate(ev); err == nil || got != nil {
		t.Errorf("is %v, %v, want it given up", got, err)
	}
}

func TestValuesEscapeWhatRespondentsWrote(t *testing.T) {
	t.Parallel()
	ev := parse(t, valuesEvent)
	v, err := CompileValues([]Pair{
		{Key: "expression", Value: "feedback"},
		{Key: "hole", Value: "<{{ feedback }}>"},
		{Key: "word", Value: "'<here>'"},
		{Key: "number", Value: "nps_score"},
		{Key: "list", Value: "[feedback, '<in it>']"},
		{Key: "items", Value: []any{"feedback", "'<b>'"}},
		{Key: "nested", Value: []Pair{{Key: "again", Value: "feedback"}}},
		{Key: "object", Value: "params.o"},
		{Key: "constant", Value: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Evaluate(ev, func(text string) string { return strings.NewReplacer("<", "(", ">", ")").Replace(text) })
	if err != nil {
		t.Fatal(err)
	}
	const safe = "slow & (b)"
	want := Object{
		{"expression", safe},
		{"hole", "<" + safe + ">"},
		{"word", "<here>"},
		{"number", 3.0},
		{"list", []any{safe, "(in it)"}},
		{"items", []any{safe, "<b>"}},
		{"nested", Object{{"again", safe}}},
		{"object", Object{{"z", 1.0}, {"a", Object{{"b", 2.0}}}}},
		{"constant", true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if plain, err := v.Evaluate(ev); err != nil || plain[0].Value != "slow & <b>" {
		t.Errorf("without an escape: %v, %v", plain, err)
	}
}
