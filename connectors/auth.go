package connectors

import (
	"fmt"
	"strings"
)

// Auth is how a request is authorised. It is a closed set, put on by gateway/internal/outbound.
type Auth interface{ auth() }

type (
	// BearerAuth is `Authorization: Bearer …`.
	BearerAuth struct{ Token Secret }
	// BasicAuth is `Authorization: Basic …`.
	BasicAuth struct {
		User     string
		Password Secret
	}
	// HeaderAuth is a header of the product's own.
	HeaderAuth struct {
		Name  string
		Value Secret
	}
	// QueryAuth is a parameter of the address.
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
	// SignedAuth is a signature over the bytes sent; more than one secret while rotating, newest first.
	SignedAuth struct {
		Signature Signature
		Secrets   []Secret
		// Event is the platform's own name of the event, and EventID the platform's own id, else ours: the
		// chattosurvey style repeats both in its headers.
		Event   string
		EventID string
	}
)

func (BearerAuth) auth()    {}
func (BasicAuth) auth()     {}
func (HeaderAuth) auth()    {}
func (QueryAuth) auth()     {}
func (BodyFieldAuth) auth() {}
func (AddressAuth) auth()   {}
func (SignedAuth) auth()    {}

// Bearer is `Authorization: Bearer …`.
func Bearer(token Secret) Auth { return BearerAuth{token} }

// Basic is `Authorization: Basic …`.
func Basic(user string, password Secret) Auth { return BasicAuth{user, password} }

// Header is a header of the product's own.
func Header(name string, value Secret) Auth { return HeaderAuth{name, value} }

// Query is a parameter of the address.
func Query(name string, value Secret) Auth { return QueryAuth{name, value} }

// BodyField is a top-level field of the JSON body.
func BodyField(name string, v Secret) Auth { return BodyFieldAuth{name, v} }

// Address is a URL that is itself the secret; the request's own URL stays empty.
func Address(url Secret) Auth { return AddressAuth{url} }

// Signature is a style of signing: a name (standard, ed25519, pollqr, popsee, chattosurvey, github,
// stripe, none), or one's own, spelt with the other fields. The zero value is `standard`.
type Signature struct {
	// Style is the name; it is empty for one's own.
	Style string `yaml:"-"`
	// Header carries the signature.
	Header string `yaml:"header"`
	// Value is the header's text with {signature}, {timestamp} and {id}.
	Value string `yaml:"value,omitempty"`
	// Signed is what is signed: a text with {id}, {timestamp} and {body}.
	Signed string `yaml:"signed,omitempty"`
	// Hash is sha1, sha256 or sha512.
	Hash string `yaml:"hash,omitempty"`
	// Encoding is hex or base64.
	Encoding string `yaml:"encoding,omitempty"`
}

// SignatureStyles are the named styles.
var SignatureStyles = []string{"standard", "ed25519", "pollqr", "popsee", "chattosurvey", "github", "stripe", "none"}

// UnmarshalText takes the name of a style.
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

// IsZero says that nothing was written, which stands for `standard`.
func (s Signature) IsZero() bool { return s == Signature{} }

// Unsigned says that the style signs nothing: `none`, and `chattosurvey`, which only adds headers.
func (s Signature) Unsigned() bool { return s.Style == "none" || s.Style == "chattosurvey" }
