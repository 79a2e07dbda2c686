// Package klaviyo writes respondents to Klaviyo as profiles, subscribes those who have consented to a list, and records their
// responses as events.
//
// A profile is identified by its e-mail address: a new one is created, a known one is changed. A phone number that Klaviyo does not
// accept, or has on file with another profile, is left out, and the delivery's reason says so. A person who has unsubscribed is
// not subscribed again, except by `.subscribe`, which needs the consent in the event itself, whatever `consent` says. The replay of an
// old response subscribes them too, so replay none to `.subscribe`.
//
// Klaviyo answers before it processes a subscription or an event: `delivered` means that Klaviyo has accepted it. After a crash
// a request may be sent twice: Klaviyo ignores an event that it already has, and may ask for a confirmation of a subscription twice.
//
// A profile needs no `amend`: each delivery changes it. An erasure with products asks for the deletion of all profiles with the e-mail
// address, or else with the phone number, for which the key needs the scope `data-privacy:write`. Klaviyo deletes them in the
// background, and keeps the address in its list of deleted profiles.
package klaviyo

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge         = (*Connector)(nil)
	_ connectors.Keyer         = (*Connector)(nil)
	_ connectors.Chained       = (*Connector)(nil)
	_ connectors.ChainComparer = (*Connector)(nil)
	_ connectors.RateLimiter   = (*Connector)(nil)
	_ connectors.Validator     = (*Connector)(nil)
	_ connectors.Checker       = (*Connector)(nil)
)

func init() {
	connectors.Register("klaviyo", func() connectors.Connector { return &Connector{Account: defaults()} })
}

// Account is a Klaviyo account with the list that respondents are subscribed to.
type Account struct {
	// APIKey is a private key (`pk_…`) with the scopes `profiles:write`, for a list also `lists:write` and `subscriptions:write`,
	// for `.event` `events:write`; `check --live` also asks for `accounts:read`.
	APIKey connectors.Secret `yaml:"api_key"`

	// List is the id of the list that respondents are subscribed to (`Y6nRLr`). The list decides whether Klaviyo asks for a
	// confirmation by e-mail. Without a list, profiles are stored and nobody is subscribed, except by `.subscribe`.
	List string `yaml:"list,omitempty"`

	// Consent is the treatment of a respondent who has not consented to receive e-mail: `required` (the default) skips them,
	// `assume` subscribes them unless they refused, `store` stores their profile and events and does not subscribe them.
	Consent connectors.Consent `yaml:"consent,omitempty"`

	// BaseURL is the address before `/api`; the default is `https://a.klaviyo.com`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector creates or changes one profile per event, and then subscribes it to `list`.
type Connector struct {
	Account `yaml:",inline"`

	// Properties are stored with the profile, under their names. The names `first_name last_name phone_number external_id
	// organization title locale image location` are the profile's own fields; the first three are set without being mapped.
	// Texts are cut to 20,000 characters; a profile that still has more than 100,000 bytes is rejected.
	Properties expression.Values `yaml:"properties,omitempty"`
}

const (
	api = "https://a.klaviyo.com"

	// revision is the newest stable version of the API, supported for two years.
	// https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy
	revision = "2026-10-15"

	mediaType = "application/vnd.api+json"
)

func defaults() Account { return Account{Consent: connectors.ConsentRequired} }

// document and resource are the form of all bodies, which is JSON:API. https://jsonapi.org/format/#document-structure
type document struct {
	Data resource `json:"data"`
}

type resource struct {
	Type          string `json:"type"`
	ID            string `json:"id,omitempty"`
	Attributes    any    `json:"attributes,omitempty"`
	Relationships any    `json:"relationships,omitempty"`
}

// post returns a request with a resource.
func (a *Account) post(path string, r resource) *connectors.Request {
	return a.ask(connectors.Post(a.BaseURL.At(api, path), document{r}).With("Content-Type", mediaType))
}

// ask completes a request.
func (a *Account) ask(req *connectors.Request) *connectors.Request {
	return req.With("Accept", mediaType).With("revision", revision).As(connectors.Authorization("Klaviyo-API-Key", a.APIKey))
}

// recipient returns the respondent's e-mail address, and whether they may be subscribed. The error is a Skip.
func recipient(ev *event.Event, consent connectors.Consent) (email string, subscribe bool, err error) {
	if email = ev.Data().Respondent.Email; email == "" {
		return "", false, connectors.Skip("no e-mail")
	}
	subscribe, err = consent.Subscribe(ev)
	return email, subscribe, err
}

var listID = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// privateKey matches a private key. The public key of an account, its six-character site id, and OAuth tokens have other forms.
// https://developers.klaviyo.com/en/docs/authenticate_
var privateKey = regexp.MustCompile(`^pk_\S+$`)

// Validate checks the form of the key and the list's id.
func (a *Account) Validate() error {
	if !a.APIKey.Matches(privateKey) {
		return connectors.Invalid("api_key", "is not a private key, which begins with `pk_`; create one in Klaviyo's settings, API keys, "+
			"Private API keys (the public key of six characters cannot write)")
	}
	if a.List != "" && !listID.MatchString(a.List) {
		return connectors.Invalid("list", "is not the id of a list; Klaviyo shows it in the list's settings and in its address, such as `Y6nRLr`")
	}
	return nil
}

// Rate returns a rate below both limits of profiles and subscriptions, which are 75 requests a second and 750 a minute.
// https://developers.klaviyo.com/en/reference/create_or_update_profile
func (a *Account) Rate() connectors.Rate { return connectors.Rate{Requests: 10, Per: time.Second} }

// Build creates or changes the profile. Judge continues with the subscription, which needs a second request.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	if _, _, err := recipient(ev, c.Consent); err != nil {
		return nil, err
	}
	p, err := c.profile(ev)
	if err != nil {
		return nil, err
	}
	return c.upsert(p.attributes)
}

// Key returns the profile's address, so that of several responses of one person the last one is written last.
func (c *Connector) Key(ev *event.Event) string {
	email, _, _ := ev.Person()
	return strings.ToLower(email)
}

// MaxRequests counts the profile, the profile without its phone number, and the subscription.
func (c *Connector) MaxRequests() int {
	if c.List == "" {
		return 2
	}
	return 3
}

// LaterContent returns the subscription.
func (c *Connector) LaterContent(ev *event.Event) ([]byte, error) {
	email, subscribe, err := recipient(ev, c.Consent)
	if err != nil || !subscribe || c.List == "" {
		return nil, err
	}
	return c.subscription(email).Body, nil
}

// Validate checks the list's id and the names of the properties.
func (c *Connector) Validate() error {
	if slices.Contains(c.Properties.Keys(), "email") {
		return connectors.Invalid("properties", "`email` is the profile itself; remove it")
	}
	return c.Account.Validate()
}
