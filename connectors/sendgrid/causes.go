package sendgrid

import "github.com/surveygate/surveygate/connectors"

// causes are the reasons of this package, and statuses, the more specific ones first.
// https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/errors
var causes = []connectors.Cause{
	{Code: ofFields, Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: "`fields` names a custom field that the account does not have: write the field's id instead of its name; `check --live` prints the ids."},
	{Code: "list_ids", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: "The account has no list with this id: correct `lists`; `check --live` prints the ids."},
	{Code: "email", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "SendGrid considers the e-mail address invalid, and the event keeps the address that was answered."},
	{Code: blocked, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "SendGrid blocks the account for a while, after many bad requests."},
	{Code: "400 Bad Request", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "SendGrid refuses the contact: correct `fields`, or the field's type in SendGrid. It may also consider the e-mail address invalid."},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "SendGrid does not accept the key: make an API key with full access to Marketing (Settings, API Keys)."},
	{Code: "403 Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: needsMarketing},
	{Code: "404 Not Found", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "SendGrid has nothing at that address: correct `base_url`."},
	{Code: "413 Request Entity Too Large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The contact is larger than SendGrid takes: map less in `fields`."},
	{Code: "451 Unavailable For Legal Reasons", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: "The account's data live in another region: correct `base_url`, such as `https://api.eu.sendgrid.com`."},
	{Code: "429 Too Many Requests", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The account is over SendGrid's limit."},
}

const needsMarketing = "The key needs full access to Marketing, and the account a plan with Marketing Campaigns; the legacy product has another API."

// Causes returns the causes of SendGrid's refusals.
func (a *Account) Causes() []connectors.Cause { return causes }
