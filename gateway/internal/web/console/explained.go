package console

import (
	"cmp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// explainedRule is a rule or webhook with what it said about an event.
type explainedRule struct {
	view.ExplainedRule
	// State is the answer in a word: matched, failed, unknown or no.
	State string
	// Rows are the parts of the condition, without operands of their own.
	Rows []partRow
	// Say is why, where the rows do not show it.
	Say string
	// Steps takes the place of ExplainedRule's.
	Steps []explainedStep
	// Replay is the id of the event, where the visitor may replay it by this rule.
	Replay string
}

// partRow is a part of a condition that is true, false or unknown.
type partRow struct {
	Text string
	// Read is what it reads, with the values: `nps_score is 3`.
	Read string
	// Value is its result, Class how that looks.
	Value, Class string
	Depth        int
	// Decided marks the parts that the result comes from; NotAsked those that were not evaluated.
	Decided, NotAsked bool
}

// explainedStep is a step with what became of its delivery.
type explainedStep struct {
	view.ExplainedStep
	// Last is the newest attempt that is kept; nil: none.
	Last *view.ExplainedAttempt
}

// states of rules, in the order in which a page shows them.
var ruleStates = []string{"matched", "failed", "unknown", "no"}

// explainedRules returns the rules of an explanation, the ones that matched first.
func explainedRules(x *view.Explanation) []explainedRule {
	all := make([]explainedRule, len(x.Rules))
	for i := range x.Rules {
		all[i] = newExplainedRule(&x.Rules[i])
	}
	slices.SortStableFunc(all, func(a, b explainedRule) int {
		return cmp.Compare(slices.Index(ruleStates, a.State), slices.Index(ruleStates, b.State))
	})
	return all
}

func newExplainedRule(r *view.ExplainedRule) explainedRule {
	e := explainedRule{ExplainedRule: *r, State: "no", Rows: partRows(r.Parts)}
	switch {
	case r.Matched:
		e.State = "matched"
	case r.Error != "":
		e.State = "failed"
	case len(r.Missing) > 0, len(r.Faults) > 0, len(r.Parts) > 0 && r.Parts[0].Value == "unknown":
		e.State = "unknown"
	}
	if len(e.Rows) == 0 || r.Error != "" || len(r.Faults) > 0 {
		e.Say = r.Why
	}
	for i := range r.Steps {
		s := explainedStep{ExplainedStep: r.Steps[i]}
		if d := s.Delivery; d != nil && len(d.Log) > 0 {
			s.Last = &d.Log[len(d.Log)-1]
		}
		e.Steps = append(e.Steps, s)
	}
	return e
}

// partRows folds what a part reads into its row.
func partRows(parts []view.ConditionPart) []partRow {
	var rows []partRow
	var read []string
	for i := range parts {
		p := &parts[i]
		if p.Operand && len(rows) > 0 {
			read = append(read, readText(p))
			rows[len(rows)-1].Read = strings.Join(read, ", ")
			continue
		}
		read = nil
		row := partRow{Text: p.Text, Value: p.Value, Depth: min(p.Depth, 6), Decided: p.Decided, NotAsked: p.NotAsked}
		switch {
		case p.NotAsked:
			row.Value = "not asked"
		case p.Value == "true":
			row.Class = "yes"
		case p.Value == "false":
			row.Class = "no"
		default:
			row.Class = "unknown"
		}
		rows = append(rows, row)
	}
	if len(rows) < 2 {
		return rows
	}
	rows = rows[1:] // the whole condition and its result are in the rule's head
	for i := range rows {
		rows[i].Depth = max(0, rows[i].Depth-1)
	}
	return rows
}

// readText is a name with its value.
func readText(p *view.ConditionPart) string {
	if p.Value == "absent" || p.Value == "unknown" && !strings.ContainsAny(p.Text, "( ") {
		return p.Text + " is not there"
	}
	return p.Text + " is " + p.Value
}
