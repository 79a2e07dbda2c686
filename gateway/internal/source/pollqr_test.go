package source

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
)

// answer is one answer as it is compared: value as JSON text.
type answer struct{ ID, Question, Type, Value string }

func answersOf(ev *event.Event) []answer {
	var list []answer
	for _, a := range ev.Data().Response.Answers {
		list = append(list, answer{a.QuestionID, a.Question, a.Type, string(a.Value)})
	}
	return list
}

func value[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// facts are all the fields of the mapping table, by their names there; absent ones are left out.
func factsOf(ev *event.Event) map[string]any {
	d := ev.Data()
	all := map[string]any{
		"type": ev.Type, "origtype": ev.OrigType, "origid": ev.OrigID, "time": timeText(ev.Time), "dedupe": ev.DedupeKey,
		"sourcekind": ev.SourceKind, "source": ev.Source, "tenant": ev.Tenant, "verified": ev.Verified,
		"account.id": d.Account.ID,
		"survey.id":  d.Survey.ID, "survey.title": d.Survey.Title, "survey.type": d.Survey.Type, "survey.version": d.Survey.Version,
		"response.id": d.Response.ID, "response.completed": value(d.Response.Completed),
		"response.started_at": d.Response.StartedAt, "response.completed_at": d.Response.CompletedAt, "response.updated_at": d.Response.UpdatedAt,
		"response.duration_s": value(d.Response.DurationS), "response.feedback": d.Response.Feedback,
		"response.permalink": d.Response.Permalink, "response.review_state": d.Response.ReviewState,
		"score.nps": value(d.Response.Score.NPS), "score.csat": value(d.Response.Score.CSAT),
		"score.ces": value(d.Response.Score.CES), "score.custom": value(d.Response.Score.Custom),
		"result": string(d.Response.Result), "leads": len(d.Response.Leads),
		"respondent.id": d.Respondent.ID, "respondent.external_id": d.Respondent.ExternalID, "respondent.email": d.Respondent.Email,
		"respondent.name": d.Respondent.Name, "respondent.first_name": d.Respondent.FirstName, "respondent.last_name": d.Respondent.LastName,
		"respondent.phone": d.Respondent.Phone, "respondent.verified": value(d.Respondent.Verified), "respondent.consent": value(d.Respondent.Consent),
		"respondent.params": string(d.Respondent.Params),
		"context.ip":        d.Context.IP, "context.user_agent": d.Context.UserAgent, "context.page_url": d.Context.PageURL,
		"context.channel": d.Context.Channel, "context.language": d.Context.Language, "context.country": d.Context.Country,
		"context.collector_id": d.Context.CollectorID,
		"warnings":             strings.Join(d.Warnings, "\n"),
	}
	for key, value := range all {
		if value == nil || value == "" || value == 0 {
			delete(all, key)
		}
	}
	return all
}

func TestPollQRPayloads(t *testing.T) {
	t.Parallel()
	const (
		survey   = "550e8400-e29b-41d4-a716-446655440000"
		response = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
		business = "550e8400-e29b-41d4-a716-446655440001"
	)
	common := map[string]any{
		"sourcekind": "pollqr", "source": "pollqr-main", "tenant": "acme", "verified": "hmac",
		"account.id": business, "survey.id": survey, "survey.title": "Customer Satisfaction Survey", "survey.type": "nps",
	}
	answered := map[string]any{
		"response.id": response, "response.completed": true, "response.duration_s": 45.0,
		"respondent.email": "john@example.com", "respondent.phone": "+1234567890",
		"context.ip": "192.168.1.1", "context.user_agent": "Mozilla/5.0...",
	}
	tests := []struct {
		file    string
		want    []map[string]any
		answers []answer
	}{
		{
			"pollqr-response.created.json",
			[]map[string]any{common, answered, {
				"type": "response.completed", "origtype": "response.created", "time": "2024-01-01T12:00:00Z",
				"dedupe":                "response.created:" + survey + ":" + response + ":2024-01-01T12:00:00.000Z",
				"response.completed_at": "2024-01-01T12:00:00Z", "score.nps": 9.0,
			}},
			[]answer{{"1", "", "", "9"}, {"2", "", "", `"Great service and friendly staff!"`}, {"3", "", "", `"john@example.com"`}, {"4", "", "", `"+1234567890"`}},
		},
		{
			"pollqr-response.updated.derived.json",
			[]map[string]any{common, answered, {
				"type": "response.updated", "origtype": "response.updated", "time": "2024-01-01T12:05:00Z",
				"dedupe":              "response.updated:" + survey + ":" + response + ":2024-01-01T12:05:00.000Z",
				"response.updated_at": "2024-01-01T12:05:00Z", "score.nps": 4.0,
			}},
			[]answer{{"1", "", "", "4"}, {"2", "", "", `"Changed my mind: the queue was too long"`}, {"3", "", "", `"john@example.com"`}, {"4", "", "", `"+1234567890"`}},
		},
		{
			// Of the survey, not of a respondent: nothing says that anybody completed anything.
			"pollqr-survey.completed.derived.json",
			[]map[string]any{common, {
				"type": "survey.closed", "origtype": "survey.completed", "time": "2024-01-31T23:59:59Z",
				"dedupe": "survey.completed:" + survey + "::2024-01-31T23:59:59.000Z",
			}},
			nil,
		},
	}
	schema := schema(t)
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			s := open(t, profile(t, "pollqr"), Settings{Secrets: secrets("pollqr-test-secret")})
			body := payload(t, tt.file)
			ev := deliver(t, s, body)
			want := map[string]any{}
			for _, part := range tt.want {
				maps.Copy(want, part)
			}
			if diff := cmp.Diff(want, factsOf(ev)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.answers, answersOf(ev)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			kept(t, ev, body, []string{"response.answers"}, nil)
			conforms(t, schema, ev)
		})
	}
}

// deliver signs a body as the platform, verifies and normalises it.
func deliver(t *testing.T, s *Source, body []byte) *event.Event {
	t.Helper()
	fields, err := s.Sign(body, noon)
	if err != nil {
		t.Fatal(err)
	}
	req := request(body)
	req.Token = s.PathToken.Expose()
	req.Header = func(name string) string {
		for _, f := range fields {
			if strings.EqualFold(f.Name, name) {
				return f.Value
			}
		}
		return ""
	}
	if _, err := s.Verify(req); err != nil {
		t.Fatalf("verify: %v", err)
	}
	events, err := s.Normalise(req, noon)
	if err != nil || len(events) != 1 {
		t.Fatalf("normalise: %d events, %v", len(events), err)
	}
	return events[0]
}

// kept checks the raw side of an event.
func kept(t *testing.T, ev *event.Event, body []byte, answersAt, leadsAt []string) {
	t.Helper()
	want := event.Raw{ContentType: "application/json", Body: body, SHA256: hash(body), AnswersAt: answersAt, LeadsAt: leadsAt}
	if diff := cmp.Diff(want, ev.Raw); diff != "" {
		t.Errorf("raw (-want +got):\n%s", diff)
	}
	if ids := event.IDs(ev.Tenant, ev.Source, ev.DedupeKey); !slices.Contains(ids, ev.ID) {
		t.Errorf("id %s, want one of %s", ev.ID, ids)
	}
	if ev.SurveyID != ev.Data().Survey.ID || ev.ResponseID != ev.Data().Response.ID {
		t.Errorf("header ids %q %q differ from data", ev.SurveyID, ev.ResponseID)
	}
}

// TestEnvelopeExample rebuilds the published example: the same id, subject, key and data, with its tenant's roles.
func TestEnvelopeExample(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "pollqr"), Settings{
		Secrets: secrets("pollqr-test-secret"),
		Roles:   map[string]Field{"1": field(t, "nps_score"), "3": field(t, "email"), "4": field(t, "phone")},
	})
	got := envelope(t, deliver(t, s, payload(t, "pollqr-response.created.json")))
	want := map[string]any{
		"id":      "98f112ad9000831e10656e02964b1bb9",
		"source":  "/tenants/acme/sources/pollqr-main",
		"subject": "550e8400-e29b-41d4-a716-446655440000/6ba7b810-9dad-11d1-80b4-00c04fd430c8",
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: %v, want %v", key, got[key], value)
		}
	}
	raw := got["data"].(map[string]any)["raw"].(map[string]any)
	if raw["sha256"] == "" || raw["encoding"] != "utf8" || raw["content_type"] != "application/json" {
		t.Errorf("raw: %v", raw)
	}
	var types []string
	for _, a := range got["data"].(map[string]any)["response"].(map[string]any)["answers"].([]any) {
		typ, _ := a.(map[string]any)["type"].(string)
		types = append(types, typ)
	}
	if diff := cmp.Diff([]string{"nps", "", "email", "phone"}, types); diff != "" {
		t.Errorf("types of answers (-want +got):\n%s", diff)
	}
}

func field(t testing.TB, name string) Field {
	t.Helper()
	var f Field
	if err := f.UnmarshalText([]byte(name)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPollQRScores(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, score string
		want        any
		warns       bool
	}{
		{"number", `9`, 9.0, false},
		{"zero is a score", `0`, 0.0, false},
		{"ten", `10`, 10.0, false},
		{"text is read", `" 7 "`, 7.0, false},
		{"null is absent", `null`, nil, false},
		{"empty is absent", `""`, nil, false},
		{"eleven", `11`, nil, true},
		{"below zero", `-1`, nil, true},
		{"word", `"nine"`, nil, true},
		{"true", `true`, nil, true},
		{"a list", `[9]`, nil, true},
		{"an object", `{"value": 9}`, nil, true},
		{"infinity", `1e999`, nil, true},
		{"not a number", `"NaN"`, nil, true},
		{"hexadecimal", `"0x5"`, nil, true},
		{"comma", `"7,5"`, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ev := one(t, open(t, profile(t, "pollqr"), Settings{}), `{"event":"response.created","response_id":"r","response":{"nps_score":`+tt.score+`}}`)
			if got := value(ev.Data().Response.Score.NPS); got != tt.want {
				t.Errorf("score %v, want %v", got, tt.want)
			}
			if got := len(ev.Data().Warnings) > 0; got != tt.warns {
				t.Errorf("warnings %q", ev.Data().Warnings)
			}
		})
	}
}

func TestPollQRRespondentByForm(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, answers, email, phone string }{
		{"first that fits", `{"1":"a@example.com","2":"b@example.com"}`, "a@example.com", ""},
		{"space around", `{"1":"  a@example.com "}`, "a@example.com", ""},
		{"within a sentence", `{"1":"write to a@example.com please"}`, "", ""},
		{"two at signs", `{"1":"a@b@example.com"}`, "", ""},
		{"escaped", `{"1":"a\u0040example.com"}`, "a@example.com", ""},
		{"phone with plus", `{"1":"+4930123456"}`, "", "+4930123456"},
		{"phone without plus", `{"1":"030123456"}`, "", ""},
		{"phone too long", `{"1":"+1234567890123456"}`, "", ""},
		{"in a list", `{"1":["a@example.com"]}`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := one(t, open(t, profile(t, "pollqr"), Settings{}), `{"event":"response.created","response_id":"r","response":{"answers":`+tt.answers+`}}`).Data()
			if d.Respondent.Email != tt.email || d.Respondent.Phone != tt.phone {
				t.Errorf("e-mail %q phone %q, want %q %q", d.Respondent.Email, d.Respondent.Phone, tt.email, tt.phone)
			}
		})
	}
}
