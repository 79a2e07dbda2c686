package slack

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// codes is what Slack's words mean, for both ways in: an incoming webhook answers them as plain text,
// chat.postMessage as `error` beside a status of 200.
//
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors
// https://docs.slack.dev/reference/methods/chat.postMessage#errors
var codes = map[string]connectors.Kind{
	"ratelimited":            connectors.Retry,
	"rate_limited":           connectors.Retry,
	"message_limit_exceeded": connectors.Retry,
	"internal_error":         connectors.Retry,
	"fatal_error":            connectors.Retry, // it may have been posted
	"service_unavailable":    connectors.Retry,
	"request_timeout":        connectors.Retry,
	"team_added_to_org":      connectors.Retry,
	"rollup_error":           connectors.Retry,

	// The credential is no good.
	"invalid_auth":           connectors.Revoked,
	"not_authed":             connectors.Revoked,
	"account_inactive":       connectors.Revoked,
	"token_revoked":          connectors.Revoked,
	"token_expired":          connectors.Revoked,
	"missing_scope":          connectors.Revoked,
	"not_allowed_token_type": connectors.Revoked,
	"no_permission":          connectors.Revoked,
	"org_login_required":     connectors.Revoked,
	"ekm_access_denied":      connectors.Revoked,
	"invalid_token":          connectors.Revoked,
	"action_prohibited":      connectors.Revoked,
	"no_service":             connectors.Revoked,
	"no_service_id":          connectors.Revoked,
	"no_team":                connectors.Revoked,
	"no_active_hooks":        connectors.Revoked,

	"access_denied":             connectors.Revoked,
	"accesslimited":             connectors.Revoked,
	"app_access_restricted":     connectors.Revoked,
	"enterprise_is_restricted":  connectors.Revoked,
	"team_not_found":            connectors.Revoked,
	"two_factor_setup_required": connectors.Revoked,

	// The message is no good.
	"invalid_payload":                   connectors.Rejected,
	"user_not_found":                    connectors.Rejected,
	"posting_to_general_channel_denied": connectors.Rejected,
	"no_text":                           connectors.Rejected,
	"invalid_blocks":                    connectors.Rejected,
	"invalid_blocks_format":             connectors.Rejected,
	"msg_blocks_too_long":               connectors.Rejected,
	"msg_too_long":                      connectors.Rejected,
	"too_many_attachments":              connectors.Rejected,
	"attachment_payload_limit_exceeded": connectors.Rejected,
	"invalid_arguments":                 connectors.Rejected,
	"markdown_text_conflict":            connectors.Rejected,
	"metadata_too_large":                connectors.Rejected,
	"cannot_reply_to_message":           connectors.Rejected,
	threadLocked:                        connectors.Rejected, // this one thread, not the channel
}

// targets are words about the channel. It may be the one that a rule's step chose; an incoming webhook has but one,
// which is then gone for everybody.
var targets = []string{
	"channel_not_found", "channel_is_archived", "is_archived", "not_in_channel", "messages_tab_disabled",
}

const threadLocked = "restricted_action_thread_locked"

// wordOfSlacks is what every code looks like; anything else of an answer may hold a person.
var wordOfSlacks = regexp.MustCompile(`^[a-z][a-z0-9_]{1,59}$`)

// slowly is how long a workspace over its message limit is left alone, where it does not say.
const slowly = time.Hour

// Judge reads Slack's word first and the status second: chat.postMessage refuses with 200.
func (a *Account) Judge(res *connectors.Response) connectors.Verdict {
	if res.Status == 429 {
		return connectors.TryAfter(res, "rate_limited")
	}
	body := bytes.TrimSpace(res.Body)
	if len(body) == 0 || body[0] != '{' {
		return a.judgeText(res, string(body))
	}
	var answer struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	switch err := json.Unmarshal(body, &answer); {
	case err != nil || answer.OK == nil:
		return a.odd(res)
	case *answer.OK:
		return connectors.ByStatus(res)
	}
	if v, known := a.byCode(res, answer.Error); known {
		return v
	}
	if res.Status >= 300 {
		return connectors.ByStatus(res)
	}
	if wordOfSlacks.MatchString(answer.Error) {
		return connectors.Reject("refused: " + answer.Error)
	}
	return connectors.Reject("refused without a reason")
}

// judgeText is an incoming webhook's answer, or an odd one of chat.postMessage.
func (a *Account) judgeText(res *connectors.Response, word string) connectors.Verdict {
	if v, known := a.byCode(res, word); known {
		return v
	}
	switch {
	case a.Webhook.IsZero():
		return a.odd(res)
	case strings.HasPrefix(word, "<") && res.Status >= 200 && res.Status <= 299: // Slack says `ok`
		return connectors.TryAgain(notSlacks)
	case res.Status == 404 || res.Status == 410: // whatever the word: the webhook, or its channel, is gone
		return connectors.Revoke(connectors.StatusReason(res.Status))
	}
	return connectors.ByStatus(res)
}

const notSlacks = "the answer is not Slack's"

// odd is an answer that is not the API's: a proxy's page with 200 has not posted anything.
func (a *Account) odd(res *connectors.Response) connectors.Verdict {
	if a.Webhook.IsZero() && res.Status >= 200 && res.Status <= 299 {
		return connectors.TryAgain(notSlacks)
	}
	return connectors.ByStatus(res)
}

func (a *Account) byCode(res *connectors.Response, code string) (connectors.Verdict, bool) {
	kind, known := codes[code]
	// The workspace lets this bot not post there; several codes, restricted_action_read_only_channel among them.
	restricted := strings.HasPrefix(code, "restricted_action") && code != threadLocked && wordOfSlacks.MatchString(code)
	v := connectors.Verdict{Kind: kind, Reason: code}
	switch {
	case slices.Contains(targets, code) || restricted:
		v, known = connectors.Revoke(code), true
		if a.Webhook.IsZero() {
			v = v.Of("channel")
		}
	case kind == connectors.Retry:
		v.After = connectors.RetryAfter(res)
	}
	if code == "message_limit_exceeded" && v.After == 0 {
		v.After = slowly
	}
	return v, known
}
