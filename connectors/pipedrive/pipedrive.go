// Package pipedrive writes respondents to Pipedrive as persons, with notes or leads about their responses.
//
// A person is found by their e-mail address, and created if there is none; of several persons with the address, the oldest one is
// used. A person who is known gets the respondent's name, and a new phone beside their own. Pipedrive cannot do this in
// one request and has no key for repeated ones: after the loss of an answer, the person is searched again, also among the
// newest ones, which the search may not know yet. Events of one address follow one another within a process of the gateway.
//
// Every request uses up a part of the company's daily budget: 25 to 36 tokens for a person, 45 to 60 with a note, 45 to 90 with a
// lead. When it is used up, deliveries wait until midnight UTC, which does not count as an attempt.
//
// `- {crm.note: {text: "…"}, amend: true, retract: true}` changes the note of a response that changes, and lets it begin with "No
// longer so" when the rule no longer matches. A person needs neither: each delivery changes them.
//
// An erasure with products deletes the persons with the e-mail address, who are gone for good after 30 days. Their notes and leads
// stay: delete them by hand.
package pipedrive

import (
	"net/url"
	"regexp"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

var (
	_ connectors.Judge         = (*Connector)(nil)
	_ connectors.SharedKeyer   = (*Connector)(nil)
	_ connectors.Chained       = (*Connector)(nil)
	_ connectors.ChainComparer = (*Connector)(nil)
	_ connectors.RateLimiter   = (*Connector)(nil)
	_ connectors.Validator     = (*Connector)(nil)
	_ connectors.Checker       = (*Connector)(nil)
	_ connectors.Advisor       = (*Connector)(nil)
)

func init() {
	connectors.Register("pipedrive", func() connectors.Connector { return &Connector{} })
}

// Account is a Pipedrive company, and a user of it.
type Account struct {
	// Token is the personal API token of a user, from the personal preferences.
	Token connectors.Secret `yaml:"token"`

	// Domain is the company's part of the address, `acme` in `acme.pipedrive.com`; without it requests go to
	// `api.pipedrive.com`.
	Domain string `yaml:"domain,omitempty"`

	// BaseURL is the address before `/api/…`; the default is that of `domain`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one person per event.
type Connector struct {
	Account `yaml:",inline"`

	// Fields are added to `email`, `name` and `phone`, or replace them. Write a field of a person, such as `owner_id` or
	// `label_ids`, or the key of your own field, 40 letters and digits. A number field takes a number, a text field a text.
	// `marketing_status: "'subscribed'"` is left out unless the respondent has consented. A person who is known is subscribed only if
	// their status is `no_consent`: whoever has unsubscribed, or is archived, stays so.
	Fields expression.Values `yaml:"fields,omitempty"`
}

// The names of the requests that follow the search.
const (
	searchedAgain = "search again"
	newest        = "newest persons"
	read          = "read"
	changed       = "change"
	created       = "create"
)

// Build searches the person. Judge continues with their creation or change.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	p, err := newPerson(ev, c.Fields)
	if err != nil {
		return nil, err
	}
	return c.search(p), nil
}

// Judge continues from the search to the person. A person who is merged or deleted meanwhile is searched once more.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	if res.Forgets() {
		return c.judgeForgotten(res)
	}
	step := nameOf(res)
	gone := res.Status == 404 && (step == read || step == changed)
	if v, ok := accepted(res); !ok && !gone {
		if asksStatus(res) && (res.Status == 400 || v.Kind == connectors.Revoked && res.Status == 403) {
			return connectors.Revoke(v.Reason + ": " + marketingStatus).ForSetting("fields")
		}
		return v
	}
	if len(res.Events) == 0 {
		return connectors.Deliver()
	}
	p, err := newPerson(res.Events[0], c.Fields)
	switch {
	case err != nil:
		return unbuildable(err)
	case gone && len(res.Trail) < 2:
		return connectors.Then(c.search(p).Named(searchedAgain))
	case gone:
		return vanished
	}
	id := personID(res, p.Email)
	switch step {
	case created, changed:
		if id == 0 {
			return unreadable
		}
		return done(res, id)
	case read:
		known, status, ok := readPerson(res)
		if !ok {
			return unreadable
		}
		if p.subscribes() && status != undecided {
			p.keepStatus()
		}
		known.ID = id
		return c.update(res, known, p)
	}
	known, v := c.find(res, p)
	switch {
	case known.ID == 0:
		return v
	case p.subscribes() && len(res.Trail)+3 > c.MaxRequests(): // the status and the change are two more
		return vanished
	case p.subscribes(), p.Phone != "" && !known.hasPhone(p.Phone) && known.contacts == nil:
		return connectors.Then(c.read(known.ID, p))
	}
	return c.update(res, known, p)
}

// update continues with the change of a person, unless there is nothing to change.
func (c *Connector) update(res *connectors.Response, known found, p person) connectors.Verdict {
	switch {
	case p.Phone != "" && !known.hasPhone(p.Phone):
		return connectors.Then(c.change(known.ID, p, known.contacts))
	case p.isKnown():
		return done(res, known.ID)
	}
	p.Phone = "" // Pipedrive has it
	return connectors.Then(c.change(known.ID, p, nil))
}

// Key returns the person's e-mail address.
func (c *Connector) Key(ev *event.Event) string { return keyOf(ev, c.Fields) }

// SharesKeys says that notes and leads create the same persons.
func (a *Account) SharesKeys() {}

// MaxRequests counts a search, a person who turns out to be gone, and the second search, with the phones and the change, or with the
// newest persons and the creation.
func (c *Connector) MaxRequests() int { return 5 }

// LaterContent returns the person.
func (c *Connector) LaterContent(ev *event.Event) ([]byte, error) {
	p, err := newPerson(ev, c.Fields)
	if err != nil {
		return nil, err
	}
	return c.create(p).Body, nil
}

// Rate returns the limit of searches: 10 in 2 seconds. The smallest plan allows 20 requests of all kinds in that time.
// https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting
func (a *Account) Rate() connectors.Rate { return connectors.Rate{Requests: 5, Per: time.Second} }

// at returns the address of a path.
func (a *Account) at(path string) string {
	host := "https://api.pipedrive.com"
	if a.Domain != "" {
		host = "https://" + a.Domain + ".pipedrive.com"
	}
	return a.BaseURL.At(host, path)
}

// auth returns the credential. https://pipedrive.readme.io/docs/core-api-concepts-authentication
func (a *Account) auth() connectors.Auth { return connectors.Header("x-api-token", a.Token) }

// search returns the search for the person.
// https://developers.pipedrive.com/docs/api/v1/Persons#searchPersons
func (a *Account) search(p person) *connectors.Request {
	return connectors.Get(a.at("/api/v2/persons/search?term=" + url.QueryEscape(p.Email) + "&fields=email&exact_match=true")).As(a.auth())
}

// listNewest returns the request for the newest persons: the search may not know yet who was created a moment ago.
// https://developers.pipedrive.com/docs/api/v1/Persons#getPersons
func (a *Account) listNewest() *connectors.Request {
	return connectors.Get(a.at("/api/v2/persons?sort_by=id&sort_direction=desc&limit=100")).Named(newest).LimitResponse(maxList).As(a.auth())
}

// maxList is the largest size in bytes of a list that is read.
const maxList = 8 << 20

var domain = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func (a *Account) validate() error {
	if a.Domain != "" && !domain.MatchString(a.Domain) {
		return connectors.Invalid("domain", "`"+a.Domain+"` is not the company's part of the address, such as `acme` in `acme.pipedrive.com`")
	}
	return nil
}
