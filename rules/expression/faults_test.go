package expression

import (
	"errors"
	"strings"
	"testing"
)

// TestFaults has invalid texts with the position, message and remedy of their fault.
func TestFaults(t *testing.T) {
	t.Parallel()
	long := "nps_score == 1" + strings.Repeat(" or nps_score == 1", 400)
	tests := []struct {
		text            string
		at              string // what the caret stands under
		message, remedy string
	}{
		// Names.
		{"nps_scor <= 6", "nps_scor", "`nps_scor` is not a name of the rule language", "did you mean nps_score?"},
		{"has(email) and resondent.email == 'x'", "resondent.email", "`resondent.email` is not a name of the rule language", "did you mean respondent.email?"},
		{"response.scor.nps == 3", "response.scor.nps", "`response.scor.nps` is not a name of the rule language", "did you mean response.score.nps?"},
		{"score.nps == 3", "score.nps", "`score.nps` is not a name of the rule language", "did you mean response.score.nps?"},
		{"qwertyuiop == 3", "qwertyuiop", "`qwertyuiop` is not a name of the rule language", "`surveygate fields` lists the names"},
		{"nps <= 6", "nps", "`nps` is not a name of the rule language", "did you mean nps_score?"},
		{"survey.name == 'x'", "survey.name", "`survey.name` is not a name of the rule language", "did you mean survey.title?"},
		{"rating >= 4", "rating", "`rating` is not a name of the rule language", "did you mean csat_score or nps_score?"},
		{"platform == 'typeform'", "platform", "`platform` is not a name of the rule language", "did you mean source?"},
		{"duration > 3", "duration", "`duration` is not a name of the rule language", "did you mean response.duration_s?"},
		{"event == 'x'", "event", "`event` is not a name of the rule language", "did you mean type?"},
		{"detractor", "detractor", "`detractor` is not a name of the rule language", `did you mean nps_group == "detractor"?`},
		// Times.
		{"time < now()", "now", "`now` is not a function of the rule language", noClock},
		{"time < now() - 48", "now", "`now` is not a function of the rule language", noClock},
		{"response.duration_s > 2d", "2d", "`2d` is not a number", durationHint},
		{"nps_score > 1x", "1x", "`1x` is not a number", ""},
		// Several texts at once.
		{`feedback contains any ["a", "b"]`, "any", "`contains` asks for one text", `ask for each: any(["a", "b"], feedback contains #)`},
		{`feedback startsWith all(["a"])`, "all", "`startsWith` asks for one text", `ask for each: all(["a"], feedback startsWith #)`},
		{`feedback contains ["a", "b"]`, `["a", "b"]`, "`contains` wants a text, and `[\"a\", \"b\"]` is a list", `ask for each: any(["a", "b"], feedback contains #)`},
		{`contains(feedback, "a")`, "contains", "`contains` is an operator, which stands between two values", "write feedback contains 'slow'"},
		// Keys with a dash, and filters.
		{"params.plan-name == 'x'", "params.plan-name", "`params.plan-name` is a subtraction", `a key with a dash is quoted: params["plan-name"]`},
		{"respondent.params.a-b-c == 'x'", "respondent.params.a-b-c", "`respondent.params.a-b-c` is a subtraction", `a key with a dash is quoted: respondent.params["a-b-c"]`},
		{"feedback | lower == 'x'", "|", "`|` is not part of the rule language", "write lower(feedback)"},
		{"email == null", "null", "`null` is not a name of the rule language", "what is absent is unknown: ask has(x) or not has(x)"},
		{"email == nil", "nil", "`nil` is not a value: what is absent is unknown", "ask has(x) or not has(x)"},
		{"lower == 'x'", "lower", "`lower` is not a name of the rule language", "it is a function: lower(feedback)"},
		{"email.domain == 'x'", "email.domain", "`email` is a text: it has no fields", ""},
		{"response.answers.why == 'x'", "response.answers.why", "`response.answers` is a list: it has no fields", `write answer("why")`},
		{"response.leads.email == 'x'", "response.leads.email", "`response.leads` is a list: it has no fields", "ask its items: any(response.leads, .email == …)"},
		{"feedback == 'é' and nps_scor <= 6", "nps_scor", "`nps_scor` is not a name of the rule language", "did you mean nps_score?"},
		// Types.
		{`nps_score <= "six"`, `nps_score <= "six"`, "`nps_score` is a number and `\"six\"` is a text: they are never compared", "compare it with a number"},
		{`nps_score <= "6"`, `nps_score <= "6"`, "`nps_score` is a number and `\"6\"` is a text: they are never compared", "write 6 without quotes"},
		{`feedback == 6`, `feedback == 6`, "`feedback` is a text and `6` is a number: they are never compared", `write number(feedback), or "6"`},
		{`consent == "true"`, `consent == "true"`, "`consent` is true or false and `\"true\"` is a text: they are never compared", "write true or false without quotes"},
		{"nps_score", "nps_score", "a condition is true or false, and `nps_score` is a number", "compare it, as in nps_score <= 6"},
		{"not nps_score <= 6", "not nps_score", "`not` wants true or false, and `nps_score` is a number", "`not` binds tighter than a comparison: write not (…)"},
		{"survey.type == 'nps' or 'csat'", "'csat'", "`or` joins what is true or false, and `'csat'` is a text", "write survey.type in ['nps', 'csat']"},
		{"nps_score contains 'x'", "nps_score", "`contains` wants a text or a list, and `nps_score` is a number", ""},
		{`response.answers startsWith "x"`, "response.answers", "`startsWith` wants a text, and `response.answers` is a list", `ask its items: any(response.answers, # startsWith "x")`},
		{`params contains "plan"`, "params", "`contains` wants a text or a list, and `params` is an object", `for a key of an object: "plan" in params`},
		{`["a"] contains 1`, `["a"] contains 1`, "`1` is a number and the list holds a text: it is never in it", "compare it with a number"},
		{`feedback contains 3`, "3", "`contains` wants a text, and `3` is a number", ""},
		{"response.answers contains 'x'", "response.answers contains 'x'", "`'x'` is a text and the list holds an object: it is never in it", "ask what its items hold: any(response.answers, .value == 'x')"},
		{"'slow' in feedback", "feedback", "`in` looks into a list, and `feedback` is a text", "write feedback contains 'slow'"},
		{"nps_score in ['1', '2']", "nps_score in ['1', '2']", "`nps_score` is a number and the list holds a text: it is never in it", "write 1 without quotes"},
		{"feedback + 1 == 'x'", "feedback + 1", "`feedback` is a text and `1` is a number: `+` adds numbers or joins texts", `a text with holes joins anything: "NPS {{ nps_score }}"`},
		{"feedback * 2 > 3", "feedback", "`*` wants a number, and `feedback` is a text", "write number(feedback)"},
		{"lower(nps_score) == 'x'", "nps_score", "`lower` wants a text, and `nps_score` is a number", ""},
		{"feedback matches params.pattern", "params.pattern", "the pattern of `matches` is a fixed text", `as in feedback matches "(?i)refund"`},
		{"feedback matches '(x'", "'(x'", "this is not a regular expression: missing closing ): `(x`", `a sign that is meant as itself takes a backslash; in YAML write it in single quotes`},
		{"feedback matches '((a{30}){30}b){1}|(x{20}){50}|(y{20}){50}|(z{40}){20}'", "'((a{30}){30}b){1}|(x{20}){50}|(y{20}){50}|(z{40}){20}'", "this pattern is too large: 4008 steps, at most 2000", "repeat less"},
		// Functions.
		{"tolower(email) == 'x'", "tolower", "`tolower` is not a function of the rule language", "did you mean lower(feedback)?"},
		{"now() > 3", "now", "`now` is not a function of the rule language", noClock},
		{"email('x') == 'x'", "email", "`email` is not a function of the rule language", "email is a field: write it without brackets"},
		{"sum(params.list) > 3", "sum", "`sum` is not a function of the rule language", "there are: " + strings.Join(Functions(), " ")},
		{"feedback.contains('x')", "feedback.contains('x')", "values have no methods", "write feedback contains 'x'"},
		{"answer(4) == 1", "4", "`answer` wants a fixed text in quotes", "write answer('4')"},
		{"answered(why)", "why", "`answered` wants a fixed text in quotes", "write answered('why')"},
		{"answer('4', '5') == 1", "answer('4', '5')", "`answer` takes one fixed text, not 2", `as in answer("4")`},
		{"raw('a.@nothing') == 1", "'a.@nothing'", "this is not a path: `@nothing` is no modifier of a path", `as in raw("data.id")`},
		{"has('email')", "'email'", "`has` asks for a field, not for a text", "write has(email)"},
		{"has(nps_score > 3)", "nps_score > 3", "`has` asks for a field, and `nps_score > 3` is none", "as in has(email)"},
		{"len(a, b) > 1", "len(a, b)", "`len` takes one value, not 2", "as in len(feedback)"},
		// What other languages write.
		{"nps_score = 6", "=", "`=` does not compare", "write =="},
		{"nps_score === 6", "===", "`===` is not an operator", "write =="},
		{"nps_score <> 6", "<>", "`<>` is not an operator", "write !="},
		{"nps_score => 6", "=>", "`=>` does not compare", "write >="},
		{"nps_score =< 6", "=<", "`=<` does not compare", "write <="},
		{"nps_score ≤ 6", "≤", "`≤` is not a sign of the rule language", "write <="},
		{"nps_score <= 6 AND has(email)", "AND", "`AND` is not an operator", "write and"},
		{"nps_score <= 6 Or has(email)", "Or", "`Or` is not an operator", "write or"},
		{"NOT has(email)", "NOT", "`NOT` is not an operator", "write not"},
		{"nps_score <= 6 & has(email)", "&", "`&` is not an operator", "write and"},
		{"nps_score <= 6 | has", "|", "`|` does not join conditions", "write or"},
		{"email is null", "is", "`is` is not an operator of the rule language", "ask has(x) or not has(x); compare with == or !="},
		{"email is not null", "is", "`is` is not an operator of the rule language", "ask has(x) or not has(x); compare with == or !="},
		{"email like '%x%'", "like", "`like` is not an operator of the rule language", `write contains, or matches "pattern"`},
		{"feedback Contains 'x'", "Contains", "`Contains` is not an operator", "write contains"},
		{"feedback starts_with 'x'", "starts_with", "`starts_with` is not an operator", "write startsWith"},
		{"feedback contains “slow”", "“", "`“` is a typographic quote", `write ' or "`},
		{`feedback contains "slow`, `"`, `the text that begins with " is not closed`, quoteRemedy},
		{"if nps_score > 3 { true } else { false }", "nps_score > 3 { true } else { false }", "`if … else` is not part of the rule language", "write condition ? this : that"},
		{"(nps_score ?? 10) <= 6 ? true", "e", "this ends too early", ""},
		{"nps_score ?? 10 <= 6", "<=", "`<=` and `??` cannot be mixed without brackets", "as in (nps_score ?? 10) <= 6"},
		{"nps_score in 1..6", "1..6", "ranges `..` are not part of the rule language", "compare twice, as in x >= 1 and x <= 5"},
		{"let x = 1; x == 1", "x = 1; x == 1", "`let` is not part of the rule language", "write the expression where it is used"},
		{"feedback[1:3] == 'x'", "feedback[1:3]", "slices `[from:to]` are not part of the rule language", "take one item, as in x[0], or first(x), last(x)"},
		{"params == {a: 1}", "", "mappings `{…}` are not part of an expression", "write a mapping as YAML, with an expression for each field"},
		{"any(response.answers, #index > 1)", "", "`#index` is not part of the rule language", "# is the item, .name its field"},
		// Broken texts and limits.
		{"(nps_score <= 6", "(", "`(` is not closed", ""},
		{"between(nps_score", "(", "`(` is not closed", "in {…} of YAML, write a condition with a comma in quotes: {when: 'between(nps_score, 0, 6)'}"},
		{"nps_score <= 6)", ")", "`)` does not belong here", "it closes nothing"},
		{"nps_score <=", "=", "this ends too early", ""},
		{`context.country in ("DE", "AT")`, ",", "`,` does not belong here", `a list stands in square brackets: in ["DE", "AT"]`},
		{`answers["visit"] == "Bad"`, `answers["visit"]`, "`answers.visit` is not a name of the rule language", `an answer is found by its question: answer("visit")`},
		{"answers.visit == 'Bad'", "answers.visit", "`answers.visit` is not a name of the rule language", `an answer is found by its question: answer("visit")`},
		{"nps_score csat_score", "csat_score", "`csat_score` does not belong here", "an operator is missing before it: and, or, ==, contains …"},
		{"", "", "here stands no expression", "as in nps_score <= 6"},
		{"  ", "  ", "here stands no expression", "as in nps_score <= 6"},
		{"nps_score == \xff", "\xff", "this is not UTF-8 text", "save the file as UTF-8"},
		{"'" + strings.Repeat("x", MaxLength) + "' == email", "x", "this expression is longer than 4096 bytes", "split the rule in two"},
		{strings.Repeat("not(", 70) + "true" + strings.Repeat(")", 70), "", "this nests deeper than 60", "split the rule in two"},
		{long[:MaxLength-8], long[:MaxLength-8], "this expression has more than 500 parts", "split the rule in two"},
	}
	for _, tt := range tests {
		t.Run(clip(tt.text), func(t *testing.T) {
			t.Parallel()
			c, err := CompileCondition(tt.text)
			if err == nil {
				t.Fatalf("compiled to %v", c)
			}
			var faults Errors
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			got := faults[0]
			if got.Offset < 0 || got.Offset > len(tt.text) || got.Offset+got.Length > max(len(tt.text), 1) {
				t.Fatalf("offset %d, length %d outside the text", got.Offset, got.Length)
			}
			if at := tt.text[got.Offset:min(got.Offset+got.Length, len(tt.text))]; tt.at != "" && at != tt.at {
				t.Errorf("under %q, want %q (%s)", at, tt.at, got.Message)
			}
			if tt.message != "" && (got.Message != tt.message || got.Remedy != tt.remedy) {
				t.Errorf("says %q; %q\nwant %q; %q", got.Message, got.Remedy, tt.message, tt.remedy)
			}
			if tt.message != "" && len(faults) != 1 {
				t.Errorf("one slip makes %d faults:\n%v", len(faults), err)
			}
		})
	}
}

// All faults of a text are reported together, in the order of their positions.
func TestAllFaults(t *testing.T) {
	t.Parallel()
	_, err := CompileCondition(`nps_scor <= 6 and (emial == "x" or feedback > 3)`)
	want := "`nps_scor` is not a name of the rule language; did you mean nps_score?\n" +
		"`emial` is not a name of the rule language; did you mean email?\n" +
		"`feedback` is a text and `3` is a number: they are never compared; write number(feedback), or \"3\""
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// The expressions in remedies compile.
func TestHintsCompile(t *testing.T) {
	t.Parallel()
	for word, known := range synonyms {
		for name := range strings.SplitSeq(known, " or ") {
			if _, err := CompileValue(name); err != nil {
				t.Errorf("%s means %s: %v", word, name, err)
			}
		}
		if _, err := CompileValue(word); err == nil {
			t.Errorf("%s is a name, and needs no hint", word)
		}
	}
	for _, text := range []string{
		`feedback contains any ["a", "b"]`, `feedback contains ["a", "b"]`, `feedback startsWith all(["a"])`, `params.plan-name == "x"`,
		"feedback | lower == 'x'", `contains(feedback, "a")`,
	} {
		_, err := CompileCondition(text)
		faults := Errors{}
		if !errors.As(err, &faults) || len(faults) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		remedy := faults[0].Remedy
		if i := strings.Index(remedy, ": "); i >= 0 {
			remedy = remedy[i+2:]
		}
		if _, err := CompileValue(strings.TrimPrefix(remedy, "write ")); err != nil {
			t.Errorf("%s: %q: %v", text, faults[0].Remedy, err)
		}
	}
	if _, err := CompileText("{{ name | upper }}"); err == nil || !strings.Contains(err.Error(), "write upper(name)") {
		t.Error(err)
	}
}
