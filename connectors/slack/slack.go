// Package slack posts survey events to a Slack channel, through an incoming webhook or as a bot.
package slack

import (
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge       = (*Connector)(nil)
	_ connectors.Validator   = (*Connector)(nil)
	_ connectors.Checker     = (*Connector)(nil)
	_ connectors.RateLimiter = (*Connector)(nil)
)

func init() {
	connectors.Register("slack", func() connectors.Connector { return &Connector{} })
	connectors.Register("slack.thread", func() connectors.Connector { return &Thread{} })
}

// Account is how Slack is reached, for every action: by an incoming webhook, or by a bot's token.
type Account struct {
	// Webhook is an incoming webhook's URL, which is itself the secret. It posts to the one channel it was made for.
	Webhook connectors.Secret `yaml:"webhook,omitempty"`

	// Token is a bot's token (`xoxb-…`) with the scope `chat:write`. It needs a `channel`.
	Token connectors.Secret `yaml:"token,omitempty"`

	// Channel is where a bot posts: an id (`C0123456789`), which is safest, or a name (`#nps`). A rule may choose another.
	Channel string `yaml:"channel,omitempty"`

	// BaseURL stands before `/chat.postMessage`; without it, `https://slack.com/api`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector posts one message per event.
type Connector struct {
	Account `yaml:",inline"`

	// Text is the message, in Slack's mrkdwn; what respondents wrote is escaped in it, also in links (`<url|text>`).
	// Without it, the survey-aware message: an alarm for detractors, else news of the response, coloured by NPS group.
	Text expression.Text `yaml:"text,omitempty"`

	// Blocks are Block Kit blocks, each a mapping of values (a fixed word is quoted inside: `type: "'section'"`); or,
	// as one text, the list in JSON that Block Kit Builder gives, with holes inside its strings. `text` is then what
	// notifications show. What comes out empty is left out, what is too long is cut.
	Blocks Blocks `yaml:"blocks,omitempty"`
}

const (
	api = "https://slack.com/api"

	// https://docs.slack.dev/changelog/2018-truncating-really-long-messages: longer text is truncated at 40,000.
	maxText = 40_000
	// A field of an attachment has no documented limit; this is the one of a section's field.
	// https://docs.slack.dev/reference/block-kit/blocks/section-block
	maxField = 2_000
)

// message is the body of both ways in. Channel and thread are the bot's alone.
type message struct {
	Channel     string              `json:"channel,omitempty"`
	Thread      string              `json:"thread_ts,omitempty"`
	Text        string              `json:"text"`
	Blocks      []expression.Object `json:"blocks,omitempty"`
	Attachments []attachment        `json:"attachments,omitempty"`
}

// attachment is slack-go's without its blocks, which it writes as null where there are none.
type attachment struct {
	slack.Attachment
	Blocks []expression.Object `json:"blocks,omitempty"`
}

// Build posts the operator's text, or the survey-aware message.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	blocks, err := c.Blocks.of(ev)
	if err != nil {
		return nil, err
	}
	m, err := compose(c.Text, blocks, ev)
	if err != nil {
		return nil, err
	}
	return c.post(m), nil
}

// compose is the message that a text and blocks make, or the survey-aware one without them.
func compose(own expression.Text, blocks []expression.Object, ev *event.Event) (message, error) {
	m := message{Blocks: blocks}
	if !own.IsZero() {
		text, err := own.Render(ev, fill)
		if err != nil {
			return m, err
		}
		if m.Text = clip(strings.TrimSpace(links(text)), maxText); m.Text == "" && len(blocks) == 0 {
			return m, connectors.Skip("the text comes out empty")
		}
	}
	if m.Text == "" { // also beside blocks: it is what notifications show
		about := connectors.MessageFor(ev)
		m.Text = escape(about.Title, maxText)
		if len(blocks) == 0 {
			m.Attachments = attachments(about)
		}
	}
	return m, nil
}

// post is the request that posts a message.
func (a *Account) post(m message) *connectors.Request {
	if !a.Webhook.IsZero() {
		return connectors.Post("", m).As(connectors.Address(a.Webhook))
	}
	if m.Channel == "" {
		m.Channel = a.Channel
	}
	return connectors.Post(a.BaseURL.At(api, "/chat.postMessage"), m).
		With("Content-Type", "application/json; charset=utf-8"). // without it, a warning missing_charset in every answer
		As(connectors.Bearer(a.Token))
}

// attachments is one attachment with the group's colour, or none where it would be empty.
func attachments(about connectors.Message) []attachment {
	if len(about.Fields) == 0 && about.Group == "" {
		return nil
	}
	a := attachment{Attachment: slack.Attachment{
		Color:    about.Level(),
		Fallback: escape(about.Title, maxField),
		Fields:   make([]slack.AttachmentField, len(about.Fields)),
	}}
	for i, f := range about.Fields {
		a.Fields[i] = slack.AttachmentField{Title: f.Name, Value: escape(f.Value, maxField), Short: f.Short}
	}
	if len(a.Fields) == 0 {
		a.Text = about.Group // an attachment must say something to show its colour
	}
	return []attachment{a}
}

// Validate wants exactly one way in, and a channel only where it can be chosen.
func (c *Connector) Validate() error {
	if err := c.validate(); err != nil {
		return err
	}
	return c.Blocks.validate()
}

func (a *Account) validate() error {
	webhook, token := !a.Webhook.IsZero(), !a.Token.IsZero()
	switch {
	case webhook && token:
		return connectors.Invalid("token", "is a second way in beside `webhook`; leave one of them out")
	case !webhook && !token:
		return connectors.Invalid("webhook", "is missing: an incoming webhook's URL, or `token` and `channel` instead")
	case webhook && a.Channel != "":
		return connectors.Invalid("channel", "cannot be chosen with a `webhook`, which posts to the one channel it was made for; use `token`")
	case webhook && a.BaseURL != "":
		return connectors.Invalid("base_url", "has no meaning beside `webhook`, which is a whole URL; leave it out")
	case token && a.Channel == "":
		return connectors.Invalid("channel", "is missing: a bot needs one to post to; its id (`C0123456789`) is safest")
	case webhook:
		if err := connectors.CheckAddress(a.Webhook); err != nil {
			return connectors.Invalid("webhook", err.Error())
		}
	}
	return nil
}

// Check proves a token by auth.test; a webhook cannot be proved without posting.
func (a *Account) Check() []*connectors.Request {
	if a.Token.IsZero() {
		return nil
	}
	ask := &connectors.Request{Method: http.MethodPost, URL: a.BaseURL.At(api, "/auth.test")}
	return []*connectors.Request{ask.As(connectors.Bearer(a.Token))}
}

// JudgeCheck reads auth.test, which like every method refuses with 200. It knows no channel.
func (a *Account) JudgeCheck(res *connectors.Response) connectors.Proof {
	if v := a.Judge(res); v.Kind != connectors.Delivered {
		return connectors.Missing("a token that Slack takes (" + v.Reason + ")")
	}
	return connectors.Proof{Unproved: []string{"that the bot may post to " + a.Channel}}
}

// Rate is one message a second, for a channel and for a webhook alike.
// https://docs.slack.dev/apis/web-api/rate-limits
func (a *Account) Rate() connectors.Rate {
	return connectors.Rate{Requests: 1, Per: time.Second}
}
