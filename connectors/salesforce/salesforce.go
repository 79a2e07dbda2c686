// Package salesforce writes respondents to Salesforce as contacts or leads, and their feedback as cases.
//
// With `key`, the name of an External ID field, a person is one record: it is created, or changed if a record has the same key, up
// to 200 in one request. A repeated delivery writes the same record again. Without `key` every delivery creates a record, so a
// delivery that is repeated, after a timeout or a crash, may create a second one.
//
// Salesforce requires a last name of every new record, and a company of a new lead. If the event has none, they are filled when the
// record is created, and never change a record that exists: the last name with the part of the e-mail address before `@`, the
// company with `[not provided]`. A lead that was converted cannot be changed any more: the contact that it became is, without Company
// and Status, and the history says so.
//
// When the org's API requests of 24 hours are used up, deliveries wait, which does not count as an attempt.
//
// `- {crm.case: {…}, amend: true, retract: true}` changes the fields of a response's case when the response changes, and lets its
// description begin with "No longer so" when the rule no longer matches; its status is left to people.
//
// An erasure with products deletes the records with the person's e-mail address or key, for which the app's user needs the permission.
// They are in the recycle bin for 15 days, and cases without a contact stay; a contact with cases is one that Salesforce does not
// delete.
package salesforce

import (
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge              = (*Connector)(nil)
	_ connectors.Batcher            = (*Connector)(nil)
	_ connectors.Validator          = (*Connector)(nil)
	_ connectors.Checker            = (*Connector)(nil)
	_ connectors.ConcurrencyLimiter = (*Connector)(nil)
)

func init() {
	connectors.Register("salesforce", func() connectors.Connector { return &Connector{Org: Org{Object: Contact}} })
	connectors.Register("salesforce.case", func() connectors.Connector { return &Case{Org: Org{Object: Contact}} })
}

// Connector writes one contact or lead per event.
type Connector struct {
	Org `yaml:",inline"`

	// Fields are added to FirstName, LastName, Email and Phone, or replace them. Write their API names (`NPS_Score__c`). A list is
	// sent as several choices, `a;b`. Texts are cut to the length of Salesforce's own fields; a text that is too long for a field
	// of yours is refused.
	Fields expression.Values `yaml:"fields,omitempty"`
}

// maxBatch is the largest number of records in one request.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_upsert.htm
const maxBatch = 200

// Build writes one person.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch writes one person per event. Without a key there is only one event, which creates a record.
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	people := make([]record, len(events))
	for i, ev := range events {
		var err error
		if people[i], err = c.person(ev, c.Fields); err != nil {
			return nil, err
		}
	}
	if c.Org.Key == "" {
		return c.create(string(c.Object), c.complete(people[0])), nil
	}
	return c.upsert(string(c.Object), c.Org.Key, people), nil
}

// Batch returns the limit of an upsert. Without a key, events are sent alone.
func (c *Connector) Batch() connectors.BatchLimit {
	if c.Org.Key == "" {
		return connectors.BatchLimit{Events: 1}
	}
	return connectors.BatchLimit{Events: maxBatch}
}

// Key returns the value of the key field. Salesforce refuses a request that names a record twice.
func (c *Connector) Key(ev *event.Event) string {
	if c.Org.Key == "" {
		return ""
	}
	if !names(c.Fields, c.Org.Key) {
		address, _, _ := ev.Person()
		return strings.ToLower(strings.TrimSpace(address))
	}
	person, err := c.person(ev, c.Fields)
	if err != nil {
		return ""
	}
	return strings.ToLower(person.text(c.Org.Key))
}

// Judge returns the verdict on each person.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Forgets() {
		return c.judgeForgotten(res)
	}
	return c.judge(res, c.Fields)
}

// Validate checks the settings of the org and the names of fields.
func (c *Connector) Validate() error {
	if err := c.validate(); err != nil {
		return err
	}
	return validateFields(c.Fields)
}
