package connectors_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestMessageFor(t *testing.T) {
	t.Parallel()
	field := func(name, value string, short bool) connectors.MessageField {
		return connectors.MessageField{Name: name, Value: value, Short: short}
	}
	type want struct {
		Title, Group, Level string
		Fields              []connectors.MessageField
	}
	rows := map[string]want{
		`{"type": "response.completed", "nps_score": 3, "email": "jo@example.com", "name": "Jo", "feedback": "slow", "survey": {"id": "s1", "title": "Onboarding"}}`: {
			"Low NPS Alert: Score 3/10", "detractor", "danger",
			[]connectors.MessageField{field("Customer", "jo@example.com", true), field("Feedback", "slow", false), field("Survey", "Onboarding", true)},
		},
		`{"type": "response.completed", "nps_score": 0}`:                 {"Low NPS Alert: Score 0/10", "detractor", "danger", nil},
		`{"type": "response.completed", "nps_score": 6}`:                 {"Low NPS Alert: Score 6/10", "detractor", "danger", nil},
		`{"type": "response.completed", "nps_score": 7, "phone": "+90"}`: {"New response: Score 7/10", "passive", "warning", []connectors.MessageField{field("Customer", "+90", true)}},
		`{"type": "response.completed", "nps_score": 8}`:                 {"New response: Score 8/10", "passive", "warning", nil},
		`{"type": "response.completed", "nps_score": 9.0}`:               {"New response: Score 9/10", "promoter", "good", nil},
		`{"type": "response.completed", "nps_score": 10}`:                {"New response: Score 10/10", "promoter", "good", nil},
		`{"type": "response.completed", "csat_score": 4.5}`:              {"New response: CSAT 4.5", "", "", nil},
		`{"type": "response.completed", "ces_score": 2}`:                 {"New response: CES 2", "", "", nil},
		`{"type": "response.completed", "survey": {"id": "s1"}}`:         {"New response: s1", "", "", []connectors.MessageField{field("Survey", "s1", true)}},
		`{"type": "response.completed", "response": {"id": "r1"}}`:       {"New response: r1", "", "", nil},
		`{"type": "response.completed"}`:                                 {"New response", "", "", nil},
		`{"type": "response.partial", "name": "Jo Doe"}`:                 {"Unfinished response", "", "", []connectors.MessageField{field("Customer", "Jo Doe", true)}},
		`{"type": "response.updated", "nps_score": 9}`:                   {"Changed response: Score 9/10", "promoter", "good", nil},
		`{"type": "survey.closed", "survey": {"title": "Onboarding"}}`:   {"survey.closed: Onboarding", "", "", []connectors.MessageField{field("Survey", "Onboarding", true)}},
		`{"type": "test"}`: {"Test event", "", "", nil},
		`{"type": "response.completed", "feedback": "slow", "response": {"answers": [
			{"question_id": "1", "question": "How likely?", "value": 3}, {"question_id": "2", "question": "Why?", "value": "slow"}]}}`: {
			"New response", "", "", []connectors.MessageField{field("Question", "Why?", false), field("Feedback", "slow", false)},
		},
		`{"type": "response.completed", "feedback": "slow", "response": {"answers": [{"question_id": "1", "question": "How likely?", "value": 3, "comment": "slow"}]}}`: {
			"New response", "", "", []connectors.MessageField{field("Question", "How likely?", false), field("Feedback", "slow", false)},
		},
	}
	for given, want := range rows {
		ev, err := connectortest.ParseEvent([]byte(given))
		if err != nil {
			t.Fatal(err)
		}
		m := connectors.MessageFor(ev)
		if want.Fields == nil {
			want.Fields = []connectors.MessageField{}
		}
		if diff := cmp.Diff(connectors.Message{Title: want.Title, Group: want.Group, Fields: want.Fields}, m); diff != "" {
			t.Errorf("%s:\n%s", given, diff)
		}
		if got := m.GroupTitle(); !strings.EqualFold(got, want.Group) || got != "" && got == want.Group {
			t.Errorf("%s: the group is shown as %q", given, got)
		}
		if got := m.Level(); got != want.Level {
			t.Errorf("%s: the level is %q, want %q", given, got, want.Level)
		}
	}
}

func TestMessageLink(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"https://polls.example/r/1?a=b&c=%20#top":            "https://polls.example/r/1?a=b&c=%20#top",
		"http://polls.example":                               "http://polls.example",
		"https://polls.example/ö":                            "https://polls.example/%C3%B6",
		"https://polls.example/a|b":                          "https://polls.example/a%7Cb",
		"https://polls.example/?a=|b":                        "", // would end an address in Slack
		"https://polls.example/?a=<b>":                       "",
		"https://jo:secret@polls.example/":                   "",
		"javascript:alert(1)":                                "",
		"/r/1":                                               "",
		"https://polls.example/" + strings.Repeat("a", 2048): "",
	} {
		ev, err := connectortest.ParseEvent([]byte(`{"type": "response.completed", "response": {"permalink": "` + given + `"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := connectors.MessageFor(ev).Link; got != want {
			t.Errorf("%s: the link is %q, want %q", given, got, want)
		}
	}
}
