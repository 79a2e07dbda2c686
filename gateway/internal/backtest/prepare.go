package backtest

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/scan"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// InvalidError says what is wrong with what was asked. Loc leads to it.
type InvalidError struct {
	Loc     []string
	Problem string
}

func (e *InvalidError) Error() string { return strings.Join(e.Loc, ".") + ": " + e.Problem }

// NoRuleError means that there is no rule of a name; Names are those that there are.
type NoRuleError struct {
	Name  string
	Names []string
	// Draft: it was looked for in the draft.
	Draft bool
}

func (e *NoRuleError) Error() string { return "there is no rule `" + e.Name + "`" }

// Prepare checks what is asked, and compiles it. Errors are InvalidError, NoRuleError and those of settings.Book.Try.
func (b *Backtester) Prepare(ctx context.Context, ask Ask) (*Run, error) {
	if len(ask.Rules) > maxNamed {
		return nil, tooMany(len(ask.Rules))
	}
	ask.Rules = compact(ask.Rules)
	switch {
	case ask.Limit < 0 || ask.Limit > MaxLimit:
		return nil, &InvalidError{[]string{"limit"}, "this is 1 to " + strconv.Itoa(MaxLimit)}
	case !ask.Since.Before(ask.Until):
		return nil, &InvalidError{[]string{"since"}, "`since` is not before `until`"}
	case len(ask.Rules) == 0 && len(ask.Draft) == 0:
		return nil, &InvalidError{[]string{"rules"}, "name one to " + strconv.Itoa(MaxRules) + " rules"}
	}
	if ask.Limit == 0 {
		ask.Limit = DefaultLimit
	}
	r := &Run{
		ask: ask, store: b.Store, scanner: scan.Scanner{Store: b.Store, Clock: b.Clock, Quiet: b.Quiet}, now: b.Now().UTC(),
		types: map[string]int{}, seed: maphash.MakeSeed(),
		once: onceKeys{told: map[uint64]struct{}{}, most: maxOnce}, whole: wholes{asked: map[uint64]int{}, most: maxWhole},
	}
	plan, err := b.Plan(), error(nil)
	if len(ask.Draft) > 0 {
		plan, err = b.draft(ctx, r, plan)
	} else {
		err = r.running(plan)
	}
	if err != nil {
		return nil, err
	}
	rules := make([]*config.Rule, len(r.tallies))
	for i, t := range r.tallies {
		rules[i] = t.rule
	}
	r.plan = plan.Asking(ask.Tenant, rules...)
	return r, nil
}

// compact returns names without repetitions, in their order.
func compact(names []string) (all []string) {
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func tooMany(n int) error {
	return &InvalidError{[]string{"rules"}, fmt.Sprintf("at most %d rules are asked at once, and these are %d: name those that count", MaxRules, n)}
}

// running finds the rules that run.
func (r *Run) running(plan *decide.Plan) error {
	if len(r.ask.Rules) > MaxRules {
		return tooMany(len(r.ask.Rules))
	}
	all := plan.Rules(r.ask.Tenant)
	for _, name := range r.ask.Rules {
		rule := plan.Named(r.ask.Tenant, name)
		if rule == nil {
			names := make([]string, len(all))
			for i, each := range all {
				names[i] = each.Name
			}
			return &NoRuleError{Name: name, Names: names}
		}
		r.tallies = append(r.tallies, newTally(plan, r.ask.Tenant, rule, name, !rule.Match.Disabled))
	}
	return nil
}

// draft compiles the draft, and finds its rules. What a file has, or a document that somebody has locked, is not compiled under its name: a
// rule that is asked gets a free name, and all else is as the gateway has it.
func (b *Backtester) draft(ctx context.Context, r *Run, running *decide.Plan) (*decide.Plan, error) {
	changes, all, err := pick(r.ask.Draft, r.ask.Rules)
	if err != nil {
		return nil, err
	}
	if err := openConditions(changes, all); err != nil && r.ask.Variables {
		return nil, err
	}
	tried, err := b.Book.Try(ctx, r.ask.Tenant, changes, r.ask.By, r.ask.Variables)
	if theirs := defined(err); len(theirs) > 0 {
		var written map[string]string
		changes, written = yield(changes, theirs, all, running.Rules(r.ask.Tenant))
		if tried, err = b.Book.Try(ctx, r.ask.Tenant, changes, r.ask.By, r.ask.Variables); err != nil {
			return nil, asWritten(err, written)
		}
		if kept := slices.DeleteFunc(theirs, func(name string) bool { return isAsked(all, name) }); len(kept) > 0 {
			r.notes = append(r.notes, "as the gateway has them, and not as in the draft: "+strings.ReplaceAll(strings.Join(kept, ", "), "/", " "))
		}
	}
	if err != nil {
		return nil, err
	}
	if running.Config != tried.Base { // the files were read again meanwhile
		running = decide.New(tried.Base)
	}
	plan := running.With(tried.After)
	rules := plan.Rules(r.ask.Tenant)
	for _, one := range all {
		origin := state.Origin{Kind: state.OriginKind(one.kind), Name: one.compiled}
		at := slices.IndexFunc(rules, func(rule *config.Rule) bool { return decide.OriginOf(rule) == origin })
		if at < 0 {
			return nil, &InvalidError{[]string{"draft", one.kind + "s", one.name}, "it cannot be asked, because it subscribes to no events"}
		}
		r.tallies = append(r.tallies, newTally(plan, r.ask.Tenant, rules[at], one.name, false))
	}
	return plan, nil
}

// openConditions refuses rules whose condition has a variable: without its value, they would be compiled as rules without a condition,
// which match everything.
func openConditions(changes []settings.Change, all []*asked) error {
	for _, c := range changes {
		var spec struct {
			When string `json:"when"`
		}
		if !isAsked(all, c.Name) || json.Unmarshal(c.Spec, &spec) != nil {
			continue
		}
		if strings.Contains(strings.ReplaceAll(spec.When, "$${", ""), "${") {
			return &InvalidError{
				[]string{"draft", settings.Kind(c.Name) + "s", settings.Title(c.Name), "when"},
				"the condition has a variable, whose value is not known, so that it cannot be asked: set the variable, or write the value",
			}
		}
	}
	return nil
}

// defined returns the names of the documents that a refusal says to be in files, or to be locked.
func defined(err error) (names []string) {
	if all, ok := err.(settings.Refusals); ok { //nolint:errorlint // Book.Try returns it as it is
		for _, each := range all {
			names = append(names, defined(each)...)
		}
		return names
	}
	switch err.(type) { //nolint:errorlint // as above
	case *settings.InFileError, *settings.OwnedError:
		names = append(names, settings.RefusedName(err))
	}
	return names
}

// asked is a rule or webhook of the draft: its kind, its name as it is written, and the one under which it is compiled.
type asked struct{ kind, name, compiled string }

// isAsked reports whether a document is one that is asked.
func isAsked(all []*asked, document string) bool {
	return slices.ContainsFunc(all, func(one *asked) bool { return one.kind+"/"+one.name == document })
}

// pick returns the changes of a draft that are compiled, and the rules among them that are asked: those with names, or all.
func pick(draft []settings.Change, names []string) (changes []settings.Change, all []*asked, err error) {
	var known []string
	kinds := map[string]string{} // by name
	for _, c := range draft {
		kind, name := settings.Kind(c.Name), settings.Title(c.Name)
		if c.Delete {
			continue
		}
		if kind == "rule" || kind == "webhook" && kinds[name] == "" {
			kinds[name] = kind
			known = append(known, name)
		}
		if kind == "rule" && len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		changes = append(changes, c)
		if kind == "rule" && len(names) == 0 {
			all = append(all, &asked{kind, name, name})
		}
	}
	for _, name := range names {
		if kinds[name] == "" {
			return nil, nil, &NoRuleError{Name: name, Names: known, Draft: true}
		}
		all = append(all, &asked{kinds[name], name, name})
	}
	switch {
	case len(all) == 0:
		return nil, nil, &InvalidError{[]string{"draft"}, "it has no rule: write one, or name a webhook of it in `rules`"}
	case len(all) > MaxRules:
		return nil, nil, tooMany(len(all))
	}
	return changes, all, nil
}

// yield returns the changes without those that the gateway has, but for what is asked: that gets a free name. written are the names of the
// documents as they are written, by the new ones.
func yield(changes []settings.Change, theirs []string, all []*asked, taken []*config.Rule) (kept []settings.Change, written map[string]string) {
	written = map[string]string{}
	for _, c := range changes {
		if !slices.Contains(theirs, c.Name) {
			kept = append(kept, c)
			continue
		}
		i := slices.IndexFunc(all, func(one *asked) bool { return one.kind+"/"+one.name == c.Name })
		if i < 0 {
			continue
		}
		for n := 1; all[i].compiled == all[i].name; n++ {
			name := draftName(all[i].name, n)
			used := slices.ContainsFunc(taken, func(r *config.Rule) bool { return r.Name == name }) ||
				slices.ContainsFunc(changes, func(c settings.Change) bool { return settings.Title(c.Name) == name })
			if !used {
				all[i].compiled = name
			}
		}
		as := all[i].kind + "/" + all[i].compiled
		written[as], c.Name = c.Name, as
		kept = append(kept, c)
	}
	return kept, written
}

// draftName returns a name that begins as another does.
func draftName(name string, n int) string {
	end := "-draft"
	if n > 1 {
		end += strconv.Itoa(n)
	}
	for ; name != "" && !access.ValidName(name+end); name = name[:len(name)-1] {
	}
	return name + end
}

// asWritten returns a refusal with the names that the caller wrote.
func asWritten(err error, written map[string]string) error {
	if all, ok := err.(settings.Refusals); ok { //nolint:errorlint // Book.Try returns it as it is
		for i := range all {
			all[i] = asWritten(all[i], written)
		}
		return all
	}
	if faults, ok := err.(*settings.FaultsError); ok && written[faults.Name] != "" { //nolint:errorlint // as above
		all := slices.Clone(faults.Faults)
		for i := range all {
			if all[i].File == config.StorePrefix+faults.Name {
				all[i].File = config.StorePrefix + written[faults.Name]
			}
		}
		return &settings.FaultsError{Name: written[faults.Name], Faults: all}
	}
	return err
}
