package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/offline"
)

// ruleTests are the flags of `surveygate test`.
type ruleTests struct {
	update, coverage, watch bool
	least                   int
	junit                   string
}

func (g *globals) test() *cobra.Command {
	var f ruleTests
	cmd := &cobra.Command{
		Use: "test",
		Example: `  surveygate test
  surveygate test --update
  surveygate test --coverage --watch
  surveygate test --min-coverage 90 --junit report.xml`,
		Short: "Run the tests of the rules",
		Long: `Run the tests of every rule, and the transcripts of events: *.txtar files beside the configuration, and in the folder
tests there. Nothing is sent, and environment variables may be unset.

A transcript has events, and below them each step that is sent for them, with its request. Write the events, let --update add the
rest, and read it:

  An unhappy customer reaches Slack.
  -- event.json --
  {"type": "response.completed", "nps_score": 3}

The part -- source NAME -- holds a platform's body instead. A part -- steps -- has only the names of the steps, such as
rule unhappy: alarms, one in each line.

--coverage shows the rules that no test matches or none refuses, and each part of a condition that is never true or never false in
any test that gets to it. Exit code 1 means that a test failed, or that the coverage is too low.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.watch && f.update:
				return &exit{exitUsage, errors.New("--watch and --update exclude each other: read what changes before you accept it")}
			case f.watch && g.json:
				return &exit{exitUsage, errors.New("--watch and --json exclude each other")}
			case f.least < 0 || f.least > 100:
				return &exit{exitUsage, errors.New("--min-coverage is a percentage from 0 to 100")}
			case slices.Contains([]string{".yaml", ".yml", ".json", ".txtar"}, filepath.Ext(f.junit)):
				return &exit{exitUsage, fmt.Errorf("--junit %s: a report would replace this file; write a name such as report.xml", f.junit)}
			}
			f.coverage = f.coverage || cmd.Flags().Changed("min-coverage")
			if err := g.needConfig(); err != nil {
				return err
			}
			if f.watch {
				return g.watchTests(cmd.Context(), f)
			}
			_, err := g.runTests(f)
			return err
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.update, "update", false, "write what is sent into the transcripts; read the difference afterwards")
	flags.BoolVar(&f.coverage, "coverage", false, "show what no test tries")
	flags.IntVar(&f.least, "min-coverage", 0, "show it, and exit with code 1 if less than this percentage is tried")
	flags.StringVar(&f.junit, "junit", "", "also write the results as JUnit XML into this `file`")
	flags.BoolVar(&f.watch, "watch", false, "run again when a file changes, until Ctrl-C")
	return cmd
}

// runTests runs the tests once and prints their results. The results are not nil, even if there is an error.
func (g *globals) runTests(f ruleTests) (*offline.Tested, error) {
	tested, err := offline.Test(offline.TestOptions{Options: offline.Options{Config: g.config}, Update: f.update})
	if f.junit != "" {
		write := func(w io.Writer) error { return tested.JUnit(w, f.least) }
		if err != nil {
			fault := err
			write = func(w io.Writer) error { return offline.JUnitFault(w, fault) }
		}
		err = errors.Join(err, writeFile(f.junit, write))
	}
	if err != nil {
		return tested, &exit{exitUsage, err}
	}
	switch {
	case g.json && f.coverage:
		err = g.print(tested)
	case g.json:
		err = g.print(tested.Results)
	default:
		g.printTests(tested)
		if f.coverage {
			g.printCoverage(tested.Coverage)
		}
	}
	if err != nil {
		return tested, err
	}
	low := tested.Coverage.Percent < f.least
	if low && !g.json {
		g.printf("less than %d%% is tested\n", f.least)
	}
	if low || tested.Failed() > 0 {
		return tested, &exit{exitFailed, nil}
	}
	return tested, nil
}

func writeFile(name string, write func(io.Writer) error) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}

// watchEvery is the interval at which files are compared.
const watchEvery = 300 * time.Millisecond

// watchTests runs the tests, and again whenever a file changes, until the context ends.
func (g *globals) watchTests(ctx context.Context, f ruleTests) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		tested, err := g.runTests(f)
		if err != nil && err.Error() != "" {
			g.printf("%s\n", err)
		}
		for changed := ""; changed == ""; {
			select {
			case <-ctx.Done():
				return nil
			case now := <-tick.C:
				if changed = tested.Changed(); changed != "" {
					g.printf("──── %s  %s changed\n", now.Format(time.TimeOnly), changed)
				}
			}
		}
	}
}

func (g *globals) printTests(tested *offline.Tested) {
	updated := 0
	for i := range tested.Results {
		r := &tested.Results[i]
		switch {
		case r.Updated:
			updated++
			g.printf("%s: updated\n", r.Transcript)
			continue
		case r.Passed:
			continue
		case r.Error != "":
			g.say("%s\n", r.Error)
		case r.Transcript != "":
			g.printf("%s: - is expected, + would be sent\n", r.At)
			for line := range strings.Lines(r.Diff) {
				g.printf("%s\n", strings.TrimRight("    "+line, " \n"))
			}
		default:
			g.printf("%s: %s: expected [%s], got [%s]\n", r.At, r.Rule, strings.Join(r.Want, ", "), strings.Join(r.Got, ", "))
		}
		for _, why := range r.Why {
			g.say("    %s\n", why)
		}
	}
	n := len(tested.Results)
	g.printf("%d %s, %d failed", n, plural(n, "test"), tested.Failed())
	if updated > 0 {
		g.printf(", %d updated", updated)
	}
	g.printf("\n")
}

// maxPart is where the text of a condition's part is cut.
const maxPart = 52

// printCoverage prints what no test tries, and the totals.
func (g *globals) printCoverage(c *offline.Coverage) {
	for i := range c.Each {
		r := &c.Each[i]
		lacks := lacksOf(r)
		if len(lacks) == 0 {
			continue
		}
		g.say("%s %s: %s\n", r.Kind, owned(r.Tenant, r.Name), lacks[0])
		for _, lack := range lacks[1:] {
			g.printf("    %s\n", lack)
		}
	}
	if c.Rules == 0 {
		g.printf("coverage: there are no rules\n")
		return
	}
	rules := plural(c.Rules, "rule")
	for i := range c.Each {
		if c.Each[i].Kind == "webhook" {
			rules = "rules and webhooks"
		}
	}
	g.say("%d of %d %s tested both ways; %d of %d %s decided both ways: %d%%\n",
		c.Tested, c.Rules, rules, c.Decided, c.Parts, plural(c.Parts, "part"), c.Percent)
}

// lacksOf says what no test tries of a rule: first of the rule, then of parts of its condition; empty: nothing.
func lacksOf(r *offline.RuleCoverage) (lacks []string) {
	switch {
	case !r.Asked:
		return []string{"no test asks it"}
	case !r.Matched:
		lacks = append(lacks, "no test matches it")
	case !r.Refused && r.When != "":
		lacks = append(lacks, "no test refuses it")
	default:
		lacks = append(lacks, "not every part of its condition is decided both ways")
	}
	width := 0
	var parts [][2]string
	for i := range r.Parts {
		p := &r.Parts[i]
		if len(r.Parts) == 1 && p.Text == strings.TrimSpace(r.When) && (!r.Matched || !r.Refused) {
			continue // it is the condition: its rule says so
		}
		never := ""
		switch {
		case p.BothWays():
			continue
		case !p.True && !p.False:
			never = "never true, never false"
		case !p.True:
			never = "never true"
		default:
			never = "never false"
		}
		text := []rune(strings.Join(strings.Fields(p.Text), " "))
		if len(text) > maxPart {
			text = append(text[:maxPart-1], '…')
		}
		width = max(width, len(text))
		parts = append(parts, [2]string{string(text), never})
	}
	if len(parts) == 0 && r.BothWays() {
		return nil
	}
	for _, p := range parts {
		lacks = append(lacks, fmt.Sprintf("%-*s  %s", width, p[0], p[1]))
	}
	return lacks
}
