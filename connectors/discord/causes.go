package discord

import "github.com/surveygate/surveygate/connectors"

const (
	newWebhook = "The webhook no longer exists: make a new one in the channel's settings (Integrations, Webhooks) and give its URL."
	content    = "Discord cannot show the message: correct the rule's `title` or `text`."
	forum      = "The channel is a forum: add `?thread_id=` and the id of a post to the webhook's URL, or use a webhook of a text channel."
	thread     = "The thread of the URL is archived or locked: open it again, or give another `?thread_id=`."
	moderated  = "The server's moderation blocks the message: allow the webhook in the rules of AutoMod, or change the rule's `text`."
)

// causes are Discord's error codes.
// https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes
var causes = []connectors.Cause{
	{Code: "130000", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Discord is overloaded."},
	{Code: "20016", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The channel is in slow mode."},
	{Code: "20028", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The channel is over its limit of messages."},

	{Code: "10015", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
	{Code: "50027", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The token in the webhook's URL is wrong: copy the URL from the channel's settings again."},
	{Code: "10003", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The channel, or the thread of the URL, no longer exists: make a webhook in another channel and give its URL."},
	{Code: "40333", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "Discord's network blocks the request: check the proxies and gateways in between."},
	{Code: "50013", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The webhook may not post there: change the permissions of the channel, or make a webhook in another one."},
	{Code: "50083", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: thread},
	{Code: "160005", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: thread},
	{Code: "220001", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: forum},
	{Code: "220004", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: "Webhooks may not post in the forum: use a webhook of a text channel."},

	{Code: "50035", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "50006", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Discord finds no message: the webhook's URL must end after the webhook's token, without `/slack` or `/github`."},
	{Code: "50109", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "40005", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The message is larger than Discord takes: shorten the rule's `text`."},
	{Code: "200000", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: moderated},
	{Code: "200001", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: moderated},
	{Code: "240000", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Discord considers a link in the message harmful: leave the text with the link out of the rule's `text`."},

	{Code: "50005", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The message was posted by another webhook or a person, and stands in Discord as it was: delete it by hand."},

	// Answers without a code.
	{Code: "404 Not Found", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
	{Code: "401 Unauthorized", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
}

// kinds maps a code to its verdict.
var kinds = func() map[string]connectors.Kind {
	all := make(map[string]connectors.Kind, len(causes))
	for _, c := range causes {
		all[c.Code] = c.Kind
	}
	return all
}()

// Causes returns the causes of Discord's refusals.
func (c *Connector) Causes() []connectors.Cause { return causes }
