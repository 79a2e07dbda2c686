package teams

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// Form is what the body of a request is.
type Form string

// The forms.
const (
	InMessage Form = "message"
	Bare      Form = "bare"
)

// Words returns both words.
func (Form) Words() []string { return []string{string(InMessage), string(Bare)} }

// UnmarshalText accepts one of the two words.
func (f *Form) UnmarshalText(b []byte) error {
	switch *f = Form(b); *f {
	case InMessage, Bare:
		return nil
	}
	return fmt.Errorf("`%s` is no form of a card; one of message, bare", b)
}

// message is the body that the trigger documents. The workflow reads one attachment or all of them, depending on its template.
// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#send-adaptive-cards-using-an-incoming-webhook
type message struct {
	Type        string        `json:"type"`
	Attachments [1]attachment `json:"attachments"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"` // always null, as documented
	Content     card    `json:"content"`
}

// card is an Adaptive Card. https://adaptivecards.io/explorer/AdaptiveCard.html
type card struct {
	Schema  string     `json:"$schema"`
	Type    string     `json:"type"`
	Version string     `json:"version"`
	Body    []*element `json:"body"`
	Actions []action   `json:"actions,omitempty"`
	Teams   layout     `json:"msteams"`

	long *element // the element whose text may have any length; nil without one
}

// element is a TextBlock or a FactSet.
type element struct {
	Type   string `json:"type"`
	Text   string `json:"text,omitempty"`
	Size   string `json:"size,omitempty"`
	Weight string `json:"weight,omitempty"`
	Color  string `json:"color,omitempty"`
	Wrap   bool   `json:"wrap,omitempty"`
	Facts  []fact `json:"facts,omitempty"`
}

type fact struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

type layout struct {
	Width string `json:"width"`
}

// colours are the card's names for the levels of a message.
var colours = map[string]string{"danger": "Attention", "warning": "Warning", "good": "Good"}

// blank returns a card with nothing but a title, which has the colour of a level.
func blank(title, level string) card {
	c := card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard",
		Version: "1.2", // the newest that mobile clients show
		Teams:   layout{Width: "Full"},
		Body:    make([]*element, 1, 6),
	}
	c.Body[0] = &element{Type: "TextBlock", Text: title, Size: "Medium", Weight: "Bolder", Color: colours[level], Wrap: true}
	return c
}

// newCard returns a card with a title and a text, or with the fields of the default message if the text is empty.
func newCard(title, text string, about connectors.Message) card {
	c := blank(title, about.Level())
	if text != "" {
		c.addText(text)
	} else {
		c.addFields(about)
	}
	if about.Link != "" {
		c.Actions = []action{{Type: "Action.OpenUrl", Title: "Open the response", URL: about.Link}}
	}
	return c
}

// addText adds a text of any length.
func (c *card) addText(text string) {
	c.long = &element{Type: "TextBlock", Text: paragraphs(text), Wrap: true}
	c.Body = append(c.Body, c.long)
}

// addFields adds the short fields as facts, and below them the feedback under its question.
func (c *card) addFields(about connectors.Message) {
	facts := make([]fact, 0, len(about.Fields)+1)
	heading, feedback := "", ""
	for _, f := range about.Fields {
		switch {
		case f.Short:
			facts = append(facts, fact{f.Name, escape(f.Value, maxFact)})
		case f.Name == "Question":
			heading = escape(f.Value, maxFact)
		default:
			feedback = markdown.Escape(strings.TrimSpace(f.Value))
			if heading == "" {
				heading = f.Name
			}
		}
	}
	if about.Group != "" {
		facts = append(facts, fact{"NPS group", about.GroupTitle()})
	}
	if len(facts) > 0 {
		c.Body = append(c.Body, &element{Type: "FactSet", Facts: facts})
	}
	if feedback != "" {
		c.Body = append(c.Body, &element{Type: "TextBlock", Text: heading, Weight: "Bolder", Wrap: true})
		c.addText(feedback)
	}
}

// paragraphs makes a paragraph of each line, because a card joins lines that no empty one separates. It also removes the
// indentation, which would make code of a line.
// https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format#newlines-for-adaptive-cards
func paragraphs(text string) string {
	if !strings.ContainsAny(text, "\r\n") {
		return text
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	kept := lines[:0]
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n\n")
}

// clipJSON shortens a text by at least excess bytes of its form in JSON.
func clipJSON(text string, excess int) string {
	encoded, err := event.Marshal(text)
	if err != nil {
		return ""
	}
	left, kept := len(encoded)-len(`""`)-excess-len("…"), 0
	for _, r := range text {
		if left -= maxJSON(r); left < 0 {
			break
		}
		kept++
	}
	return markdown.Clip(text, kept+1)
}

// maxJSON returns an upper bound for the bytes of a character in JSON.
func maxJSON(r rune) int {
	switch {
	case r == '"' || r == '\\' || r == '\n':
		return 2
	case r < ' ':
		return len(`\u0000`)
	}
	return utf8.RuneLen(r)
}
