package source

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// TestEveryPayload plays every published payload through its profile: one event, of a known type, that conforms
// and is the same each time.
func TestEveryPayload(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	l := Builtin()
	files, err := filepath.Glob("testdata/payloads/*")
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]bool{}
	for _, file := range files {
		name := filepath.Base(file)
		platform, _, _ := strings.Cut(name, "-")
		p, ok := l.Profile(platform)
		switch {
		case !ok && (name == "vectors.json"):
			continue
		case !ok:
			t.Errorf("%s has no profile", name)
			continue
		case name == "surveymonkey-response-details.json": // an answer of their API, not a webhook
			continue
		case strings.HasSuffix(name, ".txt") != (p.Decode != DecodeJSON) || strings.Contains(name, "malformed"):
			continue // the decoded form of a form, for people; the malformed one is among the bad bodies
		}
		played[platform] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := open(t, p, Settings{})
			ev := one(t, s, string(body))
			if ev.Type == event.TypeUnknown {
				t.Errorf("type unknown: %v", ev.Data().Warnings)
			}
			if !odd[name] && len(ev.Data().Warnings) > 0 {
				t.Errorf("warnings %q", ev.Data().Warnings)
			}
			if again := one(t, s, string(body)); ev.Type != event.TypeTest && string(again.Envelope()) != string(ev.Envelope()) {
				t.Errorf("not the same twice:\n%s\n%s", ev.Envelope(), again.Envelope())
			}
			conforms(t, schema, ev)
		})
	}
	if len(played) != len(l.Names()) {
		t.Errorf("%d platforms played, %d profiles", len(played), len(l.Names()))
	}
}

// TestSeeds are the other three platforms that ship, by the fields of the mapping table.
func TestSeeds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file    string
		want    map[string]any
		answers []answer
		leads   []string
	}{
		{
			"pollarix-SURVEY_COMPLETED.json",
			map[string]any{
				"type": "response.completed", "origtype": "SURVEY_COMPLETED", "time": "2024-01-15T10:30:00Z",
				"dedupe":     "wh_abc123:SURVEY_COMPLETED:survey_123:resp_456:2024-01-15T10:30:00Z",
				"sourcekind": "pollarix", "source": "pollarix-main", "tenant": "acme", "verified": "none",
				"account.id": "dept_xyz789", "survey.id": "survey_123", "survey.title": "Customer Satisfaction Survey",
				"response.id": "resp_456", "response.completed": true, "response.completed_at": "2024-01-15T10:30:00Z", "response.duration_s": 245.0,
				"respondent.id": "contact_001", "respondent.email": "customer@example.com", "respondent.phone": "+1234567890",
				"respondent.name": "John Doe", "respondent.first_name": "John", "respondent.last_name": "Doe",
				"respondent.params": `{"firstName":"John","lastName":"Doe"}`,
				"context.ip":        "192.168.1.1", "context.user_agent": "Mozilla/5.0...", "context.language": "en",
				"context.channel": "email", "context.collector_id": "col_789",
			},
			[]answer{
				{"q1", "How satisfied are you?", "rating", "9"},
				{"q2", "Would you recommend us?", "boolean", "true"},
				{"q3", "Additional comments", "text", `"Great service!"`},
			},
			nil,
		},
		{
			"poltio-complete.json",
			map[string]any{
				"type": "response.completed", "time": "2024-01-23T11:59:59Z",
				"dedupe":     "6caaa000-2bd8-4b28-8b9b-bfe1fca94f39:22ffdf18-1035-4e56-baa2-8327e3af5242:true:" + hash(payload(t, "poltio-complete.json")),
				"sourcekind": "poltio", "source": "poltio-main", "tenant": "acme", "verified": "none",
				"survey.id": "6caaa000-2bd8-4b28-8b9b-bfe1fca94f39", "survey.type": "content",
				"response.id": "22ffdf18-1035-4e56-baa2-8327e3af5242", "response.completed": true,
				"response.started_at": "2024-01-23T11:59:33Z", "response.completed_at": "2024-01-23T11:59:59Z", "response.duration_s": 16.789,
				"score.custom": 0.0, "leads": 1,
				"result":        `{"id":"1234","title":"Result Title","description":"Result Description","image":"https://cdn.poltio.com/0x0/content/gcp/1678957893.2458.png","right_answers":0}`,
				"respondent.id": "1234", "respondent.external_id": "Example Custom ID", "respondent.email": "example@example.com",
				"respondent.name": "Name", "respondent.first_name": "Name", "respondent.phone": "+1231231234",
				"context.page_url": "https://www.poltio.com/widget/22ffdf18-1035-4e56-baa2-8327e3af5242",
			},
			[]answer{{"1234", "Example Question Title", "", `["Example Answer Title"]`}},
			[]string{`{"user_id":"1234","email":"example@example.com","phone":"+1231231234","name":"Name","comment":"Comment","created_at":"2024-01-23T11:59:43Z","terms_accepted":true,"content_id":"12345","content_type":"content"}`},
		},
		{
			"poltio-legacy.json",
			map[string]any{
				"type": "response.completed", "time": "2019-09-16T09:07:55Z",
				"dedupe":     "12345:Poltio Session ID:true:" + hash(payload(t, "poltio-legacy.json")),
				"sourcekind": "poltio", "source": "poltio-main", "tenant": "acme", "verified": "none",
				"survey.id": "12345", "survey.type": "Content type", "response.id": "Poltio Session ID", "response.completed": true,
				"result": `{"id":"1234"}`, "leads": 1,
				"respondent.id": "1234", "respondent.external_id": "Publisher UUID", "respondent.email": "example@example.com",
				"respondent.name": "Name", "respondent.first_name": "Name", "respondent.phone": "+1231231234",
				"warnings": "response.leads.created_at: the value is not a readable time",
			},
			[]answer{{"1234", "Question Title", "", `["Voted answer title"]`}},
			[]string{`{"user_id":"1234","email":"example@example.com","phone":"+1231231234","name":"Name","comment":"Comment","terms_accepted":true,"content_type":"Content type"}`},
		},
		{
			"chattosurvey-conversation.started.json",
			map[string]any{
				"type": "response.started", "origtype": "conversation.started", "origid": "uuid", "time": "2024-03-06T12:00:00Z", "dedupe": "uuid",
				"sourcekind": "chattosurvey", "source": "chattosurvey-main", "tenant": "acme", "verified": "none",
				"account.id": "uuid", "survey.id": "uuid", "survey.title": "Customer Feedback Survey",
				"response.id": "uuid", "response.completed": false, "response.started_at": "2024-03-06T12:00:00Z",
				"respondent.id": "uuid", "respondent.name": "John Doe", "respondent.first_name": "John", "respondent.last_name": "Doe",
				"respondent.phone": "+1234567890", "respondent.verified": true, "context.channel": "embedded_chat",
			},
			nil, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			platform, _, _ := strings.Cut(tt.file, "-")
			ev := one(t, open(t, profile(t, platform), Settings{}), string(payload(t, tt.file)))
			if diff := cmp.Diff(tt.want, factsOf(ev)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.answers, answersOf(ev)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			var leads []string
			for _, lead := range ev.Data().Response.Leads {
				leads = append(leads, string(lead))
			}
			if diff := cmp.Diff(tt.leads, leads); diff != "" {
				t.Errorf("leads (-want +got):\n%s", diff)
			}
		})
	}
}

// secretsOf are settings with which a platform's requests are proved, where they carry a proof.
func secretsOf(t testing.TB, platform string) Settings {
	d := profile(t, platform).Platform()
	settings := Settings{Vars: map[string]connectors.Secret{}}
	switch {
	case !d.Secrets:
		settings.PathToken = connectors.NewSecret(pathToken)
	case platform == "formbricks":
		settings.Secrets = secrets("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	default:
		settings.Secrets = secrets("a secret of the platform")
	}
	for _, name := range d.Vars {
		settings.Vars[name] = connectors.NewSecret("the " + name)
	}
	return settings
}

// TestSamples: of every platform that ships there is a sample, proved as the platform proves it, new each time, and
// the same event when it is sent twice.
func TestSamples(t *testing.T) {
	t.Parallel()
	schema := schema(t)
	if diff := cmp.Diff(Builtin().Names(), Samples()); diff != "" {
		t.Fatalf("platforms with a sample (-built in +samples):\n%s", diff)
	}
	three := 3.0
	noID := []string{"productfruits"}
	for _, platform := range Samples() {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			s := open(t, profile(t, platform), secretsOf(t, platform))
			kind := samples[platform]
			take := func(v Variation) *event.Event {
				sample, err := NewSample(platform, v)
				if err != nil {
					t.Fatal(err)
				}
				return prove(t, s, sample)
			}
			first, same, other := take(Variation{Seed: "1", At: noon}), take(Variation{Seed: "1", At: noon}), take(Variation{Seed: "2", At: noon})
			if first.ID != same.ID || first.ID == other.ID {
				t.Errorf("ids %s %s %s", first.ID, same.ID, other.ID)
			}
			if without := slices.Contains(noID, platform); !without && first.ResponseID == other.ResponseID || without != (first.ResponseID == "") {
				t.Errorf("response ids %q %q", first.ResponseID, other.ResponseID)
			}
			if (first.Type != event.TypeResponseCompleted) != kind.open || len(first.Data().Warnings) > 0 {
				t.Errorf("type %s, warnings %q", first.Type, first.Data().Warnings)
			}
			if late := noon.Sub(first.Time); late < 0 || late > 6*time.Second {
				t.Errorf("time %s", first.Time)
			}
			conforms(t, schema, first)
			text, err := sampleBody(platform)
			if err != nil {
				t.Fatal(err)
			}
			for _, literal := range slices.Concat(kind.ids, kind.scores, slices.Collect(maps.Keys(kind.times))) {
				if !strings.Contains(string(text), literal) {
					t.Errorf("the sample does not hold %s", literal)
				}
			}
			if len(kind.scores) > 0 {
				low := take(Variation{Seed: "1", At: noon, Score: &three})
				changed := 0
				for i, a := range low.Data().Response.Answers {
					if was := first.Data().Response.Answers[i]; string(a.Value) != string(was.Value) {
						changed++
						if a.Text() != "3" || was.Text() != "9" {
							t.Errorf("%s became %s", was.Value, a.Value)
						}
					}
				}
				if changed != 1 {
					t.Errorf("%d answers changed with the score", changed)
				}
				if nps := low.Data().Response.Score.NPS; nps != nil && *nps != 3 {
					t.Errorf("NPS %v", *nps)
				}
			}
		})
	}
	if _, err := NewSample("pollqrr", Variation{}); err == nil || !strings.Contains(err.Error(), "typeform") {
		t.Errorf("a sample of no platform: %v", err)
	}
}

// prove sends a sample as the platform would: with what proves it, through Verify and Normalise.
func prove(t testing.TB, s *Source, sample Sample) *event.Event {
	t.Helper()
	sent, fields, err := s.Prove(sample, noon)
	if err != nil {
		t.Fatal(err)
	}
	req := request(sent.Body)
	req.ContentType, req.Token = sent.ContentType, s.PathToken.Expose()
	req.Header = func(name string) string {
		for _, f := range fields {
			if strings.EqualFold(f.Name, name) {
				return f.Value
			}
		}
		return ""
	}
	verified, err := s.Verify(req)
	if err != nil {
		t.Fatal(err)
	}
	if (verified.Kind == KindPath) != (len(s.checks) == 0) {
		t.Fatalf("proved as %+v", verified)
	}
	changed := *req
	if changed.Body = append(slices.Clone(sent.Body), ' '); verified.Kind == KindHMAC && s.Profile.Name != "qualtrics" && s.Profile.Name != "pollqr" && s.Profile.Name != "tally" {
		if _, err := s.Verify(&changed); err == nil {
			t.Error("another body passed with the same proof")
		}
	}
	events, err := s.Normalise(req, noon)
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, secret := range append(slices.Clone(s.Secrets), s.PathToken) {
		if text := secret.Expose(); text != "" && (strings.Contains(string(events[0].EnvelopeWithRaw()), text) || strings.Contains(string(events[0].Raw.Body), text)) {
			t.Error("the event holds the secret")
		}
	}
	return events[0]
}
