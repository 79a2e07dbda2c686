package mailchimp

import "github.com/surveygate/surveygate/connectors"

// What is said of a refusal beside its title: fixed sentences of Mailchimp's, or what the title alone would leave open.
const (
	fake      = "looks fake or invalid"
	deleted   = "permanently deleted"
	signedUp  = "signed up to many lists very recently"
	ofTags    = "of the contact's tags"
	noWord    = "without a word of Mailchimp's"
	optedOut  = "opted out of this audience"
	checkKey  = "Mailchimp does not take the key: make a new one (Account, Extras, API keys) and copy the whole of it."
	ofRequest = "Mailchimp refuses the request as it is made: correct what the rule's `merge_fields` and `tags` write."
	comeBack  = "The contact was deleted for good: only the person can come back, through Mailchimp's own sign-up form."
)

// causes are Mailchimp's titles and sentences; what is more exact stands first.
// https://mailchimp.com/developer/marketing/docs/errors/#error-glossary
var causes = []connectors.Cause{
	{Code: deleted, Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: comeBack},
	{Code: "Forgotten Email Not Subscribed", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: comeBack},
	{Code: fake, Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Mailchimp takes the address for no real one, and the event keeps it as it was answered."},
	{Code: "email_address", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Mailchimp refuses the e-mail address, and the event keeps it as it was answered."},
	{Code: optedOut, Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: "The person has unsubscribed, or bounced: only they can come back, through Mailchimp's own form."},
	{Code: signedUp, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The person has signed up to many lists within moments."},
	{Code: "Invalid Resource", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Mailchimp refuses a value: correct what `merge_fields` writes, or the field's type in the audience."},
	{Code: "Bad Request", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "Invalid Action", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "JSON Parse Error", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "Method Not Allowed", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "API Key Missing", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkKey},
	{Code: "API Key Invalid", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkKey},
	{Code: "Wrong Datacenter", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The key belongs to another data centre: copy the whole key, with its end (`-us6`)."},
	{Code: "User Disabled", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The user who made the key was disabled: make a key as another user."},
	{Code: "Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The user who made the key may not change the audience: give them the role Manager, or take the key of another user."},
	{Code: ofTags, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The contact was removed from the audience before its tags were added."},
	{Code: "Resource Not Found", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: "The account has no audience of that id: correct `audience`."},
	{Code: "Too Many Requests", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Mailchimp is asked by too many at once."},
	{Code: noWord, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "What stands before Mailchimp refuses everybody for a while."},
}

// Causes are Mailchimp's.
func (c *Connector) Causes() []connectors.Cause { return causes }
