package transcript

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const script = `An unhappy customer reaches Slack.
-- tenant --
acme
-- event.json --
{"nps_score": 3}
-- source typeform --
{"event_type": "form_response"}
-- rule unhappy: alarms --
POST [secret]

{
  "text": "3"
}

-- webhook crm --
POST https://crm.example.com/in
`

func parse(t *testing.T, text string) *Transcript {
	t.Helper()
	script, err := Parse("low.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// TestParse: what a transcript has, at which lines, also with the line ends and the mark of Windows.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"plain": script, "windows": "\uFEFF" + strings.ReplaceAll(script, "\n", "\r\n")} {
		s := parse(t, text)
		got := fmt.Sprintf("%s|%s:%d|%d|%v %v", s.Comment, s.Tenant, s.TenantLine, s.Line, s.IsExpected, s.Brief)
		for _, g := range s.Given {
			got += fmt.Sprintf("|%s %s:%d", g.Source, strings.TrimSpace(string(g.Body)), g.Line)
		}
		for _, e := range s.Expected {
			got += fmt.Sprintf("|%s %q:%d", e.Name, e.Request, e.line)
		}
		want := `An unhappy customer reaches Slack.|acme:2|8|true false| {"nps_score": 3}:4|typeform {"event_type": "form_response"}:6` +
			`|rule unhappy: alarms "POST [secret]\n\n{\n  \"text\": \"3\"\n}":8|webhook crm "POST https://crm.example.com/in":15`
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	s := parse(t, "-- event.json --\n{}\n-- steps --\nrule a: b\n\n  webhook c\n")
	if !s.Brief || len(s.Expected) != 2 || s.Expected[1].Name != "webhook c" || s.Expected[1].line != 6 || s.Comment != "" {
		t.Errorf("%+v", s)
	}
	if s := parse(t, "-- event.json --\n{}"); s.IsExpected || s.Line != 3 {
		t.Errorf("%+v", s)
	}
}

// TestParseFaults: each fault says where it is and what to do.
func TestParseFaults(t *testing.T) {
	t.Parallel()
	const given = "-- event.json --\n{}\n"
	for _, tt := range []struct{ name, text, says string }{
		{"empty", "", "low.txtar: the transcript is empty"},
		{"blank", " \n\uFEFF", "low.txtar:1:1: the transcript has no event"},
		{"mark", "\uFEFF\r\n", "low.txtar: the transcript is empty"},
		{"comment", "only words\n", "low.txtar:1:1: the transcript has no event"},
		{"no event", "x\n-- steps --\n", "low.txtar:2:1: the transcript has no event"},
		{"empty event", "x\n-- event.json --\n\n-- steps --\n", "low.txtar:2:1: `event.json` is empty"},
		{"empty body", "-- source a --\n", "low.txtar:1:1: `source a` is empty"},
		{"misspelt", given + "-- step --\n", "low.txtar:3:1: `step` is not a part of a transcript"},
		{"misspelt event", "-- evnet.json --\n{}\n", "low.txtar:1:1: `evnet.json` is not a part of a transcript"},
		{"rule without a step", given + "-- rule a --\n", "`rule a` is not a part"},
		{"webhook without a name", given + "-- webhook --\n", "`webhook` is not a part"},
		{"late event", given + "-- steps --\n" + given, "low.txtar:4:1: `event.json` stands after what is expected"},
		{"both", given + "-- steps --\n-- rule a: b --\n", "low.txtar:4:1: there is a list of steps, and other steps besides"},
		{"both, list last", given + "-- rule a: b --\n-- steps --\n", "low.txtar:4:1: there is a list of steps, and other steps besides"},
		{"lists", given + "-- steps --\n-- steps --\n", "low.txtar:4:1: there is a list"},
		{"no step", given + "-- steps --\nrule a: b\nalarms\n", "low.txtar:5:1: `alarms` is not a step"},
		{"tenants", "-- tenant --\na\n-- tenant --\nb\n" + given, "low.txtar:3:1: there is a `tenant` already"},
		{"tenant", "-- tenant --\na b\n" + given, "low.txtar:1:1: `tenant` is not a name"},
		{"no tenant", "-- tenant --\n" + given, "low.txtar:1:1: `tenant` is not a name"},
		{"bytes", "\xff" + given, "is not UTF-8"},
	} {
		_, err := Parse("low.txtar", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Count(err.Error(), "\n    ") != 1 {
			t.Errorf("%s: %v; want %s, and what to do", tt.name, err, tt.says)
		}
	}
}

// TestCompare: which lines of what is expected and sent differ.
func TestCompare(t *testing.T) {
	t.Parallel()
	const head = "-- event.json --\n{}\n"
	a, b := Step{Name: "rule a: x", Request: "POST /a"}, Step{Name: "rule b: x", Request: "POST /b\n\n1\n2\n3\n4\n5\n6"}
	other := Step{Name: b.Name, Request: strings.Replace(b.Request, "4", "four", 1)}
	const wantA, wantB = "-- rule a: x --\nPOST /a\n", "-- rule b: x --\nPOST /b\n\n1\n2\n3\n4\n5\n6\n"
	for _, tt := range []struct {
		name, expected string
		sent           []Step
		diff           string
		line           int
	}{
		{name: "same", expected: wantA + wantB, sent: []Step{a, b}},
		{name: "another order", expected: wantA + wantB, sent: []Step{b, a}},
		{name: "empty lines between", expected: wantA + "\n\n" + wantB + "\n", sent: []Step{a, b}},
		{name: "nothing", expected: "-- steps --\n"},
		{name: "list", expected: "-- steps --\nrule b: x\nrule a: x\n", sent: []Step{a, b}},
		{name: "one more", expected: wantA, sent: []Step{a, b}, line: 3, diff: "" +
			"+ -- rule b: x --\n+ POST /b\n+\n+ 1\n+ 2\n+ 3\n+ 4\n+ 5\n+ 6\n"},
		{name: "one less", expected: wantB + "\n" + wantA, sent: []Step{b}, line: 13, diff: "- -- rule a: x --\n- POST /a\n"},
		{name: "one line", expected: wantA + "\n" + wantB, sent: []Step{a, other}, line: 12, diff: "" +
			"  -- rule b: x --\n  …\n  1\n  2\n  3\n- 4\n+ four\n  5\n  6\n"},
		{name: "none", expected: wantA, line: 3, diff: "- -- rule a: x --\n- POST /a\n+ -- steps --\n"},
		{name: "some", expected: "-- steps --\n", sent: []Step{a}, line: 3, diff: "+ rule a: x\n"},
		{name: "once less", expected: "-- steps --\nrule a: x\nrule a: x\n", sent: []Step{a}, line: 5, diff: "- rule a: x\n"},
		{name: "not written", sent: []Step{a}, line: 3, diff: "+ -- rule a: x --\n+ POST /a\n"},
		{name: "nothing, not written", line: 3, diff: "+ -- steps --\n"},
	} {
		s := parse(t, head+tt.expected)
		diff, line := s.Compare(tt.sent)
		if d := cmp.Diff(tt.diff, diff); d != "" || line != tt.line {
			t.Errorf("%s: line %d, want %d\n%s", tt.name, line, tt.line, d)
		}
		updated := parse(t, string(s.With(tt.sent)))
		if diff, _ := updated.Compare(tt.sent); diff != "" || !updated.IsExpected || updated.Brief != (s.Brief || len(tt.sent) == 0) {
			t.Errorf("%s: after the update:\n%s", tt.name, diff)
		}
	}
}

// TestWith: what is given stays as it was written, byte by byte.
func TestWith(t *testing.T) {
	t.Parallel()
	s := parse(t, strings.ReplaceAll(script, "\n", "\r\n"))
	got := string(s.With([]Step{{Name: "webhook crm", Request: "POST /"}, {Name: "rule new: x", Request: "GET /"}}))
	want, _, _ := strings.Cut(script, "-- rule")
	want += "-- webhook crm --\nPOST /\n-- rule new: x --\nGET /\n"
	if diff := cmp.Diff(strings.ReplaceAll(want, "\n", "\r\n"), got); diff != "" {
		t.Error(diff)
	}
}

// TestHostileRequest: a request cannot begin another part, and is the same after it was written and read.
func TestHostileRequest(t *testing.T) {
	t.Parallel()
	sent := []Step{NewStep(RuleStep("a", "b"), []byte("POST /\r\n\r\n-- steps --\r\n--  x -- \n-- tenant --\r\nacme\xff\n\n\n"))}
	s := parse(t, "-- event.json --\n{}\n")
	again := parse(t, string(s.With(sent)))
	if diff, _ := again.Compare(sent); diff != "" || len(again.Expected) != 1 || again.Tenant != "" {
		t.Errorf("%s\n%+v", diff, again)
	}
}

// TestLongDiff: a difference of any size takes bounded time, and is cut.
func TestLongDiff(t *testing.T) {
	t.Parallel()
	var want, got strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&want, "w%d\n", i)
		fmt.Fprintf(&got, "g%d\n", i)
	}
	s := parse(t, "-- event.json --\n{}\n-- webhook a --\n"+want.String())
	diff, line := s.Compare([]Step{NewStep(WebhookStep("a"), []byte(got.String()))})
	if n := strings.Count(diff, "\n"); n != maxDiff+1 || !strings.HasSuffix(diff, "  … 39801 more lines\n") || line != 4 {
		t.Errorf("%d lines, from %d: …%s", n, line, diff[max(0, len(diff)-40):])
	}
}

// TestIsOfCommands: the examples' expected.txtar is no transcript, and what is misspelt is not taken for one.
func TestIsOfCommands(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "words\n": false, "-- surveygate test --\n": true, "-- surveygate test --\n-- event.json --\n": false, "-- evnet.json --\n": false,
		"\uFEFF-- surveygate explain event.json --\r\nEvent\r\n": true,
	} {
		if got := IsOfCommands([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
