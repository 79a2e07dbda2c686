package command

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// apiTokens are the subcommands of `token` about tokens of the API.
func (g *globals) apiTokens() []*cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List tokens of the API, without their secrets", Args: cobra.NoArgs,
		Example: "  surveygate token list\n  surveygate token list --tenant '*'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listTokens(cmd) },
	}
	var asked client.NewToken
	var quiet bool
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a token of the API, and print its secret once", Args: cobra.ExactArgs(1),
		Long: "Make a token of the API for the tenant of --tenant, and print its secret once. --tenant '*' makes a token for every tenant. " +
			"It needs the scope admin; scopes, sources and time are at most those of the caller.",
		Example: `  surveygate token create ci --scopes read,settings --expires 90d
  surveygate token create shop --scopes publish --quiet > token`,
		RunE: func(cmd *cobra.Command, args []string) error {
			asked.Name = args[0]
			gw, err := g.dialAny()
			if err != nil {
				return err
			}
			defer gw.Close()
			made, err := gw.CreateToken(cmd.Context(), asked)
			switch {
			case err != nil:
				return err
			case g.json:
				return g.print(made)
			case quiet:
				g.printf("%s\n", made.Secret)
			default:
				g.say("token %s of tenant %s: %s, %s\n", made.Name, made.Tenant, strings.Join(made.Scopes, " "), expiry(&made.Token))
				g.printf("its secret, shown this once:\n%s\n", made.Secret)
			}
			return nil
		},
	}
	f := create.Flags()
	f.StringSliceVar(&asked.Scopes, "scopes", nil, "read, write, publish, secrets, settings or admin; several with commas")
	f.StringSliceVar(&asked.Sources, "sources", nil, "sources that it may publish as (default api); '*' means all")
	f.StringVar(&asked.Expires, "expires", "", "how long it is valid, such as 90d or 12h, or a time (default: without end)")
	f.BoolVarP(&quiet, "quiet", "q", false, "print the secret alone")
	remove := &cobra.Command{
		Use: "delete NAME", Short: "End a token of the API, and its sessions", Args: cobra.ExactArgs(1),
		Example: "  surveygate token delete ci",
		RunE: func(cmd *cobra.Command, args []string) error {
			gw, err := g.dialAny()
			if err != nil {
				return err
			}
			defer gw.Close()
			if err := gw.DeleteToken(cmd.Context(), args[0]); err != nil {
				return err
			}
			if g.json {
				return g.print(map[string]string{"deleted": args[0]})
			}
			g.printf("token %s: deleted\n", args[0])
			return nil
		},
	}
	return []*cobra.Command{list, create, remove}
}

func (g *globals) listTokens(cmd *cobra.Command) error {
	gw, err := g.dialAny()
	if err != nil {
		return err
	}
	defer gw.Close()
	all, err := gw.Tokens(cmd.Context())
	if err != nil {
		return err
	}
	if g.json {
		return g.print(all)
	}
	rows := make([][]string, len(all))
	for i := range all {
		t := &all[i]
		name := g.nameOf(t.Tenant, t.Name)
		if t.Tenant == everyTenant {
			name = t.Tenant + "/" + t.Name
		}
		used := t.Provenance
		if t.LastUsed != "" {
			used = "used " + t.LastUsed
		}
		rows[i] = []string{name, used, expiry(t), strings.Join(t.Scopes, " ")}
	}
	slices.SortStableFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	g.wholeTable(rows)
	return nil
}

// expiry says until when a token counts.
func expiry(t *client.Token) string {
	switch {
	case t.Expires.IsZero():
		return "for ever"
	case t.Expired:
		return "ended " + t.Expires.Format(time.DateOnly)
	}
	return "until " + t.Expires.Format(time.DateTime)
}
