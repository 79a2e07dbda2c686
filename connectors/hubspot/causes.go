package hubspot

import "github.com/surveygate/surveygate/connectors"

// causes are HubSpot's categories and codes; what is more exact stands first.
// https://developers.hubspot.com/docs/api-reference/error-handling
var causes = []connectors.Cause{
	{Code: "INVALID_EMAIL", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "HubSpot takes the e-mail address for no real one, and the event keeps it as it was answered."},
	{Code: "PROPERTY_DOESNT_EXIST", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "HubSpot has no property of that name: create it there, or correct the name in `properties`."},
	{Code: "INVALID_OPTION", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The property takes only some values: add the value to its options in HubSpot, or have `properties` write one that is allowed."},
	{Code: "READ_ONLY_VALUE", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "HubSpot fills that property itself: take it out of `properties`."},
	{Code: "MISSING_SCOPES", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The token lacks a scope: add crm.objects.contacts.read and crm.objects.contacts.write to the private app; its token stays the same."},
	{Code: "INVALID_AUTHENTICATION", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "HubSpot does not take the token: copy that of the private app, or the service key, once more."},
	{Code: "EXPIRED_AUTHENTICATION", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The token has expired: make a new one."},
	{Code: "OBJECT_NOT_FOUND", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "HubSpot does not find the record: it may have been merged or erased meanwhile."},
	{Code: "CONFLICT", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Others wrote the same contact at the same moment, twice in a row; by now nobody does."},
	{Code: "RATE_LIMITS", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The account is over HubSpot's limit."},
	{Code: "VALIDATION_ERROR", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "HubSpot refuses a value: correct what `properties` writes, or the property's type in HubSpot."},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "HubSpot does not take the token: copy that of the private app, or the service key, once more."},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The token may not do this: look at the private app's scopes, and at the account's limits."},
	{Code: "404 Not Found", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "HubSpot has nothing at that address: correct `base_url` or `api_version`."},
}

// Causes are HubSpot's.
func (a *Account) Causes() []connectors.Cause { return causes }
