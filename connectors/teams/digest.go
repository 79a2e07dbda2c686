package teams

import (
	"github.com/surveygate/surveygate/connectors"
)

var _ connectors.Digester = (*Connector)(nil)

// Digest posts one card about many events: the rule's name, after Title if that has no holes, the count, a text block for each of the first
// events, and the number of the others. Text is written for one event, and does not apply. With all texts at their limits, even in
// characters that JSON writes with six bytes, the request is below maxBody.
func (c *Connector) Digest(d *connectors.Digest) (*connectors.Request, error) {
	about := d.Message()
	made := blank(markdown.Clip(about.TitleAfter(c.Title, markdown.Escape), maxTitle), "")
	made.Body = append(made.Body, &element{Type: "TextBlock", Text: about.Count, Wrap: true})
	for _, line := range about.Lines {
		made.Body = append(made.Body, &element{Type: "TextBlock", Text: line.Text("**", escape), Wrap: true})
	}
	if about.Rest != "" {
		made.Body = append(made.Body, &element{Type: "TextBlock", Text: about.Rest, Wrap: true})
	}
	return c.post(made), nil
}

// escape escapes a respondent's text, so that Teams shows it and does not interpret it, cut to limit characters.
func escape(text string, limit int) string { return markdown.Clip(markdown.Escape(text), limit) }
