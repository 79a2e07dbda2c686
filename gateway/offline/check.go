package offline

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
)

// Fault is what is wrong at one place of a configuration, and what to do about it.
type Fault = document.Fault

// FaultsOf are the faults in an error of Check, in the order of files and lines. An error of another kind, as of a file that
// is not there, is one fault without a place.
func FaultsOf(err error) []Fault {
	if faults, ok := errors.AsType[document.Faults](err); ok {
		return faults.Sorted()
	}
	return []Fault{{Message: err.Error()}}
}

// Report is what `check` found in a configuration without faults.
type Report struct {
	// Faults is empty: it has its place for readers of JSON, who find those of a configuration with faults there.
	Faults     []Fault `json:"faults"`
	Generation string  `json:"generation"`
	// Engine is what would keep the state.
	Engine       config.Engine      `json:"engine"`
	Sources      []config.SourceURL `json:"sources"`
	Destinations int                `json:"destinations"`
	Rules        int                `json:"rules"`
	Warnings     []Fault            `json:"warnings"`
	// Connections are those that were proved, with --live.
	Connections []Connection `json:"connections,omitempty"`
}

// Check loads a configuration and says what it is; every fault it has is the error, all at once. The URLs to paste are
// whole, path tokens included: whoever may read the file may know them. Base is how the
// gateway is reached from outside, such as https://surveys.example.com; empty is where it listens.
func Check(o Options, base string) (*Report, error) {
	c, err := o.load(false)
	if err != nil {
		return nil, err
	}
	if base == "" {
		base = "http://" + cmp.Or(c.Listen, config.DefaultListen)
	} else if u, err := url.Parse(base); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("--url %q is no URL such as https://surveys.example.com", base)
	}
	base = strings.TrimRight(base, "/")
	r := &Report{
		Generation: c.Generation, Engine: c.Engine(), Sources: c.SourceURLs(base, true), Destinations: len(c.Destinations),
		Rules: rulesOf(c), Faults: []Fault{}, Warnings: append([]Fault{}, c.Warnings...),
	}
	return r, nil
}

// rulesOf is how many rules a configuration has. A webhook's own condition is one to the engine, and none to its author.
func rulesOf(c *config.Config) int {
	n := 0
	for _, r := range c.Rules {
		if r.Match.Kind == rules.RuleKind {
			n++
		}
	}
	return n
}
