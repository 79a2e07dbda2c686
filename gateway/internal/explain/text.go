package explain

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Text prints the explanation for a person: first the answer, then each rule and webhook with the reason, and the result of
// each of its deliveries.
func (x *Explanation) Text(w io.Writer) error {
	p := &printer{now: x.At, revision: x.Event.Revision}
	p.head(x)
	p.line("")
	p.line("%s", capital(x.Summary)+".")
	for i := range x.Rules {
		p.line("")
		p.rule(&x.Rules[i])
	}
	if len(x.Changed) > 0 {
		p.line("")
		p.line("The configuration has changed since then:")
		for _, c := range x.Changed {
			p.line("  %s %s: %s", c.Kind, c.Name, c.Why)
		}
	}
	p.reading(x)
	if hints := x.hints(); len(hints) > 0 {
		p.line("")
		for _, hint := range hints {
			p.line("%s", hint)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

// Brief prints only rules and webhooks with the reason and the result of their deliveries: those with a name, or all without names.
func (x *Explanation) Brief(w io.Writer, names ...string) error {
	p := &printer{now: x.At, brief: true}
	for i := range x.Rules {
		if len(names) == 0 || slices.Contains(names, x.Rules[i].Name) {
			p.rule(&x.Rules[i])
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

type printer struct {
	b     strings.Builder
	now   time.Time
	brief bool // no ids

	revision int // of the event
}

func (p *printer) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	p.b.WriteString(printable(text))
	p.b.WriteByte('\n')
}

func (p *printer) head(x *Explanation) {
	e := &x.Event
	from := e.Source
	if e.SourceKind != "" && e.SourceKind != e.Source {
		from += " (" + e.SourceKind + ")"
	}
	if e.Tenant != "default" {
		from += ", tenant " + e.Tenant
	}
	p.line("Event %s: %s from %s", e.ID, e.Type, from)
	var about []string
	switch {
	case e.Survey != "" && e.SurveyID != "":
		about = append(about, fmt.Sprintf("survey %q (%s)", e.Survey, e.SurveyID))
	case e.Survey != "":
		about = append(about, fmt.Sprintf("survey %q", e.Survey))
	case e.SurveyID != "":
		about = append(about, "survey "+e.SurveyID)
	}
	if e.ResponseID != "" {
		about = append(about, "response "+e.ResponseID)
	}
	if e.OrigType != "" && e.OrigType != e.Type {
		about = append(about, "called "+e.OrigType+" by the platform")
	}
	if e.Stream != "" {
		about = append(about, "entry "+e.Entry+" of the Redis stream "+e.Stream)
	}
	if len(about) > 0 {
		p.line("  %s", strings.Join(about, ", "))
	}
	if x.State == "dry" {
		p.line("  not stored anywhere: this is what would happen")
	} else {
		p.line("  received %s, verified by %s", p.when(e.Received), verifier(e.Verified))
		if !x.DecidedAt.IsZero() && e.Revision == 0 {
			p.line("  decided %s later, by configuration %s", short(x.DecidedAt.Sub(e.Received)), shortGeneration(x.Generation))
		}
	}
	p.revisions(x)
	for i := range x.Same {
		p.line("  %s", sameSentence(&x.Same[i], e.Received, p.when))
	}
	if x.Claims > 1 {
		p.line("  claimed %d times: a gateway stopped before the commit", x.Claims)
		if alone := x.Claims - state.MaxBatchClaims; alone > 0 {
			p.line("  of these %d times alone, to find out whether it is what stops the gateway", alone)
		}
	}
	for _, warning := range e.Warnings {
		p.line("  warning: %s", warning)
	}
	if len(e.Unread) > 0 {
		p.line("  not read by the profile: %s", strings.Join(e.Unread, ", "))
	}
	if x.Unknown {
		p.line("  that configuration is no longer kept, so rules that did not match are not listed")
	}
}

func (p *printer) rule(r *view.ExplainedRule) {
	mark := "✗"
	if r.Matched {
		mark = "✓"
	} else if r.Error != "" {
		mark = "!"
	}
	p.line("%s %s %s: %s", mark, r.Kind, r.Name, r.Why)
	p.parts(r.Parts)
	for _, fault := range r.Faults {
		if !strings.Contains(r.Why, fault) {
			p.line("    fault: %s", fault)
		}
	}
	width := 0
	for i := range r.Steps {
		width = max(width, len([]rune(label(&r.Steps[i]))))
	}
	for i := range r.Steps {
		p.step(&r.Steps[i], width)
	}
}

// maxPart is where an expression's text is cut.
const maxPart = 60

func (p *printer) parts(parts []view.ConditionPart) {
	width := 0
	for _, part := range parts {
		width = max(width, 2*part.Depth+len([]rune(clip(oneLine(part.Text), maxPart))))
	}
	for _, part := range parts {
		text := strings.Repeat("  ", part.Depth) + clip(oneLine(part.Text), maxPart)
		p.line("    %s%s   %s", text, strings.Repeat(" ", width-len([]rune(text))), oneLine(part.Value))
	}
}

func label(s *view.ExplainedStep) string {
	if s.Name == s.Destination {
		return s.Name
	}
	return s.Name + " (" + s.Destination + ")"
}

func (p *printer) step(s *view.ExplainedStep, width int) {
	name := label(s)
	name += strings.Repeat(" ", width-len([]rune(name)))
	if s.Delivery == nil {
		p.line("    → %s   %s: %s", name, s.Connector, or(s.Note, "not decided yet"))
		for line := range strings.Lines(s.Request) {
			p.line("        %s", strings.TrimRight(line, "\n"))
		}
		return
	}
	d := s.Delivery
	text := string(d.State)
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	if d.Revision != p.revision {
		text += " (" + numbered(d.Revision) + ")"
	}
	switch {
	case d.Now:
		text += ", being delivered just now"
	case d.State == state.Waiting && (d.Reason == decide.Settling || d.Reason == decide.Unfinished) && d.Due.After(p.now):
		text = "rests until " + p.when(d.Due)
	case d.State == state.Waiting && s.Hold == nil && !d.Due.IsZero():
		text += ", next try " + p.when(d.Due)
	}
	p.line("    → %s   %s %s", name, s.Connector, text)
	if !p.brief {
		p.line("        %s", d.ID)
	}
	for _, a := range d.Log {
		p.attempt(a)
	}
	if missing := d.Attempts - len(d.Log); missing > 0 && len(d.Log) > 0 {
		p.line("        (%s no longer kept)", plural(missing, "earlier attempt is", "earlier attempts are"))
	}
	if h := s.Hold; h != nil {
		text := s.Destination + " is on hold (" + string(h.Kind) + ")"
		if h.Reason != "" {
			text += ": " + h.Reason
		}
		if !h.Since.IsZero() {
			text += ", since " + p.when(h.Since)
		}
		if !h.Until.IsZero() {
			text += ", until " + p.when(h.Until)
		}
		p.line("        %s", text)
	}
}

func (p *printer) attempt(a view.ExplainedAttempt) {
	text := fmt.Sprintf("attempt %d  %s  %s", a.N, a.At.UTC().Format(time.DateTime), a.Verdict)
	switch {
	case a.Reason != "" && a.Status != 0 && a.Verdict == string(state.Delivered): // it counts as what its status says, whatever else was odd
		text += fmt.Sprintf(": %d, %s", a.Status, a.Reason)
	case a.Reason != "":
		text += ": " + a.Reason
	case a.Status != 0:
		text += fmt.Sprintf(": %d", a.Status)
	}
	text += ", " + short(time.Duration(a.TookMS*float64(time.Millisecond)))
	if a.Repeat {
		text += " (repeat: another holder had finished it)"
	}
	p.line("        %s", text)
}

// maxHints bounds the hints of one explanation.
const maxHints = 8

// hints returns what a person can do next about holds and dead letters, each hint once.
func (x *Explanation) hints() (all []string) {
	if x.State == "dead" && x.Event.Stream != "" {
		return []string{"To read it again, once its source can: surveygate dead replay " + x.Event.ID}
	}
	if x.State == "dead" {
		return []string{"To decide it again: surveygate dead replay " + x.Event.ID}
	}
	for i := range x.Rules {
		for j := range x.Rules[i].Steps {
			s := &x.Rules[i].Steps[j]
			hint := ""
			switch {
			case s.Hold != nil:
				hint = s.Hold.Hint
			case s.Delivery != nil:
				hint = s.Delivery.Hint
			}
			if hint == "" {
				continue
			}
			if !strings.HasPrefix(hint, s.Destination+" ") {
				hint = s.Destination + ": " + hint
			}
			if !slices.Contains(all, hint) {
				all = append(all, hint)
			}
		}
	}
	if more := len(all) - maxHints; more > 0 {
		all = append(all[:maxHints], fmt.Sprintf("And %d more: each is shown by surveygate deliveries show ID, and surveygate destinations list", more))
	}
	return all
}

// when returns a time and its distance from now.
func (p *printer) when(at time.Time) string {
	text := at.UTC().Format(time.DateTime) + " UTC"
	switch d := at.Sub(p.now); {
	case d > time.Second:
		return text + " (in " + short(d) + ")"
	case d < -time.Second:
		return text + " (" + short(-d) + " ago)"
	default:
		return text + " (now)"
	}
}

// short returns a duration rounded for a person.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24+0.5))
	}
}

func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func clip(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// shortGeneration shortens both parts of a generation, of which only the second may differ.
func shortGeneration(generation string) string {
	ofBase, ofTenant, both := strings.Cut(generation, "+")
	if !both {
		return clip(generation, 12)
	}
	return clip(ofBase, 12) + "+" + clip(ofTenant, 12)
}

// printable keeps respondents from steering a terminal: control characters, and those that turn the direction of
// writing, show as �.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return r
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '\uFFFD'
		default:
			return r
		}
	}, text)
}
