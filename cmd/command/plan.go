package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
)

// exitChanges is the exit code of plan where something changes, as of tools that scripts know.
const exitChanges = 2

// maxPlanned is how many events a plan may compare.
const maxPlanned = 1_000_000

// planning holds the arguments of `plan`.
type planning struct {
	*globals
	since    string
	limit    int
	markdown bool
	values   bool
}

func (g *globals) plan() *cobra.Command {
	p := &planning{globals: g}
	cmd := &cobra.Command{
		Use:   "plan [FILE]",
		Short: "Show what a new configuration would change, over recent events",
		Long: `Compare a configuration, a file or a folder of files, with the one that a running gateway uses, and ask both about recent events that
the gateway keeps: which deliveries there would be more and fewer, by rule and destination, which requests would differ and in what,
which sources, destinations and rules are added, removed or get other credentials, and what would become of deliveries that wait.
Without FILE, it is that of --config, as it is on disk now. Nothing is sent, stored or changed.

Secrets are not read: only the text of the files and of the profiles that they name is sent to the gateway, where ${NAME} and ${file:…}
stand for themselves. With --server, it needs a token for every tenant with the scopes read and settings.

Exit codes: 0 nothing changes, 2 something changes, 1 the configuration has faults or cannot be compared, 3 no gateway is running.`,
		Example: `  surveygate plan new.yaml
  surveygate plan new.yaml --since 30d --limit 500000
  surveygate plan conf/ --markdown > plan.md     # for a pull request`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &exit{exitFailed, fmt.Errorf("%q is one argument too many: name one file, or a folder", args[1])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path := p.config
			if len(args) > 0 {
				path = args[0]
			}
			return planFault(p.run(cmd.Context(), path))
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exit{exitFailed, err} })
	f := cmd.Flags()
	f.StringVar(&p.since, "since", "7d", "events since then: a time, or how long ago")
	f.IntVar(&p.limit, "limit", 100_000, "how many events at most, newest first, up to 1000000")
	f.BoolVar(&p.markdown, "markdown", false, "print Markdown, as for a pull request; of events it has only ids")
	f.BoolVar(&p.values, "values", false, "with --markdown: also values of events, which may be personal")
	return cmd
}

// planFault gives an error its exit code: 2 means that something changes.
func planFault(err error) error {
	if _, coded := errors.AsType[*exit](err); err == nil || coded || errors.Is(err, client.ErrNotRunning) {
		return err
	}
	return &exit{exitFailed, err}
}

func (p *planning) run(ctx context.Context, path string) error {
	if p.markdown && p.json {
		return errors.New("--markdown and --json exclude each other")
	}
	if p.values && !p.markdown {
		return errors.New("--values is for --markdown: the other forms have values")
	}
	if p.limit < 1 || p.limit > maxPlanned {
		return fmt.Errorf("--limit is 1 to %d", maxPlanned)
	}
	bundle, _, err := config.ReadBundle(path)
	if err != nil {
		return err
	}
	gw, err := p.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	request := client.PlanOf(bundle)
	request.Since, request.Limit = p.since, p.limit
	bar := p.progress(false)
	plan, err := gw.Plan(ctx, request, p.following(bar))
	bar.end()
	if err != nil {
		return err
	}
	switch {
	case p.json:
		err = p.print(plan)
	case p.markdown:
		p.printf("%s", planMarkdown(plan, p.values))
	default:
		err = p.show(plan)
	}
	if err == nil && plan.Changes {
		err = &exit{code: exitChanges}
	}
	return err
}

// following returns what shows the progress on a terminal; nil: there is none.
func (p *planning) following(bar *progress) func(*client.PlanProgress) {
	if !bar.terminal {
		return nil
	}
	bar.show(0, 0, "events compared")
	return func(at *client.PlanProgress) {
		what := "events compared"
		if !at.Back.IsZero() {
			what += ", back to " + minute(at.Back.Time)
		}
		bar.show(at.Events, 0, what)
	}
}

// minute is a time as people read it.
func minute(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// grouped3 writes a number with a comma before every three digits.
func grouped3(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// headline says in a sentence what changes.
func headline(plan *client.Plan) string {
	switch d := plan.Deliveries; {
	case !plan.Changes:
		return "Nothing changes: the configuration means what the running one means"
	case plan.Events == 0 && len(plan.Sources)+len(plan.Rules) == 0:
		return "The configuration changes; no recent event is affected"
	case d.Added+d.Removed+d.Changed == 0:
		return over(plan) + ": no delivery changes"
	default:
		var parts []string
		for _, each := range []struct {
			n    int
			what string
		}{{d.Added, "more"}, {d.Removed, "fewer"}, {d.Changed, "changed"}} {
			if each.n == 0 {
				continue
			}
			word := ""
			switch {
			case len(parts) > 0:
			case each.n == 1:
				word = "delivery "
			default:
				word = "deliveries "
			}
			parts = append(parts, grouped3(each.n)+" "+word+each.what)
		}
		return over(plan) + ": " + strings.Join(parts, ", ")
	}
}

func over(plan *client.Plan) string {
	return "Over " + grouped3(plan.Events) + " " + plural(plan.Events, "event") + " since " + minute(comparedSince(plan))
}

// comparedSince is from when on all events were compared.
func comparedSince(plan *client.Plan) time.Time {
	if plan.Stopped != "" && !plan.SearchedBackTo.IsZero() {
		return plan.SearchedBackTo.Time
	}
	return plan.Since.Time
}

// stoppedText says why older events were not compared; empty if they were.
func stoppedText(plan *client.Plan) string {
	switch plan.Stopped {
	case "":
		return ""
	case "events":
		return "older events were not compared: --limit is reached"
	}
	return "older events were not compared: the time for it is over"
}

// planItem describes a difference of the configuration: its sign, and what differs.
func planItem(i *client.PlanItem) (sign, what, how string) {
	what = i.Kind + " " + owned(i.Tenant, i.Name)
	if i.Tenant == "" {
		what = i.Kind + " " + i.Name
	}
	if i.Stored {
		if how = "its stored document is " + i.Change; i.Why != "" {
			how += ": " + i.Why
		}
		return "~", what, how
	}
	switch i.Change {
	case "added":
		return "+", what, ""
	case "removed":
		return "-", what, ""
	}
	var parts []string
	if len(i.Settings) > 0 {
		parts = append(parts, strings.Join(i.Settings, ", "))
	}
	if len(i.Secrets) > 0 {
		parts = append(parts, "another secret in "+strings.Join(i.Secrets, ", "))
	}
	if i.More > 0 {
		parts = append(parts, fmt.Sprintf("%d more", i.More))
	}
	return "~", what, strings.Join(parts, "; ")
}

// planRule names a rule or webhook.
func planRule(r *client.PlanRule) string { return r.Kind + " " + owned(r.Tenant, r.Name) }

// counted writes counts as `+120 -3 ~17`.
func counted(added, removed, changed int) string {
	var parts []string
	for _, each := range []struct {
		sign string
		n    int
	}{{"+", added}, {"-", removed}, {"~", changed}} {
		if each.n > 0 {
			parts = append(parts, each.sign+grouped3(each.n))
		}
	}
	if len(parts) == 0 {
		return "±0"
	}
	return strings.Join(parts, " ")
}

// planWhy says why a delivery is more or fewer: what decided its condition, and with values what it read.
func planWhy(s *client.PlanSample, values bool) string {
	const most = 3
	var why strings.Builder
	why.WriteString(s.Why)
	n := 0
	for i := range s.Parts {
		part := &s.Parts[i]
		if !part.Decided || part.Operand || n == most {
			continue
		}
		n++
		_, _ = fmt.Fprintf(&why, "; %s is %s", oneLine(part.Text), part.Value)
		for j := i + 1; values && j < len(s.Parts) && s.Parts[j].Depth > part.Depth; j++ {
			if below := &s.Parts[j]; below.Depth == part.Depth+1 && below.Operand {
				_, _ = fmt.Fprintf(&why, ", %s is %s", oneLine(below.Text), below.Value)
			}
		}
	}
	return why.String()
}

// planSource says how events of a source would be read.
func planSource(plan *client.Plan, i int) (name string, lines []string) {
	s := &plan.Sources[i]
	if s.Lost > 0 {
		lines = append(lines, fmt.Sprintf("%s %s would not be taken in: it is removed or disabled", grouped3(s.Lost), plural(s.Lost, "event")))
	}
	for _, r := range s.Unreadable {
		lines = append(lines, fmt.Sprintf("%s %s could not be read: %s", grouped3(r.Count), plural(r.Count, "event"), r.Reason))
	}
	if s.Reread > 0 {
		var fields []string
		for _, f := range s.Fields {
			fields = append(fields, fmt.Sprintf("%s (%s)", f.Reason, grouped3(f.Count)))
		}
		lines = append(lines, fmt.Sprintf("%s %s would be read differently: %s", grouped3(s.Reread), plural(s.Reread, "event"), strings.Join(fields, ", ")))
	}
	return owned(s.Tenant, s.Name), lines
}

// color reports whether an output shows colours.
func (p *planning) color() *os.File {
	if environ("NO_COLOR") != "" || environ("TERM") == "dumb" {
		return nil
	}
	return terminalOf(p.out)
}
