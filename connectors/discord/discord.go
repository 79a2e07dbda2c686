// Package discord posts survey events to a Discord channel, through a webhook.
//
// Make the webhook in Discord: the channel's settings, Integrations, Webhooks, and copy its URL. To post to a thread, or to a
// forum's post, add `?thread_id=` and its id to the URL.
//
// No message mentions anybody, whatever a respondent or a rule writes. Discord has no idempotency key for webhooks: a retry after
// an answer that was lost posts the message twice.
//
// `- {alarms: {text: "…"}, amend: true, retract: true}` changes the message of a response that changes, in place of a second one, and
// strikes it through when the rule no longer matches.
//
// With `at_most: {per: 1h, count: 20, then: digest}`, a rule posts one message about the others when the hour ends: the rule's name,
// their number, and a line for each of the first ten. `text` and a `title` with holes are written for one event, and do not apply. An
// erasure changes nothing in Discord: delete the messages about the person by hand.
package discord

import (
	"regexp"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge       = (*Connector)(nil)
	_ connectors.Validator   = (*Connector)(nil)
	_ connectors.Checker     = (*Connector)(nil)
	_ connectors.RateLimiter = (*Connector)(nil)
	_ connectors.Advisor     = (*Connector)(nil)
)

func init() {
	connectors.Register("discord", func() connectors.Connector { return &Connector{} })
}

// Connector posts one message per event.
type Connector struct {
	// Webhook is the URL of a channel's webhook, which is itself the secret.
	Webhook connectors.Secret `yaml:"webhook"`

	// Title is the first line of the message. The default tells the score. It is cut to 256 characters.
	Title expression.Text `yaml:"title,omitempty"`

	// Text is the message below the title, in Discord's Markdown, in which respondents' texts are escaped. The default lists the
	// respondent, the question with its comment, the survey and the NPS group, each cut to 1,024 characters. It is cut to 4,096
	// characters.
	Text expression.Text `yaml:"text,omitempty"`
}

// Limits of an embed, in characters. With all of them at their limits, a message stays below the 6,000 of all texts together: it
// has either a text or at most five fields.
// https://docs.discord.com/developers/resources/message#embed-object-embed-limits
const (
	maxTitle = 256
	maxText  = 4096
	maxField = 1024
)

// agent is the User-Agent in the form that Discord requires. Its network may block requests with another.
// https://docs.discord.com/developers/reference#user-agent
const agent = "DiscordBot (https://github.com/surveygate/surveygate, 1)"

// markdown are the characters with a meaning in Discord's Markdown, also those of links, mentions and emojis.
// https://support.discord.com/hc/articles/210298617
const markdown = connectors.Markdown("\\`*_~|#>[]()<")

// message is the body. https://docs.discord.com/developers/resources/webhook#execute-webhook
type message struct {
	Embeds   [1]embed `json:"embeds"`
	Mentions mentions `json:"allowed_mentions"`
}

// mentions with an empty list forbid every mention; without the list, Discord would notify users whom a text names.
// https://docs.discord.com/developers/resources/message#allowed-mentions-object
type mentions struct {
	Parse [0]string `json:"parse"`
}

type embed struct {
	Title     string  `json:"title"`
	Text      string  `json:"description,omitempty"`
	URL       string  `json:"url,omitempty"`
	Colour    int     `json:"color,omitempty"`
	Timestamp string  `json:"timestamp"`
	Fields    []field `json:"fields,omitempty"`
}

type field struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Inline bool   `json:"inline,omitempty"`
}

// colours are those of the levels of a message.
var colours = map[string]int{"danger": 0xd92d20, "warning": 0xf5a623, "good": 0x2e9e4f}

// Build posts the operator's texts, or the default message.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	made, err := c.embed(ev)
	if err != nil {
		return nil, err
	}
	return c.post(made), nil
}

// post returns the request that posts a message. With wait, Discord answers after the message is saved, with its id; without, it reports no
// message that is not saved.
func (c *Connector) post(made embed) *connectors.Request {
	address := connectors.Address(c.Webhook.WithQuery("wait", "true"))
	return connectors.Post("", message{Embeds: [1]embed{made}}).With("User-Agent", agent).As(address)
}

// embed returns what the message shows.
func (c *Connector) embed(ev *event.Event) (embed, error) {
	title, err := c.Title.Render(ev, markdown.Escape)
	if err != nil {
		return embed{}, err
	}
	text, err := c.Text.Render(ev, markdown.Escape)
	if err != nil {
		return embed{}, err
	}
	title, text = strings.TrimSpace(title), strings.TrimSpace(text)
	if text == "" && !c.Text.IsZero() {
		return embed{}, connectors.Skip("the text comes out empty")
	}
	about := connectors.MessageFor(ev)
	if title == "" {
		title = markdown.Escape(about.Title)
	}
	made := embed{
		Title: markdown.Clip(title, maxTitle), Text: markdown.Clip(text, maxText), URL: about.Link,
		Colour: colours[about.Level()], Timestamp: ev.Time.Format(time.RFC3339),
	}
	if text == "" {
		made.Fields = fields(about)
	}
	return made, nil
}

// fields returns the fields of the default message. Discord refuses one without a value.
func fields(about connectors.Message) []field {
	all := make([]field, 0, len(about.Fields)+1)
	for _, f := range about.Fields {
		if value := strings.TrimSpace(f.Value); value != "" {
			all = append(all, field{Name: f.Name, Value: escape(value, maxField), Inline: f.Short})
		}
	}
	if about.Group != "" {
		all = append(all, field{Name: "NPS group", Value: about.GroupTitle(), Inline: true})
	}
	return all
}

// webhookPath matches the end of a webhook's path. Discord also has `/slack` and `/github` behind it, which take other bodies.
// https://docs.discord.com/developers/resources/webhook#execute-webhook
var webhookPath = regexp.MustCompile(`/webhooks/[0-9]+/[A-Za-z0-9_-]+$`)

// Validate checks the address.
func (c *Connector) Validate() error {
	if err := connectors.CheckWebhook(c.Webhook, "Discord"); err != nil {
		return connectors.Invalid("webhook", err.Error())
	}
	if !c.Webhook.PathMatches(webhookPath) {
		return connectors.Invalid("webhook", "is not the address of a webhook, `https://discord.com/api/webhooks/ID/TOKEN`; "+
			"copy it from the channel's settings, Integrations, Webhooks, and leave out `/slack` or `/github` at its end")
	}
	return nil
}

// Check asks for the webhook, which posts nothing. The question has no query: `thread_id` is only for messages.
// https://docs.discord.com/developers/resources/webhook#get-webhook-with-token
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{connectors.Get("").With("User-Agent", agent).As(connectors.Address(c.Webhook.WithoutQuery()))}
}

// JudgeCheck returns what the webhook lacks.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	var hook struct {
		ID      string `json:"id"`
		Channel string `json:"channel_id"`
	}
	switch v := c.Judge(res); {
	case v.Kind == connectors.Revoked:
		return connectors.Missing("a webhook that Discord knows (" + v.Reason + ")")
	case res.Status < 200 || res.Status > 299:
		return connectors.ProofByStatus(res)
	case res.JSON(&hook) != nil || !snowflake.MatchString(hook.ID):
		return connectors.UnexpectedAnswer("Discord", "the webhook", res)
	case hook.Channel == "":
		return connectors.Missing("a channel: that of the webhook no longer exists")
	}
	return connectors.Proof{}
}

// Rate returns one message in two seconds: a channel takes 30 a minute from webhooks. Discord publishes no number, and names the
// wait when a limit is reached.
// https://docs.discord.com/developers/topics/rate-limits
func (c *Connector) Rate() connectors.Rate { return connectors.Rate{Requests: 1, Per: 2 * time.Second} }
