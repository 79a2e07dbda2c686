package slack

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Retracter = (*Connector)(nil)
	_ connectors.Retracter = (*Thread)(nil)
)

// receipt names a message, and its reply if it has one. Its text is `CHANNEL/TIMESTAMP` or `CHANNEL/TIMESTAMP/TIMESTAMP`.
type receipt struct{ channel, message, reply string }

var (
	timestamp = regexp.MustCompile(`^\d{1,20}\.\d{1,20}$`)
	channelID = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,40}$`)
)

// parseReceipt reads a receipt. Those of `slack` and of `slack.thread` are read by both.
func parseReceipt(text string) (r receipt, err error) {
	parts := strings.Split(text, "/")
	if len(parts) == 3 {
		r.reply = parts[2]
	}
	if len(parts) != 2 && len(parts) != 3 || !channelID.MatchString(parts[0]) || !timestamp.MatchString(parts[1]) ||
		len(parts) == 3 && !timestamp.MatchString(r.reply) {
		return receipt{}, connectors.BadReceipt("CHANNEL/TIMESTAMP")
	}
	r.channel, r.message = parts[0], parts[1]
	return r, nil
}

// String returns the receipt's text; "" if it names no message.
func (r receipt) String() string {
	switch {
	case r.channel == "" || r.message == "":
		return ""
	case r.reply == "":
		return r.channel + "/" + r.message
	}
	return r.channel + "/" + r.message + "/" + r.reply
}

// postedIn returns the message that an answer of chat.postMessage or chat.update names; zero for an answer of another form.
func postedIn(res *connectors.Response) (r receipt) {
	var posted struct {
		Timestamp string `json:"ts"`
		Channel   string `json:"channel"`
	}
	if res.JSON(&posted) != nil || !timestamp.MatchString(posted.Timestamp) {
		return receipt{}
	}
	if channelID.MatchString(posted.Channel) {
		r.channel = posted.Channel
	}
	r.message = posted.Timestamp
	return r
}

// CanAmend says that a message of an incoming webhook cannot be changed: the webhook does not tell what it has posted.
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
func (a *Account) CanAmend() error {
	if !a.Webhook.IsZero() {
		return connectors.Invalid("webhook", "cannot change what it has posted, because it does not say what that was; use a bot token (`token` and `channel`)")
	}
	return nil
}

// maxChanged is the largest number of characters of a message that is changed. It is lower than that of a message that is posted.
// https://docs.slack.dev/reference/methods/chat.update (msg_too_long)
const maxChanged = 4_000

// change is the body of chat.update. Slack keeps the blocks and attachments that a message has unless the lists are sent, and reads
// names and channels in the text unless parse is none, which is the default for new messages only.
// https://docs.slack.dev/reference/methods/chat.update
type change struct {
	Channel     string              `json:"channel"`
	Timestamp   string              `json:"ts"`
	Text        string              `json:"text"`
	Blocks      []expression.Object `json:"blocks"`
	Attachments []attachment        `json:"attachments"`
	Parse       string              `json:"parse"`
}

// update returns the request that changes a message. Only the bot that posted it may do so, which needs no further scope.
func (a *Account) update(channel, message string, m message) *connectors.Request {
	body := change{
		Channel: channel, Timestamp: message, Text: connectors.ClipHTML(m.Text, maxChanged),
		Blocks: append([]expression.Object{}, m.Blocks...), Attachments: append([]attachment{}, m.Attachments...), Parse: "none",
	}
	return connectors.Post(a.BaseURL.At(api, "/chat.update"), body).
		With("Content-Type", "application/json; charset=utf-8").
		As(connectors.Bearer(a.Token))
}

// Amend changes the message to the one that Build would post.
func (c *Connector) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	r, err := c.read(receipt)
	if err != nil {
		return nil, err
	}
	m, err := c.message(ev)
	if err != nil {
		return nil, err
	}
	return c.update(r.channel, r.message, m).Amending(receipt), nil
}

// Retract strikes the message through. Its blocks become their text.
func (c *Connector) Retract(ev *event.Event, receipt string) (*connectors.Request, error) {
	r, err := c.read(receipt)
	if err != nil {
		return nil, err
	}
	return c.retract(r, c.Text, ev, receipt)
}

// read reads a receipt, with settings that can amend.
func (a *Account) read(text string) (receipt, error) {
	if err := a.CanAmend(); err != nil {
		return receipt{}, err
	}
	return parseReceipt(text)
}

// retract returns the request that strikes a message through.
func (a *Account) retract(r receipt, own expression.Text, ev *event.Event, given string) (*connectors.Request, error) {
	text, err := own.Render(ev, fill)
	if err != nil {
		return nil, err
	}
	if text = strings.TrimSpace(restorePipes(text)); text == "" {
		about := connectors.MessageFor(ev)
		lines := []string{escape(about.Title, maxField)}
		for _, f := range about.Fields {
			lines = append(lines, f.Name+": "+escape(f.Value, maxField))
		}
		text = strings.Join(lines, "\n")
	}
	return a.update(r.channel, r.message, message{Text: strike(text)}).Retracting(given), nil
}

// strike strikes each line of a text in mrkdwn through, cut to maxChanged characters. Slack has no escape for ~ and for ```, which
// would end a line's strike too early.
// https://docs.slack.dev/messaging/formatting-message-text
func strike(text string) string {
	var b strings.Builder
	left := maxChanged
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(unstrike(line))
		if line == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
			left--
		}
		const tildes = 2
		if left <= tildes+1 {
			break
		}
		line = connectors.ClipHTML(line, left-tildes)
		b.WriteString("~" + line + "~")
		left -= utf8.RuneCountInString(line) + tildes
	}
	return strings.TrimSpace(b.String())
}

// tildeOperator looks like ~, which it replaces.
const tildeOperator = "∼"

// unstrike replaces what would end a strike, but not in addresses.
func unstrike(line string) string {
	line = strings.ReplaceAll(line, "```", "")
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(line, "<")
		b.WriteString(strings.ReplaceAll(before, "~", tildeOperator))
		if !found {
			return b.String()
		}
		link, after, closed := strings.Cut(rest, ">")
		if !closed {
			b.WriteString("<" + strings.ReplaceAll(rest, "~", tildeOperator))
			return b.String()
		}
		target, label, labelled := strings.Cut(link, "|")
		b.WriteString("<" + target)
		if labelled {
			b.WriteString("|" + strings.ReplaceAll(label, "~", tildeOperator))
		}
		b.WriteByte('>')
		line = after
	}
}

// cannotChange is the reason for a message that Slack does not let the bot change any more.
const cannotChange = "Slack does not let the message be changed: "

// unchangeable are the codes with which Slack does not let a message be changed that is still there, beside those about its channel,
// which need not be the one that the bot posts to now.
// https://docs.slack.dev/reference/methods/chat.update
var unchangeable = map[string]bool{"cant_update_message": true, "edit_window_closed": true, "is_inactive": true, "block_mismatch": true}

// Judge returns the verdict on a message, with its receipt. A message that cannot be changed any more is posted again with what
// is so now.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	v := c.Account.Judge(res)
	if v, settled := c.settle(c, res, v); settled {
		return v
	}
	if v.Kind == connectors.Delivered && c.Webhook.IsZero() {
		v.Ref = res.Receipt(postedIn(res).String())
	}
	return v
}

// settle returns the verdict on an amendment that Slack refused because of the message that was to be changed; settled is false for any
// other answer. v is the verdict that its code has for a new message.
func (a *Account) settle(c connectors.Connector, res *connectors.Response, v connectors.Verdict) (_ connectors.Verdict, settled bool) {
	amendment, ok := res.Amendment()
	switch {
	case !ok || v.Kind != connectors.Rejected && v.Kind != connectors.Revoked || res.Status < 200 || res.Status > 299:
		return v, false
	case v.Reason == messageNotFound:
		return connectors.JudgeGone(c, res), true
	case !unchangeable[v.Reason] && v.Setting != "channel":
		return v, false
	case amendment.Retraction:
		return connectors.Reject(cannotChange + v.Reason), true
	}
	return connectors.BuildAnew(c, res), true
}
