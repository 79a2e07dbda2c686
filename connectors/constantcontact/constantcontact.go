// Package constantcontact writes respondents to Constant Contact as contacts on lists.
//
// A respondent who has consented to receive e-mail is signed up for the lists: a new contact is created, a known one is changed. The
// contact is looked up first, because a sign-up subscribes whoever it names, also a person who has unsubscribed. A person who has
// unsubscribed, or was deleted, is signed up only if they consented in this response, and after that; the history then says so.
// Otherwise they are skipped, also with `consent: assume` and in the replay of an old response. A person who has not confirmed their
// address yet, or whom Constant Contact holds back, is skipped too.
//
// Every response takes two of the application's 10,000 requests of a day. When these are used up, deliveries wait for the next day,
// which does not count as an attempt.
//
// Obtain the first refresh token once. Give the application the Authorization Code Flow and a redirect URI, such as
// `https://localhost`, and open this address in a browser with the application's API key in place of KEY:
//
//	https://authz.constantcontact.com/oauth2/default/v1/authorize?response_type=code&client_id=KEY&redirect_uri=https%3A%2F%2Flocalhost&scope=contact_data+offline_access&state=1
//
// When you have allowed the access, the browser's address contains a code. Exchange it; curl asks for the application's secret:
//
//	curl -u KEY https://authz.constantcontact.com/oauth2/default/v1/token -d grant_type=authorization_code -d redirect_uri=https://localhost -d code=CODE
//
// Give the `refresh_token` of the answer to `surveygate token set CONNECTION`. From then on `surveygate check --live` has the running
// gateway, which alone may use the refresh token, look for the lists and custom fields; where an id is wrong, it names those that the
// account has. With the answer's `access_token`, the ids can also be read for a day:
//
//	curl -H "Authorization: Bearer ACCESS_TOKEN" https://api.cc.email/v3/contact_lists https://api.cc.email/v3/contact_custom_fields
package constantcontact

import (
	"fmt"
	"net/url"
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
	_ connectors.Judge         = (*Connector)(nil)
	_ connectors.Keyer         = (*Connector)(nil)
	_ connectors.Validator     = (*Connector)(nil)
	_ connectors.Checker       = (*Connector)(nil)
	_ connectors.RateLimiter   = (*Connector)(nil)
	_ connectors.Chained       = (*Connector)(nil)
	_ connectors.ChainComparer = (*Connector)(nil)
)

func init() {
	connectors.Register("constantcontact", func() connectors.Connector {
		return &Connector{Account: Account{Consent: connectors.ConsentRequired, TokenURL: authorization + "/token"}}
	})
}

// Account is the lists of an account, and the application that writes to them.
type Account struct {
	// ClientID is the API key of an application (My Applications at developer.constantcontact.com).
	ClientID string `yaml:"client_id"`

	// ClientSecret is the application's secret.
	ClientSecret connectors.Secret `yaml:"client_secret"`

	// RefreshToken is the first refresh token, which the application receives when a person allows it the scopes `contact_data`
	// and `offline_access`. Later ones are kept in the store, as are those of `surveygate token set`.
	RefreshToken connectors.Secret `yaml:"refresh_token,omitempty"`

	// Lists are the ids of the lists that respondents are signed up for, 1 to 50.
	Lists []string `yaml:"lists"`

	// Consent is the treatment of a respondent who has not consented to receive e-mail: `required` (the default) skips them,
	// `assume` signs them up unless they refused or have unsubscribed before, `store` stores them as contacts on no list and
	// without permission to send, and leaves known contacts as they are.
	Consent connectors.Consent `yaml:"consent,omitempty"`

	// TokenURL is the address that issues access tokens; the default is Constant Contact's.
	TokenURL connectors.BaseURL `yaml:"token_url,omitempty"`

	// BaseURL is the address before `/contacts`; the default is `https://api.cc.email/v3`.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Connector writes one contact per event.
type Connector struct {
	Account `yaml:",inline"`

	// Fields are added to first_name, last_name and phone_number, or replace them: job_title, company_name, anniversary,
	// birthday_month with birthday_day, and your custom fields by their ids. Texts are cut to 50 characters, phone
	// numbers to 25, the values of custom fields to 255.
	Fields expression.Values `yaml:"fields,omitempty"`
}

// authorization is the server that issues tokens.
// https://developer.constantcontact.com/api_guide/server_flow.html
const authorization = "https://authz.constantcontact.com/oauth2/default/v1"

// lookupRequest and storeRequest are the names of requests. The sign-up has none.
const (
	lookupRequest = "lookup"
	storeRequest  = "store"
)

// Build looks the contact up. Judge continues with the sign-up, or stores the contact without one.
// https://developer.constantcontact.com/api_guide/contacts_lookup.html
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	if _, err := c.write(ev); err != nil {
		return nil, err
	}
	return connectors.Get(c.at("/contacts?status=all&email=" + url.QueryEscape(ev.Data().Respondent.Email))).Named(lookupRequest).As(c.auth()), nil
}

// write returns the request that follows the lookup of a contact who may be written.
func (c *Connector) write(ev *event.Event) (*connectors.Request, error) {
	if address := ev.Data().Respondent.Email; address == "" {
		return nil, connectors.Skip("no e-mail")
	} else if utf8.RuneCountInString(address) > maxAddress {
		return nil, fmt.Errorf("the e-mail address is longer than the %d characters that Constant Contact takes", maxAddress)
	}
	subscribe, err := c.Consent.Subscribe(ev)
	if err != nil {
		return nil, err
	}
	p, err := c.person(ev)
	if err != nil {
		return nil, err
	}
	if subscribe {
		return connectors.Post(c.at("/contacts/sign_up_form"), p.signUp(c.Lists)).As(c.auth()), nil
	}
	return connectors.Post(c.at("/contacts"), p.stored()).Named(storeRequest).As(c.auth()), nil
}

// Key returns the contact's address: Constant Contact refuses simultaneous changes of a contact.
func (c *Connector) Key(ev *event.Event) string {
	address, _, _ := ev.Person()
	return strings.ToLower(address)
}

// MaxRequests counts the lookup and the contact.
func (c *Connector) MaxRequests() int { return 2 }

// LaterContent returns the contact.
func (c *Connector) LaterContent(ev *event.Event) ([]byte, error) {
	req, err := c.write(ev)
	if err != nil {
		return nil, err
	}
	return req.Body, nil
}

func (c *Connector) at(path string) string { return c.BaseURL.At("https://api.cc.email/v3", path) }

// auth returns the access token's source.
func (c *Connector) auth() connectors.Auth {
	return connectors.OAuth2{
		Grant: connectors.GrantRefreshToken, TokenURL: string(c.TokenURL), ClientID: c.ClientID, ClientSecret: c.ClientSecret, BasicAuth: true,
		RefreshToken: c.RefreshToken,
	}
}

// Rate returns the limit of an application, which all accounts that use it share.
// https://developer.constantcontact.com/api_guide/rate_limits.html
func (c *Connector) Rate() connectors.Rate { return connectors.Rate{Requests: 4, Per: time.Second} }

// uuid matches the ids of lists, custom fields and contacts.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Validate checks the ids of lists, and the names of fields.
func (c *Connector) Validate() error {
	if n := len(c.Lists); n < 1 || n > maxLists {
		return connectors.Invalid("lists", fmt.Sprintf("names %d lists; a sign-up takes 1 to %d", n, maxLists))
	}
	for _, id := range c.Lists {
		if !uuid.MatchString(id) {
			return connectors.Invalid("lists", "`"+id+"` is no id of a list, such as `07936f78-662a-11eb-af0a-fa163e56c9b0`; the connector's page says how to list the ids")
		}
	}
	custom, names := 0, c.Fields.Keys()
	for _, name := range names {
		switch {
		case uuid.MatchString(name):
			custom++
		case name == "email_address":
			return connectors.Invalid("fields", "`email_address` is the contact itself; remove it")
		case !slices.Contains(numbers, name) && limits[name] == 0:
			return connectors.Invalid("fields", "`"+name+"` is no field of a contact, nor the id of a custom field, such as `1618ae62-4752-11e9-9c8a-fa163e6b01c1`; the connector's page says how to list the ids")
		}
	}
	most := maxCustom
	if c.Consent == connectors.ConsentStore {
		most = maxStored
	}
	switch {
	case custom > most:
		return connectors.Invalid("fields", fmt.Sprintf("has %d custom fields; Constant Contact takes %d in one request", custom, most))
	case slices.Contains(names, numbers[0]) != slices.Contains(names, numbers[1]):
		return connectors.Invalid("fields", "`birthday_month` and `birthday_day` belong together; add the other one")
	}
	return nil
}
