package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules/event"
)

// TestSurveys: the same number is another question in another survey, by what the file says.
func TestSurveys(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{}, `
sources:
  qr:
    profile: pollqr
    secrets: [s]
    roles: {"1": csat_score, "9": feedback}
    surveys:
      onboarding-1: {name: Onboarding, roles: {"1": nps_score, "2": feedback}}
      exit-1: {name: Exit, roles: {"1": feedback, "2": ces_score}}
      named-1: {name: Named}
  forms:
    profile: formbricks
    unverified: true
    timezone: America/New_York
    surveys:
      s1: {roles: {q1: nps_score, who.2: email, who.0: first_name}}
      s2: {roles: {q1: consent, "who.0": email}}
  lime: {profile: limesurvey, secrets: [s], timezone: Asia/Tokyo, roles: {COMMENT: feedback}}
  utc: {profile: limesurvey, secrets: [s]}
  nicely: {profile: asknicely, secrets: [s], roles: {score: nps_score}}
  silent: {profile: asknicely, secrets: [s]}
`)
	type facts struct {
		NPS, CSAT, CES, Consent any
		Feedback, Email, Title  string
		CompletedAt             string
	}
	tests := []struct {
		name, source, body string
		want               facts
	}{
		{"an NPS here", "qr", `{"event":"response.created","survey_id":"onboarding-1","response_id":"r","response":{"answers":{"1":7,"2":"fine"}}}`, facts{NPS: 7.0, Feedback: "fine", Title: "Onboarding"}},
		{"a text there", "qr", `{"event":"response.created","survey_id":"exit-1","response_id":"r","response":{"answers":{"1":7,"2":3}}}`, facts{CES: 3.0, Feedback: "7", Title: "Exit"}},
		{"a survey with a name alone", "qr", `{"event":"response.created","survey_id":"named-1","response_id":"r","response":{"answers":{"1":7,"2":"fine","9":"why"}}}`, facts{CSAT: 7.0, Feedback: "why", Title: "Named"}},
		{"a survey that nobody named", "qr", `{"event":"response.created","survey_id":"x","response_id":"r","survey":{"title":"Own"},"response":{"answers":{"1":7}}}`, facts{CSAT: 7.0, Title: "Own"}},
		{"the source's stay beside the survey's", "qr", `{"event":"response.created","survey_id":"onboarding-1","response_id":"r","response":{"answers":{"1":7,"9":"why"}}}`, facts{NPS: 7.0, Feedback: "why", Title: "Onboarding"}},
		{"parts of an answer", "forms", `{"event":"responseFinished","data":{"id":"r","surveyId":"s1","data":{"q1":9,"who":["Ana","","ana@example.com"]}}}`, facts{NPS: 9.0, Email: "ana@example.com"}},
		{"other parts elsewhere", "forms", `{"event":"responseFinished","data":{"id":"r","surveyId":"s2","data":{"q1":"accepted","who":["ana@example.com"]}}}`, facts{Consent: true, Email: "ana@example.com"}},
		{"no survey, no roles", "forms", `{"event":"responseFinished","data":{"id":"r","surveyId":"s3","data":{"q1":9}}}`, facts{}},
		{"a zone", "forms", `{"event":"responseFinished","data":{"id":"r","surveyId":"s3","updatedAt":"2026-07-01 12:00:00","data":{"q1":9}}}`, facts{CompletedAt: "2026-07-01T16:00:00Z"}},
		{"a zone does not move what has one", "forms", `{"event":"responseFinished","data":{"id":"r","surveyId":"s3","updatedAt":"2026-07-01T12:00:00Z","data":{"q1":9}}}`, facts{CompletedAt: "2026-07-01T12:00:00Z"}},
		{"the server's zone", "lime", `{"event":"afterSurveyComplete","respondId":1,"submitDate":"2026-01-01 00:00:00","response":{"COMMENT":"slow"}}`, facts{Feedback: "slow", CompletedAt: "2025-12-31T15:00:00Z"}},
		{"no zone is UTC", "utc", `{"event":"afterSurveyComplete","respondId":1,"submitDate":"2026-01-01 00:00:00","response":{"COMMENT":"slow"}}`, facts{CompletedAt: "2026-01-01T00:00:00Z"}},
		{"a score by a role", "nicely", `{"count":1,"question":{"id":"1","score":"4"}}`, facts{NPS: 4.0}},
		{"no score without", "silent", `{"count":1,"question":{"id":"1","score":"4"}}`, facts{}},
	}
	for _, tt := range tests {
		t.Run(tt.source+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			events, err := sourceOf(t, c, tt.source).Normalise(&source.Request{Method: "POST", Body: []byte(tt.body), ContentType: "application/json", Received: at}, at)
			if err != nil || len(events) != 1 {
				t.Fatal(len(events), err)
			}
			d := events[0].Data()
			got := facts{
				of(d.Response.Score.NPS), of(d.Response.Score.CSAT), of(d.Response.Score.CES), of(d.Respondent.Consent),
				d.Response.Feedback, d.Respondent.Email, d.Survey.Title, d.Response.CompletedAt,
			}
			if events[0].Type != event.TypeResponseCompleted {
				t.Errorf("type %s", events[0].Type)
			}
			if tt.source == "qr" {
				got.CompletedAt = ""
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func of[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func sourceOf(t *testing.T, c *config.Config, name string) *source.Source {
	t.Helper()
	for _, s := range c.Sources {
		if s.Name == name {
			return s.Receiver
		}
	}
	t.Fatalf("no source %s", name)
	return nil
}

// TestEveryPlatformIsConfigured: with the settings that its page names, each platform loads; without them the fault
// says which.
func TestEveryPlatformIsConfigured(t *testing.T) {
	t.Parallel()
	for _, name := range source.Builtin().Names() {
		p, _ := source.Builtin().Profile(name)
		d := p.Platform()
		settings := "path_token: \"0123456789abcdefghijkl\""
		if d.Secrets {
			settings = `secrets: ["` + map[bool]string{true: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", false: "secret"}[name == "formbricks"] + `"]`
		}
		for _, v := range d.Vars {
			settings += ", vars: {" + v + ": x}"
		}
		c := load(t, config.Options{}, "sources:\n  s: {profile: "+name+", "+settings+"}\n")
		if len(c.Sources) != 1 || !c.Sources[0].Receiver.Proves() || len(c.Warnings) > 0 {
			t.Errorf("%s: %d sources, %v", name, len(c.Sources), c.Warnings)
		}
		_, err := config.Load(config.Options{
			Path: write(t, map[string]string{"surveygate.yaml": "sources:\n  s: {profile: " + name + "}\n"}), Env: lookup,
		})
		if err == nil || !strings.Contains(err.Error(), "requests of this source cannot be verified") || strings.Contains(err.Error(), "set secrets") != d.Secrets {
			t.Errorf("%s: %v", name, err)
		}
	}
}
