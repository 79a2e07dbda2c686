package connectors

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
)

// OAuth2 is an access token that the gateway fetches and sends as `Authorization: Bearer …`. Only the fields of its Grant are
// used.
//
// The gateway fetches one token per connection for all replicas, keeps it sealed in the store, renews it before it ends, and
// renews it once more before it accepts a `revoked` verdict. A token endpoint that cannot be reached gives `retry`; one that
// refuses the credentials gives `revoked`.
//
// A Request.URL that begins with `/` is relative to the address that the token's answer names (`instance_url`), an origin such as
// `https://acme.my.salesforce.com`.
type OAuth2 struct {
	Grant Grant
	// TokenURL is the token endpoint, an absolute URL.
	TokenURL string
	// Scopes are requested with the token; without any, the product chooses. GrantRefreshToken sends none: the refresh token has
	// those that a person agreed to.
	Scopes []string

	// ClientID and ClientSecret identify the application, for GrantClientCredentials and GrantRefreshToken.
	ClientID     string
	ClientSecret Secret
	// BasicAuth sends ClientID and ClientSecret in the header `Authorization: Basic …`, instead of in the form.
	BasicAuth bool

	// RefreshToken is the first refresh token, for GrantRefreshToken. The gateway keeps the newer ones that the product
	// issues. It may be absent: `surveygate token set CONNECTION` stores the first one then.
	RefreshToken Secret

	// PrivateKey signs the assertion (RS256), for GrantAssertion. KeyID is its id in the header of the JWT, and may be empty.
	PrivateKey PrivateKey
	KeyID      string
	// Issuer, Subject and Audience are the assertion's claims. An empty Subject is left out; an empty Audience is TokenURL.
	Issuer   string
	Subject  string
	Audience string
}

func (OAuth2) auth() {}

// Grant is the way to obtain an access token, as RFC 6749 and RFC 7523 name it.
type Grant string

// The grants are a closed set.
const (
	GrantClientCredentials Grant = "client_credentials"
	GrantRefreshToken      Grant = "refresh_token"
	GrantAssertion         Grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// PrivateKey is an RSA private key in PEM form, a secret of several lines. `\n` written out counts as a line break, because
// environment variables are often set that way.
type PrivateKey struct{ Secret }

// UnmarshalText accepts an RSA private key without a passphrase, in PKCS #8 or PKCS #1 form.
func (k *PrivateKey) UnmarshalText(b []byte) error {
	text := strings.ReplaceAll(strings.TrimSpace(string(b)), `\n`, "\n")
	if err := checkRSA(text); err != nil {
		return err
	}
	k.Secret = NewSecret(text + "\n")
	return nil
}

// checkRSA returns an error if text is not an RSA private key in PEM form. The error does not quote it.
func checkRSA(text string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("is not a private key in PEM form; " +
			"write ${file:/path}, or the whole content of the file, from `-----BEGIN PRIVATE KEY-----` to its `-----END …` line, with its line breaks")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return noRSA(block)
	}
	if _, ok := key.(*rsa.PrivateKey); !ok {
		return errors.New("is not an RSA key; create one, `openssl genrsa -out key.pem 2048`, because the assertion is signed with RS256")
	}
	return nil
}

// noRSA returns the error for a PEM block that holds something else.
func noRSA(block *pem.Block) error {
	switch {
	case strings.Contains(block.Type, "ENCRYPTED"), strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return errors.New("is a private key with a passphrase; remove the passphrase: `openssl pkey -in key.pem -out plain.pem`")
	case strings.Contains(block.Type, "CERTIFICATE"), strings.Contains(block.Type, "PUBLIC KEY"):
		return errors.New("is a certificate or a public key; give the file with the private key that belongs to it")
	case block.Type == "PRIVATE KEY", block.Type == "RSA PRIVATE KEY":
		return errors.New("is damaged or incomplete; give the whole file, from its `-----BEGIN …` line to its `-----END …` line")
	}
	return errors.New("is not an RSA key in PKCS #8 or PKCS #1 form; convert it, `openssl pkey -in key.pem -out plain.pem`, or create one, `openssl genrsa -out key.pem 2048`")
}

// ServiceAccount is the JSON key of a Google service account, a secret of several lines.
// https://cloud.google.com/iam/docs/keys-create-delete
type ServiceAccount struct {
	Secret
	email, project, keyID, tokenURI string
	key                             PrivateKey
}

// UnmarshalText accepts the content of the key file that Google's console offers for download.
func (a *ServiceAccount) UnmarshalText(b []byte) error {
	const remedy = "; write ${file:/path/key.json}, the key file of the service account, or a variable with the whole file, unchanged"
	var file struct {
		Type        string `json:"type"`
		ProjectID   string `json:"project_id"`
		KeyID       string `json:"private_key_id"`
		PrivateKey  string `json:"private_key"`
		ClientEmail string `json:"client_email"`
		TokenURI    string `json:"token_uri"`
	}
	switch err := json.Unmarshal(b, &file); {
	case err != nil:
		return errors.New("is not JSON" + remedy)
	case file.Type != "service_account":
		return errors.New("is not the key of a service account (its `type` differs)" + remedy)
	case file.ClientEmail == "" || file.TokenURI == "":
		return errors.New("has no `client_email` or no `token_uri`" + remedy)
	}
	parsed := ServiceAccount{
		Secret: NewSecret(string(b)), email: file.ClientEmail, project: file.ProjectID, keyID: file.KeyID, tokenURI: file.TokenURI,
	}
	if err := parsed.key.UnmarshalText([]byte(file.PrivateKey)); err != nil {
		return errors.New("has a `private_key` that cannot be read" + remedy)
	}
	*a = parsed
	return nil
}

// Project returns the project that the account belongs to; it may be empty.
func (a ServiceAccount) Project() string { return a.project }

// Email returns the account's name, such as `gateway@acme.iam.gserviceaccount.com`.
func (a ServiceAccount) Email() string { return a.email }

// OAuth2 returns the credential of the account for these scopes.
func (a ServiceAccount) OAuth2(scopes ...string) OAuth2 {
	return OAuth2{
		Grant: GrantAssertion, TokenURL: a.tokenURI, Scopes: scopes,
		PrivateKey: a.key, KeyID: a.keyID, Issuer: a.email,
	}
}
