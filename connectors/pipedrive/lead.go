package pipedrive

import (
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge         = (*Lead)(nil)
	_ connectors.SharedKeyer   = (*Lead)(nil)
	_ connectors.Chained       = (*Lead)(nil)
	_ connectors.ChainComparer = (*Lead)(nil)
	_ connectors.Validator     = (*Lead)(nil)
	_ connectors.Checker       = (*Lead)(nil)
)

func init() {
	connectors.Register("pipedrive.lead", func() connectors.Connector { return &Lead{} })
}

// Lead writes a lead of the respondent's person, once per response, and creates a person who is not known. The lead's `origin_id`
// identifies the response: if a lead has it, also an archived one, no second one is written, and the first one is left as it is.
type Lead struct {
	Account `yaml:",inline"`

	// Title is the lead's title; the default has the score and the respondent's name. It is cut to 255 characters.
	Title expression.Text `yaml:"title,omitempty"`

	// Fields are the lead's other fields, such as `owner_id`, `label_ids` or `value: {amount: 100, currency: "'EUR'"}`, or the
	// keys of a deal's own fields, 40 letters and digits. A number field takes a number, a text field a text.
	Fields expression.Values `yaml:"fields,omitempty"`
}

const (
	leads    = "leads"
	archived = "archived leads"
	added    = "lead"

	// maxLeads is the largest number of leads that Pipedrive lists. https://developers.pipedrive.com/docs/api/v1/Leads#getLeads
	maxLeads = 500
)

// leadFields are the fields of a lead that an operator may write.
// https://developers.pipedrive.com/docs/api/v1/Leads#addLead
var leadFields = []string{"owner_id", "label_ids", "organization_id", "value", "expected_close_date", "visible_to", "was_seen", "channel", "channel_id"}

// Build searches the person. Judge continues with the person's leads, and then with the lead.
func (l *Lead) Build(ev *event.Event) (*connectors.Request, error) {
	p, err := newPerson(ev, expression.Values{})
	if err == nil {
		_, err = l.body(ev, 0)
	}
	if err != nil {
		return nil, err
	}
	return l.search(p), nil
}

// Judge continues from the person to their leads and archived leads, and from there to the lead unless it exists.
func (l *Lead) Judge(res *connectors.Response) connectors.Verdict {
	ev, id, step, v := l.attach(res)
	switch {
	case ev == nil:
		return v
	case step == added:
		v = done(res, 0)
		if v.Ref = leadID(res); v.Ref == "" && !res.Truncated {
			return unreadable
		}
		return v
	case step == leads || step == archived:
		if found, v := l.find(res, origin(ev)); found {
			return v
		}
	case step != created:
		return connectors.Then(l.list(id, "/api/v1/leads").Named(leads))
	}
	if step == leads {
		return connectors.Then(l.list(id, "/api/v1/leads/archived").Named(archived))
	}
	body, err := l.body(ev, id)
	if err != nil {
		return unbuildable(err)
	}
	return connectors.Then(connectors.Post(l.at("/api/v1/leads"), body).Named(added).As(l.auth()))
}

// list returns the request for the person's leads. Archived ones have a list of their own.
// https://developers.pipedrive.com/changelog/post/breaking-change-archived-deals-and-leads-will-not-be-returned-in-existing-endpoints-and-will-not-be-editable
func (l *Lead) list(id int64, path string) *connectors.Request {
	query := "?limit=" + strconv.Itoa(maxLeads) + "&person_id=" + strconv.FormatInt(id, 10)
	return connectors.Get(l.at(path + query)).LimitResponse(maxList).As(l.auth())
}

// find returns the verdict if a list has the lead, or cannot be read.
func (l *Lead) find(res *connectors.Response, origin string) (found bool, v connectors.Verdict) {
	var answer struct {
		Data []struct {
			ID       string `json:"id"`
			OriginID string `json:"origin_id"`
		} `json:"data"` // null without leads
	}
	switch err := res.JSON(&answer); {
	case err != nil && res.Truncated:
		return true, connectors.Reject("the person has too many leads to read")
	case err != nil:
		return true, unreadable
	}
	for _, lead := range answer.Data {
		if lead.OriginID == origin {
			v = done(res, 0)
			v.Ref = lead.ID
			return true, v
		}
	}
	return false, v
}

// body returns the lead. https://developers.pipedrive.com/docs/api/v1/Leads#addLead
func (l *Lead) body(ev *event.Event, id int64) (expression.Object, error) {
	title, err := l.title(ev)
	if err != nil {
		return nil, err
	}
	own, err := l.Fields.Evaluate(ev)
	if err != nil {
		return nil, err
	}
	body := make(expression.Object, 0, len(own)+3)
	body = append(body, expression.Member{Key: "title", Value: title}, expression.Member{Key: "person_id", Value: id},
		expression.Member{Key: "origin_id", Value: origin(ev)})
	for _, m := range own {
		text, isText := connectors.PlainText(m.Value)
		amount, isObject := m.Value.(expression.Object)
		switch {
		case isText && text == "", isObject && m.Key == "value" && len(amount) < 2: // amount and currency are required together
			continue
		}
		body = append(body, m)
	}
	return body, nil
}

func (l *Lead) title(ev *event.Event) (string, error) {
	if l.Title.IsZero() {
		who := ev.Data().Respondent
		name := who.Name
		if name == "" {
			name = who.Email
		}
		return connectors.Clip(connectors.MessageFor(ev).Title+" ("+name+")", maxName), nil
	}
	title, err := l.Title.Render(ev)
	if err != nil {
		return "", err
	}
	if title = strings.TrimSpace(title); title == "" {
		return "", connectors.Skip("the title comes out empty")
	}
	return connectors.Clip(title, maxName), nil
}

// origin returns the lead's `origin_id`.
func origin(ev *event.Event) string { return "sg:" + connectors.ResponseCode(ev) }

// leadID returns the id of the lead that was created.
func leadID(res *connectors.Response) string {
	var answer struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if res.JSON(&answer) != nil {
		return ""
	}
	return answer.Data.ID
}

// Key returns the person's e-mail address.
func (l *Lead) Key(ev *event.Event) string { return keyOf(ev, expression.Values{}) }

// MaxRequests counts the search, the newest persons, the leads, the archived leads and the lead.
func (l *Lead) MaxRequests() int { return 5 }

// LaterContent returns the person and the lead.
func (l *Lead) LaterContent(ev *event.Event) ([]byte, error) {
	p, err := newPerson(ev, expression.Values{})
	if err != nil {
		return nil, err
	}
	body, err := l.body(ev, 0)
	if err != nil {
		return nil, err
	}
	lead, err := body.MarshalJSON()
	return append(l.create(p).Body, lead...), err
}

// Validate checks that fields have names that Pipedrive accepts from us.
func (l *Lead) Validate() error {
	for _, name := range l.Fields.Keys() {
		if err := checkField(name, leadFields); err != nil {
			return connectors.Invalid("fields", err.Error())
		}
	}
	return l.validate()
}
