package slack

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// errorCode matches Slack's error codes. Any other text of an answer may contain personal data.
var errorCode = regexp.MustCompile(`^[a-z][a-z0-9_]{1,59}$`)

// messageLimitDelay is the retry delay for message_limit_exceeded without Retry-After.
const messageLimitDelay = time.Hour

// Judge reads Slack's error code first and the status second, because chat.postMessage refuses with 200.
func (a *Account) Judge(res *connectors.Response) connectors.Verdict {
	body := bytes.TrimSpace(res.Body)
	if res.Status == 429 {
		return connectors.Verdict{Kind: connectors.Retry, Reason: "rate_limited", After: after(res)}
	}
	if len(body) == 0 || body[0] != '{' {
		return a.judgeText(res, string(body))
	}
	var answer struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	switch err := json.Unmarshal(body, &answer); {
	case err != nil || answer.OK == nil:
		return a.judgeUnreadable(res)
	case *answer.OK:
		return connectors.ByStatus(res)
	}
	if v, known := a.byCode(res, answer.Error); known {
		return v
	}
	if res.Status >= 300 {
		return connectors.ByStatus(res)
	}
	if errorCode.MatchString(answer.Error) {
		return connectors.Reject(refusedFor + answer.Error)
	}
	return connectors.Reject(noReason)
}

// judgeText returns the verdict on an answer that is not JSON: an incoming webhook's, or a proxy's in place of
// chat.postMessage's.
func (a *Account) judgeText(res *connectors.Response, word string) connectors.Verdict {
	if v, known := a.byCode(res, word); known {
		return v
	}
	switch {
	case a.Webhook.IsZero():
		return a.judgeUnreadable(res)
	case strings.HasPrefix(word, "<") && res.Status >= 200 && res.Status <= 299: // Slack's own answer is `ok`
		return connectors.TryAgain(notSlacks)
	case res.Status == 404 || res.Status == 410: // with any code: the webhook or its channel no longer exists
		return connectors.Revoke(connectors.StatusReason(res.Status))
	}
	return connectors.ByStatus(res)
}

const notSlacks = "the answer is not Slack's"

// judgeUnreadable returns the verdict on an answer that is not the API's: a proxy's page with 200 has not posted anything.
func (a *Account) judgeUnreadable(res *connectors.Response) connectors.Verdict {
	if a.Webhook.IsZero() && res.Status >= 200 && res.Status <= 299 {
		return connectors.TryAgain(notSlacks)
	}
	return connectors.ByStatus(res)
}

// byCode returns the verdict on an error code; false for an unknown one.
func (a *Account) byCode(res *connectors.Response, code string) (connectors.Verdict, bool) {
	if !errorCode.MatchString(code) {
		return connectors.Verdict{}, false
	}
	kind, known := kinds[code]
	// Several codes, such as restricted_action_read_only_channel, mean that the workspace does not let this bot post there.
	restricted := strings.HasPrefix(code, "restricted_action") && code != threadLocked
	v := connectors.Verdict{Kind: kind, Reason: code}
	switch {
	case channelCodes[code] || restricted:
		v, known = connectors.Revoke(code), true
		if a.Webhook.IsZero() {
			v = v.ForSetting("channel")
		}
	case kind == connectors.Retry:
		v.After = after(res)
	}
	if code == "message_limit_exceeded" && v.After == 0 {
		v.After = messageLimitDelay
	}
	return v, known
}

// after returns the wait that Slack asks for in the Retry-After header, or in the body, where an incoming webhook may put it.
// https://docs.slack.dev/apis/web-api/rate-limits
func after(res *connectors.Response) time.Duration {
	if asked := connectors.RetryAfter(res); asked > 0 {
		return asked
	}
	var body struct {
		After json.RawMessage `json:"retry_after"`
	}
	if res.JSON(&body) != nil {
		return 0
	}
	return connectors.ParseSeconds(strings.Trim(string(body.After), `"`))
}
