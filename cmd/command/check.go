package command

import (
	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway"
)

// engineText says what an engine is to whoever has to back it up.
var engineText = map[gateway.Engine]string{
	gateway.Embedded: "embedded, in the data folder",
	gateway.Redis:    "Redis; the data folder holds the control socket only, and each replica needs its own",
}

func (g *globals) check() *cobra.Command {
	var base, redis string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration, and print the URLs to paste",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := g.needConfig(); err != nil {
				return err
			}
			report, err := gateway.Check(gateway.Options{Config: g.config, Redis: redis}, base)
			if err != nil {
				return &exit{exitUsage, err}
			}
			if g.json {
				return g.print(report)
			}
			for _, w := range report.Warnings {
				g.printf("warning: %s\n", w)
			}
			g.printf("%d %s, %d %s, %d %s: no faults\n",
				len(report.Sources), plural(len(report.Sources), "source"),
				report.Destinations, plural(report.Destinations, "destination"),
				report.Rules, plural(report.Rules, "rule"))
			g.printf("state: %s\n", engineText[report.Engine])
			for _, s := range report.Sources {
				g.printf("  %-12s %-14s %s\n", s.Name, s.Profile, s.Where())
			}
			return nil
		},
	}
	redisFlag(cmd, &redis)
	cmd.Flags().StringVar(&base, "url", "", "how the gateway is reached from outside, for the URLs (default: where it listens)")
	return cmd
}
