package suggest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// rig is a store with the events of sources, and the configuration that reads them.
type rig struct {
	t      testing.TB
	store  state.Store
	text   string
	config *config.Config
	next   time.Time
	told   int // events
}

const forms = `sources:
  forms:
    profile: tally
    secrets: ["0123456789-0123456789-0123456789"]
`

func newRig(t testing.TB, text string) *rig {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.NewManual(begin)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &rig{t: t, store: store, next: begin}
	r.configure(text)
	return r
}

func (r *rig) configure(text string) {
	r.t.Helper()
	c, err := config.LoadText([]byte(text))
	if err != nil {
		r.t.Fatalf("%v\n%s", err, text)
	}
	r.text, r.config = text, c
}

// answered is a question of a form with its answer.
type answered struct {
	Key   string `json:"key"`
	Label string `json:"label"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

// read returns the events of a form's response.
func (r *rig) read(survey string, n int, fields ...answered) []*event.Event {
	r.t.Helper()
	body, err := json.Marshal(map[string]any{
		"eventId": fmt.Sprint(survey, r.told), "eventType": "FORM_RESPONSE", "createdAt": "2026-01-02T03:00:00Z",
		"data": map[string]any{"responseId": fmt.Sprint("r", survey, n), "formId": survey, "formName": "Form " + survey, "fields": fields},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.next = r.next.Add(time.Second)
	r.told++
	events, err := decide.New(r.config).Source("default", "forms").Receiver.Normalise(&source.Request{
		Method: "POST", Body: body, ContentType: "application/json", Received: r.next, Verified: source.Verified{Kind: "hmac"},
	}, r.next)
	if err != nil {
		r.t.Fatal(err)
	}
	return events
}

// came stores n responses of a form.
func (r *rig) came(survey string, n int, of func(i int) []answered) {
	r.t.Helper()
	var all []*event.Event
	for i := range n {
		all = append(all, r.read(survey, i, of(i)...)...)
	}
	if _, err := r.store.Append(context.Background(), all); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) suggest(source string) *view.Suggestions {
	r.t.Helper()
	plan := decide.New(r.config)
	s := &Suggester{Store: r.store, Plan: func() *decide.Plan { return plan }, Clock: clock.NewManual(begin), Quiet: func() bool { return true }}
	ask := Ask{Tenant: "default"}
	if source != "" {
		ask.Source = plan.Source("default", source)
	}
	got, err := s.Suggest(context.Background(), ask)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// everything is a form with a question of each kind, and others that look like nothing.
func everything(i int) []answered {
	mail := any(fmt.Sprintf("jo%d@shop.example.com", i))
	if i == 7 {
		mail = "none of your business"
	}
	return []answered{
		{"q_mail", "Where can we reach you?", "INPUT_TEXT", mail},
		{"q_tel", "Your phone number", "INPUT_TEXT", fmt.Sprintf("0151 555 01%02d", i)},
		{"q_order", "Order", "INPUT_TEXT", fmt.Sprintf("4711 000 %02d", i)},
		{"q_nps", "Würden Sie uns weiterempfehlen?", "INPUT_NUMBER", i % 11},
		{"q_csat", "How satisfied are you?", "INPUT_NUMBER", i%5 + 1},
		{"q_ces", "How easy was it?", "INPUT_NUMBER", i%7 + 1},
		{"q_age", "Children in the household", "INPUT_NUMBER", i % 4},
		{"q_news", "Newsletter", "MULTIPLE_CHOICE", []string{"yes", "no"}[i%2]},
		{"q_member", "Are you a member?", "MULTIPLE_CHOICE", []string{"yes", "no"}[i%2]},
		{"q_why", "Why?", "TEXTAREA", fmt.Sprintf("The delivery of parcel %d took a week.", i)},
		{"q_where", "Where did you hear of us?", "DROPDOWN", "From a friend who is a customer"},
		{"q_typed", "Mail", "INPUT_EMAIL", nil},
	}
}

// Each kind of question is found with what was seen of it, and nothing else is.
func TestQuestions(t *testing.T) {
	t.Parallel()
	r := newRig(t, forms)
	r.came("f1", 40, everything)
	got := r.suggest("")
	if len(got.Sources) != 1 || got.Events != 40 || got.Sources[0].Events != 40 || got.Stopped != "" {
		t.Fatalf("%+v", got)
	}
	type short struct{ question, kind, field, said, example string }
	var all []short
	for _, role := range got.Sources[0].Roles {
		all = append(all, short{role.Question, role.Kind, role.Field, strings.Join(role.Evidence, "; "), role.Example})
	}
	slices.SortFunc(all, func(a, b short) int { return strings.Compare(a.question, b.question) })
	want := []short{
		{"q_ces", "score", "ces_score", "40 of 40 answers are whole numbers from 1 to 7; the lowest is 1, the highest 7; its text names `easy`", "5"},
		{"q_csat", "score", "csat_score", "40 of 40 answers are whole numbers from 1 to 5; the lowest is 1, the highest 5; its text names `satisfied`", "5"},
		{"q_mail", "email", "email", "39 of 40 answers are e-mail addresses", "j***@s***.com"},
		{"q_news", "consent", "consent", "40 of 40 answers are yes or no; its text names `newsletter`", "no"},
		{"q_nps", "score", "nps_score", "40 of 40 answers are whole numbers from 0 to 10; the lowest is 0, the highest 10; its text names `weiterempfehlen`", "6"},
		{"q_tel", "phone", "phone", "40 of 40 answers are phone numbers; its text names `phone`", "**** *** **39"},
		{"q_why", "comment", "feedback", "40 of 40 answers are longer than 20 characters; 40 of 40 are different", "T** d******* o* p***** ** t*** a w***."},
	}
	if diff := cmp.Diff(want, all, cmp.AllowUnexported(short{})); diff != "" {
		t.Error(diff)
	}
	for _, role := range got.Sources[0].Roles {
		if strings.Contains(fmt.Sprint(role), "shop.example") || strings.Contains(fmt.Sprint(role), "parcel") {
			t.Errorf("what a person wrote is shown: %+v", role)
		}
	}
}

// The YAML that is shown is a configuration, and reads the question of the same response; then there is nothing left to suggest.
func TestPasting(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"no roles":         forms,
		"roles":            forms + "    roles: {\"q_other\": respondent.id, q_member: respondent.verified}\n",
		"roles of surveys": forms + "    roles: {q_other: respondent.id}\n    surveys: {\"f1\": {name: One, roles: {q_age: response.score.custom}}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, before)
			r.came("f1", 40, everything)
			got := r.suggest("forms").Sources[0]
			if len(got.Roles) != 7 || !strings.Contains(got.Where, "forms") {
				t.Fatalf("%+v", got)
			}
			for _, role := range got.Roles {
				if !strings.Contains(got.YAML, role.Line+"\n") || role.Path != "sources.forms.roles" {
					t.Errorf("the block has not the line `%s`, below %s:\n%s", role.Line, role.Path, got.YAML)
				}
			}
			r.configure(pasted(t, got.YAML))
			data := r.read("f1", 3, everything(3)...)[0].Data()
			if data.Respondent.Email != "jo3@shop.example.com" || data.Respondent.Phone != "0151 555 0103" || data.Response.Feedback != "The delivery of parcel 3 took a week." ||
				data.Respondent.Consent == nil || *data.Respondent.Consent || data.Response.Score.NPS == nil || *data.Response.Score.NPS != 3 ||
				data.Response.Score.CSAT == nil || *data.Response.Score.CSAT != 4 || data.Response.Score.CES == nil || *data.Response.Score.CES != 4 {
				t.Errorf("not all roles are read: %+v\n%s", data, got.YAML)
			}
			if name != "no roles" && !strings.Contains(got.YAML, `"q_other": respondent.id`) {
				t.Errorf("a role of today is lost:\n%s", got.YAML)
			}
			if again := r.suggest("forms").Sources[0]; len(again.Roles) != 0 || again.YAML != "" {
				t.Errorf("suggested again: %+v", again.Roles)
			}
		})
	}
}

// pasted puts a block in place of the roles and surveys of forms, as a person does.
func pasted(t *testing.T, block string) string {
	t.Helper()
	lines, ok := strings.CutPrefix(block, "sources:\n  forms:\n")
	if !ok {
		t.Fatalf("not a block of the source:\n%s", block)
	}
	return forms + lines
}

// A name of a survey that has ${ is written so that it stays that text: unescaped, it would read a variable or a file.
func TestPastingANameWithAReference(t *testing.T) {
	t.Parallel()
	r := newRig(t, forms+"    surveys: {f9: {name: \"$${COST} $${file:/etc/hostname}\"}}\n")
	for _, survey := range []string{"f1", "f2"} {
		r.came(survey, 20, func(i int) []answered {
			if survey == "f2" {
				return []answered{{"1", "Mail", "INPUT_TEXT", fmt.Sprintf("jo%d@example.com", i)}}
			}
			return []answered{{"1", "Would you recommend us?", "INPUT_NUMBER", i % 11}}
		})
	}
	block := r.suggest("forms").Sources[0].YAML
	if !strings.Contains(block, `name: "$${COST} $${file:/etc/hostname}"`) {
		t.Error(block)
	}
	r.configure(pasted(t, block))
	if got := r.config.Sources[0].Receiver.Surveys["f9"].Name; got != "${COST} ${file:/etc/hostname}" {
		t.Errorf("pasted, the name is %q:\n%s", got, block)
	}
}

// A question that means something else in another survey has a role in its survey only.
func TestRolesOfSurveys(t *testing.T) {
	t.Parallel()
	r := newRig(t, forms)
	r.came("f1", 20, func(i int) []answered {
		return []answered{{"1", "Would you recommend us?", "INPUT_NUMBER", i % 11}, {"2", "Mail", "INPUT_TEXT", fmt.Sprintf("jo%d@example.com", i)}}
	})
	r.came("f2", 20, func(i int) []answered {
		return []answered{{"1", "How satisfied are you?", "INPUT_NUMBER", i%5 + 1}, {"2", "Mail", "INPUT_TEXT", fmt.Sprintf("al%d@example.com", i)}}
	})
	got := r.suggest("").Sources[0]
	var all []string
	for _, role := range got.Roles {
		all = append(all, role.Path+" "+role.Line+" "+fmt.Sprint(role.Fit))
	}
	if diff := cmp.Diff([]string{
		`sources.forms.roles "2": email 40`, `sources.forms.surveys."f1".roles "1": nps_score 20`, `sources.forms.surveys."f2".roles "1": csat_score 20`,
	}, all); diff != "" {
		t.Error(diff)
	}
	r.configure(pasted(t, got.YAML))
	first := r.read("f1", 50, answered{"1", "Would you recommend us?", "INPUT_NUMBER", 9})[0].Data()
	second := r.read("f2", 50, answered{"1", "How satisfied are you?", "INPUT_NUMBER", 4}, answered{"2", "Mail", "INPUT_TEXT", "jo@example.com"})[0].Data()
	if first.Response.Score.NPS == nil || second.Response.Score.CSAT == nil || second.Response.Score.NPS != nil || second.Respondent.Email != "jo@example.com" {
		t.Errorf("%+v, %+v\n%s", first, second, got.YAML)
	}
}

// What a role, the profile or the platform's own field fills is not suggested, and of two questions that look the same one is.
func TestNotSuggested(t *testing.T) {
	t.Parallel()
	r := newRig(t, forms+"    roles: {q_feedback: feedback}\n")
	r.came("f1", 20, func(i int) []answered {
		return []answered{
			{"q_mail", "Mail", "INPUT_EMAIL", fmt.Sprintf("jo%d@example.com", i)},
			{"q_friend", "Mail of a friend", "INPUT_TEXT", fmt.Sprintf("al%d@example.com", i)},
			{"q_feedback", "Why?", "TEXTAREA", fmt.Sprintf("A long text with the number %d in it.", i)},
			{"q_more", "Anything else?", "TEXTAREA", fmt.Sprintf("Another text with the number %d in it.", i)},
			{"q_tel1", "Phone", "INPUT_TEXT", fmt.Sprintf("+49 151 5550%03d", i)},
			{"q_tel2", "Phone at work", "INPUT_TEXT", map[bool]any{true: nil, false: fmt.Sprintf("+49 30 5550%03d", i)}[i%2 == 0]},
			{"q_rare", "Newsletter", "INPUT_TEXT", map[bool]any{true: "yes", false: nil}[i < 4]},
		}
	})
	got := r.suggest("").Sources[0]
	if len(got.Roles) != 1 || got.Roles[0].Question != "q_tel1" || !slices.Equal(got.Roles[0].Also, []string{"q_tel2"}) {
		t.Errorf("%+v", got.Roles)
	}
}

// Several events of a response tell of an answer once.
func TestAnswersOfAResponse(t *testing.T) {
	t.Parallel()
	r := newRig(t, forms)
	for range 3 {
		r.came("f1", 12, everything)
	}
	for _, role := range r.suggest("").Sources[0].Roles {
		if role.Answers != 12 {
			t.Errorf("%+v", role)
		}
	}
	if got := r.suggest("").Sources[0]; got.Events != 36 || len(got.Roles) != 7 {
		t.Errorf("%d events, %d roles", got.Events, len(got.Roles))
	}
}

// A number is a score only where something says so.
func TestScores(t *testing.T) {
	t.Parallel()
	up := func(from, to int) func(i int) any { return func(i int) any { return i%(to-from+1) + from } }
	for _, c := range []struct {
		label, typ string
		value      func(i int) any
		want, why  string
	}{
		{"Would you recommend us?", "", up(0, 10), "nps_score", "its text names `recommend`"},
		{"Would you recommend us?", "", up(1, 5), "", ""},
		{"NPS", "", up(1, 5), "nps_score", "its text names `nps`"},
		{"Rooms", "", up(0, 10), "", ""},
		{"Stay", "opinion_scale", up(0, 10), "nps_score", "its type is `opinion_scale`; neither its text nor its id says what it measures"},
		{"Stay", "STARS", up(1, 5), "csat_score", "its type is `STARS`; neither its text nor its id says what it measures"},
		{"Stay", "scale", up(1, 7), "ces_score", "its type is `scale`; neither its text nor its id says what it measures"},
		{"Memnuniyet", "", up(1, 5), "csat_score", "its text names `memnuniyet`"},
		{"satisfaction", "", up(1, 10), "", ""},
		{"Would you recommend us?", "", func(i int) any { return float64(i%10) + 0.5 }, "", ""},
		{"Would you recommend us?", "", up(0, 100), "", ""},
		{"Accessories", "", up(1, 5), "", ""},
	} {
		t.Run(c.label+" "+c.typ, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, forms)
			r.came("f1", 110, func(i int) []answered { return []answered{{"q1", c.label, c.typ, c.value(i)}} })
			roles := r.suggest("").Sources[0].Roles
			got, why := "", ""
			if len(roles) > 0 {
				got, why = roles[0].Field, roles[0].Evidence[len(roles[0].Evidence)-1]
			}
			if got != c.want || why != c.why {
				t.Errorf("%q: %q", got, why)
			}
		})
	}
}

// A rule that matched nothing is told with the part of its condition that said no.
func TestSilentRules(t *testing.T) {
	t.Parallel()
	r := newRig(t, forms+`
connections: {alarms: {slack: {webhook: "https://hooks.slack.com/services/T/B/X"}}}
rules:
  - {name: matches, when: "nps_score <= 6", send: [alarms]}
  - {name: never, when: "nps_score > 10 and email != ''", send: [alarms]}
  - {name: typo, when: "answer('q_nsp') <= 6 or params.plann == 'pro'", send: [alarms]}
  - {name: negated, when: "not (nps_score >= 0)", send: [alarms]}
  - {name: rare, events: [response.deleted], when: "nps_score > 20", send: [alarms]}
  - {name: off, enabled: false, when: "nps_score > 20", send: [alarms]}
  - {name: always, send: [alarms]}
webhooks:
  - {name: hook, url: "https://example.com/in", signature: none, events: [response.completed], when: "csat_score >= 4"}
`)
	r.configure(strings.Replace(r.text, "    secrets", "    roles: {q_nps: nps_score}\n    secrets", 1))
	r.came("f1", 60, func(i int) []answered { return []answered{{"q_nps", "", "", i % 11}} })
	got := r.suggest("")
	said := map[string]string{}
	for _, rule := range got.Rules {
		if rule.Asked != 60 || rule.Explained != 60 {
			t.Errorf("%+v", rule)
		}
		text := rule.Kind + ":"
		for _, p := range rule.Parts {
			text += " " + p.Why + "."
		}
		said[rule.Name] = text + " " + strings.Join(rule.Hints, ". ")
	}
	if diff := cmp.Diff(map[string]string{
		"never":   "rule: `nps_score > 10` was false in 60. ",
		"typo":    "rule: `answer('q_nsp') <= 6` was unknown in 60, because answer('q_nsp') is missing. `params.plann == 'pro'` was unknown in 60, because params.plann is missing. `answer('q_nsp')` was in none of these events; `answer(\"q_nps\")` was. `params.plann` was in none of these events",
		"negated": "rule: `nps_score >= 0` was true in 60. ",
		"hook":    "webhook: `csat_score >= 4` was unknown in 60, because csat_score is missing. `csat_score` was in none of these events",
	}, said); diff != "" {
		t.Error(diff)
	}
}

// Too few events say nothing of a rule; other tenants' events and old ones are not looked at.
func TestBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t, forms+`
connections: {alarms: {slack: {webhook: "https://hooks.slack.com/services/T/B/X"}}}
rules: [{name: never, when: "nps_score > 10", send: [alarms]}]
`)
	r.came("f1", 49, everything)
	if got := r.suggest(""); len(got.Rules) != 0 || got.Events != 49 {
		t.Errorf("of 49 events: %+v", got.Rules)
	}
	r.came("f2", 1100, func(int) []answered { return nil })
	got := r.suggest("")
	if got.Events != 1149 || got.Sources[0].Events != 1000 || got.Sources[0].Stopped != "events" || len(got.Sources[0].Roles) != 0 {
		t.Errorf("%d events, %+v", got.Events, got.Sources)
	}
	if len(got.Rules) != 1 || got.Rules[0].Asked != 1000 {
		t.Errorf("%+v", got.Rules)
	}
	if one := r.suggest("forms"); one.Sources[0].Events != 1000 || one.Sources[0].Stopped != "events" || !one.Sources[0].Back.Equal(got.Sources[0].Back.Time) {
		t.Errorf("%+v, of all: %+v", one.Sources, got.Sources)
	}
}
