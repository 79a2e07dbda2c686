package slack

import "github.com/surveygate/surveygate/connectors"

// Hints that several codes share.
const (
	reinstall   = "Slack no longer accepts the token: install the app again and copy its bot token (OAuth & Permissions)."
	newWebhook  = "The incoming webhook no longer exists: add a new one to the app and copy its URL."
	adminAllows = "The workspace does not allow it: its administrators have to approve the app."
	posting     = "The channel's posting permissions exclude the bot: change them in the channel's settings, or post to another channel."
	unarchive   = "The channel is archived: unarchive it in Slack, or post to another channel."
	content     = "Slack cannot show the message: correct the rule's `text` or `blocks`."
	tooLong     = "The message is longer than Slack allows: shorten the rule's `text` or `blocks`."
	temporary   = "Slack accepts no messages at the moment."
)

// threadLocked concerns one thread, unlike the other restricted_action codes, which concern the channel.
const threadLocked = "restricted_action_thread_locked"

// messageNotFound is the code for a message that was deleted.
const messageNotFound = "message_not_found"

// Reasons that this package writes.
const (
	refusedFor  = "Slack refused it: "
	noReason    = "Slack refused it without a reason"
	noTimestamp = "posted, and Slack did not say what the reply belongs under"
)

// causes are Slack's error codes. An incoming webhook answers with the code as plain text, chat.postMessage in the field `error`
// with status 200.
//
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
// https://docs.slack.dev/reference/methods/chat.postMessage#errors
// https://docs.slack.dev/reference/methods/chat.update#errors
var causes = []connectors.Cause{
	{Code: cannotChange + "*", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The message stands in Slack as it was: the workspace's settings end the time in which it may be edited, its channel is archived or closed to the bot, or another app posted it. Delete it by hand."},
	{Code: messageNotFound, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The message was deleted in Slack."},
	{Code: "cant_update_message", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Another app posted the message."},
	{Code: "edit_window_closed", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The workspace's settings end the time in which the message may be edited."},
	{Code: "is_inactive", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: unarchive},
	{Code: "block_mismatch", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "update_failed", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "external_channel_migrating", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},

	{Code: "ratelimited", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "rate_limited", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "message_limit_exceeded", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The workspace is over its limit of messages."},
	{Code: "internal_error", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "fatal_error", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary}, // it may have been posted
	{Code: "service_unavailable", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "request_timeout", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},
	{Code: "team_added_to_org", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The workspace is being moved into an organisation."},
	{Code: "rollup_error", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: temporary},

	// The credentials are not valid.
	{Code: "invalid_auth", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: reinstall},
	{Code: "not_authed", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: reinstall},
	{Code: "account_inactive", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: reinstall},
	{Code: "token_revoked", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: reinstall},
	{Code: "token_expired", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: reinstall},
	{Code: "invalid_token", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
	{Code: "not_allowed_token_type", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: "The token is of another type: copy the bot token, which begins with xoxb-."},
	{Code: "team_not_found", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: reinstall},
	{Code: "no_service", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
	{Code: "no_service_id", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
	{Code: "no_team", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
	{Code: "no_active_hooks", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},

	// The credentials are valid but lack a permission. It is given in Slack, and the token stays the same.
	{Code: "missing_scope", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The app lacks the scope chat:write: add it (OAuth & Permissions) and install the app again."},
	{Code: "no_permission", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "org_login_required", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "ekm_access_denied", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "action_prohibited", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "access_denied", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "accesslimited", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "app_access_restricted", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "enterprise_is_restricted", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: adminAllows},
	{Code: "two_factor_setup_required", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The workspace asks for two-factor authentication: set it up for whoever installed the app."},

	// The message is not valid.
	{Code: "invalid_payload", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "user_not_found", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The message names a user whom Slack does not know: correct the rule's `text` or `blocks`."},
	{Code: "posting_to_general_channel_denied", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Only administrators may post to #general: change that in the workspace's settings, or post to another channel."},
	{Code: "no_text", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "invalid_blocks", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "invalid_blocks_format", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "msg_blocks_too_long", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: tooLong},
	{Code: "msg_too_long", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: tooLong},
	{Code: "too_many_attachments", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: tooLong},
	{Code: "attachment_payload_limit_exceeded", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: tooLong},
	{Code: "invalid_arguments", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "markdown_text_conflict", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: "metadata_too_large", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: tooLong},
	{Code: "cannot_reply_to_message", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Slack accepted no reply to the message. A replay posts the message again, with its reply."},
	{Code: threadLocked, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The thread is locked. A replay posts the message again, with its reply."},

	// The channel is at fault. A bot's channel may be set by one step of a rule. An incoming webhook has only one channel, so all
	// steps are affected.
	{Code: "channel_not_found", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The channel does not exist, or it is private and the bot is not a member: invite the bot (`/invite @APP`), or correct `channel`."},
	{Code: "channel_is_archived", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: unarchive},
	{Code: "is_archived", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: unarchive},
	{Code: "not_in_channel", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The bot is not a member of the channel: invite it there (`/invite @APP`), or give the app the scope chat:write.public."},
	{Code: "messages_tab_disabled", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The app accepts no direct messages: switch its messages tab on (App Home), or post to a channel."},
	{Code: "restricted_action*", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: posting},

	{Code: refusedFor + "*", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "Slack refuses the message: look up the code on its page about chat.postMessage."},
	{Code: noReason, Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: content},
	{Code: noTimestamp, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The message is posted, but its reply is missing. A replay posts both again."},

	// An incoming webhook's answers without a code.
	{Code: "404 Not Found", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: newWebhook},
	{Code: "410 Gone", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: unarchive},
}

// channelCodes are the codes that concern the channel.
var channelCodes = map[string]bool{
	"channel_not_found": true, "channel_is_archived": true, "is_archived": true, "not_in_channel": true, "messages_tab_disabled": true,
}

// kinds maps a code to its verdict.
var kinds = func() map[string]connectors.Kind {
	all := make(map[string]connectors.Kind, len(causes))
	for _, c := range causes {
		all[c.Code] = c.Kind
	}
	return all
}()

// Causes returns the causes of Slack's refusals.
func (a *Account) Causes() []connectors.Cause { return causes }
