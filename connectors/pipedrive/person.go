package pipedrive

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// maxName is the largest length of a name in characters, as that of every field of the type `varchar`.
// https://developers.pipedrive.com/docs/api/v1/PersonFields
const maxName = 255

// person is what an event says about a person: the fields of our own, those of Pipedrive's, and the operator's custom fields.
type person struct {
	Email, Name, Phone string
	Fields, Custom     expression.Object
}

// contact is an e-mail address or a phone number of a person.
type contact struct {
	Value   string `json:"value"`
	Primary bool   `json:"primary"`
	Label   string `json:"label,omitempty"`
}

// newPerson returns the person of an event. The error is a Skip without an e-mail address.
func newPerson(ev *event.Event, own expression.Values) (p person, err error) {
	mapped, err := own.Evaluate(ev)
	if err != nil {
		return p, err
	}
	names, who := own.Keys(), ev.Data().Respondent
	put := func(name string, v any) error {
		text, isText := connectors.PlainText(v)
		_, isString := v.(string)
		switch name {
		case "email":
			p.Email = strings.ToLower(text)
		case "name":
			p.Name = connectors.Clip(text, maxName)
		case "phone":
			p.Phone = text
		default:
			if isString {
				v = text // without white space around it
			}
			switch {
			case isText && text == "", name == marketingStatus && text == subscribed && !agreed(who):
			case customKey.MatchString(name):
				p.Custom = append(p.Custom, expression.Member{Key: name, Value: v})
			default:
				p.Fields = append(p.Fields, expression.Member{Key: name, Value: v})
			}
			return nil
		}
		if !isText {
			return fmt.Errorf("field %s is an object, and Pipedrive takes a text", name)
		}
		return nil
	}
	for _, standard := range [...]struct{ name, text string }{{"email", who.Email}, {"name", who.Name}, {"phone", who.Phone}} {
		if !slices.Contains(names, standard.name) {
			_ = put(standard.name, standard.text) // a text
		}
	}
	for _, m := range mapped {
		if err := put(m.Key, m.Value); err != nil {
			return p, err
		}
	}
	if p.Email == "" {
		return p, connectors.Skip("no e-mail")
	}
	return p, nil
}

func agreed(who event.Respondent) bool { return who.Consent != nil && *who.Consent }

const (
	marketingStatus = "marketing_status"
	subscribed      = "subscribed"
	// undecided is the status of a person who has neither subscribed nor unsubscribed.
	// https://developers.pipedrive.com/docs/api/v1/Persons#updatePerson
	undecided = "no_consent"
)

// subscribes reports whether the person would become a subscriber.
func (p person) subscribes() bool {
	status, _ := p.Fields.Lookup(marketingStatus)
	text, _ := connectors.PlainText(status)
	return text == subscribed
}

// keepStatus leaves the marketing status out.
func (p *person) keepStatus() {
	p.Fields = slices.DeleteFunc(p.Fields, func(m expression.Member) bool { return m.Key == marketingStatus })
}

// isKnown reports whether there is nothing to change for a person who was found by their address.
func (p person) isKnown() bool { return p.Name == "" && len(p.Fields)+len(p.Custom) == 0 }

func keyOf(ev *event.Event, own expression.Values) string {
	if !slices.Contains(own.Keys(), "email") {
		address, _, _ := ev.Person()
		return strings.ToLower(strings.TrimSpace(address))
	}
	p, err := newPerson(ev, own)
	if err != nil {
		return ""
	}
	return p.Email
}

// create returns the request that creates the person, whose name is required.
// https://developers.pipedrive.com/docs/api/v1/Persons#addPerson
func (a *Account) create(p person) *connectors.Request {
	body := expression.Object{{Key: "name", Value: p.Name}, {Key: "emails", Value: []contact{{p.Email, true, "work"}}}}
	if p.Name == "" {
		body[0].Value = connectors.Clip(p.Email, maxName)
	}
	if p.Phone != "" {
		body = append(body, expression.Member{Key: "phones", Value: []contact{{p.Phone, true, "work"}}})
	}
	return connectors.Post(a.at("/api/v2/persons"), p.rest(body)).Named(created).As(a.auth())
}

// read returns the request for the person's phones, and for their marketing status if the event would change it.
// https://developers.pipedrive.com/docs/api/v1/Persons#getPerson
func (a *Account) read(id int64, p person) *connectors.Request {
	path := personPath(id)
	if p.subscribes() {
		path += "?include_fields=" + marketingStatus
	}
	return connectors.Get(a.at(path)).Named(read).As(a.auth())
}

// change returns the request that changes the person, whose phones are those of before and the new one: Pipedrive replaces
// the whole list. The address is left out, because the person has it.
// https://developers.pipedrive.com/docs/api/v1/Persons#updatePerson
func (a *Account) change(id int64, p person, phones []contact) *connectors.Request {
	var body expression.Object
	if p.Name != "" {
		body = append(body, expression.Member{Key: "name", Value: p.Name})
	}
	if p.Phone != "" {
		if !slices.ContainsFunc(phones, func(c contact) bool { return samePhone(c.Value, p.Phone) }) {
			phones = append(phones, contact{p.Phone, len(phones) == 0, "work"})
		}
		body = append(body, expression.Member{Key: "phones", Value: phones})
	}
	return connectors.Patch(a.at(personPath(id)), p.rest(body)).Named(changed).As(a.auth())
}

// rest appends the operator's fields to a body.
func (p person) rest(body expression.Object) expression.Object {
	body = append(body, p.Fields...)
	if len(p.Custom) > 0 {
		body = append(body, expression.Member{Key: "custom_fields", Value: p.Custom})
	}
	return body
}

func personPath(id int64) string { return "/api/v2/persons/" + strconv.FormatInt(id, 10) }

// samePhone compares the digits of two phone numbers.
func samePhone(a, b string) bool { return digits(a) == digits(b) }

func digits(phone string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
}

var (
	// customKey matches the key of a field of the company's own.
	customKey = regexp.MustCompile(`^[0-9a-f]{40}$`)

	// personFields are the fields that a person of the API has, and ours.
	// https://developers.pipedrive.com/docs/api/v1/Persons#updatePerson
	personFields = []string{"email", "name", "phone", "owner_id", "org_id", "label_ids", "visible_to", marketingStatus, "add_time"}
	// reserved are fields that only the contact sync may write; others get a 403.
	// https://developers.pipedrive.com/docs/api/v1/Persons#addPerson
	reserved = []string{"job_title", "notes", "im", "ims", "birthday", "postal_address"}
)

// Validate checks that fields have names that Pipedrive accepts from us.
func (c *Connector) Validate() error {
	for _, name := range c.Fields.Keys() {
		if err := checkField(name, personFields); err != nil {
			return connectors.Invalid("fields", err.Error())
		}
	}
	return c.validate()
}

func checkField(name string, known []string) error {
	switch {
	case customKey.MatchString(name), slices.Contains(known, name):
		return nil
	case slices.Contains(reserved, name):
		return errors.New("`" + name + "` is refused by Pipedrive unless its contact sync is on; use a field of your own")
	case name == "emails" || name == "phones":
		return errors.New("`" + name + "` is a list, which we merge with the person's; write `" + strings.TrimSuffix(name, "s") + "`")
	}
	return errors.New("`" + name + "` is no field; write one of " + strings.Join(known, ", ") + ", or the key of your own, 40 letters and digits (`check --live` looks for it)")
}
