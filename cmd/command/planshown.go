package command

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/gateway/client"
)

const (
	// maxRulesShown is how many rules a person is shown in full, maxFieldsShown how many values of each.
	maxRulesShown, maxFieldsShown = 30, 8
	// maxItemsShown is how many lines of each list a person is shown.
	maxItemsShown = 40
)

// planText prints a plan for a person, line by line.
type planText struct {
	out      io.Writer
	terminal *os.File // shows colours; nil: there are none
	err      error
}

// line prints one line, folded, in a colour.
func (t *planText) line(color, format string, args ...any) {
	for line := range strings.Lines(folded(fmt.Sprintf(format, args...) + "\n")) {
		if t.err != nil {
			return
		}
		if t.terminal == nil || color == noColor {
			_, t.err = io.WriteString(t.out, line)
			continue
		}
		// The terminal itself gets the colour: t.out would show its control characters.
		_, _ = io.WriteString(t.terminal, color)
		_, t.err = io.WriteString(t.out, strings.TrimSuffix(line, "\n"))
		_, _ = io.WriteString(t.terminal, plain+"\n")
	}
}

var signColors = map[string]string{"+": green, "-": red, "~": yellow}

// bold is the headline's.
const bold = "\x1b[1m"

func (p *planning) show(plan *client.Plan) error {
	t := &planText{out: p.out, terminal: p.color()}
	t.line(bold, "%s", headline(plan))
	if why := stoppedText(plan); why != "" {
		t.line(yellow, "%s", why)
	}
	if len(plan.Configuration) > 0 {
		t.line(noColor, "")
		t.line(noColor, "configuration")
		for i := range plan.Configuration {
			if i == maxItemsShown {
				t.line(noColor, "  … and %d more: --json lists them", len(plan.Configuration)-i)
				break
			}
			sign, what, how := planItem(&plan.Configuration[i])
			if how != "" {
				how = ": " + how
			}
			t.line(signColors[sign], "  %s %s%s", sign, what, how)
		}
	}
	if len(plan.Sources) > 0 {
		t.line(noColor, "")
		t.line(noColor, "events of sources")
		for i := range plan.Sources {
			name, lines := planSource(plan, i)
			for _, line := range lines {
				t.line(noColor, "  %s: %s", name, line)
			}
		}
	}
	for i := range plan.Rules {
		if i == maxRulesShown {
			t.line(noColor, "")
			t.line(noColor, "… and %d more rules and webhooks: --json lists them", len(plan.Rules)-i)
			break
		}
		t.rule(&plan.Rules[i])
	}
	t.destinations(plan)
	t.waiting(plan)
	for i, note := range plan.Notes {
		if i == 0 {
			t.line(noColor, "")
		}
		t.line(dim, "note: %s", note)
	}
	return t.err
}

// rule prints what a rule would send, with samples.
func (t *planText) rule(r *client.PlanRule) {
	t.line(noColor, "")
	t.line(bold, "%s: %s", planRule(r), counted(r.Added, r.Removed, r.Changed))
	for i := range r.Fields {
		if i == maxFieldsShown {
			t.line(noColor, "  … and %d more values: --json lists them", len(r.Fields)-i)
			break
		}
		f := &r.Fields[i]
		t.line(noColor, "  ~ %s: %s in %s %s", f.Step, f.Path, grouped3(f.Count), plural(f.Count, "request"))
		t.value("-", f.Old)
		t.value("+", f.New)
	}
	for _, o := range r.Outcomes {
		t.line(yellow, "  %s: %s", outcomeText(o.From, o.To, o.Count), o.Reason)
	}
	for i := range r.Samples {
		s := &r.Samples[i]
		sign := map[string]string{"added": "+", "removed": "-", "changed": "~"}[s.Change]
		why := ""
		if text := planWhy(s, true); text != "" {
			why = ": " + text
		}
		t.line(signColors[sign], "  %s %s, event %s%s", sign, s.Step, owned(s.Tenant, s.Event), why)
	}
}

// value prints one of the two values of a field.
func (t *planText) value(sign string, text *string) {
	if text == nil {
		return
	}
	shown := []rune(strconv.Quote(*text))
	if most := width - 8; len(shown) > most {
		shown = append(shown[:most-1], '…')
	}
	for i, r := range shown { // it would be folded
		if r == ' ' {
			shown[i] = '\u00a0'
		}
	}
	t.line(signColors[sign], "      %s\u00a0%s", sign, string(shown))
}

// outcomeText says how many deliveries would end differently.
func outcomeText(from, to string, n int) string {
	word := map[string]string{"skipped": "skipped", "rejected": "rejected", "waits": "waiting", "failed": "failing", "sent": "sent", "nothing": "not owed"}
	if to == "nothing" || to == "sent" {
		return fmt.Sprintf("%s would no longer be %s", grouped3(n), word[from])
	}
	return fmt.Sprintf("%s would be %s", grouped3(n), word[to])
}

func (t *planText) destinations(plan *client.Plan) {
	if len(plan.Destinations) == 0 {
		return
	}
	t.line(noColor, "")
	t.line(noColor, "destinations")
	wide := 0
	for _, d := range plan.Destinations {
		wide = min(max(wide, utf8.RuneCountInString(owned(d.Tenant, d.Name))), 40)
	}
	for i, d := range plan.Destinations {
		if i == maxItemsShown {
			t.line(noColor, "  … and %d more: --json lists them", len(plan.Destinations)-i)
			break
		}
		t.line(noColor, "  %-*s  %s", wide, owned(d.Tenant, d.Name), counted(d.Added, d.Removed, d.Changed))
	}
}

func (t *planText) waiting(plan *client.Plan) {
	if len(plan.Waiting) == 0 && !plan.WaitingMore {
		return
	}
	t.line(noColor, "")
	t.line(noColor, "deliveries that wait now")
	for i, w := range plan.Waiting {
		if i == maxItemsShown {
			t.line(noColor, "  … and %d more lines: --json lists them", len(plan.Waiting)-i)
			break
		}
		t.line(yellow, "  %s: %s", stepOf(w.Kind, owned(w.Tenant, w.Rule), w.Step), waitingText(w.Becomes, w.Count, plan.WaitingMore))
	}
	if plan.WaitingMore {
		t.line(dim, "  more wait than were looked at")
	}
}

// waitingText is as `no longer configured: 42`.
func waitingText(becomes string, n int, more bool) string {
	least := ""
	if more {
		least = "at least "
	}
	return becomes + ": " + least + grouped3(n)
}
