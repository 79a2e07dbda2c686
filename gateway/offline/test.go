package offline

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/files"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// TestOptions select a configuration and what is done with its tests.
type TestOptions struct {
	Options
	// Update writes what is sent into the transcripts whose expectation differs.
	Update bool
}

// TestResult is the result of one inline test of a rule, or of one transcript.
type TestResult struct {
	// Rule is empty for a transcript, and Transcript its file. Title is the first line of its comment.
	Rule       string `json:"rule"`
	Transcript string `json:"transcript,omitempty"`
	Title      string `json:"title,omitempty"`
	Tenant     string `json:"tenant"`
	// At is the position of the test: file:line:column; of a transcript that fails, that of the first line that differs: file:line.
	At     string `json:"at"`
	Passed bool   `json:"passed"`
	// Updated says that the transcript was written anew.
	Updated bool `json:"updated,omitempty"`
	// Want and Got are the steps that are sent, without skipped ones; of a transcript with the rule or webhook of each.
	Want []string `json:"want"`
	Got  []string `json:"got"`
	// Diff is how what is sent differs from what a transcript expects, line by line: `-` is expected only, `+` sent only.
	Diff string `json:"diff,omitempty"`
	// Why explains why a step was not sent, or why the rule did not match.
	Why []string `json:"why,omitempty"`
	// Error is why a transcript could not be played.
	Error string `json:"error,omitempty"`

	file string // of an inline test
}

// Tested are the results of all tests.
type Tested struct {
	Results  []TestResult `json:"tests"`
	Coverage *Coverage    `json:"coverage"`

	configured, played *files.Reader
}

// Failed returns the number of tests that failed.
func (t *Tested) Failed() (n int) {
	for i := range t.Results {
		if !t.Results[i].Passed {
			n++
		}
	}
	return n
}

// Changed returns a file that changed since it was read, or "": of the configuration, a transcript, or the body of a test.
func (t *Tested) Changed() string { return cmp.Or(t.configured.Changed(), t.played.Changed()) }

// tester runs the tests of one configuration.
type tester struct {
	plan    *decide.Plan
	files   *files.Reader
	update  bool
	covered map[*config.Rule]*RuleCoverage
}

// Test runs the inline tests of all rules, and the transcripts beside the configuration: in its folder, and in the folder `tests` there.
// Nothing is sent, and environment variables may be unset. Changed may be asked even if there is an error.
func Test(o TestOptions) (*Tested, error) {
	tested := &Tested{Results: []TestResult{}, configured: &files.Reader{}, played: &files.Reader{}}
	c, err := o.read(true, tested.configured)
	if err != nil {
		return tested, err
	}
	t := &tester{plan: decide.New(c), files: tested.played, update: o.Update}
	tested.Coverage, t.covered = newCoverage(c)
	for _, r := range c.Rules {
		for _, test := range r.Tests {
			tested.Results = append(tested.Results, t.inline(r, test))
		}
	}
	transcripts, err := t.transcripts(cmp.Or(o.Config, config.DefaultPath))
	if err != nil {
		return tested, err
	}
	tested.Results = append(tested.Results, transcripts...)
	tested.Coverage.count()
	return tested, nil
}

// inline plays an inline test of a rule.
func (t *tester) inline(r *config.Rule, test config.Test) TestResult {
	result := TestResult{Rule: r.Name, Tenant: r.Tenant, At: test.At.String(), file: test.At.File, Want: test.Expect, Got: []string{}}
	if result.Want == nil {
		result.Want = []string{}
	}
	events, err := t.given(r, test)
	if err != nil {
		result.Why = append(result.Why, err.Error())
		return result
	}
	played := t.plan.PlayRule(r, events...)
	t.cover(played.Asked)
	for _, s := range played.Sent {
		result.Got = append(result.Got, s.Step)
	}
	result.Why = played.NotSent()
	result.Passed = decide.SameSteps(result.Want, result.Got)
	return result
}

// given returns the events of a test: those in surveygate's own format, or those of a platform's body.
func (t *tester) given(r *config.Rule, test config.Test) ([]*event.Event, error) {
	now := clock.System().Now().UTC()
	if test.File == "" {
		return decide.Given(r, test, now)
	}
	path := test.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(test.At.File), path)
	}
	body, err := t.files.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("given: %w", err)
	}
	for _, s := range t.plan.Config.Sources {
		if s.Name == test.Source && (s.Tenant == r.Tenant || r.Tenant == rules.AllTenants && builtFor(r, s.Tenant)) {
			return normalise(s.Receiver, body, now)
		}
	}
	return nil, fmt.Errorf("given: there is no source `%s`", test.Source)
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
