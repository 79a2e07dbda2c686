package slack

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge         = (*Thread)(nil)
	_ connectors.Validator     = (*Thread)(nil)
	_ connectors.Checker       = (*Thread)(nil)
	_ connectors.RateLimiter   = (*Thread)(nil)
	_ connectors.Chained       = (*Thread)(nil)
	_ connectors.ChainComparer = (*Thread)(nil)
)

// Thread posts a message and a reply in its thread. Slack has no idempotency key: if the gateway crashes between the two, or
// the reply is retried, the message is posted again.
type Thread struct {
	Account `yaml:",inline"`

	// Text is the message, with the same default as in `slack`.
	Text expression.Text `yaml:"text,omitempty"`

	// Reply is posted in the message's thread. The default lists the answers, one per line. An empty reply is not posted.
	Reply expression.Text `yaml:"reply,omitempty"`
}

// Build posts the message. Judge continues with the reply, which needs the message's timestamp from Slack's answer.
func (t *Thread) Build(ev *event.Event) (*connectors.Request, error) {
	m, err := compose(t.Text, nil, ev)
	if err != nil {
		return nil, err
	}
	return t.post(m), nil
}

// MaxRequests counts the message and its reply.
func (t *Thread) MaxRequests() int { return 2 }

// LaterContent returns the reply.
func (t *Thread) LaterContent(ev *event.Event) ([]byte, error) {
	text, err := t.reply(ev)
	return []byte(text), err
}

// Validate requires a bot's token: an incoming webhook does not return the timestamp of its message.
func (t *Thread) Validate() error {
	if !t.Webhook.IsZero() {
		return connectors.Invalid("webhook", "cannot begin a thread: it does not say what it has posted; use `token` and `channel`")
	}
	return t.validate()
}

// reply is the name of the second request.
const reply = "reply"

var (
	timestamp = regexp.MustCompile(`^\d+\.\d+$`)
	channelID = regexp.MustCompile(`^[A-Z][A-Z0-9]+$`)
)

// Judge continues from the message to its reply.
func (t *Thread) Judge(res *connectors.Response) connectors.Verdict {
	v := t.Account.Judge(res)
	if v.Kind != connectors.Delivered || len(res.Events) == 0 || res.To != nil && res.To.Name == reply {
		return v
	}
	text, err := t.reply(res.Events[0])
	switch {
	case err != nil:
		return connectors.Reject("the reply cannot be built: " + err.Error())
	case text == "":
		return v
	}
	var posted struct {
		Timestamp string `json:"ts"`
		Channel   string `json:"channel"`
	}
	if res.JSON(&posted) != nil || !timestamp.MatchString(posted.Timestamp) {
		return connectors.Reject(noTimestamp)
	}
	m := message{Thread: posted.Timestamp, Text: text}
	if channelID.MatchString(posted.Channel) {
		m.Channel = posted.Channel // a message to a user is posted in a direct-message channel
	}
	return connectors.Then(t.post(m).Named(reply))
}

func (t *Thread) reply(ev *event.Event) (string, error) {
	if t.Reply.IsZero() {
		return answers(ev), nil
	}
	text, err := t.Reply.Render(ev, fill)
	return connectors.ClipHTML(strings.TrimSpace(restorePipes(text)), maxText), err
}

// answers returns the questions with their answers, one per line.
func answers(ev *event.Event) string {
	var b strings.Builder
	for _, a := range ev.Data().Response.Answers {
		question := a.Question
		if question == "" {
			question = a.QuestionID
		}
		b.WriteString("*" + escape(question, maxField) + "*: " + escape(answered(a), maxField) + "\n")
	}
	return connectors.ClipHTML(strings.TrimSpace(b.String()), maxText)
}

// answered returns an answer as text, followed by its comment in parentheses.
func answered(a event.Answer) string {
	var v any
	text, ok := "", false
	if json.Unmarshal(a.Value, &v) == nil {
		text, ok = connectors.PlainText(v)
	}
	if !ok {
		text = string(a.Value) // an object, as the platform wrote it
	}
	if a.Comment != "" {
		text = strings.TrimSpace(text + " (" + a.Comment + ")")
	}
	return text
}
