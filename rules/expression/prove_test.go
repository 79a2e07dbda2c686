package expression

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// proofBudget is more than any condition of these tests needs.
const proofBudget = 100_000

func prove(t testing.TB, condition string) []Finding {
	t.Helper()
	c, err := CompileCondition(condition)
	if err != nil {
		t.Fatalf("%s: %v", condition, err)
	}
	found, _ := c.Prove(proofBudget)
	return found
}

// What is said of conditions, each with the part that the caret is under.
func TestProve(t *testing.T) {
	t.Parallel()
	for condition, want := range map[string]string{
		// Constants.
		`1 > 2`:                         "never [1 > 2] `1 > 2` is never true",
		`nps_score < 3 and 1 > 2`:       "never [1 > 2] `1 > 2` is never true",
		`nps_score < 3 and 1 < 2`:       "",
		`"a" == "b" or nps_score < 3`:   `never ["a" == "b"] ` + "`\"a\" == \"b\"` is never true",
		`1 < 2`:                         "always [1 < 2] this condition is true for every event",
		`lower("A") == "b"`:             `never [lower("A") == "b"] ` + "`lower(\"A\") == \"b\"` is never true",
		`1 / 0 == 1`:                    "never [1 / 0 == 1] `1 / 0 == 1` is never true",
		`not (1 > 2)`:                   "always [not (1 > 2)] this condition is true for every event",
		`true`:                          "always [true] this condition is true for every event",
		`false and has(email)`:          "never [false] `false` is never true",
		`"a" matches "^b"`:              `never ["a" matches "^b"] ` + "`\"a\" matches \"^b\"` is never true",
		`(1 > 2 ? has(email) : 1 == 2)`: "never [1 > 2 ? has(email) : 1 == 2] `1 > 2 ? has(email) : 1 == 2` is never true",

		// Ranges of numbers.
		`nps_score > 8 and nps_score < 3`:                         "never [nps_score < 3] `nps_score > 8` and `nps_score < 3` are never both true",
		`3 > nps_score and not (nps_score <= 8)`:                  "never [not (nps_score <= 8)] `3 > nps_score` and `not (nps_score <= 8)` are never both true",
		`nps_score > 8 and has(email) and response.score.nps < 3`: "never [response.score.nps < 3] `nps_score > 8` and `response.score.nps < 3` are never both true",
		`nps_score > 6 and nps_score < 7`:                         "", // 6.5
		`nps_score >= 7 and nps_score <= 7`:                       "",
		`nps_score > 7 and nps_score <= 7`:                        "never [nps_score <= 7] `nps_score > 7` and `nps_score <= 7` are never both true",
		`nps_score > 7 and nps_score > 8`:                         "",
		`nps_score in [1, 2] and nps_score > 2`:                   "never [nps_score > 2] `nps_score in [1, 2]` and `nps_score > 2` are never both true",
		`nps_score in [1, 2] and nps_score != 1`:                  "",
		`nps_score in [1, 2] and nps_score not in [2, 1]`:         "never [nps_score not in [2, 1]] `nps_score in [1, 2]` and `nps_score not in [2, 1]` are never both true",
		`csat_score < 0`:                                          "", // a scale may be -3 to 3
		`len(feedback) < 0`:                                       "never [len(feedback) < 0] `len(feedback) < 0` is never true",
		`len(feedback) > 9 and len(feedback) < 5`:                 "never [len(feedback) < 5] `len(feedback) > 9` and `len(feedback) < 5` are never both true",
		`params.x > 3 and params.x < 2`:                           "never [params.x < 2] `params.x > 3` and `params.x < 2` are never both true",
		`params.x > 9007199254740993 and params.x < 5`:            "", // a number that a double does not hold is not looked at
		`(nps_score ?? 0) > 8 and nps_score < 3`:                  "never [nps_score < 3] `(nps_score ?? 0) > 8` and `nps_score < 3` are never both true",
		`(nps_score ?? 9) > 8 and not has(nps_score)`:             "",
		`(nps_score ?? 0) > 8 and not has(nps_score)`:             "never [not has(nps_score)] `(nps_score ?? 0) > 8` and `not has(nps_score)` are never both true",

		// Texts.
		`survey.type == "a" and survey.type == "b"`:            "never [survey.type == \"b\"] `survey.type == \"a\"` and `survey.type == \"b\"` are never both true",
		`survey.type in ["a", "b"] and survey.type == "c"`:     "never [survey.type == \"c\"] `survey.type in [\"a\", \"b\"]` and `survey.type == \"c\"` are never both true",
		`survey.type in ["a", "b"] and survey.type != "a"`:     "",
		`survey.type == "ab" and survey.type startsWith "b"`:   "never [survey.type startsWith \"b\"] `survey.type == \"ab\"` and `survey.type startsWith \"b\"` are never both true",
		`survey.type == "ab" and survey.type matches "(?i)^A"`: "",
		`survey.type == "a" or survey.type == "b"`:             "",
		`params.x == "a" and params.x == 1`:                    "never [params.x == 1] `params.x == \"a\"` and `params.x == 1` are never both true",
		`params.x in ["a", 1] and params.x == true`:            "never [params.x == true] `params.x in [\"a\", 1]` and `params.x == true` are never both true",

		// NPS groups are ranges of the score.
		`nps_group == "promoter" and nps_score <= 6`:                                    "never [nps_score <= 6] `nps_group == \"promoter\"` and `nps_score <= 6` are never both true",
		`nps_group == "detractor" and nps_score < 7`:                                    "",
		`nps_group != "detractor" and nps_score < 7`:                                    "never [nps_score < 7] `nps_group != \"detractor\"` and `nps_score < 7` are never both true",
		`nps_group in ["detractor", "promoter"] and nps_score >= 7 and nps_score<9`:     "never [nps_group in [\"detractor\", \"promoter\"] and nps_score >= 7 and nps_score<9] `nps_group in [\"detractor\", \"promoter\"] and nps_score >= 7 a…` is never true",
		`has(nps_group) and not has(nps_score)`:                                         "never [not has(nps_score)] `has(nps_group)` and `not has(nps_score)` are never both true",
		`nps_group == "detractor" or nps_group == "passive" or nps_score >= 9`:          "", // unknown without a score
		`not has(nps_score) or nps_group in ["detractor", "passive"] or nps_score >= 9`: "always [not has(nps_score) or nps_group in [\"detractor\", \"passive\"] or nps_score >= 9] this condition is true for every event",

		// What is there, and what is not.
		`has(email) and not has(email)`:                                                 "never [not has(email)] `has(email)` and `not has(email)` are never both true",
		`has(email) or not has(email)`:                                                  "always [has(email) or not has(email)] this condition is true for every event",
		`email contains "@" or not (email contains "@")`:                                "", // unknown without an address
		`not has(email) and email contains "@"`:                                         "never [email contains \"@\"] `not has(email)` and `email contains \"@\"` are never both true",
		`not answered("4") and answer("4") == 1`:                                        "never [answer(\"4\") == 1] `not answered(\"4\")` and `answer(\"4\") == 1` are never both true",
		`not has(email) and has(respondent)`:                                            "",
		`consent and not consent`:                                                       "never [not consent] `consent` and `not consent` are never both true",
		`consent == true and consent != true`:                                           "never [consent != true] `consent == true` and `consent != true` are never both true",
		`not (consent or not consent)`:                                                  "never [not (consent or not consent)] `not (consent or not consent)` is never true",
		`any(response.answers, .value == 1) and not any(response.answers, .value == 1)`: "never [not any(response.answers, .value == 1)] `any(response.answers, .value == 1)` and `not any(response.answers, .value == 1)` are never both true",
		`params.x < params.y and params.y <= params.x`:                                  "never [params.y <= params.x] `params.x < params.y` and `params.y <= params.x` are never both true",

		// A part of an alternative.
		`has(email) or nps_score > 8 and nps_score < 3`:                        "never [nps_score < 3] `nps_score > 8` and `nps_score < 3` are never both true",
		`(nps_score > 8 or nps_score < 3) and nps_score > 4 and nps_score < 7`: "never [(nps_score > 8 or nps_score < 3) and nps_score > 4 and nps_score < 7] `(nps_score > 8 or nps_score < 3) and nps_score > 4 and nps_…` is never true",

		// Numbers that a field cannot have.
		`nps_score > 10`:             "range [10] `nps_score` is never > 10",
		`nps_score >= 0`:             "range [0] `nps_score` is always >= 0",
		`0 <= nps_score`:             "range [0] `nps_score` is always >= 0",
		`nps_score == 11`:            "range [11] `nps_score` is never == 11",
		`not (nps_score in [9, 11])`: "range [11] `nps_score` is never == 11",
		`nps_score < 0.5`:            "",
		`nps_score <= 10`:            "range [10] `nps_score` is always <= 10",
		`response.duration_s < 0`:    "range [0] `response.duration_s` is never < 0",
		`(nps_score ?? -1) >= 0`:     "",

		// Functions and names of other values.
		`between(nps_score, 7, 8) and nps_score < 3`:                "never [nps_score < 3] `between(nps_score, 7, 8)` and `nps_score < 3` are never both true",
		`between(nps_score, 0, 6) or between(nps_score, 5, 8)`:      "",
		`not between(nps_score, 0, 6) and nps_score <= 6`:           "never [nps_score <= 6] `not between(nps_score, 0, 6)` and `nps_score <= 6` are never both true",
		`between(nps_score, 9, 11)`:                                 "range [11] `nps_score` is never 11",
		`between(3, 1, 2)`:                                          "never [between(3, 1, 2)] `between(3, 1, 2)` is never true",
		`contains_any("slow", ["slow"])`:                            "", // a function alone is not evaluated
		`csat_percent(5) > 50 and csat_percent(5) < 20`:             "never [csat_percent(5) < 20] `csat_percent(5) > 50` and `csat_percent(5) < 20` are never both true",
		`csat_percent(5) > 50 and csat_percent(10) < 20`:            "",
		`received.hour > 23`:                                        "range [23] `received.hour` is never > 23",
		`received.weekday == "monday" and received.weekday == "mo"`: "never [received.weekday == \"mo\"] `received.weekday == \"monday\"` and `received.weekday == \"mo\"` are never both true",
		`age_days < 0`:                            "range [0] `age_days` is never < 0",
		`completion_rate > 100`:                   "range [100] `completion_rate` is never > 100",
		`is_complete and not is_complete`:         "never [not is_complete] `is_complete` and `not is_complete` are never both true",
		`any_answer("a") and not any_answer("a")`: "never [not any_answer(\"a\")] `any_answer(\"a\")` and `not any_answer(\"a\")` are never both true",
		`response.duration_s > duration("1h") and response.duration_s < duration("30m")`: "never [response.duration_s < duration(\"30m\")] `response.duration_s > duration(\"1h\")` and `response.duration_s < duration(\"30m\")` are never both true",
	} {
		var said []string
		for _, f := range prove(t, condition) {
			kind := map[FindingKind]string{NeverTrue: "never", AlwaysTrue: "always", OutOfRange: "range"}[f.Kind]
			said = append(said, fmt.Sprintf("%s [%s] %s", kind, condition[f.Offset:f.Offset+f.Length], f.Message))
			if f.Remedy == "" {
				t.Errorf("%s: no remedy", condition)
			}
		}
		if got := strings.Join(said, "; "); got != want {
			t.Errorf("%s\nsays %s\nwant %s", condition, got, want)
		}
	}
}

// Conditions that differ in spelling alone have one form.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{`nps_score <= 6 and has(email)`, `has(respondent.email) and response.score.nps <= 6`, `not (not has(email) or 6 < nps_score)`, `6 >= nps_score && has(email) && has(email)`},
		{`survey.type in ["a", "b"]`, `survey.type in ["b", "a", "b"]`},
		{`survey.type == "a"`, `"a" == survey.type`, `survey.type in ["a"]`, `not (survey.type != 'a')`},
		{`params.x < params.y`, `params.y > params.x`, `not (params.x >= params.y)`},
		{`nps_score == 1 or nps_score == 2 or has(email)`, `(has(email) or nps_score == 2) or nps_score == 1.0`},
		{`params["plan"] == "pro"`, `respondent.params.plan == "pro"`},
	} {
		first := ""
		for i, condition := range same {
			c, err := CompileCondition(condition)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = c.Canonical()
			} else if c.Canonical() != first {
				t.Errorf("%s: %s, want %s", condition, c.Canonical(), first)
			}
		}
	}
	forms := map[string]string{}
	for _, condition := range []string{
		`nps_score <= 6`, `nps_score < 6`, `csat_score <= 6`, `nps_score <= 6 and has(email)`, `nps_score <= 6 or has(email)`, `nps_score <= 6 and has(phone)`,
		`params.x == "1"`, `params.x == 1`, `email contains "a"`, `email startsWith "a"`, `email matches "a"`, `email matches "b"`, `not has(email)`, `has(email)`,
		`any(params.x, # == 1)`, `all(params.x, # == 1)`, `lower(email) == "a"`, `upper(email) == "a"`, `answer("a") == "a"`, `raw("a") == "a"`,
		`consent`, `not consent`, `nps_score in [1, 2]`, `nps_score not in [1, 2]`, `params.x - params.y > 1`, `params.y - params.x > 1`, `(nps_score ?? 1) == 1`, `(nps_score ?? 2) == 1`,
	} {
		c, err := CompileCondition(condition)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := forms[c.Canonical()]; taken {
			t.Errorf("%s and %s are both %s", condition, other, c.Canonical())
		}
		forms[c.Canonical()] = condition
	}
}

// questions writes conditions about few fields, with few constants, so that many of them contradict themselves.
type questions struct{ r *rand.Rand }

func (q questions) one(of ...string) string { return of[q.r.IntN(len(of))] }

func (q questions) number() string {
	return q.one("nps_score", "csat_score", "params.seats", "params.plan", "len(feedback)", "(params.seats ?? 3)", "(has(nps_score) ? nps_score : params.seats)")
}
func (q questions) digit() string { return q.one("0", "3", "6", "7", "9", "10", "-1", "6.5", "11") }
func (q questions) text() string {
	return q.one("survey.type", "params.plan", "nps_group", "feedback", `(survey.type ?? "nps")`, `lower(survey.type)`, `(nps_group ?? "passive")`)
}

func (q questions) word() string {
	return q.one(`"nps"`, `"csat"`, `"pro"`, `"detractor"`, `"promoter"`, `"passive"`)
}

func (q questions) compare() string { return q.one("==", "!=", "<", "<=", ">", ">=") }

func (q questions) truth(depth int) string {
	if depth == 0 || q.r.IntN(4) == 0 {
		switch q.r.IntN(13) {
		case 11:
			low := q.r.IntN(8)
			return fmt.Sprintf("between(%s, %d, %d)", q.number(), low, low+q.r.IntN(4))
		case 12:
			return q.one(`contains_any(`+q.text()+`, ["pro", `+q.word()+`])`, "csat_percent(10) > 50", "csat_percent(5) <= 50", "is_complete", "completion_rate < 50", "age_days > 2",
				`received.weekday == "monday"`, "received.hour < 12", `between(`+q.text()+`, "csat", "pro")`, `any_answer("a")`)
		case 0:
			return q.digit() + " " + q.compare() + " " + q.number()
		case 1:
			return q.text() + " " + q.compare() + " " + q.word()
		case 2:
			return q.text() + q.one(" in", " not in") + " [" + q.word() + ", " + q.word() + "]"
		case 3:
			return q.number() + q.one(" in", " not in") + " [" + q.digit() + ", " + q.digit() + "]"
		case 4:
			return "has(" + q.one("nps_score", "nps_group", "csat_score", "survey.type", "params.seats", "params.plan", "consent", "params.tags") + ")"
		case 5:
			return q.one("consent", "consent == false", "params.plan == true", "(consent ?? false)", "true", "1 > 2", `"nps" in params.tags`, `any(params.marks, # > 2)`, `all(params.tags, # == "nps")`)
		case 6:
			return q.text() + " " + q.one("contains", "startsWith", "endsWith") + ` "` + q.one("p", "ro", "nps") + `"`
		case 7:
			return q.one("nps_score < csat_score", "nps_score >= csat_score", "csat_score > nps_score", "params.seats == nps_score", "params.tags contains \"pro\"", "params.seats != nps_score")
		case 8:
			return q.text() + ` matches "^p"`
		case 9:
			return `params.plan in ["pro", 3, true]`
		}
		return q.number() + " " + q.compare() + " " + q.digit()
	}
	a, b := q.truth(depth-1), q.truth(depth-1)
	switch q.r.IntN(8) {
	case 0, 1, 2:
		return "(" + a + " and " + b + ")"
	case 3, 4:
		return "(" + a + " or " + b + ")"
	case 5:
		return "(" + a + " ? " + b + " : " + q.truth(depth-1) + ")"
	case 6:
		return "((" + a + ") ?? (" + b + "))"
	}
	return "not (" + a + ")"
}

// hostile returns a world with values at the ends of ranges, of other kinds than usual, and with some of them absent.
func hostile(r *rand.Rand) world {
	w := newWorld(r)
	w["response.score.nps"] = []any{0.0, 3.0, 6.0, 6.5, 7.0, 8.0, 9.0, 10.0}[r.IntN(8)]
	w["response.score.csat"] = []any{0.0, 3.0, 6.5, -1.0, 11.0}[r.IntN(5)]
	w["respondent.params.plan"] = []any{"nps", "pro", "promoter", 3.0, 9.0, true, false, []any{"pro"}, 11.0, -1.0}[r.IntN(10)]
	w["respondent.params.seats"] = []any{0.0, 3.0, 6.0, 10.0, -1.0, "pro", true}[r.IntN(7)]
	w["survey.type"] = []any{"nps", "csat", "pro", "passive", "NPS"}[r.IntN(5)]
	for _, f := range worldFields {
		if r.IntN(4) == 0 {
			delete(w, f.name)
		}
	}
	return w
}

// checkProofs holds what is proved of a generated condition against what it is for events. It returns how much was proved.
func checkProofs(t testing.TB, seed uint64) (proved int) {
	r := rand.New(rand.NewPCG(seed, 11))
	condition := questions{r}.truth(1 + r.IntN(4))
	if r.IntN(4) == 0 {
		condition = (&writer{r: r}).truth()
	}
	c, err := CompileCondition(condition)
	if err != nil {
		if len(condition) > 1000 || strings.Contains(err.Error(), "never") || strings.Contains(err.Error(), "is a") { // such as a number beside a text
			return 0
		}
		t.Fatalf("seed %d: %s: %v", seed, condition, err)
	}
	// The two proofs, without what Prove says first of single numbers.
	p, budget := c.prog, proofBudget
	never := !p.possible(&budget, goal{p.roots[0], onlyTrue})
	always := !p.possible(&budget, goal{p.roots[0], onlyFalse | onlyOpen})
	certain := !p.possible(&budget, goal{p.roots[0], onlyOpen})
	var dead []*Condition
	found, _ := c.Prove(proofBudget)
	for _, f := range found {
		if f.Kind == NeverTrue && !never && !strings.Contains(f.Message, "both") {
			part, err := CompileCondition(condition[f.Offset : f.Offset+f.Length])
			if err != nil {
				t.Fatalf("seed %d: %s: the part %s: %v", seed, condition, condition[f.Offset:f.Offset+f.Length], err)
			}
			dead = append(dead, part)
		}
	}
	if !never && !always && !certain && len(dead) == 0 {
		return 0
	}
	for range 60 {
		w := hostile(r)
		ev := w.event(t)
		got := c.Match(ev)
		if never && got.Truth == True || always && got.Truth != True || certain && got.Truth == Unknown {
			t.Fatalf("seed %d: %s\nof %v\nis %v; proved never %v, always %v, certain %v", seed, condition, w, got.Truth, never, always, certain)
		}
		for _, part := range dead {
			if part.Match(ev).Truth == True {
				t.Fatalf("seed %d: %s: the part %s is true of %v", seed, condition, part, w)
			}
		}
	}
	return 1
}

// TestProofsHold: what is called never true is true of no event, and what is called always true of every one.
func TestProofsHold(t *testing.T) {
	t.Parallel()
	proved := 0
	for seed := range uint64(3000) {
		proved += checkProofs(t, seed)
	}
	if proved < 300 {
		t.Errorf("only %d of the conditions had anything to prove", proved)
	}
}

func FuzzProofsHold(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkProofs(t, seed) })
}

// A condition that is made to be expensive takes no more than its budget, and nothing is said of it that was not proved.
func TestProofsAreBounded(t *testing.T) {
	t.Parallel()
	var parts []string
	for i := range 24 {
		parts = append(parts, fmt.Sprintf("(params.a%d == 1 or params.b%d == 1)", i, i))
	}
	condition := "(params.z == 1 or params.y == 1) and " + strings.Join(parts, " and ") + " and (params.z == 2 or params.x == 1) and (params.y == 2 or params.x == 1) and not (params.x == 1)"
	c, err := CompileCondition(condition)
	if err != nil {
		t.Fatal(err)
	}
	if found, left := c.Prove(5000); len(found) > 0 || left > 0 {
		t.Errorf("found %v, and %d of the budget are left", found, left)
	}
}
