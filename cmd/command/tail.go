package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// tailing holds the arguments of `tail`.
type tailing struct {
	*globals
	rule, destination, source string
	failed                    bool
	color                     bool
}

func (g *globals) tail() *cobra.Command {
	t := &tailing{globals: g}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show events and deliveries of a running gateway as they happen",
		Long: `Show what a running gateway decides and delivers, one line each, until it is interrupted: an event with the rules that matched it, each
attempt of a delivery with what the product answered, and what ended without one. --json prints one object a line.

Lines that are read too slowly are left out, and a line says how many: the gateway never waits. With several replicas, it shows what
the one does that answers.`,
		Example: `  surveygate tail
  surveygate tail --rule detractor
  surveygate tail --destination crm --failed --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&t.rule, "rule", "", "what this rule or webhook matched, and its deliveries")
	f.StringVar(&t.destination, "destination", "", "deliveries to this connection or webhook")
	f.StringVar(&t.source, "source", "", "events of this source, and their deliveries")
	f.BoolVar(&t.failed, "failed", false, "attempts that failed, dead letters, and rules that could not be evaluated")
	return cmd
}

func (t *tailing) run(cmd *cobra.Command) error {
	gw, err := t.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	t.color = terminalOf(t.out) != nil && environ("NO_COLOR") == "" && environ("TERM") != "dumb"
	query := url.Values{}
	for name, value := range map[string]string{"rule": t.rule, "destination": t.destination, "source": t.source} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if t.failed {
		query.Set("failed", "true")
	}
	began := func() { _, _ = fmt.Fprintln(t.err, "waiting for what happens; ^C ends it") }
	err = gw.Tail(cmd.Context(), query, began, t.show)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// show prints one line. An output that is closed ends the command.
func (t *tailing) show(line *client.TailLine) error {
	if t.json {
		text, err := json.Marshal(line)
		if err == nil {
			_, err = fmt.Fprintf(t.out, "%s\n", text)
		}
		return err
	}
	word, color, text := worded(line)
	if t.color {
		// The terminal itself is written to: t.out would show the colour's control characters.
		return t.colored(line, word, color, text)
	}
	_, err := fmt.Fprintf(t.out, "%s %-9s %s\n", line.At.Local().Format(time.TimeOnly), word, text)
	return err
}

// Colours of a terminal.
const (
	noColor = ""
	red     = "\x1b[31m"
	green   = "\x1b[32m"
	yellow  = "\x1b[33m"
	dim     = "\x1b[2m"
	plain   = "\x1b[0m"
)

// colored prints one line with the colour of its word.
func (t *tailing) colored(line *client.TailLine, word, color, text string) error {
	terminal := terminalOf(t.out)
	if _, err := fmt.Fprintf(terminal, "%s%s%s %s%-9s%s ", dim, line.At.Local().Format(time.TimeOnly), plain, color, word, plain); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.out, "%s\n", text)
	return err
}

// worded returns what happened in one word, its colour, and the rest of the line.
func worded(line *client.TailLine) (word, color, text string) {
	switch line.Kind {
	case client.TailEvent:
		return wordedEvent(line)
	case client.TailMissed:
		if line.Missed == 0 {
			return "missed", yellow, "what happened meanwhile"
		}
		return "missed", yellow, fmt.Sprintf("%d %s, which were read too slowly", line.Missed, plural(line.Missed, "line"))
	}
	to := stepOf(line.RuleKind, line.Rule, line.Step)
	word, color = line.State, noColor
	switch {
	case line.State == "delivered":
		color = green
	case line.State == "dead":
		color = red
	case line.Kind == client.TailAttempt && line.State == "waiting":
		word, color = "retry", yellow
	}
	var what []string
	if line.Kind == client.TailAttempt {
		if line.Status > 0 {
			what = append(what, fmt.Sprint(line.Status))
		}
		what = append(what, fmt.Sprintf("%d ms", line.TookMS))
		if line.Attempt > 1 {
			what = append(what, fmt.Sprintf("attempt %d", line.Attempt))
		}
	}
	if line.Reason != "" {
		what = append(what, line.Reason)
	}
	if word == "retry" && !line.Due.IsZero() {
		what = append(what, "next in "+max(line.Due.Sub(line.At.Time), 0).Round(time.Second).String())
	}
	return word, color, to + ": " + strings.Join(what, ", ") + "  " + line.Delivery
}

func wordedEvent(line *client.TailLine) (word, color, text string) {
	parts := []string{line.Type + " from " + line.Source}
	names := func(of []client.TailRule) string {
		all := make([]string, len(of))
		for i, r := range of {
			if all[i] = r.Rule; r.Kind == "webhook" {
				all[i] = "webhook " + r.Rule
			}
		}
		return strings.Join(all, ", ")
	}
	switch {
	case len(line.Matched) > 0:
		parts = append(parts, "matched "+names(line.Matched))
	default:
		parts = append(parts, "no rule matched")
	}
	if len(line.Unknown) > 0 {
		parts = append(parts, "unknown: "+names(line.Unknown))
	}
	for _, r := range line.Faulty {
		parts = append(parts, r.Rule+": "+r.Fault)
		color = red
	}
	return "event", color, strings.Join(parts, "; ") + "  " + line.Event
}

// terminalOf returns the terminal that an output goes to; nil: it goes elsewhere.
func terminalOf(out any) *os.File {
	if shown, ok := out.(visible); ok {
		out = shown.to
	}
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return f
}
