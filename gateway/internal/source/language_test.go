package source

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
)

const anyone = "source: x\nverify: [{kind: none}]\ntype: {const: c, default: response.completed}\ndedupe: \"{id}\"\nmap: {response.id: id}\n"

// TestAnswers is the language of answers: each way to write them, and what becomes of it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, profile, body string
		want                []answer
	}{
		{
			"array", `answers: [{from: a, each: {question_id: [q.ref, q.id], question: t, type: k, value: [v, w]}}]`,
			`{"id":1,"a":[{"q":{"id":7},"t":" T ","k":"text","v":null,"w":"x"},{"q":{"id":8,"ref":"r"},"v":[1, 2]}]}`,
			[]answer{{"7", "T", "text", `"x"`}, {"r", "", "", "[1,2]"}},
		},
		{
			"a lone object counts as one", `answers: [{from: a, each: {question_id: q, value: v}}]`,
			`{"id":1,"a":{"q":1,"v":"x"}}`,
			[]answer{{"1", "", "", `"x"`}},
		},
		{
			"elements that are none", `answers: [{from: a, each: {question_id: q, value: v}}]`,
			`{"id":1,"a":[1,null,"x",[],{"q":1},{"q":2,"v":""},{"q":3,"v":0}]}`,
			[]answer{{"3", "", "", "0"}},
		},
		{
			"without an id the text, else the place", `answers: [{from: a, each: {question_id: q, question: t, value: v}}]`,
			`{"id":1,"a":[{"t":"Why?","v":1},{"v":2}]}`,
			[]answer{{"Why?", "Why?", "", "1"}, {"2", "", "", "2"}},
		},
		{
			"single with constants", `answers: [{from: a, shape: single, each: {question_id: "const:score", type: ["missing", "const:nps"], value: s}}]`,
			`{"id":1,"a":{"s":"9"}}`,
			[]answer{{"score", "", "nps", `"9"`}},
		},
		{
			"the whole body", `answers: [{shape: object, skip: '^(id|_)'}]`,
			`{"id":1,"_x":2,"a/b":"c","d.e":1}`,
			[]answer{{"a/b", "", "", `"c"`}, {"d.e", "", "", "1"}},
		},
		{
			"keys that are split", `answers: [{from: a, shape: object, key: '^q(?P<id>[0-9]+)_(?P<name>.+)$'}]`,
			`{"id":1,"a":{"q3_email":"x","slug":"y","q4_b":"z"}}`,
			[]answer{{"3", "", "", `"x"`}, {"4", "", "", `"z"`}},
		},
		{
			"keys that are picked", `answers: [{from: a, shape: object, key: '^Field[0-9]+$'}]`,
			`{"id":1,"a":{"Field1":"x","IP":"y"}}`,
			[]answer{{"Field1", "", "", `"x"`}},
		},
		{
			"parts inside an object", `answers: [{from: a, shape: object, each: {value: [value, ids], type: k}}]`,
			`{"id":1,"a":{"q1":{"value":null,"ids":["a"],"k":"multi"},"q2":"plain"}}`,
			[]answer{{"q1", "", "multi", `["a"]`}, {"q2", "", "", `"plain"`}},
		},
		{
			"skip_empty", `answers: [{from: a, shape: object, skip_empty: true}]`,
			`{"id":1,"a":{"b":"  ","c":[],"d":" x "}}`,
			[]answer{{"d", "", "", `" x "`}},
		},
		{
			"where of the whole body", `answers: [{from: a, shape: object, where: {path: kind, equals: yes}}, {from: b, shape: object, where: {path: kind, equals: no}}]`,
			`{"id":1,"kind":"no","a":{"x":1},"b":{"y":2}}`,
			[]answer{{"y", "", "", "2"}},
		},
		{
			"value by type", `answers: [{from: a, value_by_type: true, each: {question_id: id, type: k}}]`,
			`{"id":1,"a":[{"id":1,"k":"mc","type":"choice","choice":{"id":"c1","label":"Red"}},{"id":2,"type":"choices","choices":{"ids":["a","b"],"labels":["A","B"]}},{"id":3,"type":"choice","choice":{"other":"mauve"}},{"id":4,"type":"number","number":5},{"id":5,"type":"payment","payment":{"amount":"1"}},{"id":6}]}`,
			[]answer{{"1", "", "mc", `"Red"`}, {"2", "", "", `["A","B"]`}, {"3", "", "", `"mauve"`}, {"4", "", "", "5"}, {"5", "", "", `{"amount":"1"}`}},
		},
		{
			"joined with definitions", `answers: [{from: a, each: {question_id: f, value: v}, join: f, defs: [{from: "d.#.sub|@flatten", id: id, question: l}, {from: d, id: id, question: t, type: k}]}]`,
			`{"id":1,"d":[{"id":"1","t":"Name","k":"name","sub":[{"id":"1","l":"First"},{"id":"2","l":"Last"}]},{"id":"3","t":"Mail","sub":[]}],"a":[{"f":"1","v":"A"},{"f":"2","v":"B"},{"f":"3","v":"C"},{"f":"4","v":"D"}]}`,
			[]answer{{"1", "Name / First", "name", `"A"`}, {"2", "Last", "", `"B"`}, {"3", "Mail", "", `"C"`}, {"4", "", "", `"D"`}},
		},
		{
			"options", `answers: [{from: a, each: {question_id: k, value: v}, options: {from: o, id: id, text: t}}]`,
			`{"id":1,"a":[{"k":"q","v":["1","x"],"o":[{"id":"1","t":"One"},{"id":"2","t":"Two"}]},{"k":"q_1","v":true},{"k":"q_2","v":false},{"k":"r","v":"2","o":[{"id":2,"t":"Two"}]},{"k":"s","v":"own","o":[{"id":"1","t":"One"}]}]}`,
			[]answer{{"q", "", "", `["One","x"]`}, {"r", "", "", `"Two"`}, {"s", "", "", `"own"`}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ev := one(t, inline(t, anyone+tt.profile), tt.body)
			if diff := cmp.Diff(tt.want, answersOf(ev)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			conforms(t, schema(t), ev)
		})
	}
	t.Run("ids of choices", func(t *testing.T) {
		t.Parallel()
		ev := one(t, inline(t, anyone+tests[len(tests)-1].profile), tests[len(tests)-1].body)
		var ids []string
		for _, a := range ev.Data().Response.Answers {
			ids = append(ids, string(a.ValueIDs))
		}
		if diff := cmp.Diff([]string{`["1","x"]`, `"2"`, ""}, ids); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("a comment without a value", func(t *testing.T) {
		t.Parallel()
		ev := one(t, inline(t, anyone+`answers: [{from: a, each: {question_id: q, value: v, comment: c}}]`), `{"id":1,"a":[{"q":1,"c":"because"},{"q":2,"v":3,"c":""}]}`)
		got := ev.Data().Response.Answers
		if len(got) != 2 || got[0].Comment != "because" || got[1].Comment != "" {
			t.Errorf("%+v", got)
		}
	})
}

func TestTypes(t *testing.T) {
	t.Parallel()
	const text = `
source: x
verify: [{kind: none}]
type:
  path: name
  rules:
    - {when: {path: done, equals: "true"}, type: response.completed}
    - {when: {path: done, equals: "false"}, type: response.partial}
    - {when: {path: kind, in: [a, b]}, type: survey.closed}
    - {when: {path: topic, regex: '\.end(\.|$)'}, type: survey.updated}
    - {when: {path: count, gt: 1}, type: response.updated}
    - {when: {path: gone, exists: true}, type: response.deleted}
    - {when: {path: both, exists: true, gt: 5}, type: response.reviewed}
  map: {known: response.started, "true": survey.created}
dedupe: "{id}"
map: {response.id: id}
`
	s := inline(t, text)
	tests := map[string]string{
		`{"id":1,"done":true,"name":"known"}`: "response.completed",
		`{"id":1,"done":"true"}`:              "response.completed",
		`{"id":1,"done":false}`:               "response.partial",
		`{"id":1,"kind":"b"}`:                 "survey.closed",
		`{"id":1,"topic":"x.end"}`:            "survey.updated",
		`{"id":1,"topic":"x.ending"}`:         "unknown",
		`{"id":1,"count":"2"}`:                "response.updated",
		`{"id":1,"count":1}`:                  "unknown",
		`{"id":1,"count":"many"}`:             "unknown",
		`{"id":1,"gone":0}`:                   "response.deleted",
		`{"id":1,"gone":null}`:                "unknown",
		`{"id":1,"both":6}`:                   "response.reviewed",
		`{"id":1,"both":5}`:                   "unknown",
		`{"id":1,"name":"known"}`:             "response.started",
		`{"id":1,"name":true}`:                "survey.created",
		`{"id":1,"name":"KNOWN"}`:             "unknown",
	}
	for body, want := range tests {
		if ev := one(t, s, body); ev.Type != want {
			t.Errorf("%s: %s, want %s", body, ev.Type, want)
		}
	}
}

// TestRoles: the survey's, the source's, what the platform says, then the profile's.
func TestRoles(t *testing.T) {
	t.Parallel()
	const text = anyone + `
score:
  - {when: {path: kind, in: [nps]}, set: nps_score, from: score}
  - {when: {path: kind, in: [csat]}, set: csat_score, from: [none, score]}
answers:
  - {from: a, shape: object, key: '^(?P<id>[^_]+)(_(?P<name>.+))?$'}
  - {from: l, each: {question_id: id, question: q, type: t, value: v}}
roles:
  - {set: email, value: '^[^@\s]+@[^@\s]+$'}
  - {set: phone, type: [phone, tel]}
  - {set: first_name, name: '(?i)first'}
  - {set: feedback, question: [why, comment, "What else?"]}
  - {set: ces_score, type: [ces], name: effort}
`
	tests := []struct {
		name  string
		roles map[string]string
		body  string
		pick  func(*event.Data) any
		want  any
	}{
		{"by value", nil, `{"id":1,"a":{"1":"x","2":"a@b.c","3":"d@e.f"}}`, func(d *event.Data) any { return d.Respondent.Email }, "a@b.c"},
		{"by type", nil, `{"id":1,"l":[{"id":1,"t":"tel","v":"030"}]}`, func(d *event.Data) any { return d.Respondent.Phone }, "030"},
		{"by the label", nil, `{"id":1,"l":[{"id":1,"q":"Your first name","v":"Ana"}]}`, func(d *event.Data) any { return d.Respondent.FirstName }, "Ana"},
		{"by the key's name", nil, `{"id":1,"a":{"7_firstName":"Ana"}}`, func(d *event.Data) any { return d.Respondent.FirstName }, "Ana"},
		{"by the question's id", nil, `{"id":1,"a":{"why":"slow"}}`, func(d *event.Data) any { return d.Response.Feedback }, "slow"},
		{"by the question's text", nil, `{"id":1,"l":[{"id":1,"q":"What else?","v":"tea"}]}`, func(d *event.Data) any { return d.Response.Feedback }, "tea"},
		{"by the question's key", nil, `{"id":1,"a":{"9_comment":"tea"}}`, func(d *event.Data) any { return d.Response.Feedback }, "tea"},
		{"all that is given", nil, `{"id":1,"l":[{"id":1,"t":"ces","q":"other","v":1},{"id":2,"t":"ces","q":"effort","v":2}]}`, func(d *event.Data) any { return value(d.Response.Score.CES) }, 2.0},
		{"the next that fits", nil, `{"id":1,"l":[{"id":1,"t":"ces","q":"effort","v":"none"},{"id":2,"t":"ces","q":"effort","v":"2"}]}`, func(d *event.Data) any { return value(d.Response.Score.CES) }, 2.0},
		{"several choices", nil, `{"id":1,"a":{"why":["slow","dear"]}}`, func(d *event.Data) any { return d.Response.Feedback }, "slow, dear"},
		{"score by condition", nil, `{"id":1,"kind":"csat","score":"4"}`, func(d *event.Data) any {
			return []any{value(d.Response.Score.NPS), value(d.Response.Score.CSAT)}
		}, []any{nil, 4.0}},

		{"the source's come first", map[string]string{"2": "email"}, `{"id":1,"a":{"1":"a@b.c","2":"d@e.f"}}`, func(d *event.Data) any { return d.Respondent.Email }, "d@e.f"},
		{"the source's stand before the platform's", map[string]string{"2": "nps_score"}, `{"id":1,"kind":"nps","score":9,"a":{"2":3}}`, func(d *event.Data) any { return value(d.Response.Score.NPS) }, 3.0},
		{"by label", map[string]string{"Rate us": "csat_score"}, `{"id":1,"l":[{"id":1,"q":"Rate us","v":"4"}]}`, func(d *event.Data) any { return value(d.Response.Score.CSAT) }, 4.0},
		{"not answered", map[string]string{"2": "nps_score"}, `{"id":1,"kind":"nps","score":9,"a":{"2":""}}`, func(d *event.Data) any { return value(d.Response.Score.NPS) }, 9.0},
		{"does not fit", map[string]string{"2": "nps_score"}, `{"id":1,"a":{"2":"11"}}`, func(d *event.Data) any { return append([]any{value(d.Response.Score.NPS)}, d.Warnings[0]) }, []any{nil, "response.score.nps: the answer to `2` is not a number from 0 to 10"}},
		{"consent", map[string]string{"5": "consent"}, `{"id":1,"a":{"5":true}}`, func(d *event.Data) any { return value(d.Respondent.Consent) }, true},
		{"consent refused", map[string]string{"5": "consent"}, `{"id":1,"a":{"5":"No"}}`, func(d *event.Data) any { return value(d.Respondent.Consent) }, false},
		{"consent is not guessed", map[string]string{"5": "consent"}, `{"id":1,"a":{"5":"Maybe later"}}`, func(d *event.Data) any { return value(d.Respondent.Consent) }, nil},
		{"a name is split", map[string]string{"5": "name"}, `{"id":1,"a":{"5":" Ana  de la Cruz "}}`, func(d *event.Data) any { return d.Respondent.FirstName + "|" + d.Respondent.LastName }, "Ana|de la Cruz"},
		{"the first of two answers", map[string]string{"1": "feedback", "2": "feedback"}, `{"id":1,"a":{"2":"b","1":"a"}}`, func(d *event.Data) any { return d.Response.Feedback }, "b"},
		{"the second where the first is silent", map[string]string{"1": "email", "2": "email"}, `{"id":1,"a":{"1":" ","2":"a@b.c"}}`, func(d *event.Data) any { return d.Respondent.Email }, "a@b.c"},
	}
	p, faults := Parse("x.yaml", []byte(text))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			roles := map[string]Field{}
			for question, name := range tt.roles {
				roles[question] = field(t, name)
			}
			d := one(t, open(t, p, Settings{Roles: roles}), tt.body).Data()
			if diff := cmp.Diff(tt.want, tt.pick(d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestSurveys: question numbers mean different things in different surveys.
func TestSurveys(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "pollqr"), Settings{
		Roles: map[string]Field{"1": field(t, "csat_score"), "2": field(t, "feedback")},
		Surveys: map[string]Survey{
			"s1": {Name: "onboarding", Roles: map[string]Field{"1": field(t, "nps_score")}},
			"s2": {Name: "exit"},
		},
	})
	body := func(survey, title string) string {
		return `{"event":"response.created","survey_id":"` + survey + `","response_id":"r","survey":{"title":"` + title + `"},"response":{"answers":{"1":7,"2":"fine"}}}`
	}
	tests := []struct {
		survey, title string
		nps, csat     any
		want          string
	}{
		{"s1", "", 7.0, nil, "onboarding"},
		{"s1", "Its own title", 7.0, nil, "Its own title"},
		{"s2", "", nil, 7.0, "exit"},
		{"s3", "", nil, 7.0, ""},
	}
	for _, tt := range tests {
		d := one(t, s, body(tt.survey, tt.title)).Data()
		if value(d.Response.Score.NPS) != tt.nps || value(d.Response.Score.CSAT) != tt.csat || d.Survey.Title != tt.want || d.Response.Feedback != "fine" {
			t.Errorf("%s: nps %v csat %v title %q feedback %q", tt.survey, value(d.Response.Score.NPS), value(d.Response.Score.CSAT), d.Survey.Title, d.Response.Feedback)
		}
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	s := inline(t, anyone+"params: [a, b.c]\n")
	tests := map[string]string{
		`{"id":1,"a":{"x":1,"y":null},"b":{"c":{"x":2,"z":[true]}}}`: `{"x":1,"z":[true]}`,
		`{"id":1,"a":[],"b":{"c":{"z":"\u00e9"}}}`:                   `{"z":"é"}`,
		`{"id":1,"a":"text"}`:                                        ``,
		`{"id":1,"a":{}}`:                                            ``,
		`{"id":1,"a":{"k":1,"k":2}}`:                                 `{"k":1}`,
	}
	for body, want := range tests {
		ev := one(t, s, body)
		if got := string(ev.Data().Respondent.Params); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		conforms(t, schema(t), ev)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	elements := `[ {"id": 1, "survey_id": 7, "status": "completed"} , {"id": 2, "survey_id": 7, "status": "partial"}, 5 ]`
	s := open(t, profile(t, "smartsurvey"), Settings{})
	events, err := s.Normalise(request([]byte(elements)), noon)
	if err != nil || len(events) != 3 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	want := []struct{ typ, id, raw string }{
		{"response.completed", "1", `[{"id": 1, "survey_id": 7, "status": "completed"}]`},
		{"response.partial", "2", `[{"id": 2, "survey_id": 7, "status": "partial"}]`},
		{"unknown", "", `[5]`},
	}
	for i, w := range want {
		ev := events[i]
		if ev.Type != w.typ || ev.ResponseID != w.id || string(ev.Raw.Body) != w.raw || ev.Raw.SHA256 != hash([]byte(w.raw)) {
			t.Errorf("event %d: %s %q %s", i, ev.Type, ev.ResponseID, ev.Raw.Body)
		}
		conforms(t, schema(t), ev)
		again := one(t, s, string(ev.Raw.Body))
		if again.ID != ev.ID || string(again.DataJSON()) != string(ev.DataJSON()) {
			t.Errorf("event %d is another one when its bytes come again:\n%s\n%s", i, ev.DataJSON(), again.DataJSON())
		}
	}
	if diff := cmp.Diff([]string{"0.pages.#.questions"}, events[0].Raw.AnswersAt); diff != "" {
		t.Errorf("answers at (-want +got):\n%s", diff)
	}
	single := ` [ {"id":1,"status":"completed"} ] `
	if ev := one(t, s, single); string(ev.Raw.Body) != single || ev.Type != "response.completed" {
		t.Errorf("%s %s", ev.Type, ev.Raw.Body)
	}
	if ev := one(t, s, `[]`); ev.Type != "unknown" {
		t.Errorf("an empty batch is %s", ev.Type)
	}
	if ev := one(t, s, `{"id":1,"status":"completed"}`); ev.Type != "response.completed" {
		t.Errorf("a lone element is %s", ev.Type)
	}
}

// TestBodyTokensAreNotKept: what proves a request inside its body is taken out of what is stored, and nothing else.
func TestBodyTokensAreNotKept(t *testing.T) {
	t.Parallel()
	multi := strings.ReplaceAll("--b\nContent-Disposition: form-data; name=\"a\"\n\nx\n--b\nContent-Disposition: form-data; name=\"key\"\n\ns3cret\n--b--\n", "\n", "\r\n")
	tests := []struct{ name, decode, verify, body, kept string }{
		{"JSON", "json", "{kind: token, path: api.token}", `{"id":1, "api":{"token":"s3cret","b":2}}`, `{"id":1, "api":{"b":2}}`},
		{"JSON, twice", "json", "{kind: token, path: token}", `{"token":"s3cret","id":1,"token":"s3cret"}`, `{"id":1}`},
		{"JSON, computed", "json", "{kind: token, path: 'f.#(k==\"token\").v'}", `{"id":1,"f":[{"k":"token","v":"s3cret"}]}`, `{"id":1,"f":[{"k":"token","v":"redacted"}]}`},
		{"form", "form", "{kind: token, field: key}", `a=%20&key=s3cret&id=1`, `a=%20&key=redacted&id=1`},
		{"multipart", "multipart", "{kind: token, field: key}", multi, strings.Replace(multi, "s3cret", "redacted", 1)},
		{"header", "json", "{kind: token, header: X-Key}", `{"id":1,"X-Key":"s3cret"}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, faults := Parse("x.yaml", []byte("source: x\ndecode: "+tt.decode+"\nverify: ["+tt.verify+"]\ntype: {const: c, default: response.completed}\ndedupe: \"{id}\"\nmap: {response.id: id}\n"))
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			s := open(t, p, Settings{Secrets: secrets("s3cret")})
			req := request([]byte(tt.body), "X-Key", "s3cret")
			req.ContentType = ""
			// One that stands twice is refused as the platform's, and may be published with a token of our API.
			if v, err := s.Verify(req); (err != nil) != (tt.name == "JSON, twice") || err == nil && v.Kind != "token" {
				t.Fatal(v, err)
			}
			events, err := s.Normalise(req, noon)
			if err != nil {
				t.Fatal(err)
			}
			raw := events[0].Raw
			if tt.kept == "" {
				if raw.Redacted || string(raw.Body) != tt.body {
					t.Errorf("kept %s", raw.Body)
				}
				return
			}
			if string(raw.Body) != tt.kept || !raw.Redacted || raw.SHA256 != hash([]byte(tt.body)) {
				t.Errorf("kept %s, redacted %v", raw.Body, raw.Redacted)
			}
			conforms(t, schema(t), events[0])
		})
	}
}

// TestWarningsHoldNoAnswers: warnings are shown and logged where answers are masked.
func TestWarningsHoldNoAnswers(t *testing.T) {
	t.Parallel()
	const secret = "jo-private@example.com"
	s := open(t, profile(t, "pollqr"), Settings{Roles: map[string]Field{"1": field(t, "nps_score"), "2": field(t, "consent"), "3": field(t, "csat_score")}})
	ev := one(t, s, `{"event":"response.created","timestamp":"`+secret+`","response":{"nps_score":"`+secret+`","completion_time":"`+secret+`","answers":{"1":"`+secret+`","2":"`+secret+`","3":["`+secret+`"]}}}`)
	if len(ev.Data().Warnings) < 6 {
		t.Errorf("warnings %q", ev.Data().Warnings)
	}
	for _, w := range ev.Data().Warnings {
		if strings.Contains(w, "private") {
			t.Errorf("warning %q", w)
		}
	}
	many := `{"event":"response.created","response":{"answers":{`
	for i := range 1000 {
		many += `"` + strings.Repeat("k", i%50) + `":1,`
	}
	ev = one(t, s, many+`"z":1}}}`)
	if n := len(ev.Data().Warnings); n > maxWarnings+1 {
		t.Errorf("%d warnings", n)
	}
	if !json.Valid(ev.Envelope()) {
		t.Error("envelope is not JSON")
	}
}
