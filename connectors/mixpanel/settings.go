package mixpanel

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
)

// Region is where the data of a project lives.
type Region string

// The regions. https://docs.mixpanel.com/reference/overview
const (
	US    Region = "us"
	EU    Region = "eu"
	India Region = "in"
)

var hosts = map[Region]string{US: "https://api.mixpanel.com", EU: "https://api-eu.mixpanel.com", India: "https://api-in.mixpanel.com"}

// Words returns the names of the regions.
func (Region) Words() []string { return []string{string(US), string(EU), string(India)} }

// UnmarshalText accepts the name of a region.
func (r *Region) UnmarshalText(b []byte) error {
	if *r = Region(b); hosts[*r] == "" {
		return fmt.Errorf("`%s` is no region; one of us, eu, in", b)
	}
	return nil
}

var projectID = regexp.MustCompile(`^[0-9]{1,20}$`)

// Validate requires one kind of credentials, and names that Mixpanel does not use for itself.
func (c *Connector) Validate() error {
	if err := c.validateCredentials(); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(c.Event) == "":
		return connectors.Invalid("event", "is empty")
	case strings.HasPrefix(c.Event, "$"):
		return connectors.Invalid("event", "begins with `$`, as Mixpanel's own events do; choose another name")
	case utf8.RuneCountInString(c.Event) > maxText:
		return connectors.Invalid("event", fmt.Sprintf("is longer than the %d characters that Mixpanel takes", maxText))
	}
	for _, name := range c.Properties.Keys() {
		if slices.Contains(reserved, name) {
			return connectors.Invalid("properties", "`"+name+"` is always sent, and cannot be replaced; choose another name")
		}
	}
	return nil
}

func (a *Account) validateCredentials() error {
	account := a.ServiceAccount != "" || !a.Secret.IsZero() || a.Project != ""
	complete := a.ServiceAccount != "" && !a.Secret.IsZero() && a.Project != ""
	switch {
	case a.Token.IsZero() && !account:
		return connectors.Invalid("token", "is missing; write the project's token, or `service_account`, `secret` and `project`")
	case !a.Token.IsZero() && account:
		return connectors.Invalid("token", "cannot be set beside a service account; leave one of them out")
	case account && !complete:
		return connectors.Invalid("service_account", "is incomplete; a service account needs `service_account`, `secret` and `project`")
	case account && !projectID.MatchString(a.Project):
		return connectors.Invalid("project", "is not a project's id; the project's settings show it, a number")
	}
	return nil
}
