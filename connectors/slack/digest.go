package slack

import (
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Digester = (*Connector)(nil)
	_ connectors.Digester = (*Thread)(nil)
)

// digestName is the name of a request that posts a digest, which has no reply.
const digestName = "digest"

// Digest posts one message about many events to the channel: a header with the rule's name, the count, a line for each of the first
// events, and the number of the others. Text and Blocks are written for one event, and do not apply.
func (c *Connector) Digest(d *connectors.Digest) (*connectors.Request, error) {
	return c.digest(d), nil
}

// Digest posts the same message as that of `slack`. It is not part of a thread, and has no reply.
func (t *Thread) Digest(d *connectors.Digest) (*connectors.Request, error) { return t.digest(d), nil }

// digest returns the request that posts a digest, as four blocks at most. The lines are one section: with MaxDigestLine and its bullet each,
// they are below maxSection characters.
// https://docs.slack.dev/reference/block-kit/blocks/section-block
func (a *Account) digest(d *connectors.Digest) *connectors.Request {
	about := d.Message()
	m := message{
		Text: escape(about.Title+": "+about.Count, maxField), // what notifications show
		Blocks: []expression.Object{
			{{Key: "type", Value: "header"}, {Key: "text", Value: plain(connectors.Clip(about.Title, maxHeader))}},
			{{Key: "type", Value: "section"}, {Key: "text", Value: plain(about.Count)}},
		},
	}
	if len(about.Lines) > 0 {
		lines := make([]string, len(about.Lines))
		for i, line := range about.Lines {
			lines[i] = "• " + line.Text("*", escape)
		}
		m.Blocks = append(m.Blocks, expression.Object{{Key: "type", Value: "section"}, {Key: "text", Value: mrkdwn(strings.Join(lines, "\n"))}})
	}
	if about.Rest != "" {
		m.Blocks = append(m.Blocks, expression.Object{{Key: "type", Value: "context"}, {Key: "elements", Value: []any{plain(about.Rest)}}})
	}
	return a.post(m).Named(digestName)
}

func plain(text string) expression.Object {
	return expression.Object{{Key: "type", Value: "plain_text"}, {Key: "text", Value: text}}
}

// mrkdwn returns a text in which Slack makes no links of the names and addresses that respondents wrote.
// https://docs.slack.dev/reference/block-kit/composition-objects/text-object
func mrkdwn(text string) expression.Object {
	return expression.Object{{Key: "type", Value: "mrkdwn"}, {Key: "text", Value: text}, {Key: "verbatim", Value: true}}
}
