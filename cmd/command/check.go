package command

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

// engineText describes where an engine stores its data, for backups.
var engineText = map[config.Engine]string{
	config.EngineEmbedded: "embedded, in the data folder",
	config.EngineRedis:    "Redis; the data folder holds the control socket only, and each replica needs its own",
}

func (g *globals) check() *cobra.Command {
	var base, redis string
	var live bool
	cmd := &cobra.Command{
		Use:   "check [--live [CONNECTION...]]",
		Short: "Check the configuration, and print the URLs to paste",
		Long: `Check the configuration, and print the URLs to paste, path tokens included.

With --live, also check each connection, or the named ones, with harmless requests to its product: whether it accepts the
credentials, and has what the rules need (scopes, properties, audiences, fields).
Exit code 1 means that something is missing or unreachable.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) > 0 && !live {
				return &exit{exitUsage, errors.New("names of connections need --live: surveygate check --live " + strings.Join(names, " "))}
			}
			if err := g.needConfig(); err != nil {
				return err
			}
			o := offline.Options{Config: g.config, Redis: redis, Version: gateway.Version()}
			report, err := offline.Check(o, base)
			if err != nil && g.json {
				return errors.Join(g.print(faulty{offline.FaultsOf(err)}), &exit{code: exitUsage})
			}
			if err != nil {
				return &exit{exitUsage, err}
			}
			fault := error(nil)
			if live {
				if report.Connections, err = offline.Live(cmd.Context(), o, g.tenant, names); err != nil {
					if _, unknown := errors.AsType[*offline.UnknownError](err); unknown {
						return &exit{exitNothing, err}
					}
					return err
				}
				for _, c := range report.Connections {
					if c.Standing == offline.Missing || c.Standing == offline.Unreachable {
						fault = &exit{code: exitFailed}
					}
				}
			}
			if g.json {
				if err := g.print(report); err != nil {
					return err
				}
				return fault
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
				g.printf("  %-12s %-14s %s\n", owned(s.Tenant, s.Name), s.Profile, s.Where())
			}
			for _, c := range report.Connections {
				g.connection(c)
			}
			return fault
		},
	}
	redisFlag(cmd, &redis)
	cmd.Flags().BoolVar(&live, "live", false, "also ask the products whether the connections work")
	cmd.Flags().StringVar(&base, "url", "", "the gateway's public URL, for the URLs to paste (default: its listen address)")
	return cmd
}

// faulty is the output of --json for a faulty configuration.
type faulty struct {
	Faults []offline.Fault `json:"faults"`
}

// owned prefixes a name by its tenant, unless that is the default tenant: tenants may use the same names.
func owned(tenant, name string) string {
	if tenant == config.DefaultTenant {
		return name
	}
	return tenant + "/" + name
}

// connection prints the result of checking one connection: a line for its standing, and one for each problem.
func (g *globals) connection(c offline.Connection) {
	name := c.Name
	if g.tenant == "" {
		name = owned(c.Tenant, name)
	}
	g.printf("  %-12s %-14s %s", name, c.Product, c.Standing)
	if c.Reason != "" {
		g.printf(": %s", c.Reason)
	}
	g.printf("\n")
	for _, lack := range c.Missing {
		g.printf("    missing: %s", lack.What)
		if len(lack.Steps) > 0 {
			g.printf(" (for %s)", strings.Join(lack.Steps, ", "))
		}
		g.printf("\n")
	}
	for _, what := range c.Unproved {
		g.printf("    not checked: %s\n", what)
	}
	for _, note := range c.Notes {
		g.printf("    note: %s\n", note)
	}
}
