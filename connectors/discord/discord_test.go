package discord

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
)

const hook = "https://discord.example/api/v10/webhooks/223704706495545344/token"

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "discord")
}

// TestFields is the contract's table.
func TestFields(t *testing.T) {
	t.Parallel()
	connectortest.CheckFields(t, "discord", "webhook: "+hook, []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "url", From: "the webhook, which is a secret", Want: ""},
		{To: "header.Content-Type", From: "always", Want: "application/json"},
		{To: "header.User-Agent", From: "always", Want: agent},
		{To: "embeds.0.title", From: "response.score.nps", Sample: 3, Want: "Low NPS Alert: Score 3/10"},
		{To: "embeds.0.color", From: "group of the score", Want: 0xd92d20},
		{To: "embeds.0.url", From: "response.permalink", Sample: "https://polls.example/r/1"},
		{To: "embeds.0.timestamp", From: "time", Sample: "2026-01-02T03:00:00Z"},
		{To: "embeds.0.fields.0.name", From: "always", Want: "Customer"},
		{To: "embeds.0.fields.0.value", From: "respondent.email", Sample: "jo_doe@example.com", Want: `jo\_doe@example.com`},
		{To: "embeds.0.fields.0.inline", From: "always", Want: true},
		{To: "embeds.0.fields.1.name", From: "always", Want: "Feedback"},
		{To: "embeds.0.fields.1.value", From: "response.feedback", Sample: "slow"},
		{To: "embeds.0.fields.2.name", From: "always", Want: "Survey"},
		{To: "embeds.0.fields.2.value", From: "survey.title", Sample: "Onboarding"},
		{To: "embeds.0.fields.2.inline", From: "always", Want: true},
		{To: "embeds.0.fields.3.name", From: "always", Want: "NPS group"},
		{To: "embeds.0.fields.3.value", From: "group of the score", Want: "Detractor"},
		{To: "embeds.0.fields.3.inline", From: "always", Want: true},
	})
}

// Discord answers a webhook without `wait` before the message is saved, and reports no failure.
func TestWaitsForTheMessage(t *testing.T) {
	t.Parallel()
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed"}`))
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		hook:                     hook + "?wait=true",
		hook + "?thread_id=1234": hook + "?thread_id=1234&wait=true",
	} {
		req, err := (&Connector{Webhook: connectors.NewSecret(given)}).Build(ev)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(connectors.Address(connectors.NewSecret(want)), req.Auth, cmp.Comparer(func(a, b connectors.Secret) bool { return a == b })); diff != "" {
			t.Errorf("%s: it is posted to another address than %s", given, want)
		}
	}
}

// The message's id is kept with the delivery.
func TestRef(t *testing.T) {
	t.Parallel()
	got := (&Connector{}).Judge(&connectors.Response{Status: 200, Body: []byte(`{"id":"1112223334445556667","channel_id":"1"}`)})
	if want := (connectors.Verdict{Kind: connectors.Delivered, Ref: "1112223334445556667"}); !cmp.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := &Connector{Webhook: connectors.NewSecret(hook)}
	req := c.Check()[0]
	if req.Method != "GET" || req.Auth != connectors.Address(c.Webhook) {
		t.Errorf("the check is %s with %T", req.Method, req.Auth)
	}
	for _, row := range []struct {
		status int
		body   string
		want   connectors.Proof
	}{
		{200, `{"id":"223704706495545344","type":1,"name":"Jo's hook","channel_id":"199737254929760256","token":"x"}`, connectors.Proof{}},
		{200, `{"id":"223704706495545344","type":1,"name":"Jo's hook","channel_id":null}`, connectors.Missing("a channel: that of the webhook no longer exists")},
		{404, `{"message":"Unknown Webhook","code":10015}`, connectors.Missing("a webhook that Discord knows (404 Not Found: 10015)")},
		{401, `{"message":"Invalid Webhook Token","code":50027}`, connectors.Missing("a webhook that Discord knows (401 Unauthorized: 50027)")},
		{400, `{"message":"Invalid Form Body","code":50035}`, connectors.Missing("an answer to the check (400 Bad Request)")},
		{200, `<html>`, connectors.Missing("an answer from Discord: asked for the webhook, got 200 OK, not JSON (6 bytes); check the proxies and gateways in between")},
	} {
		if diff := cmp.Diff(row.want, c.JudgeCheck(&connectors.Response{Status: row.status, Body: []byte(row.body), To: req})); diff != "" {
			t.Errorf("%d %s (-want +got):\n%s", row.status, row.body, diff)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	c := &Connector{Webhook: connectors.NewSecret(hook)}
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

// TestAddresses: a webhook has an id and a token at the end of its path, with any host and version before them.
func TestAddresses(t *testing.T) {
	t.Parallel()
	const hook = "/webhooks/223704706495545344/3d_89-g7"
	for address, refused := range map[string]bool{
		"https://discord.com/api" + hook:                                       false,
		"https://discordapp.com/api/v10" + hook:                                false,
		"https://ptb.discord.com/api" + hook + "?thread_id=223704706495545345": false,
		"https://proxy.example/discord" + hook:                                 false,
		"https://discord.com/api" + hook + "/slack":                            true,
		"https://discord.com/api/webhooks/223704706495545344":                  true,
		"https://discord.com/channels/1/2":                                     true,
		"https://discord.gg/invite":                                            true,
	} {
		if err := (&Connector{Webhook: connectors.NewSecret(address)}).Validate(); (err != nil) != refused {
			t.Errorf("%s: %v", address, err)
		}
	}
}
