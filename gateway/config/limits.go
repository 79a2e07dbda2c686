package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// Limits are the operator's limits for each tenant whose record has none of its own. Things that files define do not count.
type Limits struct {
	// Webhooks, Connections, Sources, Rules and Tokens are how many a tenant may have.
	Webhooks, Connections, Sources, Rules, Tokens int
	// EventsPerMinute is how many events a tenant may publish in a minute; 0: no limit.
	EventsPerMinute int
}

// defaultLimits are the limits when nothing is set.
func defaultLimits() Limits {
	return Limits{Webhooks: 100, Connections: 20, Sources: 50, Rules: 100, Tokens: 50}
}

// Portal is what links to the portal may ask for.
type Portal struct {
	// Origins are the pages that may show the portal in a frame.
	Origins []string
}

func (l *loader) limits(f *fileSettings) {
	into, s, node := &l.config.Limits, f.Limits, f.Node.Key("limits")
	for _, n := range []struct {
		name  string
		value *int
		into  *int
	}{
		{"webhooks", s.Webhooks, &into.Webhooks},
		{"connections", s.Connections, &into.Connections},
		{"sources", s.Sources, &into.Sources},
		{"rules", s.Rules, &into.Rules},
		{"tokens", s.Tokens, &into.Tokens},
		{"events_per_minute", s.EventsPerMinute, &into.EventsPerMinute},
	} {
		put(n.into, n.value)
		if at := node.Key(n.name); *n.into < 0 && at != nil && !at.Unset && !l.hasFault(at) {
			l.fault(at.Fault(fmt.Sprintf("`%s` is less than 0", n.name), "write a number; 0 allows none, and for events_per_minute 0 is no limit"))
		}
	}
}

func (l *loader) portal(f *fileSettings) {
	l.config.Portal = Portal{Origins: f.Portal.Origins}
	at := f.Node.Key("portal").Key("origins")
	if at == nil || at.Unset || l.hasFault(at) {
		return
	}
	if i := slices.IndexFunc(f.Portal.Origins, func(text string) bool { return !IsOrigin(text) }); i >= 0 && i < len(at.Items) {
		l.fault(at.Items[i].Fault("this is not an origin", "write it as https://app.example.com, without a path; http only for localhost"))
	}
}

// IsOrigin reports whether a text is the origin of a web page: https and a host in lower case, with or without a port. http is
// allowed for localhost.
func IsOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != text {
		return false
	}
	for i := range len(u.Host) {
		c := u.Host[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != ':' && c != '[' && c != ']' {
			return false
		}
	}
	host := u.Hostname()
	return host != "" && !strings.HasSuffix(u.Host, ":") && connectors.CheckPort(u.Port()) == nil && (u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1"))
}
