package connectors

import (
	"strconv"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
)

// Message is the default chat message about an event, used when the operator wrote no text. It is plain text that contains
// a respondent's words: escape it for the product.
type Message struct {
	// Title is one line, such as `Low NPS Alert: Score 3/10`.
	Title string
	// Fields are Customer, Feedback and Survey, as far as the event has them.
	Fields []MessageField
	// Group is detractor, passive or promoter; empty for an event without an NPS score.
	Group string
}

// MessageField is one line below the title.
type MessageField struct {
	Name  string
	Value string
	// Short marks a value that may share a line with another one.
	Short bool
}

// MessageFor returns the default message about an event: an alert for a detractor, or else a summary of the response.
func MessageFor(ev *event.Event) Message {
	d := ev.Data()
	m := Message{}
	if nps := d.Response.Score.NPS; nps != nil {
		m.Group = event.NPSGroup(*nps)
	}
	m.Title = title(ev, d, m.Group)

	m.Fields = make([]MessageField, 0, 3)
	if who := firstOf(d.Respondent.Email, d.Respondent.Name, d.Respondent.Phone); who != "" {
		m.Fields = append(m.Fields, MessageField{Name: "Customer", Value: who, Short: true})
	}
	if d.Response.Feedback != "" {
		m.Fields = append(m.Fields, MessageField{Name: "Feedback", Value: d.Response.Feedback})
	}
	if survey := firstOf(d.Survey.Title, d.Survey.ID); survey != "" {
		m.Fields = append(m.Fields, MessageField{Name: "Survey", Value: survey, Short: true})
	}
	return m
}

// Level returns the severity of the message: danger for detractors, warning for passives, good for promoters, or "".
func (m Message) Level() string {
	switch m.Group {
	case "detractor":
		return "danger"
	case "passive":
		return "warning"
	case "promoter":
		return "good"
	}
	return ""
}

var openings = map[string]string{
	"response.completed": "New response",
	"response.partial":   "Unfinished response",
	"response.updated":   "Changed response",
	"test":               "Test event",
}

func title(ev *event.Event, d *event.Data, group string) string {
	score := d.Response.Score
	if group == "detractor" {
		return "Low NPS Alert: Score " + number(*score.NPS) + "/10"
	}
	opening := openings[ev.Type]
	if opening == "" {
		opening = ev.Type
	}
	switch {
	case score.NPS != nil:
		return opening + ": Score " + number(*score.NPS) + "/10"
	case score.CSAT != nil:
		return opening + ": CSAT " + number(*score.CSAT)
	case score.CES != nil:
		return opening + ": CES " + number(*score.CES)
	}
	if what := firstOf(d.Survey.Title, d.Survey.ID, d.Response.ID); what != "" {
		return opening + ": " + what
	}
	return opening
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// Clip shortens text to at most limit runes. A shortened text ends in `…`, which counts as one of them.
func Clip(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	if limit <= 0 {
		return ""
	}
	kept := 0
	for at := range text {
		if kept == limit-1 {
			return text[:at] + "…"
		}
		kept++
	}
	return text
}
