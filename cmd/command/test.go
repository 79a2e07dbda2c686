package command

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) test() *cobra.Command {
	return &cobra.Command{
		Use:     "test",
		Example: `  surveygate test`,
		Short:   "Run the inline tests of the rules",
		Long:    "Run the `tests` of every rule. Nothing is sent, and environment variables may be unset.",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := g.needConfig(); err != nil {
				return err
			}
			results, err := offline.Test(offline.Options{Config: g.config})
			if err != nil {
				return &exit{exitUsage, err}
			}
			failed := 0
			for _, r := range results {
				if !r.Passed {
					failed++
				}
			}
			if g.json {
				if err := g.print(results); err != nil {
					return err
				}
			} else {
				g.printTests(results, failed)
			}
			if failed > 0 {
				return &exit{exitFailed, nil}
			}
			return nil
		},
	}
}

func (g *globals) printTests(results []offline.TestResult, failed int) {
	for _, r := range results {
		if r.Passed {
			continue
		}
		g.printf("%s: %s: expected [%s], got [%s]\n", r.At, r.Rule, strings.Join(r.Want, ", "), strings.Join(r.Got, ", "))
		for _, why := range r.Why {
			g.printf("    %s\n", why)
		}
	}
	g.printf("%d %s, %d failed\n", len(results), plural(len(results), "test"), failed)
}
