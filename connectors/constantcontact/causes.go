package constantcontact

import "github.com/surveygate/surveygate/connectors"

// known is the reason for a contact whom `consent: store` leaves as it is.
const known = "the contact exists, and is only changed with consent"

const backByThemselves = "Only the person can subscribe again: with their consent in a later response, or with Constant Contact's own sign-up form."

// causes are Constant Contact's statuses and keys, and the states of contacts, the more specific ones first.
// https://developer.constantcontact.com/api_guide/glossary_responses.html
var causes = []connectors.Cause{
	{Code: known, Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: "Without consent, Constant Contact only stores people whom it does not know."},
	{Code: "unsubscribed", Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: backByThemselves},
	{Code: deleted, Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: backByThemselves},
	{Code: "pending_confirmation", Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: "The person has not confirmed their address yet; Constant Contact has asked them to."},
	{Code: "temp_hold", Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: "Constant Contact holds the contact back for a while."},
	{Code: "in an unknown state", Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: "Constant Contact names a state that surveygate does not know, so the contact is left as it is."},
	{Code: "quota_exceeded", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The application has used up its requests of the day, which are counted from midnight in UTC."},
	{Code: "429 Too Many Requests", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The application makes too many requests in a second; all accounts that use it count together."},
	{Code: "409 Conflict", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Another request changes the same contact at this moment."},
	{Code: "400 Bad Request", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Constant Contact refuses a value, which may be the e-mail address: correct `fields`, or the custom field's type in Constant Contact."},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "Constant Contact does not accept the access token: allow the application again, and store its new refresh token."},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The application lacks the scope `contact_data`, its user may not change contacts, or it was deactivated."},
	{Code: "404 Not Found", Fix: connectors.FixConfiguration, Hint: "Constant Contact has no such list, custom field or address: correct `lists`, `fields` or `base_url`."},
}

// Causes returns the causes of Constant Contact's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
