package mailchimp

import "github.com/surveygate/surveygate/connectors"

// Phrases of reasons beside Mailchimp's titles: fixed sentences of Mailchimp's, and additions that tell two cases of one title
// apart.
const (
	fake     = "looks fake or invalid"
	deleted  = "permanently deleted"
	signedUp = "signed up to many lists very recently"
	ofTags   = "of the contact's tags"
	noWord   = "without a word of Mailchimp's"
	optedOut = "opted out of this audience"
)

// Hints that several codes share.
const (
	checkKey  = "Mailchimp does not accept the key: create a new one (Account, Extras, API keys) and copy the whole key."
	ofRequest = "Mailchimp says that the request is wrong: correct the rule's `merge_fields` and `tags`."
	comeBack  = "The contact was permanently deleted: only the person can subscribe again, with Mailchimp's own sign-up form."
)

// causes are Mailchimp's titles and sentences, the more specific ones first.
// https://mailchimp.com/developer/marketing/docs/errors/#error-glossary
var causes = []connectors.Cause{
	{Code: deleted, Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: comeBack},
	{Code: "Forgotten Email Not Subscribed", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: comeBack},
	{Code: fake, Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Mailchimp considers the e-mail address invalid, and the event keeps the address that was answered."},
	{Code: "email_address", Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Mailchimp refuses the e-mail address, and the event keeps the address that was answered."},
	{Code: optedOut, Kind: connectors.Skipping, Fix: connectors.FixNone, Hint: "The person has unsubscribed, or their address bounced: only they can subscribe again, with Mailchimp's own form."},
	{Code: signedUp, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The person has signed up to many lists in a short time."},
	{Code: "Invalid Resource", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Mailchimp refuses a value: correct `merge_fields`, or the field's type in the audience."},
	{Code: "Bad Request", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "Invalid Action", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "JSON Parse Error", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "Method Not Allowed", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: ofRequest},
	{Code: "API Key Missing", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkKey},
	{Code: "API Key Invalid", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkKey},
	{Code: "Wrong Datacenter", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The key belongs to another data centre: copy the whole key, including its end (`-us6`)."},
	{Code: "User Disabled", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The user who created the key was disabled: create a key as another user."},
	{Code: "Forbidden", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The user who created the key may not change the audience: give them the role Manager, or use the key of another user."},
	{Code: ofTags, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The contact was removed from the audience before its tags were added."},
	{Code: "Resource Not Found", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: "The account has no audience with this id: correct `audience`."},
	{Code: "Too Many Requests", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Mailchimp has too many simultaneous requests of this key."},
	{Code: noWord, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "A server in front of Mailchimp refuses all requests for a while."},
}

// Causes returns the causes of Mailchimp's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
