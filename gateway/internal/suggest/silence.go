package suggest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// silence finds the rules that match no event, in two passes: which they are, and why.
type silence struct {
	plan    *decide.Plan // of the rules that can be silent, then of those that are
	tenant  string
	rules   map[state.Origin]*asked
	ordered []*asked
	names   names
}

// asked is a rule with what it was asked.
type asked struct {
	rule             *config.Rule
	origin           state.Origin
	events           int // it was asked about
	matched          bool
	explained        int
	parts            map[string]*view.SilentPart
	missing          map[string]int // in how many of the events that were explained
	silent, answered bool
}

// newSilence returns a silence of the enabled rules and webhooks with a condition.
func newSilence(plan *decide.Plan, tenant string) *silence {
	s := &silence{tenant: tenant, rules: map[state.Origin]*asked{}, names: names{seen: map[string]bool{}, questions: map[string]bool{}}}
	var only []*config.Rule
	for _, r := range plan.Rules(tenant) {
		if r.Match.Disabled || r.Match.When.IsZero() {
			continue
		}
		a := &asked{rule: r, origin: decide.OriginOf(r), parts: map[string]*view.SilentPart{}, missing: map[string]int{}}
		only = append(only, r)
		s.rules[a.origin] = a
		s.ordered = append(s.ordered, a)
	}
	s.plan = plan.Asking(tenant, only...)
	return s
}

// isAsked reports whether a rule is asked about an event itself: rules that wait for the whole response are not.
func (a *asked) isAsked(ev *event.Event) bool {
	return a.rule.Match.AcceptsType(ev.Type) && !a.rule.Match.Defers(ev.Type)
}

// ask notes which rules match an event.
func (s *silence) ask(ev *event.Event) {
	if len(s.rules) == 0 {
		return
	}
	for _, matched := range s.plan.Matched(ev) {
		if a := s.rules[matched]; a != nil && a.events < maxOfEach {
			a.matched = true
		}
	}
	for _, a := range s.ordered {
		if a.events < maxOfEach && a.isAsked(ev) {
			a.events++
		}
	}
}

// silent ends the first pass, and returns how many rules matched nothing.
func (s *silence) silent() int {
	var only []*config.Rule
	for _, a := range s.ordered {
		if a.silent = !a.matched && a.events >= minAsked; a.silent && len(only) < maxRules {
			a.answered = true
			only = append(only, a.rule)
		}
	}
	if len(only) > 0 {
		s.plan = s.plan.Asking(s.tenant, only...)
	}
	return len(only)
}

// explain counts, for the second pass, which parts of the silent rules said no to an event. It returns false when all were counted.
func (s *silence) explain(ev *event.Event) bool {
	if !slices.ContainsFunc(s.ordered, func(a *asked) bool { return a.answered && a.explained < a.events }) {
		return false
	}
	s.names.add(ev)
	for _, e := range s.plan.Explain(ev) {
		a := s.rules[decide.OriginOf(e.Configured)]
		if a == nil || !a.silent || a.explained >= a.events || !a.isAsked(ev) || len(e.Parts) == 0 {
			continue
		}
		a.explained++
		for _, name := range e.Missing {
			a.missing[name]++
		}
		counted := map[string]bool{}
		for _, p := range e.Parts {
			if !p.Decided || counted[p.Text] {
				continue
			}
			counted[p.Text] = true
			part := a.parts[p.Text]
			if part == nil {
				part = &view.SilentPart{Text: p.Text}
				a.parts[p.Text] = part
			}
			switch p.Value {
			case "false":
				part.False++
			case "true":
				part.True++
			default:
				part.Unknown++
				for _, name := range e.Missing {
					if strings.Contains(p.Text, name) && !slices.Contains(part.Missing, name) {
						part.Missing = append(part.Missing, name)
					}
				}
			}
		}
	}
	return true
}

const maxParts = 3

// views returns the silent rules, those that were asked most often first, and how many more there are. roles are the fields of roles
// that are suggested.
func (s *silence) views(roles map[string]bool) (all []view.SilentRule, more int) {
	all = []view.SilentRule{}
	for _, a := range s.ordered {
		if a.silent && !a.answered {
			more++
		}
		if a.answered {
			all = append(all, a.view(&s.names, roles))
		}
	}
	slices.SortStableFunc(all, func(x, y view.SilentRule) int { return y.Asked - x.Asked })
	return all, more
}

func (a *asked) view(names *names, roles map[string]bool) view.SilentRule {
	v := view.SilentRule{
		Kind: string(a.origin.Kind), Name: a.origin.Name, When: a.rule.Match.When.String(), Asked: a.events, Explained: a.explained, Parts: []view.SilentPart{},
	}
	for _, p := range a.parts {
		slices.Sort(p.Missing)
		p.Why = why(p)
		v.Parts = append(v.Parts, *p)
	}
	total := func(p *view.SilentPart) int { return p.False + p.True + p.Unknown }
	slices.SortFunc(v.Parts, func(x, y view.SilentPart) int { return cmp.Or(total(&y)-total(&x), cmp.Compare(x.Text, y.Text)) })
	for i := range v.Parts {
		if i == maxParts || total(&v.Parts[i])*10 < total(&v.Parts[0]) { // the others decided next to nothing
			v.Parts = v.Parts[:i]
			break
		}
	}
	for name, n := range a.missing {
		if n != a.explained {
			continue
		}
		if roles[name] {
			v.Hints = append(v.Hints, "`"+name+"` was in none of these events; a suggested role reads it")
			continue
		}
		v.Hints = append(v.Hints, names.hint(name))
	}
	slices.Sort(v.Hints)
	return v
}

// why says in a sentence what a part was.
func why(p *view.SilentPart) string {
	var said []string
	if p.False > 0 {
		said = append(said, fmt.Sprintf("false in %d", p.False))
	}
	if p.True > 0 {
		said = append(said, fmt.Sprintf("true in %d", p.True))
	}
	if p.Unknown > 0 {
		unknown := fmt.Sprintf("unknown in %d", p.Unknown)
		if len(p.Missing) > 0 {
			unknown += ", because " + strings.Join(p.Missing, ", ") + " is missing"
		}
		said = append(said, unknown)
	}
	return "`" + p.Text + "` was " + strings.Join(said, " and ")
}

// names are those that events have.
type names struct {
	seen, questions map[string]bool
	events          int
}

const (
	maxNamed = 100  // events whose names are read
	maxNames = 2000 // of each kind
)

// add reads the names of an event.
func (n *names) add(ev *event.Event) {
	if n.events >= maxNamed {
		return
	}
	n.events++
	data := ev.Data()
	for i := range data.Response.Answers {
		for _, key := range []string{data.Response.Answers[i].QuestionID, data.Response.Answers[i].Question} {
			if key != "" && len(n.questions) < maxNames {
				n.questions[key] = true
			}
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		return
	}
	var fields map[string]any
	if json.Unmarshal(text, &fields) == nil {
		n.addFields("", fields)
	}
}

func (n *names) addFields(path string, fields map[string]any) {
	for key, value := range fields {
		name := path + key
		if below, ok := value.(map[string]any); ok {
			n.addFields(name+".", below)
			continue
		}
		if len(n.seen) >= maxNames {
			return
		}
		n.seen[name] = true
		for short, long := range event.Shortcuts {
			if rest, ok := strings.CutPrefix(name, long); ok && (rest == "" || rest[0] == '.') {
				n.seen[short+rest] = true
			}
		}
	}
}

// quotedText is the first text in a name such as answer("q1").
var quotedText = regexp.MustCompile(`^(\w+)\(\s*["']([^"']*)["']`)

// hint says that a name was in no event, with one that is like it and was.
func (n *names) hint(name string) string {
	text := "`" + name + "` was in none of these events"
	if call := quotedText.FindStringSubmatch(name); call != nil {
		if near := nearest(call[2], n.questions); near != "" {
			return text + fmt.Sprintf("; `%s(%q)` was", call[1], near)
		}
		return text
	}
	if near := nearest(name, n.seen); near != "" {
		return text + "; `" + near + "` was"
	}
	return text
}

func nearest(word string, names map[string]bool) string {
	all := make([]string, 0, len(names))
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	return event.Nearest(word, all)
}
