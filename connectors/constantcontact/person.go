package constantcontact

import (
	"fmt"
	"math"
	"slices"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Limits of a sign-up, and of the creation of a contact.
// https://developer.constantcontact.com/api_reference/index.html#!/Contacts/createOrUpdateContact
// https://developer.constantcontact.com/api_reference/index.html#!/Contacts/createContact
const (
	maxAddress = 80 // the page of the sign-up says 50, and all others 80
	maxLists   = 50
	maxCustom  = 50
	maxStored  = 25 // custom fields of a contact that is created without a sign-up
	maxValue   = 255
	phone      = "phone_number"
)

// limits are the lengths of the texts of a contact in characters.
var limits = map[string]int{"first_name": 50, "last_name": 50, "job_title": 50, "company_name": 50, phone: 25, "anniversary": 10}

// numbers are the fields that are whole numbers, and which a contact has both or not at all.
var numbers = []string{"birthday_month", "birthday_day"}

// person is a respondent as a contact.
type person struct {
	address string
	fields  expression.Object
	custom  []customField
}

type customField struct {
	ID    string `json:"custom_field_id"`
	Value string `json:"value"`
}

// person returns the respondent with the operator's fields. Absent and empty values are left out.
func (c *Connector) person(ev *event.Event) (person, error) {
	own, err := c.Fields.Evaluate(ev)
	if err != nil {
		return person{}, err
	}
	who := ev.Data().Respondent
	p := person{address: who.Email, fields: make(expression.Object, 0, len(own)+5)}
	names := c.Fields.Keys()
	for _, f := range [...]struct{ name, text string }{{"first_name", who.FirstName}, {"last_name", who.LastName}, {phone, who.Phone}} {
		if f.text != "" && !slices.Contains(names, f.name) {
			p.put(f.name, f.text)
		}
	}
	for _, m := range own {
		text, ok := connectors.PlainText(m.Value)
		switch number := slices.Contains(numbers, m.Key); {
		case ok && text == "":
		case number && !isWhole(m.Value):
			return person{}, fmt.Errorf("field %s is not a whole number", m.Key)
		case number:
			p.fields = append(p.fields, m)
		case !ok:
			return person{}, fmt.Errorf("field %s is an object, and Constant Contact takes a text", m.Key)
		default:
			p.put(m.Key, text)
		}
	}
	_, month := p.fields.Lookup(numbers[0])
	_, day := p.fields.Lookup(numbers[1])
	if month != day {
		p.fields = slices.DeleteFunc(p.fields, func(m expression.Member) bool { return slices.Contains(numbers, m.Key) })
	}
	return p, nil
}

// isWhole reports whether a value is a whole number.
func isWhole(v any) bool {
	switch v := v.(type) {
	case int, int64:
		return true
	case float64:
		return v == math.Trunc(v)
	}
	return false
}

// put adds a text, cut to the length of its field.
func (p *person) put(name, text string) {
	if limit := limits[name]; limit > 0 {
		p.fields = append(p.fields, expression.Member{Key: name, Value: connectors.Clip(text, limit)})
		return
	}
	p.custom = append(p.custom, customField{ID: name, Value: connectors.Clip(text, maxValue)})
}

// signUp returns the body that creates or changes a contact, and gives permission to send.
// https://developer.constantcontact.com/api_guide/contacts_create_or_update.html
func (p person) signUp(lists []string) expression.Object {
	body := append(make(expression.Object, 0, len(p.fields)+3), expression.Member{Key: "email_address", Value: p.address})
	body = append(append(body, p.fields...), expression.Member{Key: "list_memberships", Value: lists})
	return p.withCustom(body)
}

// stored returns the body that creates a contact on no list, to whom nothing may be sent.
// https://developer.constantcontact.com/api_guide/contacts_create.html
func (p person) stored() expression.Object {
	type address struct {
		Address    string `json:"address"`
		Permission string `json:"permission_to_send"`
	}
	type number struct {
		Number string `json:"phone_number"`
		Kind   string `json:"kind"`
	}
	body := append(make(expression.Object, 0, len(p.fields)+3),
		expression.Member{Key: "email_address", Value: address{p.address, notSet}}, expression.Member{Key: "create_source", Value: "Account"})
	for _, m := range p.fields {
		if text, ok := m.Value.(string); ok && m.Key == phone {
			m = expression.Member{Key: "phone_numbers", Value: []number{{text, "other"}}}
		}
		body = append(body, m)
	}
	return p.withCustom(body)
}

func (p person) withCustom(body expression.Object) expression.Object {
	if len(p.custom) == 0 {
		return body
	}
	return append(body, expression.Member{Key: "custom_fields", Value: p.custom})
}
