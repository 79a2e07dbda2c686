package connectors

import (
	"net/url"
	"strings"
)

// URL is a complete address, such as a webhook's. The gateway decides at each request whether the address may be reached
// (gateway/internal/outbound).
//
// Many receivers (Zapier, Make, Teams) issue an address that is itself the credential. A URL that was written as ${…}, or that
// looks like such an address, is a secret: it prints as [secret], and only Secret returns its text.
//
// After the host it may contain {{ }} holes, which Fill fills for an event.
type URL struct {
	text     Secret
	secret   bool
	template *template // nil without holes
}

// NewURL parses an address as UnmarshalText does.
func NewURL(text string) (URL, error) {
	var u URL
	err := u.UnmarshalText([]byte(text))
	return u, err
}

// UnmarshalText accepts an absolute http or https address without user, password or fragment. After an error u.IsSecret is still
// valid: it is true for an address that looks like a credential or cannot be parsed, because the error message shows the line.
func (u *URL) UnmarshalText(b []byte) error {
	if hasHoles(string(b)) {
		return u.unmarshalTemplate(string(b))
	}
	parsed, err := parseURL(b)
	if err != nil {
		*u = URL{secret: parsed == nil || isCredential(parsed)}
		return err
	}
	*u = URL{text: NewSecret(parsed.String()), secret: isCredential(parsed)}
	return nil
}

func (u *URL) unmarshalTemplate(text string) error {
	*u = URL{text: NewSecret(text), secret: true} // until the address is parsed
	t, err := newTemplate(text)
	if err != nil {
		return err
	}
	parsed, err := parseURL([]byte(t.sample))
	if parsed != nil {
		u.secret = isCredential(parsed)
	}
	if err == nil {
		u.template = t
	}
	return err
}

// Referenced marks the address as a secret, because it was written as ${…}. If the reference has no value, text replaces it.
func (u *URL) Referenced(text string) {
	if u.secret = true; u.text.IsZero() {
		u.text = NewSecret(text)
	}
}

// IsSecret reports whether the address is itself a credential.
func (u URL) IsSecret() bool { return u.secret }

// IsZero reports whether there is no address.
func (u URL) IsZero() bool { return u.text.IsZero() }

// Secret returns the address, whether it is a secret or not.
func (u URL) Secret() Secret { return u.text }

// String returns the address, or [secret].
func (u URL) String() string {
	if u.secret {
		return Hidden
	}
	return u.text.reveal()
}

// GoString returns the same text as String.
func (u URL) GoString() string { return u.String() }

// MarshalText returns the same text as String.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// credentialHosts are services whose addresses are credentials, although their paths are too short to look like one.
var credentialHosts = []string{"hooks.zapier.com", "pipedream.net"}

// credentialNames are the names of query parameters that hold credentials.
var credentialNames = []string{"sig", "signature", "token", "access_token", "key", "api_key", "apikey", "code", "secret", "auth", "password"}

const (
	// minCredential is the length in bytes from which a path segment of letters and digits is more likely a key than a word.
	minCredential = 20
	// minParameter is the length in bytes from which the value of a parameter in credentialNames is treated as a credential.
	minParameter = 8
)

// isCredential reports whether an address looks like a credential.
func isCredential(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	for _, known := range credentialHosts {
		if host == known || strings.HasSuffix(host, "."+known) {
			return true
		}
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= minCredential && strings.ContainsAny(segment, "0123456789") && strings.ContainsFunc(segment, isLetter) &&
			!strings.ContainsFunc(segment, func(r rune) bool { return !isLetter(r) && !strings.ContainsRune("0123456789-_.~=@", r) }) {
			return true
		}
	}
	for name, values := range u.Query() {
		for _, known := range credentialNames {
			if strings.EqualFold(name, known) && len(values[0]) >= minParameter {
				return true
			}
		}
	}
	return false
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
