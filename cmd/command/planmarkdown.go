package command

import (
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/gateway/client"
)

// maxMarkdown bounds the Markdown: a comment on GitHub has at most 65536 characters.
const maxMarkdown = 60_000

// planMarkdown writes a plan in the Markdown of GitHub. What files have, and with values what respondents wrote, is in <code>, where nothing
// is markup, a link or a mention. Without values, nothing of an event is in it but its id: a pull request has other readers than events.
func planMarkdown(plan *client.Plan, values bool) string {
	m := &markdown{}
	m.line("### surveygate plan")
	m.line("")
	m.line("**%s**", headline(plan))
	if why := stoppedText(plan); why != "" {
		m.line("")
		m.line("> [!WARNING]")
		m.line("> %s", why)
	}
	m.table("Configuration", "| | what | difference |\n|---|---|---|", len(plan.Configuration), func(i int) string {
		sign, what, how := planItem(&plan.Configuration[i])
		return fmt.Sprintf("| %s | %s | %s |", map[string]string{"+": "added", "-": "removed", "~": "changed"}[sign], codeOf(what), codeOf(how))
	})
	var sources []string
	for i := range plan.Sources {
		name, lines := planSource(plan, i)
		for _, line := range lines {
			sources = append(sources, fmt.Sprintf("| %s | %s |", codeOf(name), codeOf(line)))
		}
	}
	m.table("Events of sources", "| source | events |\n|---|---|", len(sources), func(i int) string { return sources[i] })
	m.table("Deliveries by rule", "| rule or webhook | more | fewer | changed |\n|---|--:|--:|--:|", len(plan.Rules), func(i int) string {
		r := &plan.Rules[i]
		return fmt.Sprintf("| %s | %s | %s | %s |", codeOf(planRule(r)), grouped3(r.Added), grouped3(r.Removed), grouped3(r.Changed))
	})
	m.table("Deliveries by destination", "| destination | more | fewer | changed |\n|---|--:|--:|--:|", len(plan.Destinations), func(i int) string {
		d := &plan.Destinations[i]
		return fmt.Sprintf("| %s | %s | %s | %s |", codeOf(owned(d.Tenant, d.Name)), grouped3(d.Added), grouped3(d.Removed), grouped3(d.Changed))
	})
	m.table("Deliveries that wait now", "| what waits | becomes |\n|---|---|", len(plan.Waiting), func(i int) string {
		w := &plan.Waiting[i]
		return fmt.Sprintf("| %s | %s |", codeOf(stepOf(w.Kind, owned(w.Tenant, w.Rule), w.Step)), codeOf(waitingText(w.Becomes, w.Count, plan.WaitingMore)))
	})
	for _, note := range plan.Notes {
		m.line("")
		m.line("Note: %s", codeOf(note))
	}
	for i := range plan.Rules {
		if !m.add(ruleMarkdown(&plan.Rules[i], values)) {
			m.line("")
			m.line("The examples of %d more rules and webhooks are left out: `surveygate plan` shows them.", len(plan.Rules)-i)
			break
		}
	}
	return m.String()
}

// ruleMarkdown writes the examples of a rule, which a reader opens.
func ruleMarkdown(r *client.PlanRule, values bool) string {
	m := &markdown{}
	m.line("")
	m.line("<details><summary>%s: examples</summary>", codeOf(planRule(r)))
	if len(r.Fields) > 0 {
		m.line("")
		head, rule := "| step | value | requests |", "|---|---|--:|"
		if values {
			head, rule = head+" now | then |", rule+"---|---|"
		}
		m.line("%s\n%s", head, rule)
		for i := range r.Fields {
			f := &r.Fields[i]
			row := fmt.Sprintf("| %s | %s | %s |", codeOf(f.Step), codeOf(f.Path), grouped3(f.Count))
			if values {
				row += fmt.Sprintf(" %s | %s |", valueOf(f.Old), valueOf(f.New))
			}
			m.line("%s", row)
		}
	}
	if len(r.Outcomes) > 0 {
		m.line("")
		for _, o := range r.Outcomes {
			reason := ": " + codeOf(o.Reason)
			if quotes := o.To == "rejected" || o.To == "failed" || o.From == "rejected" || o.From == "failed"; quotes && !values { // what was wrong with a value
				reason = ""
			}
			m.line("- %s%s", outcomeText(o.From, o.To, o.Count), reason)
		}
	}
	if len(r.Samples) > 0 {
		m.line("")
		m.line("| | step | event | why |\n|---|---|---|---|")
		for i := range r.Samples {
			s := &r.Samples[i]
			m.line("| %s | %s | %s | %s |", s.Change, codeOf(s.Step), codeOf(owned(s.Tenant, s.Event)), codeOf(planWhy(s, values)))
		}
	}
	m.line("")
	m.line("</details>")
	return m.String()
}

// markdown is a text that is written line by line.
type markdown struct{ strings.Builder }

func (m *markdown) line(format string, args ...any) { _, _ = fmt.Fprintf(m, format+"\n", args...) }

// add adds a part that fits; false: it does not.
func (m *markdown) add(part string) bool {
	if m.Len()+len(part) > maxMarkdown {
		return false
	}
	m.WriteString(part)
	return true
}

// table adds a table with a heading, unless it has no rows. Rows that do not fit are counted.
func (m *markdown) table(title, head string, n int, row func(i int) string) {
	if n == 0 {
		return
	}
	m.line("")
	m.line("#### %s", title)
	m.line("")
	m.line("%s", head)
	for i := range n {
		text := row(i)
		if i == maxItemsShown || m.Len()+len(text) > maxMarkdown/2 {
			m.line("")
			m.line("… and %d more.", n-i)
			return
		}
		m.line("%s", text)
	}
}

// valueOf is one of the two values of a field.
func valueOf(text *string) string {
	if text == nil {
		return "absent"
	}
	return codeOf(*text)
}

// codeOf writes a text that may be anything as code within a line or a cell of a table. Every character that means something in Markdown or
// HTML is an entity.
func codeOf(text string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("<code>")
	for _, r := range text {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case steers(r):
			fmt.Fprintf(&b, "\\x%02x", r)
		case strings.ContainsRune("&<>|`*_[]()~\\@#!:$\"'{}", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString("</code>")
	return b.String()
}
