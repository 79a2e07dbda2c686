package offline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
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
				for _, ev := range events {
					sent, why := play(plan, r, ev)
					result.Got = append(result.Got, sent...)
					result.Why = append(result.Why, why...)
				}
				result.Passed = slices.Equal(sorted(result.Want), sorted(result.Got))
			}
			if result.Want == nil {
				result.Want = []string{}
			}
			results = append(results, result)
		}
	}
	return results, nil
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// given returns the events of a test: one in surveygate's own format, or those of a platform's body.
func given(c *config.Config, r *config.Rule, t config.Test) ([]*event.Event, error) {
	now := clock.System().Now().UTC()
	tenant := r.Tenant
	if tenant == rules.AllTenants {
		tenant = firstTenant(r)
	}
	if t.File == "" {
		body, err := withType(t.Given, r)
		if err != nil {
			return nil, err
		}
		ev, err := event.ParseOne(body, event.Defaults{Tenant: tenant, Source: "api", Received: now, Verified: "token", Notices: true})
		if err != nil {
			return nil, fmt.Errorf("given: %w", err)
		}
		return []*event.Event{ev}, nil
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

// withType adds the type to an event that has none: the type that the rule subscribes to.
func withType(given []byte, r *config.Rule) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(given, &members); err != nil {
		return nil, fmt.Errorf("given: %w", err)
	}
	if _, found := members["type"]; found {
		return given, nil
	}
	kind := event.TypeResponseCompleted
	if events := r.Match.Events; len(events) > 0 && !slices.Contains(events, kind) && event.IsCanonical(events[0]) {
		kind = events[0]
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"type":%q`, kind)
	if len(members) > 0 {
		b.WriteByte(',')
	}
	b.Write(bytes.TrimPrefix(bytes.TrimSpace(given), []byte("{")))
	return b.Bytes(), nil
}

// firstTenant returns the first tenant in which a rule of all tenants sends, by name.
func firstTenant(r *config.Rule) string {
	var all []string
	for _, s := range r.Steps {
		all = slices.AppendSeq(all, maps.Keys(s.Build))
	}
	if len(all) == 0 {
		return config.DefaultTenant
	}
	return slices.Min(all)
}

// play returns the steps that a rule sends for an event, and why others are not sent.
func play(plan *decide.Plan, r *config.Rule, ev *event.Event) (sent, why []string) {
	d := plan.Decide(ev, ev.Received)
	matched := false
	for _, o := range d.Rules {
		if o.Origin.Name == r.Name && o.Origin.Kind == decide.OriginOf(r).Kind {
			matched = o.Err == ""
			if o.Err != "" {
				why = append(why, "the rule failed: "+o.Err)
			}
		}
	}
	if !matched {
		for _, e := range plan.Explain(ev) {
			if e.Rule == r.Match {
				why = append(why, "no match: "+e.Why)
			}
		}
		return nil, why
	}
	for _, owed := range d.Owed {
		if owed.Delivery.Origin != decide.OriginOf(r) {
			continue
		}
		_, err := owed.Build.Build(ev.WithBudget(nil))
		var skip *connectors.Skipped
		switch {
		case errors.As(err, &skip):
			why = append(why, owed.Delivery.Step+" is skipped: "+skip.Reason)
		case err != nil:
			why = append(why, owed.Delivery.Step+" cannot be built: "+err.Error())
		default:
			sent = append(sent, owed.Delivery.Step)
		}
	}
	return sent, why
}
