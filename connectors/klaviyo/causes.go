package klaviyo

import "github.com/surveygate/surveygate/connectors"

// causes are Klaviyo's codes and fields, the more specific ones first.
// https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
var causes = []connectors.Cause{
	{Code: "duplicate_profile", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Klaviyo has the profile's identifiers on file with two profiles: merge them in Klaviyo, or do not map `external_id`."},
	{Code: "email", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Klaviyo considers the e-mail address invalid, and the event keeps the address that was answered."},
	{Code: "list", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: noList},
	{Code: "name", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Klaviyo refuses the name of the event: correct `metric`."},
	{Code: "properties", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Klaviyo refuses a value: correct `properties`."},
	{Code: "not_authenticated", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkKey},
	{Code: "authentication_failed", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkKey},
	{Code: "permission_denied", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: checkScopes},
	{Code: "throttled", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The account is over Klaviyo's limit."},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkKey},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: checkScopes},
	{Code: "410 Gone", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "Klaviyo no longer supports the revision of its API that this version of surveygate uses: update surveygate."},
	{Code: "413 Request Entity Too Large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The request is larger than Klaviyo takes: map less in `properties`."},
	{Code: "404 Not Found", Fix: connectors.FixConfiguration, Hint: noList + " Without a list in the request, correct `base_url`."},
}

const (
	noList      = "Klaviyo has no list with this id: correct `list`."
	checkKey    = "Klaviyo does not accept the key: copy a private API key again (Settings, API keys)."
	checkScopes = "The key lacks a scope, or was disabled: make a private key with the scopes profiles:write, lists:write, subscriptions:write and events:write."
)

// Causes returns the causes of Klaviyo's refusals.
func (a *Account) Causes() []connectors.Cause { return causes }
