// Package sendgrid writes respondents to SendGrid Marketing Campaigns as contacts, and adds those who have consented to lists.
//
// A contact is identified by its e-mail address: a new one is created, a known one is changed, up to 1,000 in one request. SendGrid
// takes contacts as an import, which it processes later: `delivered` means that SendGrid has accepted the import, whose id is kept
// with the delivery. What goes wrong afterwards, such as a full account, only shows in SendGrid. Two imports of one person may end
// in either order. A person who has unsubscribed stays unsubscribed.
package sendgrid

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge              = (*Connector)(nil)
	_ connectors.Batcher            = (*Connector)(nil)
	_ connectors.RateLimiter        = (*Connector)(nil)
	_ connectors.ConcurrencyLimiter = (*Connector)(nil)
	_ connectors.Validator          = (*Connector)(nil)
	_ connectors.Checker            = (*Connector)(nil)
)

func init() {
	connectors.Register("sendgrid", func() connectors.Connector {
		return &Connector{Account: Account{Consent: connectors.ConsentRequired}}
	})
}

// Account is a SendGrid account with the lists that contacts are added to.
type Account struct {
	// APIKey is an API key (`SG.…`) with full access to Marketing.
	APIKey connectors.Secret `yaml:"api_key"`

	// Lists are the ids of the lists that contacts are added to, as their addresses in SendGrid show them; `check --live`
	// prints them with their names.
	Lists []string `yaml:"lists,omitempty"`

	// Consent is the treatment of a respondent who has not consented to receive e-mail: `required` (the default) skips them,
	// `assume` adds them to the lists unless they refused, `store` stores them as contacts in no list: send no campaign to all
	// contacts then, because it reaches them too. With `store` and `lists`, every contact has a request of its own.
	Consent connectors.Consent `yaml:"consent,omitempty"`

	// BaseURL is the address before `/v3`; the default is `https://api.sendgrid.com`. Accounts in the European Union have
	// `https://api.eu.sendgrid.com`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one contact per event.
type Connector struct {
	Account `yaml:",inline"`

	// Fields are added to first_name and last_name, or replace them. Write the id of a custom field (`e1_N`), not its name:
	// `check --live` prints the ids. Other names are `address_line_1 address_line_2 city state_province_region postal_code country
	// external_id`. A number field (`…_N`) takes numbers, and a date field (`…_D`) dates such as `2026-01-02`. Texts are cut to
	// SendGrid's limits (custom fields to 1,000 characters).
	Fields expression.Values `yaml:"fields,omitempty"`
}

const (
	api = "https://api.sendgrid.com"

	// maxContacts and maxBytes bound a request. SendGrid takes 30,000 contacts, or 6 MB: with fewer, a bad contact, for which the
	// whole request is refused, is found sooner.
	// https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
	maxContacts = 1000
	maxBytes    = 6_000_000
	// maxEmail is the length of an e-mail address, and of an external id.
	// https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
	maxEmail = 254
)

// contacts is the body of the upsert. A contact is only ever added to lists.
// https://www.twilio.com/docs/sendgrid/api-reference/contacts/add-or-update-a-contact
type contacts struct {
	Lists    []string            `json:"list_ids,omitempty"`
	Contacts []expression.Object `json:"contacts"`
}

// Build creates or changes one contact.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch creates or changes one contact per event. The lists are those of the whole request.
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	body := contacts{Lists: c.Lists, Contacts: make([]expression.Object, len(events))}
	for i, ev := range events {
		email := ev.Data().Respondent.Email
		if email == "" {
			return nil, connectors.Skip("no e-mail")
		}
		subscribe, err := c.Consent.Subscribe(ev)
		if err != nil {
			return nil, err
		}
		if !subscribe {
			body.Lists = nil
		}
		if n := utf8.RuneCountInString(email); n > maxEmail {
			return nil, fmt.Errorf("the e-mail address has %d characters, and SendGrid takes %d", n, maxEmail)
		}
		if body.Contacts[i], err = c.contact(email, ev); err != nil {
			return nil, err
		}
	}
	return connectors.Put(c.at("contacts"), body).As(connectors.Bearer(c.APIKey)), nil
}

func (a *Account) at(path string) string { return a.BaseURL.At(api, "/v3/marketing/"+path) }

// Batch returns the limits of a request. Respondents who are added to the lists and those who are not cannot share one.
func (c *Connector) Batch() connectors.BatchLimit {
	limit := connectors.BatchLimit{Events: maxContacts, Bytes: maxBytes, Silent: true}
	if c.Consent == connectors.ConsentStore && len(c.Lists) > 0 {
		limit.Events = 1
	}
	return limit
}

// Key returns the contact's address as SendGrid stores it. It is not documented which of two contacts with one address in a
// request counts.
func (c *Connector) Key(ev *event.Event) string {
	email, _, _ := ev.Person()
	return strings.ToLower(email)
}

// Rate returns the lowest limit that is reported. SendGrid documents none, only that 429 names its end.
// https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
func (c *Connector) Rate() connectors.Rate { return connectors.Rate{Requests: 3, Per: time.Second} }

// Concurrency returns 1, so that imports begin in order.
func (c *Connector) Concurrency() int { return 1 }

var listID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// Validate checks the form of the lists' ids and of the fields' names.
func (c *Connector) Validate() error {
	for _, id := range c.Lists {
		if !listID.MatchString(id) {
			return connectors.Invalid("lists", "`"+id+"` is not the id of a list; it has the form `7c0ff7b2-1f3b-4e0a-9c0e-6a1b2c3d4e5f`, and `check --live` prints the ids without `lists`")
		}
	}
	for _, name := range c.Fields.Keys() {
		if _, reserved := limits[name]; !reserved && !fieldID.MatchString(name) {
			return connectors.Invalid("fields", "`"+name+"` is not the id of a custom field, such as `e1_N`; `check --live` prints the ids with their names. Other fields are "+strings.Join(slices.Sorted(maps.Keys(limits)), ", "))
		}
	}
	return nil
}
