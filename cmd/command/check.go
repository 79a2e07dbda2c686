package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway"
	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

// engineText describes where an engine stores its data, for backups.
var engineText = map[config.Engine]string{
	config.EngineEmbedded: "embedded, in the data folder",
	config.EngineRedis:    "Redis; the data folder holds the control socket only, and each replica needs its own",
}

func (g *globals) check() *cobra.Command {
	var base, redis, code string
	var live, strict bool
	cmd := &cobra.Command{
		Use: "check [--live [CONNECTION...]]",
		Example: `  surveygate check
  surveygate check --url https://hooks.example.com
  surveygate check --strict                # for CI
  surveygate check --explain SG1101
  surveygate check --live crm`,
		Short: "Check the configuration, and print the URLs to paste",
		Long: `Check the configuration, and print the URLs to paste, path tokens included.

Faults prevent a start: exit code 2. Warnings are about what is valid and probably not meant, such as a condition that is never true, a
connection that no rule uses, or a rule that repeats another. Each has a code, which --explain explains. With --strict, warnings end
with exit code 1. A comment silences a warning, on its line, on the line above, or above the rule or connection:

  # surveygate: ignore SG1301 because the console makes rules for it

With --live, also check each connection, or the named ones, with harmless requests to its product: whether it accepts the
credentials, and has what the rules need (scopes, properties, audiences, fields). A connection whose access token is fetched with a
refresh token is checked by the running gateway (--data or --server), as its running configuration has it: only the gateway may use
the token. With --server, the token of the API needs the scope write.
Exit code 1 then means that something is missing or unreachable.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if code != "" {
				return g.explainCheck(code)
			}
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
			if strict && len(report.Warnings) > 0 {
				fault = &exit{code: exitFailed}
			}
			if live {
				if report.Connections, err = offline.Live(cmd.Context(), o, g.tenant, names); err != nil {
					if _, unknown := errors.AsType[*offline.UnknownError](err); unknown {
						return &exit{exitNothing, err}
					}
					return err
				}
				for i, c := range report.Connections {
					if c.OnlyGateway {
						c = g.checkRunning(cmd.Context(), c)
						report.Connections[i] = c
					}
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
			if len(report.Warnings) > 0 {
				g.printf("`surveygate check --explain %s` tells more\n", report.Warnings[0].Code)
			}
			warned := ""
			if n := len(report.Warnings); n > 0 {
				warned = fmt.Sprintf(", %d %s", n, plural(n, "warning"))
			}
			g.printf("%d %s, %d %s, %d %s: no faults%s\n",
				len(report.Sources), plural(len(report.Sources), "source"),
				report.Destinations, plural(report.Destinations, "destination"),
				report.Rules, plural(report.Rules, "rule"), warned)
			g.printf("state: %s\n", engineText[report.Engine])
			g.printf("console: %s\n", cmp.Or(report.Console, "off, and so is the portal"))
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
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with code 1 if there are warnings")
	cmd.Flags().StringVar(&code, "explain", "", "explain the warning with a code, such as SG1101, and check nothing")
	_ = cmd.RegisterFlagCompletionFunc("explain", cobra.FixedCompletions(offline.CheckCodes(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&live, "live", false, "also ask the products whether the connections work")
	cmd.Flags().StringVar(&base, "url", "", "the gateway's public URL, for the URLs to paste (default: its listen address)")
	return cmd
}

// explainCheck prints what a code of a warning means.
func (g *globals) explainCheck(code string) error {
	c, ok := offline.ExplainCheck(code)
	if !ok {
		return &exit{exitNothing, fmt.Errorf("there is no warning `%s`; the codes are explained in %s", code, offline.ChecksPage)}
	}
	if g.json {
		return g.print(c)
	}
	g.printf("%s", c.Text())
	return nil
}

// checkRunning returns the running gateway's result for a connection that only the gateway can check. If no gateway is running, it
// returns the connection as it is; if the gateway cannot check it, the connection with the reason.
func (g *globals) checkRunning(ctx context.Context, c offline.Connection) offline.Connection {
	gw, err := g.dialFor(c.Tenant)
	if err != nil {
		c.Unproved = []string{"anything: only the running gateway can check it, and cannot be asked: " + err.Error()}
		return c
	}
	defer gw.Close()
	found, err := gw.CheckConnection(ctx, c.Name)
	refused, _ := errors.AsType[*client.APIError](err)
	switch {
	case err == nil:
		found.Notes = append(found.Notes, "checked by the running gateway with the configuration that it runs; after a change, `surveygate reload` first")
		return *found
	case errors.Is(err, client.ErrNotRunning):
	case refused != nil && refused.Status == http.StatusNotFound:
		c.Unproved = []string{"anything: the running gateway, which alone can check it, does not have it yet: `surveygate reload`, and check again"}
	default:
		c.Unproved = []string{"anything: the running gateway, which alone can check it, did not: " + err.Error()}
	}
	return c
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
