package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// backtesting holds the arguments of `backtest`.
type backtesting struct {
	*globals
	cmd                         *cobra.Command
	file, against, rate, reason string
	all, deliver, yes           bool // all: every sample is shown
	ask                         client.Backtest
	unset                       []string // variables of the draft
}

func (g *globals) backtest() *cobra.Command {
	b := &backtesting{globals: g}
	cmd := &cobra.Command{
		Use:   "backtest --rule NAME | -f FILE",
		Short: "Show what a rule would have done with stored events",
		Long: `Ask a running gateway what rules would have done with the events that it keeps, had they been live: how many they would have matched by
day, source and survey, how many deliveries would have been sent, skipped, rejected or cut, and why, with an example of each. Nothing is
sent or kept.

--rule asks a rule or webhook of the gateway, also one that is not enabled; -f asks rules of a file, which the gateway need not have, with
the connections and webhooks that they send to. The file may be a whole configuration; --rule then picks rules of it. At most ten are asked
at once. ${NAME} is replaced from the environment, and may stay without a value. A file needs the scope settings.

Events are asked about newest first, by what the rule is now. Of a rule with settle or incomplete_delay, responses are counted, as they
stand now. With once: response, the newest event of a response counts as sent. quiet, at_most and contact_cap are not applied. Cut are texts
that are shortened to a limit of the product; lists that are shortened are not counted.

--json prints the result, which may be saved; its examples hold what respondents wrote. --against compares with a saved one, such as that
of the rule as it was.

--deliver makes up for the time in which a rule was not live: it shows the result, asks, and replays the events of that time for this rule,
at --rate. What the rule has delivered or decided before is left alone.`,
		Example: `  surveygate backtest --rule detractor --since 30d
  surveygate backtest -f surveygate.yaml --rule detractor --json > before.json
  surveygate backtest -f surveygate.yaml --rule detractor --against before.json
  surveygate backtest --rule detractor --since 7d --deliver --rate 10/s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.cmd = cmd
			return b.run()
		},
	}
	f := cmd.Flags()
	f.StringVarP(&b.file, "file", "f", "", "a file with rules, in YAML or JSON; - is stdin")
	f.StringSliceVar(&b.ask.Rules, "rule", nil, "the rule or webhook; with -f, those of the file, else all rules of it")
	f.StringVar(&b.ask.Since, "since", "30d", "events received since then: a time, or how long ago")
	f.StringVar(&b.ask.Until, "until", "", "events received before then (default: now)")
	f.IntVar(&b.ask.Limit, "limit", 100_000, "how many events are asked about, newest first, up to 1000000")
	f.StringVar(&b.ask.Source, "source", "", "events of this source")
	f.StringVar(&b.ask.Survey, "survey", "", "events of the survey with this id")
	f.StringVar(&b.ask.Type, "type", "", "events of this type, such as response.completed")
	f.BoolVar(&b.all, "samples", false, "show all examples, with their requests")
	f.StringVar(&b.against, "against", "", "compare with the result in this FILE, which --json has printed")
	f.BoolVar(&b.deliver, "deliver", false, "deliver what the rule has not delivered, after a question")
	f.StringVar(&b.rate, "rate", "", "with --deliver, how many events a second, such as 20/s, which is the default")
	f.StringVar(&b.reason, "reason", "", "with --deliver, the reason to keep with the replay")
	f.BoolVar(&b.yes, "yes", false, "with --deliver, do not ask")
	return cmd
}

const maxBacktestLimit = 1_000_000

// check refuses arguments that contradict each other.
func (b *backtesting) check() error {
	switch {
	case b.file == "" && len(b.ask.Rules) == 0:
		return errors.New("say which rule: --rule NAME, or -f FILE for rules of a file")
	case b.ask.Limit < 1 || b.ask.Limit > maxBacktestLimit:
		return fmt.Errorf("--limit %d: this is 1 to %d", b.ask.Limit, maxBacktestLimit)
	case !b.deliver && (b.rate != "" || b.reason != "" || b.yes):
		return errors.New("--rate, --reason and --yes go with --deliver")
	case b.deliver && b.file != "":
		return errors.New("--deliver is for a rule that the gateway has: write it first, with `surveygate rule put NAME FILE`\n" +
			"or in its configuration files, and then: surveygate backtest --rule NAME --deliver")
	case b.deliver && len(b.ask.Rules) > 1:
		return errors.New("--deliver is for one rule at a time")
	case b.deliver && b.ask.Survey != "":
		return errors.New("--survey does not go with --deliver: a replay selects by --source, --type, --since and --until")
	case b.deliver && b.against != "":
		return errors.New("--against and --deliver exclude each other")
	case b.deliver && b.json && !b.yes:
		return errors.New("--json cannot ask for confirmation: count without --deliver, or give --yes")
	}
	return nil
}

func (b *backtesting) run() error {
	if err := b.check(); err != nil {
		return &exit{exitUsage, err}
	}
	before, err := b.saved()
	if err != nil {
		return &exit{exitUsage, err}
	}
	var draft *client.Draft
	if b.file != "" {
		if draft, err = b.readFile(); err != nil {
			return &exit{exitUsage, err}
		}
	}
	gw, err := b.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	result, err := b.asked(gw)
	if err != nil && draft != nil {
		err = draft.LocatedInTrial(err, false)
	}
	switch {
	case isRefusedInput(err):
		return &exit{exitUsage, err}
	case errors.Is(err, context.Canceled):
		return &exit{exitFailed, errors.New("interrupted: nothing was sent or kept")}
	case err != nil:
		return err
	case b.deliver:
		return b.delivers(gw, result)
	case before != nil:
		return b.compared(before, result)
	case b.json:
		return b.print(result)
	}
	b.shown(result)
	return nil
}

// saved reads the result to compare with; nil: there is none.
func (b *backtesting) saved() (*client.Backtested, error) {
	if b.against == "" {
		return nil, nil
	}
	text, err := os.ReadFile(b.against)
	if err != nil {
		return nil, err
	}
	before, ok := client.ReadBacktested(text)
	if !ok {
		return nil, fmt.Errorf("%s is not the result of a backtest: write one with `surveygate backtest --rule NAME --json > FILE`", b.against)
	}
	return before, nil
}

// readFile reads the rules in the file.
func (b *backtesting) readFile() (*client.Draft, error) {
	file, text, err := b.readText(b.cmd, b.file)
	if err != nil {
		return nil, err
	}
	draft, unset, err := client.ReadOpenDraft(file, text, client.Lookup{Env: os.LookupEnv})
	if err != nil {
		return nil, err
	}
	if b.ask.Draft, err = draft.Backtest(b.ask.Rules, b.tenant); err != nil {
		return nil, err
	}
	b.ask.Variables, b.unset = true, unset
	return draft, nil
}

// asked asks the gateway, and shows how far it has come.
func (b *backtesting) asked(gw *client.Client) (*client.Backtested, error) {
	p := b.progress(true)
	defer p.end()
	return gw.Backtest(b.cmd.Context(), b.ask, func(at *client.BacktestProgress) { p.show(at.Asked, 0, backtestProgress(at)) })
}

// backtestProgress says how far back a backtest has come. It ends with the span or with the limit, whichever comes first; how many events the
// span has is not known.
func backtestProgress(p *client.BacktestProgress) string {
	if p.BackTo.IsZero() {
		return "events"
	}
	share := 0
	if span := p.Until.Sub(p.Since.Time); span > 0 {
		share = int(100 * p.Until.Sub(p.BackTo.Time) / span)
	}
	if p.Limit > 0 {
		share = max(share, 100*p.Asked/p.Limit)
	}
	return fmt.Sprintf("events, back to %s (%d %%)", p.BackTo.Format(toMinute), min(max(share, 0), 100))
}

// delivers replays what the rule has not delivered.
func (b *backtesting) delivers(gw *client.Client, result *client.Backtested) error {
	rule := &result.Rules[0]
	if !b.json {
		b.shown(result)
		b.printf("\n")
	}
	sent := 0
	for _, s := range rule.Steps {
		sent += s.Sent + s.Waiting
	}
	switch {
	case !rule.Live:
		return &exit{exitFailed, fmt.Errorf("nothing was delivered: %s %s is not enabled; first: surveygate %s enable %s", rule.Kind, rule.Rule, rule.Kind, rule.Rule)}
	case sent == 0:
		return &exit{exitFailed, errors.New("nothing was delivered: there is nothing to send")}
	}
	since := result.Since
	if result.Stopped != "" {
		since = result.BackTo
	}
	if !b.yes {
		b.say("This replays the events received from %s to %s for %s %s: up to %d %s. What it has delivered or decided of them before is left alone.\n",
			since.Format(toMinute), result.Until.Format(toMinute), rule.Kind, rule.Rule, sent, deliveriesWord(sent))
		if !b.confirmed(b.cmd, "Deliver them?") {
			return &exit{exitFailed, errors.New("nothing was delivered; --yes skips the question")}
		}
	}
	j, err := gw.BeginReplay(b.cmd.Context(), client.ReplayRequest{
		Of: client.ReplayOf{
			Rule: rule.Rule, Missing: true, Type: b.ask.Type, Source: b.ask.Source, Since: since.String(), Until: result.Until.String(),
		},
		As: "today", Rate: b.rate, Reason: b.reason,
	})
	if err != nil {
		return err
	}
	r := &replaying{globals: b.globals, cmd: b.cmd}
	switch {
	case b.json:
		return b.print(j)
	case terminalOf(b.out) == nil:
		b.say("%s %s; how far it is: surveygate replay show %s\n", j.ID, j.State, j.ID)
		return nil
	}
	return r.follow(gw, j)
}

// variables says what is not known of a file.
func (b *backtesting) variables() string {
	if len(b.unset) == 0 {
		return ""
	}
	return "not set in the environment, and taken as they stand: " + strings.Join(b.unset, ", ")
}
