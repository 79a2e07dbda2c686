package connectors

import (
	"encoding"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/rules/expression"
)

// BaseURL is the `base_url` setting of an account: scheme, host and path prefix that replace the product's own, for proxies,
// sandboxes and tests. The zero value is the product's default.
type BaseURL string

// UnmarshalText accepts the same addresses as URL, without a query. It drops a slash at the end.
func (u *BaseURL) UnmarshalText(b []byte) error {
	parsed, err := parseURL(b)
	if err != nil {
		return err
	}
	if parsed.RawQuery != "" || parsed.ForceQuery {
		return errors.New("a base URL has no query (`?…`)")
	}
	*u = BaseURL(strings.TrimRight(parsed.String(), "/"))
	return nil
}

// At returns the URL of a path below the base. defaultBase is the product's own base, used when the setting is absent.
func (u BaseURL) At(defaultBase, path string) string {
	if u == "" {
		return defaultBase + path
	}
	return string(u) + path
}

var errNoURL = errors.New("is not a URL")

func parseURL(b []byte) (*url.URL, error) {
	u, err := url.Parse(string(b))
	if err != nil {
		return nil, errNoURL
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("a URL begins with https://")
	case u.Hostname() == "":
		return errors.New("the URL names no host")
	case u.User != nil:
		return errors.New("no user or password in a URL: they would be printed; use a header")
	case u.Fragment != "" || u.RawFragment != "":
		return errors.New("no fragment (`#…`) in a URL: it is never sent")
	}
	return CheckPort(u.Port())
}

// CheckPort returns an error if port is not a number from 1 to 65535. The empty string is valid: it is the scheme's port.
func CheckPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Errorf("`%s` is not a port; write a number from 1 to 65535", port)
	}
	return nil
}

// ValuesUnmarshaler is implemented by a setting that is written either as one word (UnmarshalText) or as a mapping of values.
// The configuration reader compiles the mapping and passes it to UnmarshalValues.
type ValuesUnmarshaler interface {
	encoding.TextUnmarshaler
	UnmarshalValues(values expression.Values) error
}

// Enum is implemented by a setting that accepts one of a fixed list of words. Pages and the JSON schema show the list.
type Enum interface{ Words() []string }

// CheckHeaderValue returns an error if a header cannot carry the value: an empty value, white space at an end, or a control
// character. The error does not quote the value.
func CheckHeaderValue(s Secret) error {
	text := s.reveal()
	switch {
	case strings.TrimFunc(text, IsBlank) == "":
		return errors.New("is empty")
	case strings.TrimFunc(text, IsBlank) != text:
		return errors.New("begins or ends with white space")
	case strings.ContainsFunc(text, isControl):
		return errControl
	}
	return nil
}

var errControl = errors.New("holds a line break or another control character")

// isControl reports whether a header value must not contain r.
// https://www.rfc-editor.org/rfc/rfc9110#name-field-values
func isControl(r rune) bool { return r != '\t' && r < ' ' || r == 0x7f }
