// Package hubspot keeps respondents as contacts of HubSpot, with what they answered in properties.
//
// Contacts are written by their e-mail address, many in one request: whoever is new is added, whoever is known is
// changed. Over one of HubSpot's limits, also that of the day, they wait until it ends, and that uses up no attempt.
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

// Account is an account of HubSpot and how its contacts are told apart.
type Account struct {
	// Token is a private app's access token (`pat-…`) or a service key, with the scopes `crm.objects.contacts.read`
	// and `crm.objects.contacts.write`; `check --live` also asks for `crm.schemas.contacts.read`.
	Token connectors.Secret `yaml:"token"`

	// APIVersion is how HubSpot's paths are spelt: `v3`, or `2026-03`, which says the same and is newer.
	APIVersion Version `yaml:"api_version,omitempty"`

	// Key is the property that tells contacts apart: `email`, or one of your own with unique values. Its value is then
	// the one that `properties` gives it, else the respondent's `external_id`.
	Key string `yaml:"key,omitempty"`

	// BaseURL stands before `/crm/…`; without it, `https://api.hubapi.com`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one contact per event.
type Connector struct {
	Account `yaml:",inline"`

	// Properties are added to email, firstname, lastname and phone, or replace them, by their internal names. They must
	// exist in HubSpot. A list is written as HubSpot writes several choices, `a;b`; texts are cut to 65,536 characters.
	Properties expression.Values `yaml:"properties,omitempty"`
}

// Version is how HubSpot's paths are spelt.
type Version string

// The versions: what is sent and answered is the same.
const (
	V3     Version = "v3"
	V26_03 Version = "2026-03"
)

// Words are those to choose from.
func (Version) Words() []string { return []string{string(V3), string(V26_03)} }

// UnmarshalText takes one of the two words.
func (v *Version) UnmarshalText(b []byte) error {
	switch *v = Version(b); *v {
	case V3, V26_03:
		return nil
	}
	return fmt.Errorf("`%s` is no version of HubSpot's API that is known here; one of v3, 2026-03", b)
}

// objects is the path of a kind of record.
func (v Version) objects(kind string) string {
	if v == V26_03 {
		return "/crm/objects/2026-03/" + kind
	}
	return "/crm/v3/objects/" + kind
}

const (
	api   = "https://api.hubapi.com"
	email = "email"

	// https://developers.hubspot.com/docs/guides/api/crm/objects/contacts#limits
	maxBatch = 100
	// ownProperties is more than HubSpot's own properties of a contact take in an answer.
	ownProperties = 16 << 10
	// A property's text is as long as a note's. https://developers.hubspot.com/docs/guides/api/crm/engagements/notes
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
	// Trace comes back beside what became of the record.
	Trace string `json:"objectWriteTraceId"`
}

// Build makes or changes one contact.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	return c.BuildBatch([]*event.Event{ev})
}

// BuildBatch makes or changes many.
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
	// The answer is read whole, because who it does not name was not written: it repeats what was sent, each character in as
	// many bytes as JSON may take, beside properties of HubSpot's own.
	if most := 6*len(req.Body) + len(body.Inputs)*ownProperties; most > connectors.DefaultResponseLimit {
		req.LimitResponse(most)
	}
	return req
}

func (a *Account) at(path string) string { return a.BaseURL.At(api, a.APIVersion.objects(path)) }

// Batch is what the upsert takes.
func (c *Connector) Batch() connectors.BatchLimit { return connectors.BatchLimit{Events: maxBatch} }

// Key is the contact: HubSpot refuses a request that names one twice.
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

// input is one contact: the usual properties, those of the operator, and the one that tells it apart.
func (a *Account) input(ev *event.Event, own expression.Values) (input, error) {
	mapped, err := own.Evaluate(ev)
	if err != nil {
		return input{}, err
	}
	who := ev.Data().Respondent
	in := input{IDProperty: a.Key, Trace: ev.ID, Properties: make(expression.Object, 0, len(mapped)+5)}
	names := own.Keys()
	usual := [...]struct{ name, text string }{
		{email, strings.ToLower(who.Email)}, {"firstname", who.FirstName}, {"lastname", who.LastName}, {"phone", who.Phone}, {a.Key, who.ExternalID},
	}
	for i, p := range usual {
		if isKey := i == len(usual)-1; isKey && a.Key == email {
			break
		}
		if !slices.Contains(names, p.name) {
			in.put(p.name, p.text)
		}
	}
	for _, m := range mapped {
		text, ok := plain(m.Value)
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

// put adds a property, where the event has it: HubSpot would empty what is sent as "".
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

// plain is a value as HubSpot spells it, which is always a text: `9`, `true`, `a;b`.
func plain(v any) (string, bool) {
	list, ok := v.([]any)
	if !ok {
		return connectors.PlainText(v)
	}
	items := make([]string, 0, len(list))
	for _, item := range list {
		text, ok := connectors.PlainText(item)
		if !ok {
			return "", false
		}
		if text != "" {
			items = append(items, text)
		}
	}
	return strings.Join(items, ";"), true
}

// Validate wants properties by their internal names, which HubSpot writes in lower case.
func (c *Connector) Validate() error {
	if err := c.validate(); err != nil {
		return err
	}
	for _, name := range c.Properties.Keys() {
		if !internal.MatchString(name) {
			return connectors.Invalid("properties", "`"+name+"` is no internal name of a property; HubSpot's settings show it beside the label, such as `"+spelt(name)+"`")
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

// Rate is that of the smallest plan, whose private apps make 100 requests in 10 seconds.
// https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
func (a *Account) Rate() connectors.Rate { return connectors.Rate{Requests: 10, Per: time.Second} }
