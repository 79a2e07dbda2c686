package salesforce

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// record holds the fields of one record.
type record expression.Object

// MarshalJSON writes the fields in their order.
func (r record) MarshalJSON() ([]byte, error) { return expression.Object(r).MarshalJSON() }

// limits are the lengths of Salesforce's own text fields, in characters.
// https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_contact.htm
// https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_lead.htm
// https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_case.htm
var limits = []struct {
	field string
	limit int
}{
	{"FirstName", 40},
	{lastName, 80},
	{"Phone", 40},
	{"Title", 128},
	{company, 255},
	{"Subject", 255},
	{"Description", 32_000},
	{"SuppliedName", 80},
	{"SuppliedPhone", 40},
	{"SuppliedCompany", 80},
}

const (
	email    = "Email"
	lastName = "LastName"
	company  = "Company"
	maxEmail = 80
	// notProvided is the company of a new lead without one.
	notProvided = "[not provided]"
)

// newRecord returns the operator's fields, and before them those of the standard ones that the operator does not set.
// Empty values are left out: Salesforce would clear the field.
func newRecord(ev *event.Event, own expression.Values, standard ...expression.Member) (record, error) {
	mapped, err := own.Evaluate(ev)
	if err != nil {
		return nil, err
	}
	r := make(record, 0, len(standard)+len(mapped)+2) // complete adds two
	for _, f := range standard {
		if text, _ := f.Value.(string); text != "" && !names(own, f.Key) {
			r.put(f.Key, text)
		}
	}
	for _, m := range mapped {
		switch v := m.Value.(type) {
		case string, []any:
			text, ok := connectors.JoinedText(v, ";")
			if !ok {
				return nil, fmt.Errorf("field %s is a list of objects, and Salesforce takes a text", m.Key)
			}
			r.put(m.Key, text)
		case expression.Object:
			return nil, fmt.Errorf("field %s is an object, and Salesforce takes a text, a number or a boolean", m.Key)
		default:
			r = append(r, m)
		}
	}
	return r, nil
}

// names reports whether the operator's fields contain one. Salesforce does not tell capital letters from small ones in names.
func names(own expression.Values, field string) bool {
	return slices.ContainsFunc(own.Keys(), func(name string) bool { return strings.EqualFold(name, field) })
}

// put adds a text, cut to the length of the field, unless it is empty.
func (r *record) put(name, text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	for _, own := range limits {
		if strings.EqualFold(own.field, name) {
			text = connectors.Clip(text, own.limit)
		}
	}
	*r = append(*r, expression.Member{Key: name, Value: text})
}

// text returns the value of a field as text; "" if the record does not have it.
func (r record) text(name string) string {
	for _, m := range r {
		if strings.EqualFold(m.Key, name) {
			text, _ := connectors.PlainText(m.Value)
			return text
		}
	}
	return ""
}

// person returns the respondent's record. An address is not cut, because the rest may be another person's.
func (o *Org) person(ev *event.Event, own expression.Values) (record, error) {
	who := ev.Data().Respondent
	address := strings.ToLower(who.Email)
	if utf8.RuneCountInString(address) > maxEmail {
		return nil, fmt.Errorf("the e-mail address is longer than the %d characters that Salesforce takes", maxEmail)
	}
	standard := []expression.Member{
		{Key: "FirstName", Value: who.FirstName},
		{Key: lastName, Value: who.LastName},
		{Key: email, Value: address},
		{Key: "Phone", Value: who.Phone},
		{Key: o.Key, Value: address},
	}
	identifier := o.Key
	if o.Key == "" || strings.EqualFold(o.Key, email) {
		standard, identifier = standard[:4], email
	}
	r, err := newRecord(ev, own, standard...)
	switch {
	case err != nil:
		return nil, err
	case r.text(identifier) != "":
		return r, nil
	case names(own, identifier):
		return nil, connectors.Skip("no " + identifier)
	}
	return nil, connectors.Skip("no e-mail")
}

// complete adds the fields that Salesforce requires of a new record and that the event does not have.
func (o *Org) complete(person record) record {
	if person.text(lastName) == "" {
		name, _, _ := strings.Cut(person.text(email), "@")
		if name == "" {
			name = notProvided
		}
		person.put(lastName, name)
	}
	if o.Object == Lead && person.text(company) == "" {
		person.put(company, notProvided)
	}
	return person
}

// create returns the request that creates a record.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_sobject_create.htm
func (o *Org) create(object string, r record) *connectors.Request {
	return connectors.Post(o.at("/sobjects/"+object), r).As(o.auth())
}

// collection is the body of an upsert of several records of one object.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_upsert.htm
type collection struct {
	AllOrNone bool     `json:"allOrNone"`
	Records   []record `json:"records"`
}

// resultBytes is an upper bound in bytes for what Salesforce answers about one record, with the duplicates that it may list.
const resultBytes = 16 << 10

// upsert returns the request that creates or changes records. The key is in the body of each record, also of a single one, so that no
// address is part of a URL: proxies log URLs, and Salesforce does not find some addresses there.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_upsert_patch.htm
func (o *Org) upsert(object, key string, records []record) *connectors.Request {
	typed := make([]record, len(records))
	for i, r := range records {
		typed[i] = append(record{{Key: "attributes", Value: expression.Object{{Key: "type", Value: object}}}}, r...)
	}
	req := connectors.Patch(o.at("/composite/sobjects/"+object+"/"+key), collection{Records: typed}).As(o.auth())
	if limit := len(records) * resultBytes; limit > connectors.DefaultResponseLimit {
		req.LimitResponse(limit)
	}
	return req
}
