package connectors

import (
	"fmt"
	"log/slog"
)

// Secret is text that cannot be printed: every verb, log, JSON and YAML shows [secret].
// The zero value is an absent secret. Only the rooms that send and sign may call Expose.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text: text} }

// Hidden is what stands wherever a secret would.
const Hidden = "[secret]"

func (s Secret) String() string               { return Hidden }
func (s Secret) GoString() string             { return Hidden }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(Hidden)) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(Hidden), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(Hidden) }

// UnmarshalText takes the text as it is.
func (s *Secret) UnmarshalText(b []byte) error { s.text = string(b); return nil }

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// Len is the length in bytes, for checks of strength.
func (s Secret) Len() int { return len(s.text) }

// Expose gives the text out. The linter allows it only where requests are sent, signed and verified.
func (s Secret) Expose() string { return s.text }

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
	// QueryAuth is parameters of the address.
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
	}
)

func (BearerAuth) auth()    {}
func (BasicAuth) auth()     {}
func (HeaderAuth) auth()    {}
func (QueryAuth) auth()     {}
func (BodyFieldAuth) auth() {}
func (AddressAuth) auth()   {}
func (SignedAuth) auth()    {}

func Bearer(token Secret) Auth                { return BearerAuth{token} }
func Basic(user string, password Secret) Auth { return BasicAuth{user, password} }
func Header(name string, value Secret) Auth   { return HeaderAuth{name, value} }
func Query(name string, value Secret) Auth    { return QueryAuth{name, value} }
func BodyField(name string, v Secret) Auth    { return BodyFieldAuth{name, v} }
func Address(url Secret) Auth                 { return AddressAuth{url} }

// Signature is a style of signing: a name (standard, ed25519, pollqr, popsee, chattosurvey, github,
// stripe, none), or one's own, spelt with the other fields. The zero value is `standard`.
type Signature struct {
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

// Signatures are the named styles.
var Signatures = []string{"standard", "ed25519", "pollqr", "popsee", "chattosurvey", "github", "stripe", "none"}

// UnmarshalText takes the name of a style.
func (s *Signature) UnmarshalText(b []byte) error {
	for _, name := range Signatures {
		if name == string(b) {
			*s = Signature{Style: name}
			return nil
		}
	}
	return fmt.Errorf("`%s` is no signature style; one of %v, or one's own with header, value, signed, hash, encoding", b, Signatures)
}
