package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The body and the answer of POST /v1/backtests.
type (
	// Backtest asks what rules would have done with stored events.
	Backtest = view.Backtest
	// Backtested is the answer.
	Backtested = view.Backtested
	// BacktestedRule is what one rule would have done, BacktestedStep one of its steps, BacktestSample one of its deliveries.
	BacktestedRule = view.BacktestedRule
	BacktestedStep = view.BacktestedStep
	BacktestSample = view.BacktestSample
	// BacktestProgress is how far a backtest has come.
	BacktestProgress = view.BacktestProgress
	// DayCount, HourCount and NameCount are counts in a Backtested.
	DayCount  = view.DayCount
	HourCount = view.HourCount
	NameCount = view.NameCount
)

// Backtest asks what rules would have done with stored events. Nothing is sent or kept. progress, which may be nil, is called now and
// then.
func (c *Client) Backtest(ctx context.Context, b Backtest, progress func(*BacktestProgress)) (*Backtested, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	result := &Backtested{}
	call := Call{Method: http.MethodPost, Path: "/v1/backtests", Body: body, ContentType: "application/json"}
	return result, c.work(ctx, call, func(text []byte) error {
		if progress == nil {
			return nil
		}
		p := &BacktestProgress{}
		if err := json.Unmarshal(text, p); err != nil {
			return c.notUnderstood(err)
		}
		progress(p)
		return nil
	}, result)
}

// ReadBacktested reads a saved answer; ok is false for anything else.
func ReadBacktested(text []byte) (b *Backtested, ok bool) { return view.ReadBacktested(text) }

// ExplainedSample returns the explanation of a sample, whose text can be printed.
func ExplainedSample(r *BacktestedRule, s *BacktestSample) *Explanation {
	rule := view.ExplainedRule{Kind: state.OriginKind(r.Kind), Name: r.Rule, Matched: true, Why: s.Why, Parts: s.Parts}
	step := view.ExplainedStep{Name: s.Step, Destination: s.Step, Note: s.Note, Request: s.Text}
	for _, each := range r.Steps {
		if each.Step == s.Step {
			step.Destination, step.Connector = each.Destination, each.Connector
		}
	}
	rule.Steps = []view.ExplainedStep{step}
	return &explain.Explanation{Explanation: view.Explanation{Rules: []view.ExplainedRule{rule}}}
}

// Backtest returns the documents of a text in the form of a configuration file that a backtest needs: the rules with names, or all rules
// without names, and the connections and webhooks that they send to. What else a configuration has is left out, as are the rules' own
// tests. tenant leaves out what belongs to another one, and what says no tenant where tenant has its own of that name; empty leaves out
// nothing.
func (d *Draft) Backtest(names []string, tenant string) (*TrialDraft, error) {
	all := map[string]map[string]json.RawMessage{}
	needed := map[string]bool{}
	for _, name := range names { // a webhook may be named too
		needed[name] = true
	}
	var known []string
	for _, kind := range []string{"rules", "webhooks", "connections"} { // rules first: they say what else is needed
		kept := map[string]json.RawMessage{}
		for _, item := range ofTenant(namedIn(d.node.Escaped().Key(kind)), tenant) {
			if kind == "rules" {
				known = append(known, item.name.Text)
			}
			if kind == "rules" && len(names) > 0 && !slices.Contains(names, item.name.Text) || kind != "rules" && !needed[item.name.Text] {
				continue
			}
			if _, twice := kept[item.name.Text]; twice {
				return nil, d.node.Guarded(document.Faults{item.name.Fault("`"+item.name.Text+"` is there twice", "keep one, or say whose: --tenant TENANT")})
			}
			if kind == "rules" {
				sendsTo(item.node.Key("send"), needed)
			}
			kept[item.name.Text] = item.node.With(func(key string) bool {
				return key != "name" && key != "tenant" && (kind != "rules" || key != "tests")
			}).JSON()
		}
		all[kind] = kept
	}
	for _, name := range names {
		if all["rules"][name] == nil && all["webhooks"][name] == nil {
			message := d.node.At.File + " has no rule `" + name + "`"
			if near := document.DidYouMean(name, known); near != "" {
				message += "; " + near
			}
			return nil, errors.New(message)
		}
	}
	if len(names) == 0 && len(all["rules"]) == 0 {
		return nil, errors.New(d.node.At.File + " has no rules: write rules:, as in a configuration, or ask one that runs: --rule NAME")
	}
	return &TrialDraft{Rules: all["rules"], Connections: all["connections"], Webhooks: all["webhooks"]}, nil
}

// namedNode is a document in a text, with where its name is.
type namedNode struct{ name, node *document.Node }

// namedIn returns the documents of a kind, which is a mapping by name, or a list of documents with a name.
func namedIn(kind *document.Node) (all []namedNode) {
	if kind == nil {
		return nil
	}
	for _, p := range kind.Pairs {
		all = append(all, namedNode{p.Key, p.Value})
	}
	for _, item := range kind.Items {
		if name := item.Key("name"); name != nil && name.Kind == document.Scalar {
			all = append(all, namedNode{name, item})
		}
	}
	return all
}

// ofTenant returns the documents that a tenant may have: of several with one name, those that name it.
func ofTenant(all []namedNode, tenant string) (kept []namedNode) {
	own := map[string]bool{}
	for _, item := range all {
		if of := item.node.Key("tenant"); of != nil && tenant != "" && of.Text == tenant {
			own[item.name.Text] = true
		}
	}
	for _, item := range all {
		of := item.node.Key("tenant")
		foreign := of != nil && tenant != "" && of.Text != tenant && of.Text != "*"
		if item.node.Kind == document.Mapping && !foreign && (of != nil || !own[item.name.Text]) {
			kept = append(kept, item)
		}
	}
	return kept
}

// sendsTo adds the names of the destinations in a rule's `send`, which is a list of names, or of mappings with a name as a key.
func sendsTo(send *document.Node, names map[string]bool) {
	if send == nil {
		return
	}
	add := func(text string) {
		name, _, _ := strings.Cut(text, ".") // behind it is an action
		names[name] = true
	}
	add(send.Text)
	for _, item := range send.Items {
		add(item.Text)
		for _, p := range item.Pairs {
			add(p.Key.Text)
		}
	}
}
