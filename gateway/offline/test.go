package offline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// TestResult is the result of one inline test of a rule.
type TestResult struct {
	Rule   string `json:"rule"`
	Tenant string `json:"tenant"`
	// At is the position of the test: file:line:column.
	At     string `json:"at"`
	Passed bool   `json:"passed"`
	// Want and Got are the steps that are sent, without skipped ones.
	Want []string `json:"want"`
	Got  []string `json:"got"`
	// Why explains why a step was not sent, or why the rule did not match.
	Why []string `json:"why,omitempty"`
}

// Test runs the inline tests of all rules. Environment variables may be unset.
func Test(o Options) ([]TestResult, error) {
	c, err := o.load(true)
	if err != nil {
		return nil, err
	}
	plan := decide.New(c)
	var results []TestResult
	for _, r := range c.Rules {
		for _, t := range r.Tests {
			result := TestResult{Rule: r.Name, Tenant: r.Tenant, At: t.At.String(), Want: t.Expect, Got: []string{}}
			events, err := given(c, r, t)
			if err != nil {
				result.Why = append(result.Why, err.Error())
			} else {
				sent, notSent := plan.Play(r, events...)
				result.Got = append(result.Got, sent...)
				result.Why = append(result.Why, notSent()...)
				result.Passed = decide.SameSteps(result.Want, result.Got)
			}
			if result.Want == nil {
				result.Want = []string{}
			}
			results = append(results, result)
		}
	}
	return results, nil
}

// given returns the events of a test: those in surveygate's own format, or those of a platform's body.
func given(c *config.Config, r *config.Rule, t config.Test) ([]*event.Event, error) {
	now := clock.System().Now().UTC()
	if t.File == "" {
		return decide.Given(r, t, now)
	}
	path := t.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(t.At.File), path)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("given: %w", err)
	}
	for _, s := range c.Sources {
		if s.Name == t.Source && (s.Tenant == r.Tenant || r.Tenant == rules.AllTenants && builtFor(r, s.Tenant)) {
			return normalise(s.Receiver, body, now)
		}
	}
	return nil, fmt.Errorf("given: there is no source `%s`", t.Source)
}

// builtFor reports whether a tenant has a destination of the rule.
func builtFor(r *config.Rule, tenant string) bool {
	return slices.ContainsFunc(r.Steps, func(s *config.Step) bool { return s.Build[tenant] != nil })
}

func normalise(s *source.Source, body []byte, now time.Time) ([]*event.Event, error) {
	return s.Normalise(&source.Request{
		Method: "POST", Body: body, ContentType: "application/json", Received: now, Verified: source.Verified{Kind: "token"},
	}, now)
}
