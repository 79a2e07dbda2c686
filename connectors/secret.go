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

// Secret is a text that is never printed: every fmt verb, log, JSON and YAML shows [secret]. The zero value is an absent
// secret. Two secrets are equal (==) if their texts are.
//
// The text is stored behind a handle, because fmt cannot call methods on unexported fields: a Secret in an unexported field of
// another struct is printed as a pointer, not as its text.
type Secret struct{ text unique.Handle[string] }

// NewSecret returns a Secret of the text. Empty text gives the absent secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: unique.Make(text)}
}

// Hidden is the text that is shown in place of a secret.
const Hidden = "[secret]"

func (s Secret) String() string               { return Hidden }
func (s Secret) GoString() string             { return Hidden }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(Hidden)) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(Hidden), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(Hidden) }

// UnmarshalText accepts any text, unchanged.
func (s *Secret) UnmarshalText(b []byte) error { *s = NewSecret(string(b)); return nil }

// IsZero reports whether the secret is absent.
func (s Secret) IsZero() bool { return s == Secret{} }

// Len returns the length in bytes, for checks of strength.
func (s Secret) Len() int { return len(s.reveal()) }

// Expose returns the text. The linter allows calls only in the packages that send, sign and verify requests.
func (s Secret) Expose() string { return s.reveal() }

func (s Secret) reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.text.Value()
}

// regionSuffix matches the data centre at the end of an API key: us6, eu1, usw2.
var regionSuffix = regexp.MustCompile(`-([a-z]{2,3}[0-9]{1,3})$`)

// Region returns the data centre that an API key names after its last `-` (`…-us6`), or "" if it names none. This part of
// a key is not secret: it is part of the host name of every request.
// https://mailchimp.com/developer/marketing/docs/fundamentals/#api-structure
func (s Secret) Region() string {
	found := regionSuffix.FindStringSubmatch(s.reveal())
	if found == nil {
		return ""
	}
	return found[1]
}

// IsUnset reports whether the secret is a ${…} without a value, as in a configuration whose rules are tested without their secrets.
func (s Secret) IsUnset() bool {
	text := s.reveal()
	return strings.HasPrefix(text, "${") && strings.HasSuffix(text, "}")
}

// Host returns the host name of a secret that is an address, in lower case, or "" if it is none. The host is not secret: name
// servers and proxies see it.
func (s Secret) Host() string {
	u, err := url.Parse(s.reveal())
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// PathMatches reports whether a secret is an address whose path matches a pattern.
func (s Secret) PathMatches(pattern *regexp.Regexp) bool {
	u, err := url.Parse(s.reveal())
	return err == nil && pattern.MatchString(u.Path)
}

// WithQuery returns a secret that is an address with one more query parameter. name and value must need no escaping.
func (s Secret) WithQuery(name, value string) Secret {
	separator := "?"
	if strings.Contains(s.reveal(), "?") {
		separator = "&"
	}
	return NewSecret(s.reveal() + separator + name + "=" + value)
}

// WithoutQuery returns a secret that is an address without its query.
func (s Secret) WithoutQuery() Secret {
	address, _, _ := strings.Cut(s.reveal(), "?")
	return NewSecret(address)
}

// WithPath returns a secret that is an address with more segments at the end of its path. segments begins with `/` and must need no
// escaping.
func (s Secret) WithPath(segments string) Secret {
	path, query, found := strings.Cut(s.reveal(), "?")
	if path += segments; found {
		path += "?" + query
	}
	return NewSecret(path)
}

// IsBlank reports whether r is white space or invisible: a byte order mark or a zero-width space, which editors and web pages
// leave at the ends of a copied credential.
func IsBlank(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' }

// CheckSecret returns an error if a secret cannot be a credential: if it is empty, is not UTF-8, has white space at an end (it
// was copied with too much), or contains a control character (a header cannot carry a line break). A secret of bytes or several
// lines has to be written in base64 or hexadecimal, unless its type checks itself (PrivateKey, ServiceAccount). The error does not
// quote the secret.
func CheckSecret(s Secret) error {
	text := s.reveal()
	if isVisibleASCII(text) { // fast path: CheckSecret runs for every request
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

// isVisibleASCII reports whether text is not empty and contains only visible ASCII characters.
func isVisibleASCII(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' {
			return false
		}
	}
	return text != ""
}

// Matches reports whether the text has a form, such as that of a product's keys, for checks of a setting.
func (s Secret) Matches(form *regexp.Regexp) bool { return form.MatchString(s.reveal()) }

// CheckAddress returns an error if a secret is not a valid URL for an Address. The error does not quote the secret.
func CheckAddress(s Secret) error {
	u, err := url.Parse(s.reveal())
	if err != nil {
		return errNoURL // url.Error quotes the text
	}
	return checkURL(u)
}
