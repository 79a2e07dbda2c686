package slack

import (
	"strings"

	"github.com/slack-go/slack/slackutilsx"
)

// pipe is the placeholder of a `|` that comes from an event, until its position is known: inside <…> a plain one would end an
// address or start a label. It is a Unicode noncharacter, which does not occur in text.
const pipe = "\uFDD0"

// brokenBar replaces a `|` in a link's label, because Slack has no escape for it.
const brokenBar = "¦"

// labelReplacer replaces every `|` of a label.
var labelReplacer = strings.NewReplacer(pipe, brokenBar, "|", brokenBar)

// fill escapes a value from an event that fills a hole of the operator's text. Call restorePipes on the filled text.
func fill(text string) string {
	text = slackutilsx.EscapeMessage(strings.ReplaceAll(text, pipe, ""))
	return strings.ReplaceAll(text, "|", pipe)
}

// restorePipes replaces the placeholder of every `|`: by a plain one outside of links, percent-encoded in an address, and by ¦
// in a label, where a second `|` of the operator's becomes ¦ too. Every < is the operator's, because fill escapes others.
func restorePipes(text string) string {
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
		if !closed || strings.HasPrefix(link, " ") || strings.ContainsAny(link, "<\n") { // a plain < of the operator's that starts no link
			text = rest
			continue
		}
		target, label, labelled := strings.Cut(link, "|")
		encoded := "%7C"
		if strings.HasPrefix(target, "@") || strings.HasPrefix(target, "#") || strings.HasPrefix(target, "!") {
			encoded = brokenBar // a mention is not an address
		}
		b.WriteString(strings.ReplaceAll(target, pipe, encoded))
		if labelled {
			b.WriteByte('|')
			_, _ = labelReplacer.WriteString(&b, label)
		}
		b.WriteByte('>')
		text = after
	}
}
