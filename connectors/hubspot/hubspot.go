// Package hubspot writes respondents to HubSpot as contacts, with their answers in properties.
//
// Contacts are identified by their e-mail address and upserted, up to 100 in one request: a new contact is created, a known
// one is changed. When one of HubSpot's limits is reached, also the daily one, deliveries wait until the limit ends, which does
// not count as an attempt.
//
// `- {crm.note: {text: "…"}, amend: true, retract: true}` changes the note of a response that changes, in place of a second one, and
// lets it begin with "No longer so" when the rule no longer matches. A contact needs neither: each delivery changes it.
//
// An erasure with products deletes the contact for good, with its notes and all else that belongs to it. HubSpot keeps an address that
// it did not know on a list of those that no contact may have in future.
package hubspot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge       = (*Connector)(nil)
	_ connectors.Batcher     = (*Connector)(nil)
	_ connectors.Validator   = (*Connector)(nil)
	_ connectors.Checker     = (*Connector)(nil)
	_ connectors.RateLimiter = (*Connector)(nil)
)

func init() {
	connectors.Register("hubspot", func() connectors.Connector { return &Connector{Account: defaults()} })
}

// Account is a HubSpot account, and the property that identifies its contacts.
type Account struct {
	// Token is a private app's access token (`pat-…`) or a service key, with the scopes `crm.objects.contacts.read`
	// and `crm.objects.contacts.write`; `check --live` also asks for `crm.schemas.contacts.read`.
	Token connectors.Secret `yaml:"token"`

	// APIVersion is the form of the API's paths: `v3` (the default), or the newer `2026-03`. Both send the same content.
	APIVersion Version `yaml:"api_version,omitempty"`

	// Key is the property that identifies a contact: `email` (the default), or one of your own with unique values. The value of
	// your own property is the one in `properties`, or else the respondent's `external_id`.
	Key string `yaml:"key,omitempty"`

	// BaseURL is the address before `/crm/…`; the default is `https://api.hubapi.com`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one contact per event.
type Connector struct {
	Account `yaml:",inline"`

	// Properties are added to email, firstname, lastname and phone, or replace them. Write their internal names; they must
	// exist in HubSpot. A list is sent as several choices, `a;b`. Texts are cut to 65,536 characters.
	Properties expression.Values `yaml:"properties,omitempty"`
}

// Version is the form of the API's paths.
type Version string

// The versions. Requests and answers are the same in both.
const (
	V3     Version = "v3"
	V26_03 Version = "2026-03"
)

// Words returns the two words.
func (Version) Words() []string { return []string{string(V3), string(V26_03)} }

// UnmarshalText accepts one of the two words.
func (v *Version) UnmarshalText(b []byte) error {
	switch *v = Version(b); *v {
	case V3, V26_03:
		return nil
	}
	return fmt.Errorf("`%s` is no known version of HubSpot's API; one of v3, 2026-03", b)
}

// objects returns the path of a kind of record, such as contacts.
func (v Version) objects(kind string) string {
	if v == V26_03 {
		return "/crm/objects/2026-03/" + kind
	}
	return "/crm/v3/objects/" + kind
}

const (
	api   = "https://api.hubapi.com"
	email = "email"

	// maxBatch is the largest number of contacts in one upsert.
	// https://developers.hubspot.com/docs/guides/api/crm/objects/contacts#limits
	maxBatch = 100
	// ownProperties is an upper bound in bytes for HubSpot's own properties of one contact in an answer.
	ownProperties = 16 << 10
	// maxText is the length of a property's text in characters, which is that of a note.
	// https://developers.hubspot.com/docs/guides/api/crm/engagements/notes
	maxText = 65_536
)

func defaults() Account { return Account{APIVersion: V3, Key: email} }

// inputs is the body of the upsert.
// https://developers.hubspot.com/docs/guides/api/crm/objects/contacts#upsert-contacts
type inputs struct {
	Inputs []input `json:"inputs"`
}

type input struct {
	ID         string            `json:"id"`
	IDProperty string            `json:"idProperty"`
	Properties expression.Object `json:"properties"`
	// Trace is the event's id. HubSpot returns it with the result or the error of this record.
	Trace string `json:"objectWriteTraceId"`
}

// Build creates or changes one contact.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch creates or changes one contact per event.
func (c *Connector) BuildBatch(events []*event.Event) (*connectors.Request, error) {
	body := inputs{Inputs: make([]input, len(events))}
	for i, ev := range events {
		var err error
		if body.Inputs[i], err = c.input(ev, c.Properties); err != nil {
			return nil, err
		}
	}
	return c.upsert(body), nil
}

func (a *Account) upsert(body inputs) *connectors.Request {
	req := connectors.Post(a.at("contacts/batch/upsert"), body).As(connectors.Bearer(a.Token))
	// The whole answer is needed, because a contact that it does not name was not written. It repeats all that was sent, with up
	// to 6 bytes (\u0000) for a character, and adds HubSpot's own properties.
	if limit := 6*len(req.Body) + len(body.Inputs)*ownProperties; limit > connectors.DefaultResponseLimit {
		req.LimitResponse(limit)
	}
	return req
}

func (a *Account) at(path string) string { return a.BaseURL.At(api, a.APIVersion.objects(path)) }

// Batch returns the limit of the upsert.
func (c *Connector) Batch() connectors.BatchLimit { return connectors.BatchLimit{Events: maxBatch} }

// Key returns the value that identifies the contact. HubSpot refuses a request that names a contact twice.
func (c *Connector) Key(ev *event.Event) string {
	if c.Account.Key == email && !slices.Contains(c.Properties.Keys(), email) {
		address, _, _ := ev.Person()
		return strings.ToLower(strings.TrimSpace(address))
	}
	in, err := c.input(ev, c.Properties)
	if err != nil {
		return ""
	}
	return strings.ToLower(in.ID)
}

// input returns one contact: the standard properties, the operator's, and the one that identifies it.
func (a *Account) input(ev *event.Event, own expression.Values) (input, error) {
	mapped, err := own.Evaluate(ev)
	if err != nil {
		return input{}, err
	}
	who := ev.Data().Respondent
	in := input{IDProperty: a.Key, Trace: ev.ID, Properties: make(expression.Object, 0, len(mapped)+5)}
	names := own.Keys()
	standard := [...]struct{ name, text string }{
		{email, strings.ToLower(who.Email)}, {"firstname", who.FirstName}, {"lastname", who.LastName}, {"phone", who.Phone}, {a.Key, who.ExternalID},
	}
	for i, p := range standard {
		if isKey := i == len(standard)-1; isKey && a.Key == email {
			break
		}
		if !slices.Contains(names, p.name) {
			in.put(p.name, p.text)
		}
	}
	for _, m := range mapped {
		text, ok := connectors.JoinedText(m.Value, ";")
		if !ok {
			return input{}, fmt.Errorf("property %s is an object, and HubSpot takes a text", m.Key)
		}
		if m.Key == email {
			text = strings.ToLower(text)
		}
		in.put(m.Key, text)
	}
	if in.ID == "" {
		if a.Key == email {
			return input{}, connectors.Skip("no e-mail")
		}
		return input{}, connectors.Skip("no " + a.Key)
	}
	return in, nil
}

// put adds a property unless its text is empty: HubSpot would clear a property that is sent as "".
func (in *input) put(name, text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	text = connectors.Clip(text, maxText)
	in.Properties = append(in.Properties, expression.Member{Key: name, Value: text})
	if name == in.IDProperty {
		in.ID = text
	}
}

// Validate checks that properties have internal names, which are lower case.
func (c *Connector) Validate() error {
	if err := c.validate(); err != nil {
		return err
	}
	for _, name := range c.Properties.Keys() {
		if !internal.MatchString(name) {
			return connectors.Invalid("properties", "`"+name+"` is no internal name of a property; HubSpot's settings show it beside the label, such as `"+internalName(name)+"`")
		}
	}
	return nil
}

func (a *Account) validate() error {
	if !internal.MatchString(a.Key) {
		return connectors.Invalid("key", "`"+a.Key+"` is no internal name of a property, such as `email`")
	}
	return nil
}

// Rate returns the limit of the smallest plan: 100 requests in 10 seconds for a private app.
// https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
func (a *Account) Rate() connectors.Rate { return connectors.Rate{Requests: 10, Per: time.Second} }
