package settings

import (
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// test returns the rules that are made or changed and whose own tests fail. A disabled rule is tested when it is enabled: so a rule can be
// disabled whatever its tests say, and one that is not finished can be kept.
func (b *Book) test(p *planned) (refused Refusals) {
	if p.how.Untested {
		return nil
	}
	var plan *decide.Plan
	for _, c := range p.changes {
		if c.would != WouldCreate && c.would != WouldUpdate || Kind(c.Name) != "rule" {
			continue
		}
		r := p.rule(c.Name)
		if r == nil || len(r.Tests) == 0 || r.Match.Disabled {
			continue
		}
		if plan == nil {
			plan = b.planOf(p.base).With(p.overlay)
		}
		var faults document.Faults
		now := b.Writer.Clock.Now().UTC()
		for i, t := range r.Tests {
			if msg := failure(plan, r, t, now); msg != "" {
				faults = append(faults, document.Fault{
					Position: t.At, Message: "this test of the rule fails: " + msg, Remedy: "change the test or the rule", Loc: []any{"tests", i},
				})
			}
		}
		if len(faults) > 0 {
			refused = append(refused, &FaultsError{c.Name, faults})
		}
	}
	return refused
}

// rule returns the rule of a document as it will be; nil if it does not compile.
func (p *planned) rule(name string) *config.Rule {
	for _, r := range p.overlay.Rules {
		if r.At.File == storeName(name) {
			return r
		}
	}
	return nil
}

// planOf returns the plan of a base, which is made once for each.
func (b *Book) planOf(base *config.Config) *decide.Plan {
	if plan := b.tested.Load(); plan != nil && plan.Config == base {
		return plan
	}
	plan := decide.New(base)
	b.tested.Store(plan)
	return plan
}

// RuleTest is one of a rule's own tests, and how it ended.
type RuleTest struct {
	config.Test
	// Failure says why it fails; empty: it does not.
	Failure string
}

// Play plays the own tests of a rule. Nothing is sent. Tests with the file of a platform are left out: files are played by the commands.
func Play(plan *decide.Plan, r *config.Rule, now time.Time) []RuleTest {
	var all []RuleTest
	for _, t := range r.Tests {
		if t.File == "" {
			all = append(all, RuleTest{t, failure(plan, r, t, now)})
		}
	}
	return all
}

// failure says why a test fails; empty: it does not.
func failure(plan *decide.Plan, r *config.Rule, t config.Test, now time.Time) (msg string) {
	defer func() {
		if recovered := recover(); recovered != nil {
			msg = "a connector failed unexpectedly"
		}
	}()
	events, err := decide.Given(r, t, now)
	if err != nil {
		return err.Error()
	}
	sent, notSent := plan.Play(r, events...)
	if decide.SameSteps(t.Expect, sent) {
		return ""
	}
	msg = fmt.Sprintf("it expects [%s], and [%s] would be sent", strings.Join(t.Expect, ", "), strings.Join(sent, ", "))
	if why := notSent(); len(why) > 0 {
		msg += " (" + strings.Join(why, "; ") + ")"
	}
	return msg
}
