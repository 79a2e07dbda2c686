package expression

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
)

func compile(tb testing.TB, text string) *Condition {
	tb.Helper()
	c, err := CompileCondition(text)
	if err != nil {
		tb.Fatalf("compile %s: %v", text, err)
	}
	return c
}

// TestTruth checks the design's table: absent is unknown, not false.
func TestTruth(t *testing.T) {
	t.Parallel()
	const (
		nothing = `{"type":"response.completed"}`
		csat1   = `{"type":"response.completed","csat_score":1}`
		nps9    = `{"type":"response.completed","nps_score":9}`
		nps3    = `{"type":"response.completed","nps_score":3}`
	)
	tests := []struct {
		condition, event string
		want             Result
	}{
		{"nps_score <= 6 or csat_score <= 2", csat1, Result{Truth: True}},
		{"csat_score <= 2 or nps_score <= 6", csat1, Result{Truth: True}},
		{"not (nps_score <= 6)", nothing, Result{Missing: []string{"nps_score"}}},
		{"nps_score != 9", nothing, Result{Missing: []string{"nps_score"}}},
		{"nps_score <= 6", nothing, Result{Missing: []string{"nps_score"}}},
		{`nps_score <= 6 and context.country == "TR"`, nps9, Result{Truth: False}},
		{`context.country == "TR" and nps_score <= 6`, nps9, Result{Truth: False}},
		{`nps_score <= 6 and context.country == "TR"`, nps3, Result{Missing: []string{"context.country"}}},
		{"(nps_score ?? 10) <= 6", nothing, Result{Truth: False}},
		{"(nps_score ?? 5) <= 6", nothing, Result{Truth: True}},
		{"(nps_score ?? csat_score) <= 6", nothing, Result{Missing: []string{"nps_score", "csat_score"}}},
		{"(nps_score ?? csat_score) <= 6", csat1, Result{Truth: True}},
		{"(nps_score <= 6) ?? true", nothing, Result{Truth: True}},
		{"not has(nps_score)", nothing, Result{Truth: True}},
		{"has(nps_score)", nps3, Result{Truth: True}},
		{"has(nps_score) and nps_score <= 6", nothing, Result{Truth: False}},
		{`answered("why")`, nothing, Result{Truth: False}},
		{`not answered("why")`, nothing, Result{Truth: True}},
		{"nps_score <= 6 or csat_score <= 2", nothing, Result{Missing: []string{"nps_score", "csat_score"}}},
		{"nps_score <= 6 or csat_score <= 2", nps9, Result{Missing: []string{"csat_score"}}},
		{"nps_score <= 6 ? true : true", nothing, Result{Missing: []string{"nps_score"}}},
		{"consent ? true : false", nothing, Result{Missing: []string{"consent"}}},
		{"consent", nothing, Result{Missing: []string{"consent"}}},
		{"not consent", nothing, Result{Missing: []string{"consent"}}},
		{"nps_score + 1 > 0", nothing, Result{Missing: []string{"nps_score"}}},
		{"-nps_score < 0", nothing, Result{Missing: []string{"nps_score"}}},
		{`feedback contains "x"`, nothing, Result{Missing: []string{"feedback"}}},
		{`feedback matches "x"`, nothing, Result{Missing: []string{"feedback"}}},
		{`lower(feedback) == "x"`, nothing, Result{Missing: []string{"feedback"}}},
		{"nps_score in [1, 2]", nothing, Result{Missing: []string{"nps_score"}}},
		{"nps_score not in [1, 2]", nothing, Result{Missing: []string{"nps_score"}}},
		{"nps_score in [1, csat_score, 3]", nps3, Result{Truth: True}},
		{"nps_score in [1, csat_score]", nps3, Result{Missing: []string{"csat_score"}}},
		{"len(response.answers) > 0", nothing, Result{Missing: []string{"response.answers"}}},
		{`any(response.answers, .value == 1)`, nothing, Result{Missing: []string{"response.answers"}}},
		{`nps_group == "detractor"`, nps3, Result{Truth: True}},
		{`nps_group == "detractor"`, nothing, Result{Missing: []string{"nps_group"}}},
		{`params.plan == "pro"`, nothing, Result{Missing: []string{"params.plan"}}},
		{`raw("nowhere") == 1`, nothing, Result{Missing: []string{`raw("nowhere")`}}},
		{"1 < nps_score < 5", nps3, Result{Truth: True}},
		{"true", nothing, Result{Truth: True}},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, compile(t, tt.condition).Match(parse(t, tt.event))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.event, diff)
			}
		})
	}
}

// TestLanguage evaluates conditions for one complete event.
func TestLanguage(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","time":"2026-01-02T03:04:05Z","tenant":"default","source":"app","survey":{"id":"s1","title":"Onboarding","type":"nps"},
		"response":{"id":"r1","score":{"nps":3},"feedback":"Too slow, Çok yavaş","duration_s":12.5,"answers":[
			{"question_id":"4","question":"Which ones?","value":["red","blue"]},{"question_id":"why","value":"slow"},
			{"question_id":"n","question":"4","value":7},{"question_id":"t","value":"7"},{"question_id":"ok","value":true},
			{"question_id":"m","value":{"row":"col","x y":2}}],
			"result":{"title":"You are a cat","right_answers":4}},
		"respondent":{"email":"jo@example.com","consent":true,"params":{"plan":"pro","a.b":1,"x y":2,"deep":{"er":[1,[2]]},"big":12345678901234567890,"empty":"","none":null}}}`)
	tests := []struct {
		condition string
		want      Truth
	}{
		{"nps_score == 3 and response.score.nps == 3", True},
		{`type == "response.completed" and source == "app" and tenant == "default" and time >= "2026-01-01"`, True},
		{`survey.title startsWith "On" and survey.title endsWith "ing" && not (survey.title contains "zz")`, True},
		{`feedback matches "(?i)SLOW"`, True},
		{`lower(feedback) contains "çok" and upper("i") == "I" and len("ığ") == 2`, True},
		{`trim("  x ") == "x" and trim("--x-", "-") == "x"`, True},
		{`split("a,b,c", ",")[1] == "b" and len(split("a,b,c", ",", 2)) == 2`, True},
		{`first(split("a,b", ",")) == "a" and last(split("a,b", ",")) == "b"`, True},
		{`"red" in answer("4") and "green" not in answer("4")`, True},
		{`answer("4") == ["red", "blue"] and answer("4") != ["blue", "red"]`, True},
		{`answer("Which ones?")[0] == "red" and answer("Which ones?")[-1] == "blue"`, True},
		{`answered("why") and not answered("zzz") and answered("Which ones?")`, True},
		{`answer("n") == 7 and number(answer("t")) == 7`, True},
		{`answer("ok")`, True},
		{`answer("m").row == "col" and answer("m")["x y"] == 2 and "row" in answer("m")`, True},
		{`not has(answer("m").nothing)`, True},
		{`response.result.title == "You are a cat" and response.result.right_answers > 3`, True},
		{`params["a.b"] == 1 and params["x y"] == 2 and params.deep.er[1] == [2]`, True},
		{`has(params.empty) and params.empty == "" and not has(params.none)`, True},
		{`params?.plan == "pro"`, True},
		{`any(response.answers, .question_id == "why" and .value == "slow")`, True},
		{`count(response.answers, .question_id startsWith "w") == 1`, True},
		{`len(filter(response.answers, .question_id == "4")) == 1`, True},
		{`"why" in map(response.answers, .question_id)`, True},
		{`one([1, 2, 3], # > 2) and none([1, 2], # > 2) and all([1, 2], # > 0)`, True},
		{`any([1, 2], # == 1 and any([3], # == 3))`, True},
		{`feedback | lower() | len() > 3`, True},
		{`raw("response.result.right_answers") == 4 and raw("response.answers.#") == 6`, True},
		{`(nps_score <= 6 ? "low" : "high") == "low"`, True},
		{`2 ** 3 == 8 and 7 % 4 == 3 and 1 / 2 == 0.5 and 0x10 == 16 and 1_000 == 1e3`, True},
		{`respondent.consent == true and consent != false`, True},
		{`survey.id in ["s1", "s2"] and nps_score not in [9, 10]`, True},
		{`nps_score <= 6 // a comment`, True},
		{"feedback contains `slow`", True},
		{"nps_score > 3", False},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			if got := compile(t, tt.condition).Match(ev); got.Truth != tt.want || got.Err != nil || len(got.Faults) > 0 {
				t.Errorf("is %+v, want %v", got, tt.want)
			}
		})
	}
}

// A value of the wrong type makes its part unknown, and is reported.
func TestWrongTypes(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","nps_score":3,"params":{"seats":"nine","flag":true,"n":5,"list":[1,"a",null],"o":{"k":1}}}`)
	tests := []struct {
		condition string
		fault     string
	}{
		{"params.seats <= 6", "`params.seats <= 6`: a text is not compared with a number"},
		{"params.seats == 6", "`params.seats == 6`: a text is not compared with a number"},
		{"params.seats != 6", "`params.seats != 6`: a text is not compared with a number"},
		{"params.n == '5'", "`params.n == '5'`: a number is not compared with a text"},
		{"params.flag > true ?? nps_score > 9", ""},
		{"params.n and nps_score == 3", "`params.n`: a number is neither true nor false"},
		{"not params.n", "`params.n`: a number is neither true nor false"},
		{"params.n contains 'x'", "`params.n contains 'x'`: a number is not a text"},
		{"params.n matches 'x'", "`params.n matches 'x'`: a number is not a text"},
		{"params.seats in [1, 2]", "`params.seats in [1, 2]`: the list holds no text"},
		{"1 in params.seats", "`1 in params.seats`: a text is not a list"},
		{"params.seats + 1 > 0", "`params.seats + 1`: a text and a number do not go together"},
		{"-params.seats > 0", "`-params.seats`: a text is not a number"},
		{"params.n / 0 > 0", "`params.n / 0`: it has no result"},
		{"number(params.seats) > 0", "`number(params.seats)`: the text is no number"},
		{"lower(params.n) == 'x'", "`lower(params.n)`: a number is not a text"},
		{"any(params.n, # > 1)", "`any(params.n, # > 1)`: a number is not a list"},
		{"any(params.list, # > 7)", "`# > 7`: a text is not compared with a number"},
		{"params.n[0] == 1", "`params.n[0]`: a number has no item at a number"},
		{"params.o[0] == 1", "`params.o[0]`: an object has no item at a number"},
		{"params.n.x.y == 1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			c, err := CompileCondition(tt.condition)
			if tt.fault == "" {
				if err == nil && c.Match(ev).Truth == True {
					t.Error("matched")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := c.Match(ev)
			if got.Truth != Unknown || got.Err != nil || !cmp.Equal(got.Faults, []string{tt.fault}) {
				t.Errorf("is %+v, want unknown and the fault %q", got, tt.fault)
			}
		})
	}
	// A fault beside what decides is told all the same.
	got := compile(t, "params.seats <= 6 or nps_score == 3").Match(ev)
	if got.Truth != True || len(got.Faults) != 1 {
		t.Errorf("a fault beside a match: %+v", got)
	}
}

// A key that contains dots is not a path into the event.
func TestLiteralDots(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","params":{"plan.name":"pro","plan":{"x":1}}}`)
	if got := compile(t, `params.plan.name == "pro"`).Match(ev); got.Truth != Unknown {
		t.Errorf("a literal dotted key was taken for a path: %+v", got)
	}
}

// TestBudget has conditions that would take too much time. Each is stopped quickly, with an error of its own.
func TestBudget(t *testing.T) {
	t.Parallel()
	numbers := strings.TrimSuffix(strings.Repeat("1,", 4000), ",")
	ev := parse(t, `{"type":"response.completed","params":{"list":[`+numbers+`],"text":"`+strings.Repeat("a", 300_000)+`"}}`)
	for _, condition := range []string{
		"all(params.list, all(params.list, # > 0))",
		"all(params.list, any(params.list, any(params.list, # > 2)))",
		"len(map(params.list, map(params.list, #))) > 0",
		"len(map(params.list, params.text + params.text)) > 0",
		"all(params.list, not (params.text contains 'b'))",
		"all(params.list, params.text matches '(a|aa)+$')",
		"params.text matches '(a{90}){10}b'",
		"all(params.list, len(split(params.text, '')) > 0)",
		"all(params.list, params.list == params.list)",
		"all(params.list, params.text > upper(params.text))",
	} {
		t.Run(condition, func(t *testing.T) {
			t.Parallel()
			c := compile(t, condition)
			start := time.Now()
			got := c.Match(ev)
			if got.Err == nil || got.Truth != Unknown {
				t.Errorf("is %v, %v; want it given up", got.Truth, got.Err)
			}
			if took := time.Since(start); took > time.Minute { // half a second under the race detector; without its budget, hours
				t.Errorf("took %v", took)
			}
		})
	}
	if got := compile(t, "all(params.list, # == 1) and len(params.text) == 300000").Match(ev); got.Truth != True {
		t.Errorf("honest work over a large event: %+v", got)
	}
}

func TestRawBehindAByteOrderMark(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed"}`)
	ev.Raw = event.Raw{ContentType: "application/json", Body: []byte("\ufeff{\"a\":[{\"b\":1}]}")}
	if got := compile(t, `raw("a.0.b") == 1 and raw("a.#(b==1).b") == 1`).Match(ev); got.Truth != True || got.Err != nil {
		t.Errorf("is %+v", got)
	}
}

func TestRawOfWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed"}`)
	ev.Raw = event.Raw{ContentType: "text/plain", Body: []byte(`{"a":`)}
	if got := compile(t, `raw("a") == 1`).Match(ev); got.Truth != Unknown || got.Err != nil {
		t.Errorf("is %+v", got)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	c := compile(t, `nps_score <= 6 and (context.country == "TR" or "red" in answer("4")) and has(email)`)
	got, err := c.Explain(parse(t, `{"type":"response.completed","nps_score":3,"response":{"answers":{"4":["red","blue"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Part{
		{Text: `nps_score <= 6 and (context.country == "TR" or "red" in answer("4")) and has(email)`, Value: "false"},
		{Text: "nps_score <= 6", Value: "true", Depth: 1},
		{Text: "nps_score", Value: "3", Depth: 2, Operand: true},
		{Text: `context.country == "TR" or "red" in answer("4")`, Value: "true", Depth: 1},
		{Text: `context.country == "TR"`, Value: "unknown", Depth: 2},
		{Text: "context.country", Value: "unknown", Depth: 3, Operand: true},
		{Text: `"red" in answer("4")`, Value: "true", Depth: 2},
		{Text: `answer("4")`, Value: `["red","blue"]`, Depth: 3, Operand: true},
		{Text: "has(email)", Value: "false", Depth: 1, Decided: true},
		{Text: "email", Value: "unknown", Depth: 2, Operand: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDecidingParts holds the marks against what the operators mean: `!` stands before parts that decide, `~` before those that
// are not asked.
func TestDecidingParts(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","nps_score":3,"response":{"answers":{"4":"red"}},"params":{"a":true,"b":false}}`)
	tests := []struct{ condition, want string }{
		{`nps_score <= 6`, `!nps_score <= 6`},
		{`nps_score > 6 and has(phone)`, `!nps_score > 6|~has(phone)`},
		{`nps_score <= 6 and has(phone)`, `nps_score <= 6|!has(phone)`},
		{`nps_score <= 6 and nps_score <= 5`, `!nps_score <= 6|!nps_score <= 5`},
		{`nps_score <= 6 or has(phone)`, `!nps_score <= 6|~has(phone)`},
		{`nps_score > 6 or has(phone)`, `!nps_score > 6|!has(phone)`},
		{`context.country == "DE" and nps_score <= 6`, `!context.country == "DE"|nps_score <= 6`},
		{`context.country == "DE" and nps_score > 6 and has(phone)`, `context.country == "DE"|!nps_score > 6|~has(phone)`},
		{`context.country == "DE" or ces_score > 1 or nps_score > 6`, `!context.country == "DE"|!ces_score > 1|nps_score > 6`},
		{`not (nps_score > 6 or has(phone))`, `nps_score > 6 or has(phone)|!nps_score > 6|!has(phone)`},
		{`(nps_score > 6 or nps_score < 4) and (has(phone) and nps_score < 4)`, `nps_score > 6 or nps_score < 4|nps_score > 6|nps_score < 4|!has(phone)|~nps_score < 4`},
		{`params.a ? nps_score > 6 : has(phone)`, `params.a|!nps_score > 6|~has(phone)`},
		{`params.b ? nps_score > 6 : has(phone)`, `params.b|~nps_score > 6|!has(phone)`},
		{`params.c ? nps_score > 6 : has(phone)`, `!params.c|~nps_score > 6|~has(phone)`},
		{`params.c ?? (nps_score > 6)`, `params.c|!nps_score > 6`},
		{`params.b ?? (nps_score > 6)`, `!params.b|~nps_score > 6`},
	}
	for _, tt := range tests {
		parts, err := compile(t, tt.condition).Explain(ev)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, p := range parts {
			mark := ""
			if p.Decided {
				mark = "!"
			}
			if p.NotAsked {
				mark += "~"
			}
			if p.Operand || i == 0 && mark == "" {
				continue
			}
			got = append(got, mark+p.Text)
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.condition, diff)
		}
	}
}

func TestZeroCondition(t *testing.T) {
	t.Parallel()
	var none *Condition
	if !none.IsZero() || none.Match(nil).Truth != True {
		t.Error("no condition does not match")
	}
}
