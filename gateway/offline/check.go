package offline

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
)

// Fault is one problem of a configuration, with its position and a remedy.
type Fault = document.Fault

// FaultsOf returns the faults in an error of Check, sorted by file and line. Any other error, such as for a missing file, becomes one
// fault without a position.
func FaultsOf(err error) []Fault {
	if faults, ok := errors.AsType[document.Faults](err); ok {
		return faults.Sorted()
	}
	return []Fault{{Message: err.Error()}}
}

// Report describes a configuration without faults.
type Report struct {
	// Faults is always empty. It exists for readers of JSON, because the output for a faulty configuration has the same key.
	Faults     []Fault `json:"faults"`
	Generation string  `json:"generation"`
	// Engine is the configured storage engine.
	Engine       config.Engine      `json:"engine"`
	Sources      []config.SourceURL `json:"sources"`
	Destinations int                `json:"destinations"`
	Rules        int                `json:"rules"`
	// Console is the URL of the console; empty if there is none.
	Console  string  `json:"console,omitempty"`
	Warnings []Fault `json:"warnings"`
	// Connections are the results of --live.
	Connections []Connection `json:"connections,omitempty"`
}

// Check loads a configuration and describes it. The error contains all faults. The URLs of sources include path tokens, because the
// caller can read the file anyway. base is the gateway's public URL, such as https://surveys.example.com; empty uses
// `public_url`, else its listen address.
func Check(o Options, base string) (*Report, error) {
	c, err := o.check()
	if err != nil {
		return nil, err
	}
	if base == "" {
		base = cmp.Or(c.PublicURL, "http://"+cmp.Or(c.Listen, config.DefaultListen))
	} else if u, err := url.Parse(base); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("--url %q is not a URL such as https://surveys.example.com", base)
	}
	base = strings.TrimRight(base, "/")
	r := &Report{
		Generation: c.Generation, Engine: c.Engine(), Sources: c.SourceURLs(base, true), Destinations: len(c.Destinations),
		Rules: rulesOf(c), Faults: []Fault{}, Warnings: append([]Fault{}, c.Warnings...),
	}
	switch at := c.Console; {
	case at.Off:
	case at.Listen != "":
		r.Console = cmp.Or(at.PublicURL, "http://"+at.Listen) + "/console/"
	default:
		r.Console = base + "/console/"
	}
	return r, nil
}

// ChecksPage explains all warnings.
const ChecksPage = checks.Page

// ExplainCheck returns what a code of a warning means; false if there is no such code.
func ExplainCheck(code string) (checks.Check, bool) {
	return checks.Find(strings.ToUpper(code))
}

// rulesOf counts the rules of a configuration. Subscriptions of webhooks are rules internally and are not counted.
func rulesOf(c *config.Config) int {
	n := 0
	for _, r := range c.Rules {
		if r.Match.Kind == rules.RuleKind {
			n++
		}
	}
	return n
}

// CheckCodes returns the codes of all warnings, sorted.
func CheckCodes() []string { return checks.Codes() }
