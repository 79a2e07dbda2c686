package hubspot

import "github.com/surveygate/surveygate/connectors"

// causes are HubSpot's categories and codes, the more specific ones first.
// https://developers.hubspot.com/docs/api-reference/error-handling
var causes = []connectors.Cause{
	{Code: "INVALID_EMAIL", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "HubSpot considers the e-mail address invalid, and the event keeps the address that was answered."},
	{Code: "PROPERTY_DOESNT_EXIST", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "HubSpot has no property of that name: create it there, or correct the name in `properties`."},
	{Code: "INVALID_OPTION", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The property accepts only its options: add the value to its options in HubSpot, or write an allowed one in `properties`."},
	{Code: "READ_ONLY_VALUE", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "HubSpot sets this property itself: remove it from `properties`."},
	{Code: "MISSING_SCOPES", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The token lacks a scope: add crm.objects.contacts.read and crm.objects.contacts.write to the private app; its token stays the same."},
	{Code: "INVALID_AUTHENTICATION", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: copyAgain},
	{Code: "EXPIRED_AUTHENTICATION", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The token has expired: make a new one."},
	{Code: "OBJECT_NOT_FOUND", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "HubSpot does not find the record: it may have been merged or erased since."},
	{Code: "CONFLICT", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Twice in a row, another request wrote the same contact at the same moment. A replay should succeed."},
	{Code: "RATE_LIMITS", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The account is over HubSpot's limit."},
	{Code: "VALIDATION_ERROR", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "HubSpot refuses a value: correct `properties`, or the property's type in HubSpot."},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: copyAgain},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The token may not do this: check the private app's scopes, and the account's limits."},
	{Code: "404 Not Found", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "HubSpot has nothing at that address: correct `base_url` or `api_version`."},
}

const copyAgain = "HubSpot does not accept the token: copy the private app's access token, or the service key, again."

// Causes returns the causes of HubSpot's refusals.
func (a *Account) Causes() []connectors.Cause { return causes }
