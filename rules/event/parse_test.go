package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

var defaults = Defaults{Tenant: "acme", Source: "app", Received: received, Verified: "token"}

func hash(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

func TestParseOneOfTheDesign(t *testing.T) {
	t.Parallel()
	body := `{"type": "response.completed", "id": "r1-final", "time": "2026-01-02T03:04:05Z", "tenant": "acme", "source": "app",
 "survey": {"id": "s1", "title": "Onboarding", "type": "nps"},
 "response": {"id": "r1", "score": {"nps": 3}, "feedback": "slow", "answers": {"why": "slow", "q4": ["a", "b"]}},
 "respondent": {"email": "jo@example.com", "consent": true, "params": {"plan": "pro"}}}`
	e, err := ParseOne([]byte(body), Defaults{Tenant: "acme", Received: received, Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Header{
		ID: IDs("acme", "app", "r1-final")[vouchedSpace], Tenant: "acme", Source: "app", SourceKind: "api", Type: TypeResponseCompleted, SurveyID: "s1", ResponseID: "r1",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Received: received, OrigID: "r1-final", DedupeKey: "r1-final", Verified: VerifiedAPI,
	}, e.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&Data{
		Survey: Survey{ID: "s1", Title: "Onboarding", Type: "nps"},
		Response: Response{
			ID: "r1", Score: Score{NPS: new(3.0)}, Feedback: "slow",
			Answers: []Answer{{QuestionID: "why", Value: json.RawMessage(`"slow"`)}, {QuestionID: "q4", Value: json.RawMessage(`["a","b"]`)}},
		},
		Respondent: Respondent{Email: "jo@example.com", Consent: new(true), Params: json.RawMessage(`{"plan":"pro"}`)},
	}, e.Data()); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Raw{ContentType: "application/json", Body: []byte(body), SHA256: hash(body), AnswersAt: []string{"response.answers"}}, e.Raw); diff != "" {
		t.Errorf("raw (-want +got):\n%s", diff)
	}
	validate(t, validator(t), e.EnvelopeWithRaw())
}

// All forms of an event have the same result.
func TestParseOneSpellings(t *testing.T) {
	t.Parallel()
	long := `{"type":"response.completed","response":{"score":{"nps":3,"csat":4,"ces":5},"feedback":"slow"},
		"respondent":{"email":"jo@example.com","name":"Jo Do","first_name":"J","last_name":"D","phone":"+1","consent":false,"params":{"plan":"pro"}}}`
	want, err := ParseOne([]byte(long), defaults)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"shortcuts": `{"type":"response.completed","nps_score":3,"csat_score":"4","ces_score":5.0,"feedback":"slow","email":"jo@example.com","name":"Jo Do",
			"first_name":"J","last_name":"D","phone":"+1","consent":false,"params":{"plan":"pro"}}`,
		"both": `{"nps_score":3,"response":{"score":{"csat":4,"ces":5}},"feedback":"slow","respondent":{"email":"jo@example.com","name":"Jo Do"},
			"first_name":"J","last_name":"D","phone":"+1","consent":false,"params":{"plan":"pro"},"type":"response.completed"}`,
		"CloudEvents": `{"specversion":"1.0","id":"1","source":"app","type":"response.completed","traceparent":"x","subject":7,"datacontenttype":"application/json",
			"data":{"nps_score":3,"csat_score":4,"ces_score":5,"feedback":"slow","email":"jo@example.com","name":"Jo Do","first_name":"J","last_name":"D","phone":"+1","consent":false,"params":{"plan":"pro"}}}`,
		"nulls and nothing": `{"type":"response.completed","response":{"id":null,"score":{"nps":3,"csat":4,"ces":5,"custom":null},"feedback":"slow","answers":null,"leads":[],"result":{},"duration_s":""},
			"survey":null,"context":{},"account":{"id":""},"time":null,"tenant":null,"warnings":[],
			"respondent":{"id":"  ","email":" jo@example.com ","name":"Jo Do","first_name":"J","last_name":"D","phone":"+1","consent":false,"verified":null,"params":{"plan":"pro"}}}`,
	} {
		got, err := ParseOne([]byte(body), defaults)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want.Data(), got.Data()); diff != "" {
			t.Errorf("%s (-long form +this):\n%s", name, diff)
		}
		validate(t, validator(t), got.Envelope())
	}
}

func TestParseOneAnswers(t *testing.T) {
	t.Parallel()
	body := `{"type":"answer.upserted","response":{"id":12345678901234567890,"answers":[
		{"question_id":7,"question":"Why?","type":"text","value":"slow","value_ids":["a"],"comment":"c"},
		{"question_id":"n","value":12345678901234567890},{"question_id":"gone","value":null},{"question_id":"gone too"},{"question_id":"also","value":""},
		{"question_id":"none","value":[]},{"question_id":"only a comment","comment":"c"},{"question_id":"no","value":false},{"question_id":"zero","value":0}],
		"leads":[{"email":"a@b.c"}],"result":{"title":"x"}},"survey":{"id":1.50}}`
	e, err := ParseOne([]byte(body), defaults)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Answer{
		{QuestionID: "7", Question: "Why?", Type: "text", Value: json.RawMessage(`"slow"`), ValueIDs: json.RawMessage(`["a"]`), Comment: "c"},
		{QuestionID: "n", Value: json.RawMessage(`12345678901234567890`)},
		{QuestionID: "only a comment", Value: json.RawMessage(`""`), Comment: "c"},
		{QuestionID: "no", Value: json.RawMessage(`false`)},
		{QuestionID: "zero", Value: json.RawMessage(`0`)},
	}, e.Data().Response.Answers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e.ResponseID != "12345678901234567890" || e.SurveyID != "1.50" {
		t.Errorf("ids %q and %q are not the tokens as written", e.ResponseID, e.SurveyID)
	}
	if diff := cmp.Diff([]string{"response.leads"}, e.Raw.LeadsAt); diff != "" {
		t.Errorf("leads_at (-want +got):\n%s", diff)
	}
	if e.DedupeKey != hash(body) || e.OrigID != "" {
		t.Errorf("without an id the key is %q", e.DedupeKey)
	}
	cut, err := jsonpath.Cut(e.Raw.Body, append(e.Raw.AnswersAt, e.Raw.LeadsAt...))
	if err != nil || strings.Contains(string(cut), "slow") || strings.Contains(string(cut), "a@b.c") {
		t.Errorf("answers_at and leads_at do not lead to them: %s, %v", cut, err)
	}
}

func TestParseOneFaults(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                           "`type` is missing",
		`{"type":""}`:                  "`type` is missing",
		`{"type":"response.complete"}`: "`type` is not a canonical type; did you mean `response.completed`?",
		`{"type":"SURVEY_COMPLETED"}`:  "`type` is not a canonical type",
		`{"type":"test","notice":{"destination":"crm"}}`:                                      "`notice` is kept for the gateway's own notices",
		`{"type":"gateway.paused"}`:                                                           "`type` is kept for the gateway's own notices",
		`{"type":5}`:                                                                          "`type` must be text, not a number",
		`{"type":"test","type":"test"}`:                                                       "`type` stands twice",
		`{"type":"test","nps_scor":3}`:                                                        "`nps_scor` is not a field of an event; did you mean `nps_score`?",
		`{"type":"test","NPS_Score":3}`:                                                       "`NPS_Score` is not a field of an event; did you mean `nps_score`?",
		`{"type":"test","respons":{}}`:                                                        "`respons` is not a field of an event; did you mean `response`?",
		`{"type":"test","title":"x"}`:                                                         "`title` is not a field of an event; did you mean `survey.title`?",
		`{"type":"test","answers":{}}`:                                                        "`answers` is not a field of an event; did you mean `response.answers`?",
		`{"type":"test","zzzzzzzz":1}`:                                                        "`zzzzzzzz` is not a field of an event",
		`{"type":"test","raw":{}}`:                                                            "`raw` is not a field of an event",
		`{"type":"test","survey":{"titel":"x"}}`:                                              "`survey.titel` is not a field of an event; did you mean `survey.title`?",
		`{"type":"test","response":{"nps":1}}`:                                                "`response.nps` is not a field of an event; did you mean `response.score.nps`?",
		`{"type":"test","survey":"s1"}`:                                                       "`survey` must be an object, not text",
		`{"type":"test","response":{"score":5}}`:                                              "`response.score` must be an object, not a number",
		`{"type":"test","nps_score":"nine"}`:                                                  "`nps_score` must be a number, not text",
		`{"type":"test","nps_score":true}`:                                                    "`nps_score` must be a number, not true or false",
		`{"type":"test","email":["a@b.c"]}`:                                                   "`email` must be text, not an array",
		`{"type":"test","phone":905551112233}`:                                                "`phone` must be text, not a number",
		`{"type":"test","consent":"yes"}`:                                                     "`consent` must be true or false, not text",
		`{"type":"test","params":[]}`:                                                         "`params` must be an object, not an array",
		`{"type":"test","email":"a@b.c","respondent":{"email":"d@e.f"}}`:                      "`respondent.email` stands twice",
		`{"type":"test","respondent":{"email":"d@e.f"},"email":"a@b.c"}`:                      "`email` stands twice: it is `respondent.email`",
		`{"type":"test","survey":{},"survey":{}}`:                                             "`survey` stands twice",
		`{"type":"test","response":{"answers":"x"}}`:                                          "`response.answers` must be an array or an object, not text",
		`{"type":"test","response":{"answers":["x"]}}`:                                        "`response.answers.0` must be an object, not text",
		`{"type":"test","response":{"answers":[{"value":1}]}}`:                                "`response.answers.0.question_id` is missing",
		`{"type":"test","response":{"answers":[{"question_id":"a"},{"questionid":"a"}]}}`:     "`response.answers.1.questionid` is not a field of an event; did you mean `question_id`?",
		`{"type":"test","response":{"answers":[{"question_id":"a","question":5,"value":1}]}}`: "`response.answers.0.question` must be text, not a number",
		`{"type":"test","response":{"leads":{}}}`:                                             "`response.leads` must be an array, not an object",
		`{"type":"test","response":{"leads":[1]}}`:                                            "`response.leads.0` must be an object, not a number",
		`{"type":"test","warnings":[1]}`:                                                      "`warnings.0` must be text, not a number",
		`{"type":"test","tenant":"other"}`:                                                    "`tenant` is not the one that this token publishes for",
		`{"type":"test","source":"My App"}`:                                                   "`source` must be a name: small letters, digits, - and _, with a letter or digit first",
		`[]`:                                                                                  "`event` must be an object, not an array",
		`"x"`:                                                                                 "`event` must be an object, not text",
		`{"specversion":"0.3","type":"test"}`:                                                 "`specversion` must be 1.0",
		`{"specversion":"1.0","type":"test","data":[]}`:                                       "`data` must be an object, not an array",
		`{"specversion":"1.0","type":"test","data_base64":"e30="}`:                            "`data_base64` is not taken: an event's data is JSON",
		`{"specversion":"1.0","type":"test","data":{"emial":"a@b.c"}}`:                        "`emial` is not a field of an event; did you mean `email`?",
		`{"specversion":"1.0","type":"com.example.x","data":{"order":7}}`:                     "`type` is not a canonical type",
		`{"specversion":"1.0","type":"com.example.x"}`:                                        "`type` is not a canonical type",
	} {
		_, err := ParseOne([]byte(body), defaults)
		var fault *FieldError
		if !errors.As(err, &fault) || fault.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", body, err, want)
		}
	}
	long := strings.Repeat("x", 300)
	if _, err := ParseOne([]byte(`{"type":"test","`+long+`":1}`), defaults); err == nil || len(err.Error()) > 150 {
		t.Errorf("a long key is repeated whole: %v", err)
	}
}

func TestParseOneLimits(t *testing.T) {
	t.Parallel()
	answers := func(n int, array bool) []byte {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			if array {
				fmt.Fprintf(&b, `{"question_id":"q%d","value":1}`, i)
			} else {
				fmt.Fprintf(&b, `"q%d":1`, i)
			}
		}
		if array {
			return []byte(`{"type":"response.completed","response":{"answers":[` + b.String() + `]}}`)
		}
		return []byte(`{"type":"response.completed","response":{"answers":{` + b.String() + `}}}`)
	}
	for _, array := range []bool{true, false} {
		if _, err := ParseOne(answers(MaxAnswers, array), defaults); err != nil {
			t.Errorf("%d answers: %v", MaxAnswers, err)
		}
		if _, err := ParseOne(answers(MaxAnswers+1, array), defaults); !errors.Is(err, ErrTooManyAnswers) {
			t.Errorf("%d answers: %v", MaxAnswers+1, err)
		}
	}
	nested := func(n int) []byte {
		return []byte(`{"type":"test","params":{"x":` + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `}}`)
	}
	if _, err := ParseOne(nested(MaxDepth), defaults); err != nil {
		t.Errorf("%d levels: %v", MaxDepth, err)
	}
	if _, err := ParseOne(nested(MaxDepth+1), defaults); !errors.Is(err, ErrTooDeep) {
		t.Errorf("%d levels: %v", MaxDepth+1, err)
	}
	for _, body := range []string{``, `{`, `{"type":"test"`, "\xff", `{"type":"test"}x`} {
		if _, err := ParseOne([]byte(body), defaults); !errors.Is(err, ErrNotJSON) {
			t.Errorf("%q: %v, want ErrNotJSON", body, err)
		}
	}
}

func TestParseOneHeader(t *testing.T) {
	t.Parallel()
	type want struct{ Tenant, Source, Type, OrigID, Key string }
	anyTenant := defaults
	anyTenant.AnyTenant, anyTenant.Tenant, anyTenant.Source = true, "", ""
	given := defaults
	given.Type = TypeResponseCompleted
	for _, c := range []struct {
		body string
		d    Defaults
		want want
	}{
		{`{"type":"unknown","id":"x"}`, defaults, want{"acme", "app", "unknown", "x", "x"}},
		{`{"type":"unknown","id":42,"tenant":"acme","source":"other"}`, defaults, want{"acme", "other", "unknown", "42", "42"}},
		{`{"type":"unknown","id":"x","tenant":"other"}`, anyTenant, want{"other", "api", "unknown", "x", "x"}},
		{`{"type":"unknown","id":"x"}`, anyTenant, want{"default", "api", "unknown", "x", "x"}},
		{`{"nps_score":3,"id":"x"}`, given, want{"acme", "app", "response.completed", "x", "x"}},
		{`{"specversion":"1.0","type":"unknown","id":"x","source":"https://example.com/a"}`, defaults, want{"acme", "app", "unknown", "x", "https://example.com/a#x"}},
		{`{"specversion":"1.0","type":"unknown","id":"x","source":"/tenants/acme/sources/other","tenant":"acme"}`, defaults, want{"acme", "other", "unknown", "x", "x"}},
		{`{"specversion":"1.0","type":"unknown","id":"x","source":"other","data":{"type":"test","id":"y","source":"z"}}`, defaults, want{"acme", "other", "unknown", "x", "x"}},
		{`{"type":"test","id":"x"}`, defaults, want{"acme", "app", "test", "x", "x:2024-01-01T12:00:02.113Z"}},
	} {
		e, err := ParseOne([]byte(c.body), c.d)
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if diff := cmp.Diff(c.want, want{e.Tenant, e.Source, e.Type, e.OrigID, e.DedupeKey}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.body, diff)
		}
		if !slices.Contains(IDs(e.Tenant, e.Source, e.DedupeKey), e.ID) || e.Time != received {
			t.Errorf("%s: id %s, time %v", c.body, e.ID, e.Time)
		}
	}
	e, err := ParseOne([]byte(`{"type":"unknown","time":"01/02/2024","nps_score":11,"response":{"duration_s":-1,"started_at":"soon"}}`), defaults)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"time left out: no time that can be read", "response.started_at left out: no time that can be read",
		"response.duration_s left out: below 0", "response.score.nps left out: not between 0 and 10",
	}, e.Data().Warnings); diff != "" || e.Time != received {
		t.Errorf("time %v, warnings (-want +got):\n%s", e.Time, diff)
	}
}

// An envelope that we sent and that is published again, by a gateway behind ours, is the same event: its key is the same,
// and its id that of one that a token vouches for, of which the proved one is the better.
func TestParseOneTakesOurOwnEnvelope(t *testing.T) {
	t.Parallel()
	want := sample(t)
	for _, envelope := range [][]byte{want.Envelope(), want.EnvelopeWithRaw()} {
		got, err := ParseOne(envelope, Defaults{Tenant: "acme", Received: received, Verified: "token"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Data(), got.Data()); diff != "" {
			t.Errorf("(-sent +published):\n%s", diff)
		}
		header := want.Header
		header.Received, header.Verified = received, VerifiedAPI // of this gateway
		header.ID = IDs(want.Tenant, want.Source, want.DedupeKey)[vouchedSpace]
		if !slices.Contains(got.StrongerIDs(), want.ID) {
			t.Error("where the proved one is known already, this one is no duplicate of it")
		}
		if diff := cmp.Diff(header, got.Header); diff != "" || got.Raw.ContentType != "application/cloudevents+json" {
			t.Errorf("content type %s (-sent +published):\n%s", got.Raw.ContentType, diff)
		}
		if cut, err := jsonpath.Cut(got.Raw.Body, got.Raw.AnswersAt); err != nil || strings.Contains(string(cut), `"question_id"`) {
			t.Errorf("answers_at does not lead to the answers: %s, %v", cut, err)
		}
	}
}

func TestParseBinary(t *testing.T) {
	t.Parallel()
	attributes := map[string]string{"specversion": "1.0", "id": "x", "type": "response.completed", "source": "/tenants/acme/sources/other", "time": "2024-01-01T00:00:00Z"}
	attribute := func(name string) string { return attributes[name] }
	e, err := ParseBinary(attribute, []byte(`{"nps_score":3,"response":{"answers":{"a":1}}}`), defaults)
	if err != nil {
		t.Fatal(err)
	}
	if e.Source != "other" || e.OrigID != "x" || e.Type != TypeResponseCompleted || *e.Data().Response.Score.NPS != 3 || e.Time.Hour() != 0 || e.Raw.AnswersAt[0] != "response.answers" {
		t.Errorf("got %s", e.EnvelopeWithRaw())
	}
	if e, err := ParseBinary(attribute, nil, defaults); err != nil || e.OrigID != "x" || string(e.Raw.Body) != "{}" {
		t.Errorf("without data: %v, %v", e, err)
	}
	for _, body := range []string{`[]`, `{`, `{"nope":1}`} {
		if _, err := ParseBinary(attribute, []byte(body), defaults); err == nil {
			t.Errorf("%s was taken", body)
		}
	}
	for header, want := range map[string]string{
		"caf%C3%A9%20%25": "café %", "café": "café", "100%": "100%", "50%25%": "50%%", "%zz%41": "%zzA", "%2541": "%41",
		`"say \"x\""`: `say "x"`, `"a\\b%20"`: `a\b `, `"`: `"`,
	} {
		attributes["id"] = header
		if e, err := ParseBinary(attribute, []byte(`{}`), defaults); err != nil || e.OrigID != want {
			t.Errorf("the header's id %s was read as %v, %v", header, e, err)
		}
	}
	attributes["specversion"] = "2.0"
	if _, err := ParseBinary(attribute, []byte(`{}`), defaults); err == nil {
		t.Error("CloudEvents 2.0 was taken")
	}
}

// An invalid CloudEvent is an error, in a batch for each event.
func TestParseDeclared(t *testing.T) {
	t.Parallel()
	const good = `{"specversion":"1.0","type":"test","id":"1","source":"app"}`
	if _, err := ParseStructured([]byte(good), defaults); err != nil {
		t.Error(err)
	}
	for body, want := range map[string]string{
		`{"type":"test"}`: "`specversion` is missing, which every CloudEvent has", `[` + good + `]`: "`event` must be an object, not an array",
		`{`: "not JSON: broken at byte 1", `{"specversion":1.0,"type":"test","id":"1"}`: "`specversion` must be text, not a number",
		`{"specversion":"1.0","type":"test","source":"app"}`: "`id` is missing, which every CloudEvent has", `{"specversion":"1.0","type":"test","id":"","source":"app"}`: "`id` is missing, which every CloudEvent has",
	} {
		if _, err := ParseStructured([]byte(body), defaults); want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	all, err := ParseBatch([]byte(`[`+good+`,{"type":"test"},5]`), defaults)
	if err != nil || len(all) != 3 || all[0].Err != nil || all[1].Err == nil || all[2].Err == nil {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := ParseBatch([]byte(good), defaults); err == nil || err.Error() != "`body` must be an array of CloudEvents, not an object" {
		t.Error(err)
	}
	if _, err := ParseBatch([]byte(`[`+good), defaults); !errors.Is(err, ErrNotJSON) {
		t.Error(err)
	}
}

// The dedupe key of an envelope is used only if its id is derived from its tenant, source and key. Otherwise the CloudEvent's id
// is used.
func TestParseForeignCloudEvent(t *testing.T) {
	t.Parallel()
	id := ID("acme", "app", "k1")
	for body, want := range map[string][3]string{
		`{"specversion":"1.0","type":"test","id":"` + id + `","source":"/tenants/acme/sources/app","dedupekey":"k1","origid":"o","sourcekind":"pollqr"}`: {"k1", "o", "pollqr"},
		`{"specversion":"1.0","type":"unknown","id":"` + id + `","source":"/tenants/acme/sources/app","dedupekey":"k2","origid":"o"}`:                    {id, id, "api"},
		`{"specversion":"1.0","type":"unknown","id":"` + id + `","source":"/tenants/acme/sources/b","dedupekey":"k1"}`:                                   {id, id, "api"},
		`{"specversion":"1.0","type":"unknown","id":"x","source":"app","dedupekey":7}`:                                                                   {"x", "x", "api"},
	} {
		e, err := ParseOne([]byte(body), defaults)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, [3]string{e.DedupeKey, e.OrigID, e.SourceKind}); diff != "" {
			t.Errorf("%s\n%s", body, diff)
		}
	}
}
