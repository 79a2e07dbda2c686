package discord

import (
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

var _ connectors.Digester = (*Connector)(nil)

// Digest posts one message about many events: the rule's name, after Title if that has no holes, and below it the count, a line for each of
// the first events, and the number of the others. Text is written for one event, and does not apply. With MaxDigestLine each, the lines
// stay below maxText characters, and all texts together below the 6,000 of an embed.
// https://docs.discord.com/developers/resources/message#embed-object-embed-limits
func (c *Connector) Digest(d *connectors.Digest) (*connectors.Request, error) {
	about := d.Message()
	lines := []string{about.Count, ""}
	for _, line := range about.Lines {
		lines = append(lines, line.Text("**", escape))
	}
	if about.Rest != "" {
		lines = append(lines, about.Rest)
	}
	return c.post(embed{
		Title: markdown.Clip(about.TitleAfter(c.Title, markdown.Escape), maxTitle), Text: strings.TrimSpace(strings.Join(lines, "\n")), Timestamp: d.To.UTC().Format(time.RFC3339),
	}), nil
}

// escape escapes a respondent's text, so that Discord shows it and does not interpret it, cut to limit characters.
func escape(text string, limit int) string { return markdown.Clip(markdown.Escape(text), limit) }
