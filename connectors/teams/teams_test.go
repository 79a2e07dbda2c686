package teams

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
)

const hook = "https://hook.example/powerautomate/automations/direct/workflows/1/triggers/manual/paths/invoke?api-version=1&sp=run&sv=1.0&sig=x"

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "teams")
}

// The documented example, field by field; Microsoft publishes no document of the trigger.
// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#send-adaptive-cards-using-an-incoming-webhook
func TestFields(t *testing.T) {
	t.Parallel()
	content := func(at string) []connectortest.Field {
		return []connectortest.Field{
			{To: at + "$schema", From: "always", Want: "http://adaptivecards.io/schemas/adaptive-card.json"},
			{To: at + "type", From: "always", Want: "AdaptiveCard"},
			{To: at + "version", From: "always", Want: "1.2"},
			{To: at + "msteams.width", From: "always", Want: "Full"},
			{To: at + "body.0.type", From: "always", Want: "TextBlock"},
			{To: at + "body.0.text", From: "response.score.nps", Sample: 3, Want: "Low NPS Alert: Score 3/10"},
			{To: at + "body.0.size", From: "always", Want: "Medium"},
			{To: at + "body.0.weight", From: "always", Want: "Bolder"},
			{To: at + "body.0.color", From: "group of the score", Want: "Attention"},
			{To: at + "body.0.wrap", From: "always", Want: true},
			{To: at + "body.1.type", From: "always", Want: "FactSet"},
			{To: at + "body.1.facts.0.title", From: "always", Want: "Customer"},
			{To: at + "body.1.facts.0.value", From: "respondent.email", Sample: "jo@example.com"},
			{To: at + "body.1.facts.1.title", From: "always", Want: "Survey"},
			{To: at + "body.1.facts.1.value", From: "survey.title", Sample: "Onboarding"},
			{To: at + "body.1.facts.2.title", From: "always", Want: "NPS group"},
			{To: at + "body.1.facts.2.value", From: "group of the score", Want: "Detractor"},
			{To: at + "body.2.type", From: "always", Want: "TextBlock"},
			{To: at + "body.2.text", From: "always", Want: "Feedback"},
			{To: at + "body.2.weight", From: "always", Want: "Bolder"},
			{To: at + "body.2.wrap", From: "always", Want: true},
			{To: at + "body.3.type", From: "always", Want: "TextBlock"},
			{To: at + "body.3.text", From: "response.feedback", Sample: "*slow*", Want: `\*slow\*`},
			{To: at + "body.3.wrap", From: "always", Want: true},
			{To: at + "actions.0.type", From: "always", Want: "Action.OpenUrl"},
			{To: at + "actions.0.title", From: "always", Want: "Open the response"},
			{To: at + "actions.0.url", From: "response.permalink", Sample: "https://polls.example/r/1"},
			{To: "method", From: "always", Want: "POST"},
			{To: "url", From: "the webhook, which is a secret", Want: ""},
			{To: "header.Content-Type", From: "always", Want: "application/json; charset=utf-8"},
		}
	}
	connectortest.CheckFields(t, "teams", "webhook: "+hook, append(content("attachments.0.content."),
		connectortest.Field{To: "type", From: "always", Want: "message"},
		connectortest.Field{To: "attachments.0.contentType", From: "always", Want: "application/vnd.microsoft.card.adaptive"},
		connectortest.Field{To: "attachments.0.contentUrl", From: "always, as null", Want: nil}))
	connectortest.CheckFields(t, "teams", "{webhook: '"+hook+"', card: bare}", content(""))
}

// No comment makes the body longer than what Teams posts, and none is cut more than it must.
func TestLongTextsFit(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"webhook: " + hook, "{webhook: '" + hook + "', text: '{{ feedback }}'}"} {
		c := &Connector{Card: InMessage}
		if err := connectortest.Bind([]byte(config), c); err != nil {
			t.Fatal(err)
		}
		for _, piece := range []string{"slow ", "é", "😀", "*", `\`, `"`, "x\n", "\x01", "\u2028", "a*", "\\\x01"} {
			given, err := json.Marshal(map[string]any{
				"type": "response.completed", "feedback": "a" + strings.Repeat(piece, 30_000/len(piece)) + "b",
				"email": strings.Repeat(piece, 600) + "@example.com", "survey": map[string]any{"title": strings.Repeat(piece, 600) + "b"},
				"response": map[string]any{"permalink": "https://polls.example/" + strings.Repeat("a", 2000)},
			})
			if err != nil {
				t.Fatal(err)
			}
			ev, err := connectortest.ParseEvent(given)
			if err != nil {
				t.Fatal(err)
			}
			req, err := c.Build(ev)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(req.Body); n > maxBody || n < maxBody*8/10 {
				t.Errorf("%q: the body has %d bytes", piece, n)
			}
			if !strings.Contains(string(req.Body), "…") {
				t.Errorf("%q: the cut text has no mark", piece)
			}
		}
	}
}

// Every code of the sheet, under any status.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	c := &Connector{}
	for code, want := range map[string]connectors.Kind{
		"WorkflowTriggerIsNotEnabled": connectors.Revoked,
		"TriggerInputSchemaMismatch":  connectors.Revoked,
		"WorkflowNotFound":            connectors.Revoked,
		"InvalidRequestContent":       connectors.Rejected,
	} {
		got := c.Judge(&connectors.Response{Status: 400, Body: fmt.Appendf(nil, `{"error":{"code":%q,"message":"Jo's flow"}}`, code)})
		if got.Kind != want || got.Reason != "400 Bad Request: "+code {
			t.Errorf("%s: %v, want %s", code, got, want)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	c := &Connector{Card: InMessage, Webhook: connectors.NewSecret(hook)}
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","id":"r1","nps_score":3,"feedback":"Checkout is *slow*","email":"jo@example.com","survey":{"title":"Onboarding"}}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Build(ev); err != nil {
			b.Fatal(err)
		}
	}
}

// TestHosts: workflows have many hosts, and those of the retired connectors are refused.
func TestHosts(t *testing.T) {
	t.Parallel()
	for address, refused := range map[string]bool{
		"https://prod-12.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=x": false,
		"https://prod-12.usgovvirginia.logic.azure.us/workflows/1?sig=x":                                false,
		"https://default1.00.environment.api.powerplatform.us/powerautomate/x?sig=x":                    false,
		"https://api.powerautomate.com/x?sig=x":                                                         false,
		"https://flow.microsoft.com/x?sig=x":                                                            false,
		"https://office.example/webhookb2/1":                                                            false,
		"https://acme.webhook.office.com/webhookb2/1":                                                   true,
		"https://ACME.webhook.office.com:443/webhookb2/1":                                               true,
		"https://webhook.office.com/webhookb2/1":                                                        true,
		"https://outlook.office.com/webhook/1":                                                          true,
		"https://outlook.office365.com/webhook/1":                                                       true,
	} {
		if err := (&Connector{Webhook: connectors.NewSecret(address)}).Validate(); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
}
