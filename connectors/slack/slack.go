// Package slack posts survey events to a Slack channel, through an incoming webhook or as a bot.
//
// `- {alarms: {text: "…"}, amend: true, retract: true}` changes the message of a response that changes, in place of a second one, and
// strikes it through when the rule no longer matches; with `slack.thread` its reply too. It takes a bot's token: an incoming webhook
// does not say what it has posted.
//
// With `at_most: {per: 1h, count: 20, then: digest}`, a rule posts one message about the others when the hour ends: the rule's name,
// their number, and a line for each of the first ten. `text` and `blocks` are written for one event, and do not apply; `slack.thread`
// posts it without a reply. An erasure changes nothing in Slack: delete the messages about the person by hand.
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

// Account holds the credentials for Slack, either an incoming webhook or a bot's token, and the channel.
type Account struct {
	// Webhook is an incoming webhook's URL, which is itself the secret. It posts to the channel that it was created for.
	Webhook connectors.Secret `yaml:"webhook,omitempty"`

	// Token is a bot's token (`xoxb-…`) with the scope `chat:write`. It needs a `channel`.
	Token connectors.Secret `yaml:"token,omitempty"`

	// Channel is the channel that a bot posts to: an id (`C0123456789`), which never changes, or a name (`#nps`). A rule may set
	// another one.
	Channel string `yaml:"channel,omitempty"`

	// BaseURL is the address before `/chat.postMessage`; the default is `https://slack.com/api`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector posts one message per event.
type Connector struct {
	Account `yaml:",inline"`

	// Text is the message, in Slack's mrkdwn. Respondents' texts are escaped in it, also in links (`<url|text>`). The default
	// is an alert for a detractor, or else a summary of the response, coloured by NPS group.
	Text expression.Text `yaml:"text,omitempty"`

	// Blocks are Block Kit blocks, each a mapping of values (a literal word has inner quotes: `type: "'section'"`); or
	// one text, the JSON list of Block Kit Builder, with holes inside its strings. `text` is then what notifications
	// show. Empty parts are left out, and long texts are cut.
	Blocks Blocks `yaml:"blocks,omitempty"`
}

const (
	api = "https://slack.com/api"

	// maxText is the number of characters after which Slack truncates a message.
	// https://docs.slack.dev/changelog/2018-truncating-really-long-messages
	maxText = 40_000
	// maxField is the limit of a section's field. An attachment's field has no documented limit.
	// https://docs.slack.dev/reference/block-kit/blocks/section-block
	maxField = 2_000
)

// message is the body of a request, for both an incoming webhook and a bot. Only a bot's has a channel and a thread.
type message struct {
	Channel     string              `json:"channel,omitempty"`
	Thread      string              `json:"thread_ts,omitempty"`
	Text        string              `json:"text"`
	Blocks      []expression.Object `json:"blocks,omitempty"`
	Attachments []attachment        `json:"attachments,omitempty"`
}

// attachment replaces the blocks of slack-go's attachment, which are written as null if there are none.
type attachment struct {
	slack.Attachment
	Blocks []expression.Object `json:"blocks,omitempty"`
}

// Build posts the operator's text, or the default message.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	m, err := c.message(ev)
	if err != nil {
		return nil, err
	}
	return c.post(m), nil
}

func (c *Connector) message(ev *event.Event) (message, error) {
	blocks, err := c.Blocks.render(ev)
	if err != nil {
		return message{}, err
	}
	return compose(c.Text, blocks, ev)
}

// compose returns the message with the operator's text and blocks, or the default message without both.
func compose(own expression.Text, blocks []expression.Object, ev *event.Event) (message, error) {
	m := message{Blocks: blocks}
	if !own.IsZero() {
		text, err := own.Render(ev, fill)
		if err != nil {
			return m, err
		}
		if m.Text = connectors.ClipHTML(strings.TrimSpace(restorePipes(text)), maxText); m.Text == "" && len(blocks) == 0 {
			return m, connectors.Skip("the text comes out empty")
		}
	}
	if m.Text == "" { // also with blocks, because notifications show the text
		about := connectors.MessageFor(ev)
		m.Text = escape(about.Title, maxText)
		if len(blocks) == 0 {
			m.Attachments = attachments(about)
		}
	}
	return m, nil
}

// post returns the request that posts a message.
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

// openResponse is the text of the link to the response.
const openResponse = "Open the response"

// attachments returns one attachment with the NPS group's colour, or none if it would be empty.
func attachments(about connectors.Message) []attachment {
	if len(about.Fields) == 0 && about.Group == "" && about.Link == "" {
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
	if about.Link != "" {
		a.Title, a.TitleLink = openResponse, about.Link
	}
	if len(a.Fields) == 0 {
		a.Text = about.Group // Slack shows the colour only of an attachment that has content
	}
	return []attachment{a}
}

// Validate requires either a webhook or a token, and a channel exactly with a token.
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
		return connectors.Invalid("token", "cannot be set beside `webhook`; leave one of them out")
	case !webhook && !token:
		return connectors.Invalid("webhook", "is missing: an incoming webhook's URL, or `token` and `channel` instead")
	case webhook && a.Channel != "":
		return connectors.Invalid("channel", "cannot be chosen with a `webhook`, which posts to the one channel it was made for; use `token`")
	case webhook && a.BaseURL != "":
		return connectors.Invalid("base_url", "has no meaning beside `webhook`, which is a whole URL; leave it out")
	case token && a.Channel == "":
		return connectors.Invalid("channel", "is missing: a bot needs one to post to; its id (`C0123456789`) is safest")
	case webhook:
		if err := connectors.CheckWebhook(a.Webhook, "Slack"); err != nil {
			return connectors.Invalid("webhook", err.Error())
		}
	}
	return nil
}

// Check proves a token with auth.test. A webhook cannot be proved without posting.
// https://docs.slack.dev/reference/methods/auth.test
func (a *Account) Check() []*connectors.Request {
	if a.Token.IsZero() {
		return nil
	}
	ask := &connectors.Request{Method: http.MethodPost, URL: a.BaseURL.At(api, "/auth.test")}
	return []*connectors.Request{ask.As(connectors.Bearer(a.Token))}
}

// JudgeCheck reads the answer to auth.test, which refuses with 200 as every method does, and does not tell about the channel.
func (a *Account) JudgeCheck(res *connectors.Response) connectors.Proof {
	if v := a.Judge(res); v.Kind != connectors.Delivered {
		return connectors.Missing("a token that Slack accepts (" + v.Reason + ")")
	}
	return connectors.Proof{Unproved: []string{"that the bot may post to " + a.Channel}}
}

// Rate returns one message per second, the limit of a channel and of a webhook.
// https://docs.slack.dev/apis/web-api/rate-limits
func (a *Account) Rate() connectors.Rate {
	return connectors.Rate{Requests: 1, Per: time.Second}
}
