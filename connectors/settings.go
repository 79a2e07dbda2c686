package connectors

import (
	"encoding"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/expression"
)

// BaseURL is the `base_url` of an account: host and path before the product's own, for proxies, sandboxes
// and tests. The zero value is the product's default.
type BaseURL string

// UnmarshalText takes what URL takes, without a query; a slash at the end is dropped.
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

// At is the product's path below the base, or below the product's own base where none is set.
func (u BaseURL) At(product, path string) string {
	if u == "" {
		return product + path
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

// CheckPort says what is wrong with the port that a URL names; "" is the scheme's own.
func CheckPort(port string) error {
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Errorf("`%s` is not a port; write a number from 1 to 65535", port)
	}
	return nil
}

// ValuesUnmarshaler is a setting that is written either as one word (UnmarshalText) or as a mapping of
// values, which the reader of the configuration compiles and hands over.
type ValuesUnmarshaler interface {
	encoding.TextUnmarshaler
	UnmarshalValues(values expression.Values) error
}

// Enum is implemented by settings that are one of a few words, for pages and editors.
type Enum interface{ Words() []string }

// RateLimiter is implemented where the product publishes how often it may be called. It is the rate of a
// connection that sets none.
type RateLimiter interface {
	Rate() Rate
}

// ConcurrencyLimiter is implemented where the product takes fewer requests at once than is usual.
type ConcurrencyLimiter interface {
	// Concurrency is that of a connection that sets none.
	Concurrency() int
}

// Rate is at most Requests in each Per; the zero value is no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// String is the rate as `rate:` is written: `10/s`, `100/m`.
func (r Rate) String() string {
	switch {
	case r.Requests == 0:
		return "none"
	case r.Per == time.Second:
		return fmt.Sprintf("%d/s", r.Requests)
	case r.Per == time.Minute:
		return fmt.Sprintf("%d/m", r.Requests)
	}
	return fmt.Sprintf("%d/%s", r.Requests, r.Per)
}

// CheckHeaderValue says what is wrong with the value of a header, nil for a good one. It never quotes it.
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

// isControl reports whether no header may hold a character.
func isControl(r rune) bool { return r != '\t' && r < ' ' || r == 0x7f }
