package offline

import (
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/rules/expression"
)

// Coverage says what the tests of a configuration try: of each rule and webhook whether a test matches it and one refuses it, and of each
// part of its condition whether it is true in one test and false in another. Inline tests try their own rule, and transcripts all rules
// of their tenant. Disabled rules are left out.
type Coverage struct {
	// Rules is the number of rules and webhooks, and Tested of those that are matched and refused; one without a condition cannot be refused.
	Rules  int `json:"rules"`
	Tested int `json:"tested"`
	// Parts is the number of parts of their conditions, and Decided of those that are true in one test and false in another.
	Parts   int `json:"parts"`
	Decided int `json:"decided"`
	// Percent is the share of Tested and Decided in Rules and Parts, rounded down; 100 where there is nothing to test.
	Percent int            `json:"percent"`
	Each    []RuleCoverage `json:"each"`
}

// RuleCoverage is the coverage of one rule or webhook.
type RuleCoverage struct {
	Kind   string `json:"kind"` // rule or webhook
	Name   string `json:"name"`
	Tenant string `json:"tenant"`
	// At is the position of the rule: file:line:column.
	At   string `json:"at"`
	When string `json:"when,omitempty"`
	// Asked says that the rule was asked in any test, Matched that it matched in one, and Refused that it did not in another.
	Asked   bool           `json:"asked"`
	Matched bool           `json:"matched"`
	Refused bool           `json:"refused"`
	Parts   []PartCoverage `json:"parts"`
}

// PartCoverage is the coverage of a part of a condition.
type PartCoverage struct {
	Text string `json:"text"`
	// From is its position in the condition, in bytes from 0.
	From int `json:"from"`
	// True and False say that it was so in any test that got to it.
	True  bool `json:"true"`
	False bool `json:"false"`
}

// BothWays reports whether a test matches the rule and one refuses it, if it can be refused.
func (r *RuleCoverage) BothWays() bool { return r.Matched && (r.Refused || r.When == "") }

// BothWays reports whether the part is true in one test and false in another.
func (p *PartCoverage) BothWays() bool { return p.True && p.False }

// newCoverage returns the coverage of a configuration without tests, and the place of each rule in it.
func newCoverage(c *config.Config) (cover *Coverage, at map[*config.Rule]*RuleCoverage) {
	cover, at = &Coverage{Each: []RuleCoverage{}}, map[*config.Rule]*RuleCoverage{}
	var enabled []*config.Rule
	for _, r := range c.Rules {
		if r.Match.Disabled {
			continue
		}
		one := RuleCoverage{Kind: r.Match.Kind.String(), Name: r.Name, Tenant: r.Tenant, At: r.At.String(), Parts: []PartCoverage{}}
		if !r.Match.When.IsZero() {
			one.When = r.Match.When.String()
		}
		for _, clause := range r.Match.When.Clauses() {
			one.Parts = append(one.Parts, PartCoverage{Text: clause.Text, From: clause.From})
		}
		cover.Each, enabled = append(cover.Each, one), append(enabled, r)
	}
	for i, r := range enabled {
		at[r] = &cover.Each[i]
	}
	return cover, at
}

// cover adds the conditions that a test asked.
func (t *tester) cover(asked []decide.Asked) {
	for _, a := range asked {
		r := t.covered[a.Rule]
		if r == nil {
			continue
		}
		whole, parts, err := a.Rule.Match.When.Decide(a.Event)
		if err != nil {
			continue // it takes too much work: the test says so
		}
		r.Asked = true
		r.Matched = r.Matched || whole == expression.True
		r.Refused = r.Refused || whole != expression.True
		for i, truth := range parts {
			r.Parts[i].True = r.Parts[i].True || truth == expression.True
			r.Parts[i].False = r.Parts[i].False || truth == expression.False
		}
	}
}

// count sets the totals.
func (c *Coverage) count() {
	for i := range c.Each {
		r := &c.Each[i]
		c.Rules++
		if r.BothWays() {
			c.Tested++
		}
		for j := range r.Parts {
			c.Parts++
			if r.Parts[j].BothWays() {
				c.Decided++
			}
		}
	}
	c.Percent = 100
	if all := c.Rules + c.Parts; all > 0 {
		c.Percent = 100 * (c.Tested + c.Decided) / all
	}
}
