package slack

import (
	"cmp"
	"encoding/json"
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

// Amend changes the message. Judge continues with its reply.
func (t *Thread) Amend(ev *event.Event, receipt string) (*connectors.Request, error) {
	r, err := t.read(receipt)
	if err != nil {
		return nil, err
	}
	m, err := compose(t.Text, nil, ev)
	if err != nil {
		return nil, err
	}
	return t.update(r.channel, r.message, m).Amending(receipt), nil
}

// Retract strikes the message through. Judge continues with its reply.
func (t *Thread) Retract(ev *event.Event, receipt string) (*connectors.Request, error) {
	r, err := t.read(receipt)
	if err != nil {
		return nil, err
	}
	return t.retract(r, t.Text, ev, receipt)
}

// Judge continues from the message to its reply.
func (t *Thread) Judge(res *connectors.Response) connectors.Verdict {
	v := t.Account.Judge(res)
	isReply := res.To != nil && res.To.Name == reply
	if _, amends := res.Amendment(); amends && len(res.Events) > 0 {
		return t.judgeAmendment(res, v, isReply)
	}
	switch {
	case v.Kind != connectors.Delivered:
		return v
	case isReply:
		v.Ref = withReply(lastOf(res.Trail), res).String()
		return v
	case len(res.Events) == 0 || res.To != nil && res.To.Name == digestName:
		v.Ref = postedIn(res).String()
		return v
	}
	text, err := t.reply(res.Events[0])
	posted := postedIn(res)
	switch {
	case err != nil:
		return connectors.Reject("the reply cannot be built: " + err.Error())
	case text == "":
		v.Ref = posted.String()
		return v
	case posted.message == "":
		return connectors.Reject(noTimestamp)
	}
	// The channel is empty if Slack does not name it. A message to a user is posted in a direct-message channel.
	return connectors.Then(t.post(message{Channel: posted.channel, Thread: posted.message, Text: text}).Named(reply))
}

// lastOf returns the message of the last answer in a trail.
func lastOf(trail []*connectors.Response) receipt {
	if len(trail) == 0 {
		return receipt{}
	}
	return postedIn(trail[len(trail)-1])
}

// withReply adds the reply that an answer names, if it does.
func withReply(r receipt, res *connectors.Response) receipt {
	r.reply = cmp.Or(postedIn(res).message, r.reply)
	return r
}

// judgeAmendment continues from the change of a message to that of its reply. A reply that is missing is posted.
func (t *Thread) judgeAmendment(res *connectors.Response, v connectors.Verdict, isReply bool) connectors.Verdict {
	amendment, _ := res.Amendment()
	r, err := parseReceipt(amendment.Receipt)
	if err != nil {
		return connectors.Reject(err.Error())
	}
	lost := isReply && v.Reason == messageNotFound && r.reply != "" && res.Status >= 200 && res.Status <= 299
	switch {
	case lost && amendment.Retraction:
		v = connectors.Deliver()
		v.Ref = receipt{channel: r.channel, message: r.message}.String()
		return v
	case isReply && v.Kind == connectors.Delivered:
		v.Ref = withReply(r, res).String()
		return v
	case isReply && !lost && v.Setting == "channel", isReply && unchangeable[v.Reason]:
		return connectors.Reject(cannotChange + v.Reason)
	case isReply && !lost:
		return v
	case !isReply:
		if v, settled := t.settle(t, res, v); settled || v.Kind != connectors.Delivered {
			return v
		}
	}
	text, err := t.reply(res.Events[0])
	if err != nil {
		return connectors.Reject("the reply cannot be built: " + err.Error())
	}
	if lost {
		r.reply = ""
	}
	return t.amendReply(amendment, r, text, v)
}

// emptied replaces a reply that would be empty now, which Slack does not take.
const emptied = "…"

// amendReply continues with the reply, unless there is none and should be none. v is the verdict on the message.
func (t *Thread) amendReply(a connectors.Amendment, r receipt, text string, v connectors.Verdict) connectors.Verdict {
	if text == "" {
		text = emptied
	}
	if a.Retraction {
		text = strike(text)
	}
	var next *connectors.Request
	switch {
	case r.reply != "":
		next = t.update(r.channel, r.reply, message{Text: text})
	case a.Retraction || text == emptied:
		v.Kind, v.Reason, v.Ref = connectors.Delivered, "", r.String()
		return v
	default:
		a.Receipt = r.String() // so that a second refusal ends the chain
		next = t.post(message{Channel: r.channel, Thread: r.message, Text: text})
	}
	next.Amends = a
	return connectors.Then(next.Named(reply))
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
