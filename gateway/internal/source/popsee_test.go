package source

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPopseePayload(t *testing.T) {
	t.Parallel()
	const survey, response = "550e8400-e29b-41d4-a716-446655440000", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
	want := map[string]any{
		"type": "response.completed", "origtype": "response.completed", "time": "2024-01-22T12:00:00Z",
		"dedupe": "response.completed:" + response, "sourcekind": "popsee", "source": "popsee-main", "tenant": "acme", "verified": "hmac",
		"survey.id": survey, "survey.title": "Customer Satisfaction Survey",
		"response.id": response, "response.completed": true, "response.completed_at": "2024-01-22T12:00:00Z",
		"respondent.id": "user_12345", "respondent.email": "customer@example.com",
		"respondent.params": `{"userId":"user_12345","email":"customer@example.com","plan":"pro"}`,
		"context.page_url":  "https://yoursite.com/checkout", "context.channel": "web",
	}
	answers := []answer{{"q1", "", "", "9"}, {"q2", "", "", `"Great service!"`}}
	tests := []struct {
		name     string
		settings Settings
		want     map[string]any
		answers  []answer
	}{
		{"as it comes", Settings{Secrets: secrets("popsee-test-secret")}, nil, nil},
		{
			"with roles",
			Settings{Secrets: secrets("popsee-test-secret"), Roles: map[string]Field{"q1": field(t, "nps_score"), "q2": field(t, "feedback")}},
			map[string]any{"score.nps": 9.0, "response.feedback": "Great service!"},
			[]answer{{"q1", "", "nps", "9"}, {"q2", "", "", `"Great service!"`}},
		},
		{
			"with roles of this survey",
			Settings{
				Secrets: secrets("popsee-test-secret"),
				Roles:   map[string]Field{"q1": field(t, "csat_score"), "q2": field(t, "feedback")},
				Surveys: map[string]Survey{survey: {Name: "checkout", Roles: map[string]Field{"q1": field(t, "response.score.nps")}}},
			},
			map[string]any{"score.nps": 9.0, "response.feedback": "Great service!"},
			[]answer{{"q1", "", "nps", "9"}, {"q2", "", "", `"Great service!"`}},
		},
		{
			"with roles of another survey",
			Settings{Secrets: secrets("popsee-test-secret"), Surveys: map[string]Survey{"other": {Roles: map[string]Field{"q1": field(t, "nps_score")}}}},
			nil, nil,
		},
	}
	schema := schema(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, profile(t, "popsee"), tt.settings)
			body := payload(t, "popsee-response.completed.json")
			ev := deliver(t, s, body)
			all := map[string]any{}
			maps.Copy(all, want)
			maps.Copy(all, tt.want)
			if diff := cmp.Diff(all, factsOf(ev)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			wanted := answers
			if tt.answers != nil {
				wanted = tt.answers
			}
			if diff := cmp.Diff(wanted, answersOf(ev)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			kept(t, ev, body, []string{"response.answers"}, nil)
			conforms(t, schema, ev)
		})
	}
}

// TestPopseeIdentity covers what customParams may hold, which the customer's own page fills.
func TestPopseeIdentity(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, params           string
		id, email, name2, rest string
	}{
		{"numbers are ids", `{"userId": 9007199254740993}`, "9007199254740993", "", "", `{"userId":9007199254740993}`},
		{"the other spelling", `{"user_id": "u"}`, "u", "", "", `{"user_id":"u"}`},
		{"empty first", `{"userId": "", "user_id": "u"}`, "u", "", "", `{"userId":"","user_id":"u"}`},
		{"name is split", `{"name": "  Ana  de la Cruz "}`, "", "", "Ana|de la Cruz", `{"name":"  Ana  de la Cruz "}`},
		{"one word", `{"name": "Ana"}`, "", "", "Ana|", `{"name":"Ana"}`},
		{"null", `null`, "", "", "", ``},
		{"an empty array of PHP", `[]`, "", "", "", ``},
		{"nulls inside", `{"a": null, "b": 1}`, "", "", "", `{"b":1}`},
		{"nested stays", `{"a": {"b": [1, 2.50]}}`, "", "", "", `{"a":{"b":[1,2.5]}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := one(t, open(t, profile(t, "popsee"), Settings{}),
				`{"event":"response.completed","response":{"id":"r","customParams":`+tt.params+`}}`).Data()
			if d.Respondent.ID != tt.id || d.Respondent.Email != tt.email || string(d.Respondent.Params) != tt.rest {
				t.Errorf("id %q e-mail %q params %s", d.Respondent.ID, d.Respondent.Email, d.Respondent.Params)
			}
			if got := d.Respondent.FirstName + "|" + d.Respondent.LastName; got != "|" && got != tt.name2 {
				t.Errorf("name split into %q, want %q", got, tt.name2)
			}
		})
	}
}
