package amplitude

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
)

// Region is where the data of a project lives.
type Region string

// The regions. https://amplitude.com/docs/apis/analytics/http-v2
const (
	US Region = "us"
	EU Region = "eu"
)

var hosts = map[Region]string{US: "https://api2.amplitude.com", EU: "https://api.eu.amplitude.com"}

// Words returns the names of the regions.
func (Region) Words() []string { return []string{string(US), string(EU)} }

// UnmarshalText accepts the name of a region.
func (r *Region) UnmarshalText(b []byte) error {
	if *r = Region(b); hosts[*r] == "" {
		return fmt.Errorf("`%s` is no region; one of us, eu", b)
	}
	return nil
}

// Validate requires a name that Amplitude does not use for itself.
// https://amplitude.com/docs/apis/analytics/http-v2
func (c *Connector) Validate() error {
	switch {
	case strings.TrimSpace(c.Event) == "":
		return connectors.Invalid("event", "is empty")
	case strings.HasPrefix(c.Event, "$"), strings.HasPrefix(c.Event, "[Amplitude]"):
		return connectors.Invalid("event", "begins with `$` or `[Amplitude]`, as Amplitude's own events do; choose another name")
	case utf8.RuneCountInString(c.Event) > maxText:
		return connectors.Invalid("event", fmt.Sprintf("is longer than the %d characters that Amplitude takes", maxText))
	}
	return nil
}
