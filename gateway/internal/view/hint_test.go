package view

import (
	"strings"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// TestHintsByCause: replaying is only said where it can work, and changing credentials only where they are at fault.
func TestHintsByCause(t *testing.T) {
	t.Parallel()
	const (
		replay = "surveygate dead replay dl_1_a"
		drop   = "surveygate dead drop dl_1_a"
		resume = "surveygate destinations resume crm"
		change = "changed and reloaded, what waits goes out by itself"
	)
	for _, row := range []struct {
		connector, reason string
		dead              string // the command for a dead letter
		held              string // what lifts a hold
		says              string
	}{
		{"slack", "is_archived", replay, resume, "unarchive it"},
		{"slack", "not_in_channel", replay, resume, "/invite"},
		{"slack", "channel_not_found", replay, resume, "invite the bot"},
		{"slack.thread", "no attempts left: not_in_channel", replay, resume, "/invite"},
		{"slack", "restricted_action_read_only_channel", replay, resume, "posting permissions"},
		{"slack", "invalid_auth", replay, "the credentials of crm are " + change, "bot token"},
		{"slack", "missing_scope", replay, resume, "chat:write"},
		{"hubspot", "400 Bad Request: VALIDATION_ERROR INVALID_OPTION lead_source", replay, "", "options in HubSpot"},
		{"hubspot", "400 Bad Request: VALIDATION_ERROR INVALID_EMAIL email", drop, "", "refused again"},
		{"hubspot.note", "403 Forbidden: MISSING_SCOPES", replay, resume, "scope"},
		{"mailchimp", "400 Invalid Resource: looks fake or invalid", drop, "", "considers the e-mail address invalid"},
		{"mailchimp", "400 Forgotten Email Not Subscribed: permanently deleted", drop, "", "own sign-up form"},
		{"mailchimp", "404 Resource Not Found", replay, "the settings of crm are " + change, "audience"},
		{"mailchimp", "401 API Key Invalid", replay, "the credentials of crm are " + change, "copy the whole"},
		{"webhook", "400 Bad Request", replay, "", "log says why"},
		{"webhook", "no attempts left: 404 Not Found", replay, "", "correct `url`"},
		{"webhook", "no attempts left: 503 Service Unavailable", "To deliver it after all: " + replay, "", ""},
		{"hubspot", "no longer configured", replay, "", "put that back first"},
		{"slack", "a reason that nobody knows", "To deliver it after all: " + replay, "the credentials of crm are " + change, ""},
	} {
		got := DeliveryHint(&state.Delivery{ID: "dl_1_a", Connector: row.connector, State: state.Dead, Reason: row.reason})
		if !strings.HasSuffix(got, row.dead) || !strings.Contains(got, row.says) || row.dead == drop && strings.Contains(got, replay) {
			t.Errorf("dead, %s %s: %s", row.connector, row.reason, got)
		}
		if row.held == "" {
			continue
		}
		got = HoldHint(&state.Hold{Kind: state.HoldRevoked, Reason: row.reason}, "crm", row.connector, "")
		if !strings.Contains(got, row.held) || !strings.Contains(got, row.says) || row.held == resume && strings.Contains(got, "credentials") {
			t.Errorf("held, %s %s: %s", row.connector, row.reason, got)
		}
	}
	until := time.Date(2026, 1, 2, 12, 0, 10, 0, time.UTC)
	for want, h := range map[string]state.Hold{
		"it goes on with: " + resume:                   {Kind: state.HoldPaused},
		"by itself at 2026-01-02 12:00:10 UTC":         {Kind: state.HoldCircuit, Until: until},
		"goes on by itself at 2026-01-02 12:00:10 UTC": {Kind: state.HoldRate, Until: until},
		"to ask the same one again: " + resume:         {Kind: state.HoldGone},
	} {
		if got := HoldHint(&h, "crm", "webhook", ""); !strings.Contains(got, want) {
			t.Errorf("%s: %s", h.Kind, got)
		}
	}
	if got := DeliveryHint(&state.Delivery{State: state.Waiting, Reason: "is_archived", Connector: "slack"}); got != "" {
		t.Errorf("the hold of what waits has the hint: %s", got)
	}
	if got := DeliveryHint(&state.Delivery{State: state.Waiting, Reason: "404 Not Found: notFound", Connector: "bigquery"}); !strings.Contains(got, "create it") ||
		!strings.HasSuffix(got, " It is tried again by itself.") {
		t.Errorf("what waits for a table: %s", got)
	}
	for _, reason := range []string{"", "503 Service Unavailable", "200 OK: stopped"} {
		if got := DeliveryHint(&state.Delivery{State: state.Waiting, Reason: reason, Connector: "bigquery"}); got != "" {
			t.Errorf("what waits after %q needs nobody: %s", reason, got)
		}
	}
	for reason, want := range map[string]string{
		"token endpoint: 400 Bad Request: inactive_user: the user … is not active; activate it in the product":                       "after a correction in the product: " + resume,
		"token endpoint: invalid_grant: the refresh token is no longer valid; obtain … and store it with `surveygate token set crm`": "When the refresh token of crm is stored",
		"there is no refresh token yet: obtain a refresh token from the product and store it with `surveygate token set crm`":        "When the refresh token of crm is stored",
	} {
		if got := HoldHint(&state.Hold{Kind: state.HoldRevoked, Reason: reason}, "crm", "salesforce", ""); !strings.Contains(got, want) || strings.Contains(got, "request is wrong") {
			t.Errorf("held, %s: %s", reason, got)
		}
	}
}

// What is lifted by a change names the document that has the setting, which no reload reads.
func TestHoldHintOfDocument(t *testing.T) {
	t.Parallel()
	for _, h := range []state.Hold{
		{Kind: state.HoldRevoked, Reason: "401"}, {Kind: state.HoldGone}, {Kind: state.HoldRevoked, Reason: "token endpoint: 401"},
	} {
		got := HoldHint(&h, "crm", "hubspot", "connection/crm")
		if strings.Contains(got, "reload") || !strings.Contains(got, "changed in the tenant's document connection/crm") {
			t.Error(got)
		}
	}
}
