package connectors

import (
	"fmt"
	"strings"
)

// Auth is the credential of a request. It is a closed set: the gateway adds it to the request immediately before sending
// (gateway/internal/outbound). A nil Auth sends the request without credentials.
type Auth interface{ auth() }

type (
	// BearerAuth is the header `Authorization: Bearer …`.
	BearerAuth struct{ Token Secret }
	// BasicAuth is the header `Authorization: Basic …`.
	BasicAuth struct {
		User     string
		Password Secret
	}
	// BasicTokenAuth is the header `Authorization: Basic …` with a token as the user name, and no password.
	BasicTokenAuth struct{ Token Secret }
	// HeaderAuth is a product-specific header. Its value is the secret, with Scheme and a space before it if there is a Scheme.
	HeaderAuth struct {
		Name   string
		Scheme string
		Value  Secret
	}
	// QueryAuth is a query parameter of the URL.
	QueryAuth struct {
		Name  string
		Value Secret
	}
	// BodyFieldAuth is a top-level field of the JSON body.
	BodyFieldAuth struct {
		Name  string
		Value Secret
	}
	// AddressAuth is a URL that is itself the secret.
	AddressAuth struct{ URL Secret }
	// SignedAuth is a signature over the bytes that are sent.
	SignedAuth struct {
		Signature Signature
		// Secrets hold one secret, or two during a rotation, newest first.
		Secrets []Secret
		// Event and EventID are the platform's name and id of the event, or the gateway's where the platform sent none.
		// The `chattosurvey` style sends both as headers.
		Event   string
		EventID string
	}
)

func (BearerAuth) auth()     {}
func (BasicAuth) auth()      {}
func (BasicTokenAuth) auth() {}
func (HeaderAuth) auth()     {}
func (QueryAuth) auth()      {}
func (BodyFieldAuth) auth()  {}
func (AddressAuth) auth()    {}
func (SignedAuth) auth()     {}

// Bearer returns the credential `Authorization: Bearer TOKEN`.
func Bearer(token Secret) Auth { return BearerAuth{token} }

// Basic returns the credential `Authorization: Basic …`.
func Basic(user string, password Secret) Auth { return BasicAuth{user, password} }

// BasicToken returns the credential `Authorization: Basic …` with a token as the user name, and no password.
func BasicToken(token Secret) Auth { return BasicTokenAuth{token} }

// Header returns a credential that is sent in the header name.
func Header(name string, value Secret) Auth { return HeaderAuth{Name: name, Value: value} }

// Authorization returns the credential `Authorization: SCHEME TOKEN`, for a product with a scheme of its own.
func Authorization(scheme string, token Secret) Auth {
	return HeaderAuth{Name: "Authorization", Scheme: scheme, Value: token}
}

// Query returns a credential that is sent as the query parameter name.
func Query(name string, value Secret) Auth { return QueryAuth{name, value} }

// BodyField returns a credential that is sent as the top-level field name of the JSON body.
func BodyField(name string, v Secret) Auth { return BodyFieldAuth{name, v} }

// Address returns a URL that is itself the credential. Request.URL must be empty.
func Address(url Secret) Auth { return AddressAuth{url} }

// Signature is a signature style: one of SignatureStyles, or a custom one that is described by the other fields. The zero
// value means `standard`.
type Signature struct {
	// Style is the name of the style; empty for a custom one.
	Style string `yaml:"-"`
	// Header is the name of the header that carries the signature.
	Header string `yaml:"header"`
	// Value is the header's value, with the placeholders {signature}, {timestamp} and {id}.
	Value string `yaml:"value,omitempty"`
	// Signed is the text that is signed, with the placeholders {id}, {timestamp} and {body}.
	Signed string `yaml:"signed,omitempty"`
	// Hash is sha1, sha256 or sha512.
	Hash string `yaml:"hash,omitempty"`
	// Encoding is hex or base64.
	Encoding string `yaml:"encoding,omitempty"`
}

// SignatureStyles lists the named styles. `standard` is Standard Webhooks: https://www.standardwebhooks.com
var SignatureStyles = []string{"standard", "ed25519", "pollqr", "popsee", "chattosurvey", "github", "stripe", "none"}

// UnmarshalText accepts the name of a style.
func (s *Signature) UnmarshalText(b []byte) error {
	for _, name := range SignatureStyles {
		if name == string(b) {
			*s = Signature{Style: name}
			return nil
		}
	}
	return fmt.Errorf("`%s` is no signature style; one of %s, or one's own with header, value, signed, hash, encoding",
		b, strings.Join(SignatureStyles, ", "))
}

// IsZero reports whether no style was set, which means `standard`.
func (s Signature) IsZero() bool { return s == Signature{} }

// Unsigned reports whether the style signs nothing: `none`, and `chattosurvey`, which only adds headers.
func (s Signature) Unsigned() bool { return s.Style == "none" || s.Style == "chattosurvey" }
