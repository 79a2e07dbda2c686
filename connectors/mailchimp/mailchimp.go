// Package mailchimp writes respondents to a Mailchimp audience as contacts with tags.
//
// A new contact is subscribed if the respondent has consented to receive e-mail. A known contact keeps its status, so a person
// who has unsubscribed is not subscribed again. An archived contact keeps its status too, unless `revive` is set.
//
// A contact needs no `amend`: each delivery changes it. An erasure with products deletes the contact from the audience for good; after
// that only the person can subscribe again, with Mailchimp's own form. Other audiences stay as they are.
package mailchimp

import (
	"crypto/md5" //nolint:gosec // Mailchimp's id for a contact, not used for security
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge              = (*Connector)(nil)
	_ connectors.Keyer              = (*Connector)(nil)
	_ connectors.Validator          = (*Connector)(nil)
	_ connectors.Checker            = (*Connector)(nil)
	_ connectors.ConcurrencyLimiter = (*Connector)(nil)
	_ connectors.Chained            = (*Connector)(nil)
	_ connectors.ChainComparer      = (*Connector)(nil)
)

func init() {
	connectors.Register("mailchimp", func() connectors.Connector {
		return &Connector{
			Account: Account{NewStatus: Subscribed, Consent: connectors.ConsentRequired},
			Tags:    []expression.Text{expression.MustText("{{ survey.title }}")},
		}
	})
}

// Account is an audience with the key of its account.
type Account struct {
	// APIKey is a key of the Marketing API. Its end (`-us6`) names the data centre.
	APIKey connectors.Secret `yaml:"api_key"`

	// Audience is the audience's id, as its settings show it (`a1b2c3d4e5`), not its name.
	Audience string `yaml:"audience"`

	// NewStatus is the status of a new contact who has consented: `subscribed` (the default), or `pending`, which makes
	// Mailchimp ask for a confirmation by e-mail.
	NewStatus Status `yaml:"new_status,omitempty"`

	// Consent is the treatment of a respondent who has not consented to receive e-mail: `required` (the default) skips them,
	// `assume` subscribes them unless they refused, `store` stores them as contacts that are never subscribed.
	Consent connectors.Consent `yaml:"consent,omitempty"`

	// Revive subscribes archived contacts again if they consent, with the status `new_status`. Without it an archived contact
	// stays archived, because a known contact keeps its status. Contacts that unsubscribed, or whose address bounced, are never
	// revived.
	Revive bool `yaml:"revive,omitempty"`

	// BaseURL is the address before `/lists`; the default is the data centre's, such as `https://us6.api.mailchimp.com/3.0`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one contact per event, and then the contact's tags.
type Connector struct {
	Account `yaml:",inline"`

	// MergeFields are added to FNAME and LNAME, or replace them. Mailchimp ignores fields that the audience does not have.
	// Texts are cut to 255 bytes.
	MergeFields expression.Values `yaml:"merge_fields,omitempty"`

	// Tags are added to the contact; empty ones are left out. The default is the survey's title; `[]` adds none.
	Tags []expression.Text `yaml:"tags,omitempty"`
}

// Status is the status of a new contact.
type Status string

// The statuses. https://mailchimp.com/developer/marketing/api/list-members/add-or-update-list-member/
const (
	Subscribed Status = "subscribed"
	Pending    Status = "pending"

	// stored is the status of a contact that receives no campaigns.
	stored Status = "transactional"

	// archived is the status of an archived contact, which only an explicit status changes.
	archived = "archived"
)

// Words returns the two words that an operator can choose.
func (Status) Words() []string { return []string{string(Subscribed), string(Pending)} }

// UnmarshalText accepts one of the two words.
func (s *Status) UnmarshalText(b []byte) error {
	switch *s = Status(b); *s {
	case Subscribed, Pending:
		return nil
	}
	return fmt.Errorf("`%s` is no status of a new contact; one of subscribed, pending", b)
}

// member is the body of the upsert. It has a `status` only when an archived contact is subscribed again, because the field would
// overwrite the status of a person who has unsubscribed.
// https://mailchimp.com/developer/marketing/api/list-members/add-or-update-list-member/
type member struct {
	Address     string            `json:"email_address"`
	StatusIfNew Status            `json:"status_if_new"`
	Status      Status            `json:"status,omitempty"`
	MergeFields expression.Object `json:"merge_fields,omitempty"`
}

// Build creates or changes the contact. Judge continues with the tags, which need a second request.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	if c.BaseURL == "" && c.APIKey.Region() == "" && !c.APIKey.IsUnset() {
		return nil, connectors.Unusable("the key names no data centre")
	}
	address := ev.Data().Respondent.Email
	if address == "" {
		return nil, connectors.Skip("no e-mail")
	}
	subscribe, err := c.Consent.Subscribe(ev)
	if err != nil {
		return nil, err
	}
	m := member{Address: address, StatusIfNew: c.NewStatus}
	if !subscribe {
		m.StatusIfNew = stored
	}
	if m.MergeFields, err = c.fields(ev); err != nil {
		return nil, err
	}
	// skip_merge_validation: a field that is required in Mailchimp's own form may be absent, because the survey did not ask for
	// it.
	return connectors.Put(c.at("/members/"+hash(address)+"?skip_merge_validation=true"), m).As(c.auth()), nil
}

// revive returns the request that subscribes an archived contact again.
func (c *Connector) revive(ev *event.Event) *connectors.Request {
	address := ev.Data().Respondent.Email
	m := member{Address: address, StatusIfNew: c.NewStatus, Status: c.NewStatus}
	return connectors.Put(c.at("/members/"+hash(address)+"?skip_merge_validation=true"), m).Named(reviveRequest).As(c.auth())
}

// reviveRequest is the name of the request that subscribes an archived contact again.
const reviveRequest = "revive"

// Key returns the contact's address, so that of several responses of one person the last one is written last.
func (c *Connector) Key(ev *event.Event) string {
	email, _, _ := ev.Person()
	return strings.ToLower(email)
}

// MaxRequests counts the contact, its status and its tags, as far as the settings need them.
func (c *Connector) MaxRequests() int {
	n := 1 + min(len(c.Tags), 1)
	if c.Revive {
		n++
	}
	return n
}

// hash returns the id of a contact in URLs: the MD5 hash of the lower-case address.
// https://mailchimp.com/developer/marketing/docs/methods-parameters/#path-parameters
func hash(address string) string {
	sum := md5.Sum([]byte(strings.ToLower(address))) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

func (c *Connector) at(path string) string {
	return c.BaseURL.At("https://"+c.APIKey.Region()+".api.mailchimp.com/3.0", "/lists/"+url.PathEscape(c.Audience)+path)
}

// auth returns the key as a Basic password. Mailchimp accepts any user name.
// https://mailchimp.com/developer/marketing/docs/fundamentals/
func (c *Connector) auth() connectors.Auth { return connectors.Basic("surveygate", c.APIKey) }

// Concurrency returns half of the 10 simultaneous connections that Mailchimp allows, and leaves the others to the key's owner.
// https://mailchimp.com/developer/marketing/docs/fundamentals/#throttling
func (c *Connector) Concurrency() int { return 5 }

var (
	audienceID = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	mergeTag   = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// Validate requires a key that names its data centre, and merge tags in Mailchimp's form, because Mailchimp silently ignores
// others.
func (c *Connector) Validate() error {
	if c.BaseURL == "" && c.APIKey.Region() == "" {
		return connectors.Invalid("api_key", "names no data centre (`-us6` at its end); copy the whole key")
	}
	if !audienceID.MatchString(c.Audience) {
		return connectors.Invalid("audience", "is not an audience id; the audience's settings show it under `Audience name and defaults`")
	}
	for _, tag := range c.MergeFields.Keys() {
		switch {
		case tag == "EMAIL":
			return connectors.Invalid("merge_fields", "`EMAIL` is the contact itself; remove it")
		case !mergeTag.MatchString(tag):
			return connectors.Invalid("merge_fields", "`"+tag+"` is not a merge tag; they have capital letters, as `"+strings.ToUpper(tag)+"`")
		}
	}
	return nil
}

// fields returns the merge fields: the names and the operator's. Empty ones are left out, because Mailchimp would clear the
// field.
func (c *Connector) fields(ev *event.Event) (expression.Object, error) {
	own, err := c.MergeFields.Evaluate(ev)
	if err != nil {
		return nil, err
	}
	who := ev.Data().Respondent
	all := make(expression.Object, 0, len(own)+2)
	named := c.MergeFields.Keys()
	for _, name := range [...]struct{ tag, text string }{{"FNAME", who.FirstName}, {"LNAME", who.LastName}} {
		if name.text != "" && !slices.Contains(named, name.tag) {
			all = append(all, expression.Member{Key: name.tag, Value: clip(name.text)})
		}
	}
	for _, m := range own {
		switch v := m.Value.(type) {
		case string, bool, []any:
			text, ok := connectors.PlainText(v)
			if !ok {
				return nil, fmt.Errorf("merge field %s is a list of objects, and Mailchimp takes a text", m.Key)
			}
			if text == "" {
				continue
			}
			m.Value = clip(text)
		}
		all = append(all, m)
	}
	return all, nil
}

// maxField is the size of a merge field in bytes. Mailchimp does not document it; 255 is commonly reported.
const maxField = 255

// clip shortens a text to maxField bytes, between two characters.
func clip(text string) string {
	if len(text) <= maxField {
		return text
	}
	connectors.NoteShortened()
	return strings.ToValidUTF8(text[:maxField-len("…")], "") + "…"
}
