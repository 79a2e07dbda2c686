package connectors_test

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

func TestCheckWebhook(t *testing.T) {
	t.Parallel()
	cases := []struct{ address, product, wants string }{
		{"https://hooks.slack.com/services/T/B/hunter2", "Slack", ""},
		{"https://hooks.slack.com/services/T/B/hunter2", "Teams", "is an address of Slack; copy the URL of a webhook that was made in Teams, or write a connection of the product `slack`"},
		{"https://hooks.slack-gov.com/services/T/B/hunter2", "Slack", ""},
		{"https://Ptb.Discord.com/api/webhooks/1/hunter2", "Teams", "is an address of Discord; "},
		{"https://discordapp.com/api/webhooks/1/hunter2", "Slack", "is an address of Discord; "},
		{"https://discord.com/api/webhooks/1/hunter2/slack", "Slack", ""}, // takes Slack's messages
		{"https://notdiscord.com/hunter2", "Slack", ""},
		{"https://acme.webhook.office.com/webhookb2/hunter2", "Discord", "is an address of Teams; "},
		{"https://chat.googleapis.com/v1/spaces/A/messages?key=hunter2", "Teams", "is an address of Google Chat; copy the URL of a webhook that was made in Teams"},
		{"https://relay.acme.example/hunter2", "Teams", ""},
		{"hunter2", "Teams", "a URL begins with https://"},
	}
	for _, c := range cases {
		err := connectors.CheckWebhook(connectors.NewSecret(c.address), c.product)
		switch {
		case c.wants == "" && err != nil, c.wants != "" && (err == nil || !strings.HasPrefix(err.Error(), c.wants)):
			t.Errorf("%s for %s: %v", c.address, c.product, err)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the error quotes the address: %v", err)
		}
	}
}
