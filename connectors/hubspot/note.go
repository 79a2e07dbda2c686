package hubspot

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"html"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge         = (*Note)(nil)
	_ connectors.Keyer         = (*Note)(nil)
	_ connectors.Chained       = (*Note)(nil)
	_ connectors.ChainComparer = (*Note)(nil)
	_ connectors.Validator     = (*Note)(nil)
	_ connectors.Checker       = (*Note)(nil)
)

func init() {
	connectors.Register("hubspot.note", func() connectors.Connector { return &Note{Account: defaults()} })
}

// Note leaves a note on the respondent's contact, once per response. A response is one of its tenant, source and survey: other
// responses of the same id have notes of their own.
type Note struct {
	Account `yaml:",inline"`

	// Text is the note, HTML as HubSpot shows it; what respondents wrote is escaped in it. Without it, the score, the
	// feedback and the survey. A mark behind it, `[sg:…]`, is made of the tenant, the source, the survey and the response:
	// where a note has it, none is written again.
	Text expression.Text `yaml:"text,omitempty"`
}

const (
	searched = "search"
	noted    = "note"
	// contactOfNote is HubSpot's own kind of association. https://developers.hubspot.com/docs/guides/api/crm/associations
	contactOfNote = 202
	// searchMost is how many notes the search gives, and foundMost what they take with every character as \u0000: read
	// only in part, the mark of a long one would not be seen, and the note be written again.
	searchMost = 10
	foundMost  = searchMost * (6*maxText + 4096)
)

// Build makes or changes the contact; the search for its note follows, and then the note.
func (n *Note) Build(ev *event.Event) (*connectors.Request, error) {
	in, err := n.input(ev, expression.Values{})
	if err != nil {
		return nil, err
	}
	if !n.Text.IsZero() {
		if text, err := n.Text.Render(ev, escape); err != nil {
			return nil, err
		} else if strings.TrimSpace(text) == "" {
			return nil, connectors.Skip("the text comes out empty")
		}
	}
	return n.upsert(inputs{Inputs: []input{in}}), nil
}

// Key is the contact, as it is for those without a note.
func (n *Note) Key(ev *event.Event) string { return (&Connector{Account: n.Account}).Key(ev) }

// MaxRequests are the contact, the search and the note.
func (n *Note) MaxRequests() int { return 3 }

// LaterContent is the note.
func (n *Note) LaterContent(ev *event.Event) ([]byte, error) {
	body, err := n.body(ev)
	return []byte(ev.Time.UTC().Format(time.RFC3339) + body), err
}

// Validate is the account's.
func (n *Note) Validate() error { return n.validate() }

// Judge goes from the contact to the search, and from there to the note unless there is one.
func (n *Note) Judge(res *connectors.Response) connectors.Verdict {
	step := ""
	if res.To != nil {
		step = res.To.Name
	}
	if step != searched && step != noted {
		return n.upserted(res)
	}
	if res.Status < 200 || res.Status > 299 {
		return refused(res)
	}
	if !genuine(res) {
		return connectors.TryAgain("the answer is not HubSpot's")
	}
	ev := first(res)
	if step == noted || ev == nil {
		return connectors.Deliver()
	}
	return n.found(res, ev)
}

// upserted goes on with the search once the contact is written.
func (n *Note) upserted(res *connectors.Response) connectors.Verdict {
	w, v := n.written(res, n.Key)
	ev := first(res)
	switch {
	case v.Kind != connectors.Delivered || ev == nil:
		return v
	case len(w.Results) == 0 || w.Results[0].ID == "":
		return connectors.TryAgain("the answer names no contact")
	}
	return connectors.Then(n.search(ev))
}

// search looks for the mark. HubSpot's index is a while behind, so that a note of moments ago may not be found.
// https://developers.hubspot.com/docs/guides/api/crm/search
func (n *Note) search(ev *event.Event) *connectors.Request {
	type filter struct {
		Property string `json:"propertyName"`
		Operator string `json:"operator"`
		Value    string `json:"value"`
	}
	type group struct {
		Filters []filter `json:"filters"`
	}
	return connectors.Post(n.at("notes/search"), struct {
		Groups     []group  `json:"filterGroups"`
		Properties []string `json:"properties"`
		Sorts      []string `json:"sorts"`
		Limit      int      `json:"limit"`
		After      string   `json:"after"`
	}{
		Groups:     []group{{[]filter{{"hs_note_body", "CONTAINS_TOKEN", code(ev)}}}},
		Properties: []string{"hs_note_body"},
		Sorts:      []string{},
		Limit:      searchMost,
		After:      "0",
	}).Named(searched).LimitResponse(foundMost).As(connectors.Bearer(n.Token))
}

// found ends with the note that is there already, or writes it.
func (n *Note) found(res *connectors.Response, ev *event.Event) connectors.Verdict {
	var answer struct {
		Results []struct {
			Properties struct {
				Body string `json:"hs_note_body"`
			} `json:"properties"`
		} `json:"results"`
	}
	if err := json.Unmarshal(res.Body, &answer); err != nil && !res.Truncated {
		return connectors.TryAgain("the answer is not HubSpot's")
	}
	for _, r := range answer.Results {
		if strings.Contains(r.Properties.Body, mark(ev)) {
			return connectors.Deliver()
		}
	}
	body, err := n.body(ev)
	if err != nil {
		return connectors.Reject("the note cannot be built: " + err.Error())
	}
	contact := n.contact(res)
	if contact == "" {
		return connectors.TryAgain("the answer names no contact")
	}
	return connectors.Then(n.note(ev, body, contact))
}

// contact is the id that the upsert answered, before the search.
func (n *Note) contact(res *connectors.Response) string {
	for _, earlier := range res.Trail {
		var w written
		if json.Unmarshal(earlier.Body, &w) == nil && len(w.Results) > 0 {
			return w.Results[0].ID
		}
	}
	return ""
}

// note is on the contact from the start. https://developers.hubspot.com/docs/guides/api/crm/engagements/notes
func (n *Note) note(ev *event.Event, body, contact string) *connectors.Request {
	type kind struct {
		Category string `json:"associationCategory"`
		Type     int    `json:"associationTypeId"`
	}
	type association struct {
		To struct {
			ID string `json:"id"`
		} `json:"to"`
		Types []kind `json:"types"`
	}
	a := association{Types: []kind{{"HUBSPOT_DEFINED", contactOfNote}}}
	a.To.ID = contact
	return connectors.Post(n.at("notes"), struct {
		Properties   expression.Object `json:"properties"`
		Associations []association     `json:"associations"`
	}{
		expression.Object{
			{Key: "hs_timestamp", Value: ev.Time.UTC().Format(time.RFC3339)},
			{Key: "hs_note_body", Value: body},
		},
		[]association{a},
	}).Named(noted).As(connectors.Bearer(n.Token))
}

// body is the note's text with its mark.
func (n *Note) body(ev *event.Event) (string, error) {
	text := standard(ev)
	if !n.Text.IsZero() {
		var err error
		if text, err = n.Text.Render(ev, escape); err != nil {
			return "", err
		}
	}
	text = strings.NewReplacer("\r\n", "<br>", "\n", "<br>").Replace(strings.TrimSpace(text))
	end := "<br>" + mark(ev)
	return clip(text, maxText-utf8.RuneCountInString(end)) + end, nil
}

// standard is the survey-aware text: what it is, the feedback, the survey. Whose it is says the contact.
func standard(ev *event.Event) string {
	about := connectors.MessageFor(ev)
	lines := []string{escape(about.Title)}
	for _, f := range about.Fields {
		if f.Name != "Customer" {
			lines = append(lines, f.Name+": "+escape(f.Value))
		}
	}
	return strings.Join(lines, "\n")
}

// escape shows a respondent's words as they are, and lets them name no response: with its mark in somebody's feedback,
// another's note would be taken for written.
func escape(text string) string {
	return strings.ReplaceAll(html.EscapeString(text), "[sg:", "&#91;sg:")
}

// mark names the response in its note.
func mark(ev *event.Event) string { return "[sg:" + code(ev) + "]" }

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// code identifies the response, or the event where it has none, among all that are written to one account, be it by several
// tenants: 100 bits of a hash, as letters and digits, which HubSpot's search takes for one word. Marks of before were the
// response's id alone. They are not looked for: they do not say of which survey they are.
func code(ev *event.Event) string {
	kind, id := "response", ev.ResponseKey()
	if id == "" {
		kind, id = "event", ev.ID
	}
	if ev.Revision > 0 { // a corrected event has a note of its own: the one that stands there says what was wrong
		id += "\x00" + strconv.Itoa(ev.Revision)
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + ev.Tenant + "\x00" + id))
	return letters.EncodeToString(sum[:])[:20]
}

// clip cuts HTML, and never inside `&amp;` or a tag, whose remains would show.
func clip(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	text = strings.TrimSuffix(connectors.Clip(text, limit), "…")
	for _, pair := range []string{"&;", "<>"} {
		if at := strings.LastIndexByte(text, pair[0]); at >= 0 && !strings.Contains(text[at:], pair[1:]) && (pair[0] == '<' || at > len(text)-len("&quot;")) {
			text = text[:at]
		}
	}
	return text + "…"
}
