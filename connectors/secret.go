package connectors

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
	"unique"
)

// Secret is text that cannot be printed: every verb, log, JSON and YAML shows [secret].
// The zero value is an absent secret, and two secrets are equal when their texts are. Only the rooms that
// send, sign and verify may call Expose.
//
// The text lies behind a handle, because fmt cannot call methods on unexported fields: a Secret inside
// somebody's private struct then prints as an address, not as its text.
type Secret struct{ text unique.Handle[string] }

// NewSecret wraps text; empty text is an absent secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: unique.Make(text)}
}

// Hidden is what stands wherever a secret would.
const Hidden = "[secret]"

func (s Secret) String() string               { return Hidden }
func (s Secret) GoString() string             { return Hidden }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(Hidden)) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(Hidden), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(Hidden) }

// UnmarshalText takes the text as it is.
func (s *Secret) UnmarshalText(b []byte) error { *s = NewSecret(string(b)); return nil }

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s == Secret{} }

// Len is the length in bytes, for checks of strength.
func (s Secret) Len() int { return len(s.reveal()) }

// Expose gives the text out. The linter allows it only where requests are sent, signed and verified.
func (s Secret) Expose() string { return s.reveal() }

func (s Secret) reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.text.Value()
}

// regionSuffix is a data centre as keys name theirs: us6, eu1, usw2.
var regionSuffix = regexp.MustCompile(`-([a-z]{2,3}[0-9]{1,3})$`)

// Region is the data centre that a key names behind its last `-` (`…-us6`); "" where it names none. That much of a
// key is no secret: it is part of the host that every request shows.
func (s Secret) Region() string {
	found := regionSuffix.FindStringSubmatch(s.reveal())
	if found == nil {
		return ""
	}
	return found[1]
}

// IsBlank reports whether a rune at an end of a credential is white space, or a mark that editors and web pages put there
// and nobody sees: a byte order mark, a space of no width.
func IsBlank(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' }

// CheckSecret says why a secret cannot be a credential, nil for one that can. No header carries a line break, and a
// product would compare white space with the rest: a secret that ends in one was copied with too much. A secret that is
// bytes or several lines is written in base64 or hexadecimal. The fault never quotes the secret.
func CheckSecret(s Secret) error {
	text := s.reveal()
	if graphic(text) { // as nearly all are: this is asked of every request
		return nil
	}
	switch {
	case strings.TrimFunc(text, IsBlank) == "":
		return errors.New("is empty")
	case !utf8.ValidString(text):
		return errors.New("is not text (UTF-8)")
	case strings.TrimFunc(text, IsBlank) != text:
		return errors.New("begins or ends with white space")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("holds a line break or another control character")
	}
	return nil
}

// graphic says that a text is not empty and holds nothing but visible ASCII.
func graphic(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' {
			return false
		}
	}
	return text != ""
}

// CheckAddress says what is wrong with a secret that is to be an Address; nil for a good one. The fault
// never quotes the secret.
func CheckAddress(s Secret) error {
	u, err := url.Parse(s.reveal())
	if err != nil {
		return errNoURL // url.Error quotes the text
	}
	return checkURL(u)
}
