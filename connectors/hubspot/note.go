package hubspot

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

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

// Note writes a note to the respondent's contact, once per response. A response is identified by its tenant, source, survey and
// id: responses with the same id in different surveys have separate notes.
type Note struct {
	Account `yaml:",inline"`

	// Text is the note, as HTML; respondents' texts are escaped in it. The default has the score, the feedback and the
	// survey. A mark is appended, `[sg:…]`, which identifies the response: if a note with the mark exists, no second one is
	// written.
	Text expression.Text `yaml:"text,omitempty"`
}

const (
	searched = "search"
	noted    = "note"
	// noteToContact is HubSpot's type id of the association from a note to a contact.
	// https://developers.hubspot.com/docs/guides/api/crm/associations
	noteToContact = 202
	// maxFound is the largest number of notes that the search returns, and maxFoundBytes their largest size, with every character
	// written as \u0000. If a long answer were cut off, the mark would be missed and the note written twice.
	maxFound      = 10
	maxFoundBytes = maxFound * maxNoteBytes
	// maxNoteBytes is the largest size of one note in an answer.
	maxNoteBytes = 6*maxText + 4096
)

// Build creates or changes the contact. Judge continues with the search for the note, and then with the note.
func (n *Note) Build(ev *event.Event) (*connectors.Request, error) {
	in, err := n.input(ev, expression.Values{})
	if err != nil {
		return nil, err
	}
	if _, err := n.body(ev); err != nil {
		return nil, err
	}
	return n.upsert(inputs{Inputs: []input{in}}), nil
}

// Key returns the same key as for a contact without a note.
func (n *Note) Key(ev *event.Event) string { return (&Connector{Account: n.Account}).Key(ev) }

// MaxRequests counts the contact, the search and the note.
func (n *Note) MaxRequests() int { return 3 }

// LaterContent returns the note with its time.
func (n *Note) LaterContent(ev *event.Event) ([]byte, error) {
	body, err := n.body(ev)
	return []byte(ev.Time.UTC().Format(time.RFC3339) + body), err
}

// Validate checks the account's settings.
func (n *Note) Validate() error { return n.validate() }

// Judge continues from the contact to the search, and from there to the note unless it exists.
func (n *Note) Judge(res *connectors.Response) connectors.Verdict {
	step := ""
	if res.To != nil {
		step = res.To.Name
	}
	if _, amends := res.Amendment(); amends {
		return n.judgeAmendment(res)
	}
	if step != searched && step != noted {
		return n.upserted(res)
	}
	if res.Status < 200 || res.Status > 299 {
		return refused(res)
	}
	if !isObject(res) {
		return connectors.TryAgain("the answer is not HubSpot's")
	}
	ev := first(res)
	if step == noted || ev == nil {
		return n.wrote(res)
	}
	return n.found(res, ev)
}

// upserted continues with the search once the contact is written.
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

// search looks for a note with the mark. HubSpot's index lags behind, so a note that was just written may not be found.
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
		Limit:      maxFound,
		After:      "0",
	}).Named(searched).LimitResponse(maxFoundBytes).As(connectors.Bearer(n.Token))
}

// found ends the chain if the search has found the note, and writes the note otherwise.
func (n *Note) found(res *connectors.Response, ev *event.Event) connectors.Verdict {
	var answer struct {
		Results []struct {
			ID         string `json:"id"`
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
			v := connectors.Deliver()
			if recordID.MatchString(r.ID) {
				v.Ref = r.ID
			}
			return v
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

// contact returns the contact's id from the answer to the upsert; "" without one.
func (n *Note) contact(res *connectors.Response) string {
	for _, earlier := range res.Trail {
		var w written
		if json.Unmarshal(earlier.Body, &w) == nil && len(w.Results) > 0 {
			return w.Results[0].ID
		}
	}
	return ""
}

// note returns the request that creates the note together with its association to the contact.
// https://developers.hubspot.com/docs/guides/api/crm/engagements/notes
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
	a := association{Types: []kind{{"HUBSPOT_DEFINED", noteToContact}}}
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
	}).Named(noted).LimitResponse(maxNoteBytes).As(connectors.Bearer(n.Token))
}

// body returns the note's text with its mark.
func (n *Note) body(ev *event.Event) (string, error) {
	return connectors.NoteHTML(ev, n.Text, mark(ev), maxText)
}

// mark returns the mark that identifies the response in its note. A corrected event gets a second note: the first one shows the
// wrong content. The marks of older versions held only the response's id. They are not searched for, because they do not identify
// the survey.
func mark(ev *event.Event) string { return connectors.NoteMark(code(ev)) }

func code(ev *event.Event) string {
	if ev.Revision > 0 {
		return connectors.ResponseCode(ev, strconv.Itoa(ev.Revision))
	}
	return connectors.ResponseCode(ev)
}
