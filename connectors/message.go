package connectors

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// Message is the default chat message about an event, used when the operator wrote no text. It is plain text that contains
// a respondent's words: escape it for the product.
type Message struct {
	// Title is one line, such as `Low NPS Alert: Score 3/10`.
	Title string
	// Fields are Customer, Question, Feedback and Survey, as far as the event has them. Question is the one that Feedback
	// answers.
	Fields []MessageField
	// Group is detractor, passive or promoter; empty for an event without an NPS score.
	Group string
	// Link is the address of the response at the platform; empty for an event without one. It has no character that would end
	// an address in a product's text.
	Link string
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
	m := Message{Link: link(d.Response.Permalink)}
	if nps := d.Response.Score.NPS; nps != nil {
		m.Group = event.NPSGroup(*nps)
	}
	m.Title = title(ev, d, m.Group)

	m.Fields = make([]MessageField, 0, 4)
	if who := who(d); who != "" {
		m.Fields = append(m.Fields, MessageField{Name: "Customer", Value: who, Short: true})
	}
	if d.Response.Feedback != "" {
		if asked := question(d); asked != "" {
			m.Fields = append(m.Fields, MessageField{Name: "Question", Value: asked})
		}
		m.Fields = append(m.Fields, MessageField{Name: "Feedback", Value: d.Response.Feedback})
	}
	if survey := firstOf(d.Survey.Title, d.Survey.ID); survey != "" {
		m.Fields = append(m.Fields, MessageField{Name: "Survey", Value: survey, Short: true})
	}
	return m
}

// who returns how a message names the respondent; "" if the event does not.
func who(d *event.Data) string {
	return firstOf(d.Respondent.Email, d.Respondent.Name, d.Respondent.Phone)
}

// question returns the question that the feedback is the answer to, or the comment on; "" if it is not known.
func question(d *event.Data) string {
	for _, a := range d.Response.Answers {
		if a.Question != "" && (a.Comment == d.Response.Feedback || a.Text() == d.Response.Feedback) {
			return a.Question
		}
	}
	return ""
}

// maxLink is the largest length of a link in bytes, the smallest limit of the chat products.
// https://docs.discord.com/developers/resources/message#embed-object
const maxLink = 2048

// link returns a response's address in a form that every product takes, or "" if the address is not one for a browser.
func link(address string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return ""
	}
	safe := u.String()
	if len(safe) > maxLink || strings.ContainsFunc(safe, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>|\"`\\", r) }) {
		return ""
	}
	return safe
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

// GroupTitle returns the group with a capital letter, such as `Detractor`, or "".
func (m Message) GroupTitle() string {
	if m.Group == "" {
		return ""
	}
	return strings.ToUpper(m.Group[:1]) + m.Group[1:]
}

var openings = map[string]string{
	"response.completed": "New response",
	"response.partial":   "Unfinished response",
	"response.updated":   "Changed response",
	"test":               "Test event",
}

func title(ev *event.Event, d *event.Data, group string) string {
	opening := firstOf(openings[ev.Type], ev.Type)
	if group == "detractor" {
		opening = "Low NPS Alert"
	}
	if what := firstOf(scored(d.Response.Score), d.Survey.Title, d.Survey.ID, d.Response.ID); what != "" {
		return opening + ": " + what
	}
	return opening
}

// scored returns the first score of an event, such as `Score 3/10`; "" without one.
func scored(score event.Score) string {
	switch {
	case score.NPS != nil:
		return "Score " + number(*score.NPS) + "/10"
	case score.CSAT != nil:
		return "CSAT " + number(*score.CSAT)
	case score.CES != nil:
		return "CES " + number(*score.CES)
	}
	return ""
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
