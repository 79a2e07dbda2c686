package pipedrive

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge         = (*Note)(nil)
	_ connectors.SharedKeyer   = (*Note)(nil)
	_ connectors.Chained       = (*Note)(nil)
	_ connectors.ChainComparer = (*Note)(nil)
	_ connectors.Validator     = (*Note)(nil)
	_ connectors.Checker       = (*Note)(nil)
)

func init() {
	connectors.Register("pipedrive.note", func() connectors.Connector { return &Note{} })
}

// Note writes a note on the respondent's person, once per response, and creates a person who is not known. A response that is
// changed or corrected changes its note.
type Note struct {
	Account `yaml:",inline"`

	// Text is the note, as HTML; respondents' texts are escaped in it. The default has the score, the feedback and the
	// survey. Notes are cut to 25,000 characters. A mark is appended, `[sg:…]`, which identifies the response and the text: a note
	// with the same mark is left as it is.
	Text expression.Text `yaml:"text,omitempty"`
}

const (
	listed  = "notes"
	noted   = "note"
	updated = "update"

	// maxNote is the length of a note in characters: about 100 KB with 4 bytes each. Pipedrive documents no limit.
	maxNote = 25_000
	// maxListed is the number of notes in which the mark is searched.
	// https://developers.pipedrive.com/docs/api/v1/Notes#getNotes
	maxListed = 100
	// maxNoteBytes is the largest size of an answer that repeats a note, with every character written as \u0000\u0000.
	maxNoteBytes = 12*maxNote + 16<<10
)

// Build searches the person. Judge continues with the notes on the person, and then with the note.
func (n *Note) Build(ev *event.Event) (*connectors.Request, error) {
	p, err := newPerson(ev, expression.Values{})
	if err == nil {
		_, _, err = n.content(ev)
	}
	if err != nil {
		return nil, err
	}
	return n.search(p), nil
}

// Judge continues from the person to the notes, and from there to the note unless it exists.
func (n *Note) Judge(res *connectors.Response) connectors.Verdict {
	if _, amends := res.Amendment(); amends {
		return n.judgeAmendment(res)
	}
	ev, id, step, v := n.attach(res)
	switch {
	case ev == nil:
		return v
	case step == noted || step == updated:
		note := recordID(res)
		if note == 0 && !res.Truncated { // the answer repeats the note, which may be long
			return unreadable
		}
		return done(res, note)
	}
	content, mark, err := n.content(ev)
	switch {
	case err != nil:
		return unbuildable(err)
	case step == created: // a new person has no notes
		return connectors.Then(n.add(ev, id, content))
	case step == listed:
		return n.compare(res, ev, id, content, mark)
	}
	return connectors.Then(n.list(id))
}

// compare continues with the note, or with its change if its text is another one.
func (n *Note) compare(res *connectors.Response, ev *event.Event, id int64, content, mark string) connectors.Verdict {
	var answer struct {
		Data []struct {
			ID      int64  `json:"id"`
			Content string `json:"content"`
		} `json:"data"` // null without notes
	}
	switch err := res.JSON(&answer); {
	case err != nil && res.Truncated:
		return connectors.Reject("the person has too many long notes to read")
	case err != nil:
		return unreadable
	}
	for _, note := range answer.Data {
		switch {
		case strings.Contains(note.Content, mark):
			return done(res, note.ID)
		case strings.Contains(note.Content, markOf(ev)):
			return connectors.Then(n.put(note.ID, content))
		}
	}
	return connectors.Then(n.add(ev, id, content))
}

// list returns the request for the newest notes on the person.
// https://developers.pipedrive.com/docs/api/v1/Notes#getNotes
func (n *Note) list(id int64) *connectors.Request {
	query := url.Values{"person_id": {strconv.FormatInt(id, 10)}, "sort": {"add_time DESC"}, "limit": {strconv.Itoa(maxListed)}}
	return connectors.Get(n.at("/api/v1/notes?" + query.Encode())).Named(listed).LimitResponse(maxList).As(n.auth())
}

// noteBody is the body of a note. https://developers.pipedrive.com/docs/api/v1/Notes#addNote
type noteBody struct {
	Content  string `json:"content"`
	PersonID int64  `json:"person_id,omitempty"`
	AddTime  string `json:"add_time,omitempty"`
}

func (n *Note) add(ev *event.Event, id int64, content string) *connectors.Request {
	body := noteBody{content, id, ev.Time.UTC().Format(time.DateTime)}
	return connectors.Post(n.at("/api/v1/notes"), body).Named(noted).LimitResponse(maxNoteBytes).As(n.auth())
}

// put returns the request that changes the note. https://developers.pipedrive.com/docs/api/v1/Notes#updateNote
func (n *Note) put(id int64, content string) *connectors.Request {
	return connectors.Put(n.at("/api/v1/notes/"+strconv.FormatInt(id, 10)), noteBody{Content: content}).Named(updated).LimitResponse(maxNoteBytes).As(n.auth())
}

// content returns the note, and the mark at its end, which identifies the response and the text.
func (n *Note) content(ev *event.Event) (content, mark string, err error) {
	return n.marked(ev, connectors.NoteHTML)
}

// marked returns the note that write makes, with its mark.
func (n *Note) marked(ev *event.Event, write func(*event.Event, expression.Text, string, int) (string, error)) (content, mark string, err error) {
	const version = "-123456]"
	content, err = write(ev, n.Text, markOf(ev), maxNote-len(version))
	if err != nil {
		return "", "", err
	}
	content = strings.TrimSuffix(content, markOf(ev))
	mark = markOf(ev) + "-" + connectors.ResponseCode(ev, content)[:6] + "]"
	return content + mark, mark, nil
}

// markOf returns the part of the mark that identifies the response.
func markOf(ev *event.Event) string {
	return strings.TrimSuffix(connectors.NoteMark(connectors.ResponseCode(ev)), "]")
}

// Key returns the person's e-mail address.
func (n *Note) Key(ev *event.Event) string { return keyOf(ev, expression.Values{}) }

// MaxRequests counts the search, the newest persons, the person or the notes, and the note.
func (n *Note) MaxRequests() int { return 4 }

// LaterContent returns the person and the note with its time.
func (n *Note) LaterContent(ev *event.Event) ([]byte, error) {
	p, err := newPerson(ev, expression.Values{})
	if err != nil {
		return nil, err
	}
	content, _, err := n.content(ev)
	return append(n.create(p).Body, n.add(ev, 0, content).Body...), err
}

// Validate checks the account's settings.
func (n *Note) Validate() error { return n.validate() }
