// Package mailchimp keeps respondents as contacts of a Mailchimp audience, with tags.
//
// Whoever is new is subscribed if they agreed to be written to; whoever the audience knows keeps the status they
// have, so nobody who has unsubscribed is subscribed again. That holds for archived contacts too, unless `revive` is set.
package mailchimp

import (
	"crypto/md5" //nolint:gosec // Mailchimp's name for a contact, no protection
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

// Account is an audience and how it is reached.
type Account struct {
	// APIKey is a key of the Marketing API. Its end (`-us6`) says which of Mailchimp's data centres is asked.
	APIKey connectors.Secret `yaml:"api_key"`

	// Audience is the audience's id, as its settings show it (`a1b2c3d4e5`), not its name.
	Audience string `yaml:"audience"`

	// NewStatus is what a person becomes who agreed and is new: `subscribed`, or `pending`, whom Mailchimp asks to
	// confirm by mail.
	NewStatus Status `yaml:"new_status,omitempty"`

	// Consent is what happens to a person who has not agreed to be written to: `required` skips them, `assume` takes it
	// as given but where it was refused, `store` keeps them as contacts who are never subscribed.
	Consent connectors.Consent `yaml:"consent,omitempty"`

	// Revive subscribes archived contacts again who agree to be written to (as `new_status` says): without it an archived
	// contact stays archived, because whoever the audience knows keeps their status. Those who unsubscribed, or whose address
	// bounced, stay as they are.
	Revive bool `yaml:"revive,omitempty"`

	// BaseURL stands before `/lists`, instead of the data centre's `https://us6.api.mailchimp.com/3.0`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one contact per event, and then its tags.
type Connector struct {
	Account `yaml:",inline"`

	// MergeFields are added to FNAME and LNAME, or replace them. Mailchimp ignores fields that the audience has not;
	// texts are cut to 255 bytes.
	MergeFields expression.Values `yaml:"merge_fields,omitempty"`

	// Tags are added to the contact, those that come out empty left out; `[]` adds none.
	Tags []expression.Text `yaml:"tags,omitempty"`
}

// Status is what a new contact becomes.
type Status string

// The statuses.
const (
	Subscribed Status = "subscribed"
	Pending    Status = "pending"

	// kept is for a contact who is never written to.
	kept Status = "transactional"

	// archived is a contact that somebody put away; nothing but a status brings it back.
	archived = "archived"
)

// Words are those to choose from.
func (Status) Words() []string { return []string{string(Subscribed), string(Pending)} }

// UnmarshalText takes one of the two words.
func (s *Status) UnmarshalText(b []byte) error {
	switch *s = Status(b); *s {
	case Subscribed, Pending:
		return nil
	}
	return fmt.Errorf("`%s` is no status of a new contact; one of subscribed, pending", b)
}

// member is the body of the upsert. It has a `status`, which would overwrite that of somebody who unsubscribed, only where an
// archived contact is subscribed again.
// https://mailchimp.com/developer/marketing/api/list-members/add-or-update-list-member/
type member struct {
	Address     string            `json:"email_address"`
	StatusIfNew Status            `json:"status_if_new"`
	Status      Status            `json:"status,omitempty"`
	MergeFields expression.Object `json:"merge_fields,omitempty"`
}

// Build makes or changes the contact; the tags follow in a request of their own.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	if c.BaseURL == "" && c.APIKey.Region() == "" {
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
		m.StatusIfNew = kept
	}
	if m.MergeFields, err = c.fields(ev); err != nil {
		return nil, err
	}
	// The survey asked what it asked: that a field is required in Mailchimp's own form is no reason to lose a contact.
	return connectors.Put(c.at("/members/"+hash(address)+"?skip_merge_validation=true"), m).As(c.auth()), nil
}

// revive subscribes a contact again whom the answer before showed as archived.
func (c *Connector) revive(ev *event.Event) *connectors.Request {
	address := ev.Data().Respondent.Email
	m := member{Address: address, StatusIfNew: c.NewStatus, Status: c.NewStatus}
	return connectors.Put(c.at("/members/"+hash(address)+"?skip_merge_validation=true"), m).Named(revived).As(c.auth())
}

// revived names the request that subscribes an archived contact again.
const revived = "revive"

// Key is the contact: what several responses of one person write, the last of them is to stand.
func (c *Connector) Key(ev *event.Event) string {
	email, _, _ := ev.Person()
	return strings.ToLower(email)
}

// MaxRequests are the contact, its status and its tags.
func (c *Connector) MaxRequests() int {
	n := 1 + min(len(c.Tags), 1)
	if c.Revive {
		n++
	}
	return n
}

// hash is a contact's name in addresses.
// https://mailchimp.com/developer/marketing/docs/methods-parameters/#path-parameters
func hash(address string) string {
	sum := md5.Sum([]byte(strings.ToLower(address))) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

func (c *Connector) at(path string) string {
	return c.BaseURL.At("https://"+c.APIKey.Region()+".api.mailchimp.com/3.0", "/lists/"+url.PathEscape(c.Audience)+path)
}

// auth is Basic, where any user's name will do.
func (c *Connector) auth() connectors.Auth { return connectors.Basic("surveygate", c.APIKey) }

// Concurrency leaves the owner of the key half of the ten connections that Mailchimp grants.
// https://mailchimp.com/developer/marketing/docs/fundamentals/#throttling
func (c *Connector) Concurrency() int { return 5 }

var (
	audienceID = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	mergeTag   = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// Validate wants a key that says where it is from, and merge tags as Mailchimp spells them: it ignores others
// without a word.
func (c *Connector) Validate() error {
	if c.BaseURL == "" && c.APIKey.Region() == "" {
		return connectors.Invalid("api_key", "names no data centre (`-us6` at its end); copy the whole key")
	}
	if !audienceID.MatchString(c.Audience) {
		return connectors.Invalid("audience", "is no id of an audience; its settings show it under `Audience name and defaults`")
	}
	for _, tag := range c.MergeFields.Keys() {
		switch {
		case tag == "EMAIL":
			return connectors.Invalid("merge_fields", "`EMAIL` is the contact itself; take it out")
		case !mergeTag.MatchString(tag):
			return connectors.Invalid("merge_fields", "`"+tag+"` is no merge tag; they are spelt in capital letters, as `"+strings.ToUpper(tag)+"`")
		}
	}
	return nil
}

// fields are the names and the operator's, with what the event lacks left out: Mailchimp would empty the field.
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

// maxField is how many bytes a merge field is said to hold; it is nowhere documented.
const maxField = 255

// clip cuts a text to what a merge field holds, between two characters.
func clip(text string) string {
	if len(text) <= maxField {
		return text
	}
	return strings.ToValidUTF8(text[:maxField-len("…")], "") + "…"
}
