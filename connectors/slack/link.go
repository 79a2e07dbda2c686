package slack

import (
	"strings"

	"github.com/slack-go/slack/slackutilsx"
)

// pipe stands for a `|` that an event brought along, until it is known where it stands: between < and > a bare one would end
// an address, or begin another label than the operator's. It is a noncharacter of Unicode, which no text has a use for.
const pipe = "\uFDD0"

// notPipe is what a `|` is shown as in a link's label. Slack has no escape for it.
const notPipe = "¦"

// inLabel makes every `|` of a label one that Slack shows.
var inLabel = strings.NewReplacer(pipe, notPipe, "|", notPipe)

// fill escapes what an event brings into an operator's text; links then gives every `|` in it its place.
func fill(text string) string {
	text = slackutilsx.EscapeMessage(strings.ReplaceAll(text, pipe, ""))
	return strings.ReplaceAll(text, "|", pipe)
}

// links puts back every `|` that an event brought: as it is outside of links, percent-encoded in an address, and as ¦ in a
// label, where a second one of the operator's own is too. What the operator wrote is the only < there is: fill escapes others.
func links(text string) string {
	if !strings.Contains(text, pipe) && !strings.Contains(text, "<") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for {
		before, rest, found := strings.Cut(text, "<")
		b.WriteString(strings.ReplaceAll(before, pipe, "|"))
		if !found {
			return b.String()
		}
		b.WriteByte('<')
		link, after, closed := strings.Cut(rest, ">")
		if !closed || strings.HasPrefix(link, " ") || strings.ContainsAny(link, "<\n") { // a bare < of the operator's, and no link
			text = rest
			continue
		}
		target, label, labelled := strings.Cut(link, "|")
		encoded := "%7C"
		if strings.HasPrefix(target, "@") || strings.HasPrefix(target, "#") || strings.HasPrefix(target, "!") {
			encoded = notPipe // a mention is no address
		}
		b.WriteString(strings.ReplaceAll(target, pipe, encoded))
		if labelled {
			b.WriteByte('|')
			_, _ = inLabel.WriteString(&b, label)
		}
		b.WriteByte('>')
		text = after
	}
}
