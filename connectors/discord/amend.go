package discord

import (
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var _ connectors.Retracter = (*Connector)(nil)

// CanAmend returns nil: a webhook may change what it has posted.
func (c *Connector) CanAmend() error { return nil }

// Amend changes the message to the one that Build would post. The receipt is the message's id.
func (c *Connector) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	made, err := c.embed(ev)
	if err != nil {
		return nil, err
	}
	req, err := c.change(receipt, made)
	if err != nil {
		return nil, err
	}
	return req.Amending(receipt), nil
}

// Retract strikes the message through, and takes its colour away.
func (c *Connector) Retract(ev *event.Event, receipt string) (*connectors.Request, error) {
	made, err := c.embed(ev)
	if err != nil {
		return nil, err
	}
	made.Title, made.Text, made.Colour = strike(made.Title, maxTitle), strike(made.Text, maxText), 0
	for i, f := range made.Fields {
		made.Fields[i].Value = strike(f.Value, maxField)
	}
	req, err := c.change(receipt, made)
	if err != nil {
		return nil, err
	}
	return req.Retracting(receipt), nil
}

// change returns the request that changes a message. A message in a thread is found with the `thread_id` of the webhook's URL. The embeds
// of the message are replaced as a whole.
// https://docs.discord.com/developers/resources/webhook#edit-webhook-message
func (c *Connector) change(receipt string, made embed) (*connectors.Request, error) {
	if !snowflake.MatchString(receipt) {
		return nil, connectors.BadReceipt("the id of a message")
	}
	address := connectors.Address(c.Webhook.WithPath("/messages/" + receipt))
	return connectors.Patch("", message{Embeds: [1]embed{made}}).With("User-Agent", agent).As(address), nil
}

const (
	// unknownMessage is the code for a message that was deleted, or that another webhook posted.
	unknownMessage = 10008
	// othersMessage is the code for a message that somebody else wrote.
	othersMessage = 50005
)

// judgeAmendment returns the verdict on a refusal of a change; settled is false if it has nothing to do with the message.
func (c *Connector) judgeAmendment(res *connectors.Response, code int) (v connectors.Verdict, settled bool) {
	a, ok := res.Amendment()
	switch {
	case !ok || res.Status < 400 || res.Status > 499:
		return v, false
	case code == unknownMessage:
		return connectors.JudgeGone(c, res), true
	case code == othersMessage && !a.Retraction:
		return connectors.BuildAnew(c, res), true
	}
	return v, false
}

// tildes strikes a text through on both of its sides. https://support.discord.com/hc/articles/210298617
const tildes = "~~"

// strike strikes each line of a Markdown text through, cut to limit characters. Respondents' tildes are escaped, and those of the
// operator are removed, because they would end the strike.
func strike(text string, limit int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.ReplaceAll(line, tildes, ""))
		if line == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
			limit--
		}
		if limit <= 2*len(tildes)+1 {
			break
		}
		line = markdown.Clip(line, limit-2*len(tildes))
		b.WriteString(tildes + line + tildes)
		limit -= utf8.RuneCountInString(line) + 2*len(tildes)
	}
	return strings.TrimSpace(b.String())
}
