package salesforce

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/expression"
)

// Org is a Salesforce org, the application that signs in to it, and the records that respondents are.
type Org struct {
	// Domain is the host of the org's My Domain: `acme.my.salesforce.com`, or `acme--test.sandbox.my.salesforce.com` for a sandbox.
	Domain string `yaml:"domain"`

	// ClientID is the consumer key of an External Client App whose OAuth scopes contain `api`.
	ClientID string `yaml:"client_id"`

	// ClientSecret is the consumer secret of the app, for its client credentials flow, which acts as the app's run-as user.
	ClientSecret connectors.Secret `yaml:"client_secret,omitempty"`

	// PrivateKey is the key (PEM) of the certificate that the app has for its JWT bearer flow. Write it instead of `client_secret`,
	// together with `username`.
	PrivateKey connectors.PrivateKey `yaml:"private_key,omitempty"`

	// Username is the user that the JWT bearer flow acts as, who must be pre-authorized for the app.
	Username string `yaml:"username,omitempty"`

	// Object is what a respondent is: a `Contact` (the default) or a `Lead`.
	Object Object `yaml:"object,omitempty"`

	// Key is the API name of the object's field that identifies a person: a Text field of yours that is marked as External ID and as
	// Unique, such as `SG_Key__c`, or `Email`, which also finds people whom the org knew before, but refuses an address that several
	// records have. It is filled with the e-mail address in lower case, unless `fields` has another value for it. Without `key` every
	// delivery creates a record.
	Key string `yaml:"key,omitempty"`

	// BaseURL is the address before `/services/…`, for proxies and tests. The default is `domain` for access tokens, and the
	// address that Salesforce names with a token for everything else.
	BaseURL connectors.BaseURL `yaml:"base_url,omitempty"`
}

// Object is what a respondent is in Salesforce.
type Object string

// The objects.
const (
	Contact Object = "Contact"
	Lead    Object = "Lead"
)

// Words returns the two words.
func (Object) Words() []string { return []string{string(Contact), string(Lead)} }

// UnmarshalText accepts one of the two words.
func (o *Object) UnmarshalText(b []byte) error {
	switch *o = Object(b); *o {
	case Contact, Lead:
		return nil
	}
	return fmt.Errorf("`%s` is not what a respondent can be; one of Contact, Lead", b)
}

// api is the path of the version that the requests were written for. Each version is supported for three years at least.
// https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/api_rest_eol.htm
const api = "/services/data/v67.0"

// at returns the URL of a path of the API. Without a base URL it is relative to the address that the token's answer names.
func (o *Org) at(path string) string { return o.BaseURL.At("", api+path) }

// auth returns the access token's source.
// https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_client_credentials_flow.htm
// https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_jwt_flow.htm
func (o *Org) auth() connectors.Auth {
	token := o.BaseURL.At("https://"+o.Domain, "/services/oauth2/token")
	if o.PrivateKey.IsZero() {
		return connectors.OAuth2{
			Grant: connectors.GrantClientCredentials, TokenURL: token, ClientID: o.ClientID, ClientSecret: o.ClientSecret,
		}
	}
	audience := "https://login.salesforce.com"
	if strings.Contains(o.Domain, ".sandbox.") {
		audience = "https://test.salesforce.com"
	}
	return connectors.OAuth2{
		Grant: connectors.GrantAssertion, TokenURL: token, PrivateKey: o.PrivateKey,
		Issuer: o.ClientID, Subject: o.Username, Audience: audience,
	}
}

// Concurrency is the number of long requests that a Developer org allows at once. Few parallel requests also keep the records that
// belong to the same account from locking each other.
// https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
func (o *Org) Concurrency() int { return 5 }

var (
	// myDomain matches the host of a My Domain; its middle part names the kind of the org: sandbox, develop, scratch.
	// https://help.salesforce.com/s/articleView?id=sf.domain_name_url_formats.htm
	myDomain = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*(\.[a-z]+)?\.my\.salesforce\.(com|mil)$`)
	apiName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,79}$`)
)

// validate checks that there is one way to sign in, and the form of the domain and the key.
func (o *Org) validate() error {
	const remedy = "write the host of My Domain (Setup, My Domain), such as `acme.my.salesforce.com`"
	switch host := strings.ToLower(o.Domain); {
	case strings.Contains(host, "://") || strings.Contains(host, "/"):
		return connectors.Invalid("domain", "is a URL; "+remedy+", without `https://` and without a path")
	case host == "login.salesforce.com" || host == "test.salesforce.com":
		return connectors.Invalid("domain", "`"+host+"` is shared by all orgs and refuses the client credentials flow; "+remedy)
	case strings.HasSuffix(host, ".lightning.force.com"):
		return connectors.Invalid("domain", "is the address of the web pages; "+remedy)
	case !myDomain.MatchString(o.Domain):
		return connectors.Invalid("domain", "is not the host of an org; "+remedy)
	case o.ClientSecret.IsZero() && o.PrivateKey.IsZero():
		return connectors.Invalid("client_secret", "is missing; write it, or `private_key` with `username`")
	case !o.ClientSecret.IsZero() && !o.PrivateKey.IsZero():
		return connectors.Invalid("private_key", "is a second way to sign in beside `client_secret`; remove one of them")
	case o.PrivateKey.IsZero() != (o.Username == ""):
		return connectors.Invalid("username", "belongs together with `private_key`; write both, or none of them and `client_secret`")
	}
	return validateKey("key", o.Key)
}

// validateKey checks a setting that names an External ID field.
func validateKey(setting, name string) error {
	if name != "" && (!apiName.MatchString(name) || strings.EqualFold(name, "Id")) {
		return connectors.Invalid(setting, "`"+name+"` is no API name of an External ID field, such as `SG_Key__c`")
	}
	return nil
}

// validateFields checks that fields have API names. Salesforce's own id cannot be written.
func validateFields(fields expression.Values) error {
	for _, name := range fields.Keys() {
		if !apiName.MatchString(name) || strings.EqualFold(name, "Id") || strings.EqualFold(name, "attributes") {
			return connectors.Invalid("fields", "`"+name+"` is no API name of a field that can be written; Setup, Object Manager shows it beside the label, such as `NPS_Score__c`")
		}
	}
	return nil
}
