// Package teams posts survey events to a Microsoft Teams channel or chat as cards, through a Workflows webhook.
//
// Make the webhook in Teams: open the channel's menu, Workflows, `Send webhook alerts to a channel`, let its trigger be open to
// `Anyone`, and copy the URL. The URL belongs to the person who makes the workflow: give it a co-owner, or it ends with that
// account. `check --live` cannot prove it, because every request to it posts a card.
//
// Teams accepts an event before it posts the card, and has no idempotency key. So `delivered` means that the workflow was
// started: a card that Teams refuses afterwards is seen only in the workflow's run history. A retry after an answer that was
// lost posts the card twice.
//
// With `at_most: {per: 1h, count: 20, then: digest}`, a rule posts one card about the others when the hour ends: the rule's name,
// their number, and a line for each of the first ten. `text` and a `title` with holes are written for one event, and do not apply.
//
// A card that was posted cannot be changed, since Teams does not say what it has posted: `amend` and `retract` are not for Teams. An
// erasure changes nothing there either: delete the cards about the person by hand.
package teams

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
	_ connectors.RateLimiter = (*Connector)(nil)
	_ connectors.Advisor     = (*Connector)(nil)
)

func init() {
	connectors.Register("teams", func() connectors.Connector { return &Connector{Card: InMessage} })
}

// Connector posts one card per event.
type Connector struct {
	// Webhook is the URL of a workflow with the trigger `When a Teams webhook request is received`, open to `Anyone`. The URL is
	// itself the secret.
	Webhook connectors.Secret `yaml:"webhook"`

	// Title is the first line of the card. The default tells the score, and is coloured by NPS group. It is cut to 256 characters.
	Title expression.Text `yaml:"title,omitempty"`

	// Text is the card's text, in Teams' Markdown, in which respondents' texts are escaped. The default lists the respondent, the
	// NPS group, the survey, and the question with its comment. What makes the request longer than 20,000 bytes is cut.
	Text expression.Text `yaml:"text,omitempty"`

	// Card is `message` (the default), which the workflows of Teams' own templates expect; or `bare`, for a workflow of your own
	// whose step `Post card` takes the trigger's whole body. With the wrong one the workflow starts and fails, unseen from here.
	Card Form `yaml:"card,omitempty"`
}

const (
	// maxBody is the largest body in bytes. Teams posts messages of at most 28 KB, adds data of its own to the card, and refuses
	// a larger one only after its 202.
	// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
	maxBody = 20_000
	// maxTitle and maxFact are lengths in characters. With all of them at their limits, even in characters that JSON writes with
	// six bytes, a card has at least 6,000 bytes left for its text.
	maxTitle = 256
	maxFact  = 500
)

// markdown are the characters with a meaning in a card's Markdown.
// https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features
const markdown = connectors.Markdown("\\`*_~#[]()")

// Build posts the operator's texts, or the default message.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	made, err := c.compose(ev)
	if err != nil {
		return nil, err
	}
	req := c.post(made)
	if excess := len(req.Body) - maxBody; excess > 0 && made.long != nil {
		made.long.Text = clipJSON(made.long.Text, excess)
		req = c.post(made)
	}
	return req, nil
}

// compose returns the card with the operator's texts, or with those of the default message.
func (c *Connector) compose(ev *event.Event) (card, error) {
	title, err := c.Title.Render(ev, markdown.Escape)
	if err != nil {
		return card{}, err
	}
	text, err := c.Text.Render(ev, markdown.Escape)
	if err != nil {
		return card{}, err
	}
	title, text = strings.TrimSpace(title), strings.TrimSpace(text)
	if text == "" && !c.Text.IsZero() {
		return card{}, connectors.Skip("the text comes out empty")
	}
	about := connectors.MessageFor(ev)
	if title == "" {
		title = markdown.Escape(about.Title)
	}
	return newCard(markdown.Clip(title, maxTitle), text, about), nil
}

func (c *Connector) post(made card) *connectors.Request {
	var body any = made
	if c.Card != Bare {
		body = message{Type: "message", Attachments: [1]attachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: made}}}
	}
	return connectors.Post("", body).With("Content-Type", "application/json; charset=utf-8").As(connectors.Address(c.Webhook))
}

// retired matches the hosts of Office 365 connectors.
var retired = regexp.MustCompile(`^(outlook\.office(365)?|(.+\.)?webhook\.office)\.com$`)

// pages are hosts that show channels and workflows, whose addresses are copied by mistake.
var pages = map[string]bool{"teams.microsoft.com": true, "teams.cloud.microsoft": true, "make.powerautomate.com": true}

// Validate refuses the addresses of Office 365 connectors, which Microsoft ended in May 2026.
// https://devblogs.microsoft.com/microsoft365dev/retirement-of-office-365-connectors-within-microsoft-teams/
func (c *Connector) Validate() error {
	if retired.MatchString(c.Webhook.Host()) {
		return connectors.Invalid("webhook", "is an Office 365 connector's address, which Microsoft has retired; "+
			"in Teams, open the channel's menu, Workflows, `Send webhook alerts to a channel`, and give the URL that it shows")
	}
	if pages[c.Webhook.Host()] {
		return connectors.Invalid("webhook", "is the address of a page, not of a workflow; open the workflow, and copy the URL of its first step, "+
			"`When a Teams webhook request is received`")
	}
	if err := connectors.CheckWebhook(c.Webhook, "Teams"); err != nil {
		return connectors.Invalid("webhook", err.Error())
	}
	return nil
}

// Rate returns one card in two seconds. Teams throttles above four requests a second, and a workflow's own step that posts has a
// lower limit, which it exceeds unseen.
// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors
// https://learn.microsoft.com/connectors/teams/#limits
func (c *Connector) Rate() connectors.Rate { return connectors.Rate{Requests: 1, Per: 2 * time.Second} }
