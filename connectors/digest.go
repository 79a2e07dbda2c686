package connectors

import (
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Digester is implemented by a connector that can tell of many events in one message, for `at_most` with `then: digest`.
type Digester interface {
	// Digest builds one message about events that no message of their own was sent for. It is pure, as Build is, and has the same
	// errors. The answer is judged like that of Build; Response.Events holds one event at most, which need not be one of the digest.
	Digest(d *Digest) (*Request, error)
}

// Digest is what a rule would have sent in a period beyond its limit.
type Digest struct {
	// Rule is the rule's name.
	Rule string
	// From and To are the period.
	From, To time.Time
	// Total is the number of events; it is a lower bound if More is set.
	Total int
	More  bool
	// Events are the first of them, at most MaxDigestEvents. It may be empty if none is kept any more.
	Events []*event.Event
}

// MaxDigestEvents bounds Digest.Events.
const MaxDigestEvents = 10

// MaxDigestLine bounds what DigestLine.Text returns, in characters.
const MaxDigestLine = 300

// Lengths of the parts of a line in characters, as the product reads them. With the marks between them, they stay below MaxDigestLine.
const (
	maxDigestScore   = 60
	maxDigestWho     = 80
	maxDigestComment = 140
)

// DigestMessage is the chat message about a digest. It is plain text that contains respondents' words: escape it for the product.
type DigestMessage struct {
	// Title is the rule's name. See TitleAfter.
	Title string
	// Count is a sentence without its period: `12 events without a message of their own, between 10:00 and 11:00 UTC`.
	Count string
	// Lines are about the first events. There are none if no event is kept any more.
	Lines []DigestLine
	// Rest is about the events without a line: `and 2 more`; empty if there are none, or no lines.
	Rest string
}

// DigestLine is about one event of a digest. Each part is one line, and may be empty but for Score.
type DigestLine struct {
	// Score is the score, such as `Score 3/10`, or else the title of the event's own message.
	Score string
	// Who is the respondent.
	Who string
	// Comment is the feedback.
	Comment string
}

// Message returns the digest's message.
func (d *Digest) Message() DigestMessage {
	events := d.Events[:min(len(d.Events), MaxDigestEvents)]
	total := max(d.Total, len(d.Events))
	m := DigestMessage{Title: firstOf(oneLine(d.Rule), "Digest"), Lines: make([]DigestLine, len(events))}
	m.Count = thousands(total) + " events without a message of their own"
	if total == 1 {
		m.Count = "1 event without a message of its own"
	}
	if d.More {
		m.Count = "At least " + m.Count
	}
	m.Count += ", " + period(d.From.UTC(), d.To.UTC())
	for i, ev := range events {
		m.Lines[i] = digestLine(ev)
	}
	switch left := total - len(events); {
	case len(events) == 0:
	case d.More && left == 0:
		m.Rest = "and more"
	case d.More:
		m.Rest = "and at least " + thousands(left) + " more"
	case left > 0:
		m.Rest = "and " + thousands(left) + " more"
	}
	return m
}

// TitleAfter returns the escaped title after the step's own one, which is in the product's form: `NPS alarms: detractors`. A title of the
// step's that has holes is written for one event, and is left out.
func (m DigestMessage) TitleAfter(own expression.Text, escape func(string) string) string {
	if literals := own.Literals(); len(literals) == 1 && oneLine(literals[0]) != "" {
		return oneLine(literals[0]) + ": " + escape(m.Title)
	}
	return escape(m.Title)
}

func digestLine(ev *event.Event) DigestLine {
	d := ev.Data()
	score := scored(d.Response.Score)
	if score == "" {
		score = oneLine(MessageFor(ev).Title)
	}
	return DigestLine{Score: score, Who: oneLine(who(d)), Comment: oneLine(d.Response.Feedback)}
}

// Text returns the line in the product's form, at most MaxDigestLine characters: `*Score 3/10* · jo@example.com: Checkout is slow`. bold
// stands on both sides of what is bold. escape returns a text as the product reads it, cut to limit characters.
func (l DigestLine) Text(bold string, escape func(text string, limit int) string) string {
	line := bold + escape(l.Score, maxDigestScore) + bold
	if l.Who != "" {
		line += " · " + escape(l.Who, maxDigestWho)
	}
	if l.Comment != "" {
		line += ": " + escape(l.Comment, maxDigestComment)
	}
	return line
}

// oneLine returns a text with one space in place of all white space between its words.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// period returns a period to the minute, in UTC, with the dates if they differ.
func period(from, to time.Time) string {
	const minute = "15:04"
	form := minute
	if from.Format(time.DateOnly) != to.Format(time.DateOnly) {
		form = time.DateOnly + " " + minute
	}
	return "between " + from.Format(form) + " and " + to.Format(form) + " UTC"
}

// thousands returns a number with a comma before each group of three digits.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
