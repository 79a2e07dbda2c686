package command

import (
	"time"

	"github.com/spf13/cobra"
)

func (g *globals) console() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Print a link that opens the console once, signed in",
		Long: `Print a link that opens the console once, within five minutes, signed in for twelve hours: with the token of --token, or
else, over the control socket, with the token "console" of the tenant, which is made when it is first needed. Deleting that
token ends these sessions. --tenant '*' is for every tenant.`,
		Example: `  surveygate console
  surveygate console --tenant acme --to '/console/deliveries?state=dead'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gw, err := g.dialAny()
			if err != nil {
				return err
			}
			defer gw.Close()
			link, err := gw.LoginLink(cmd.Context(), to)
			if err != nil {
				return err
			}
			if g.json {
				return g.print(link)
			}
			g.say("opens once, until %s, as token %s of tenant %s:\n", link.Expires.Format(time.TimeOnly), link.Token, link.Tenant)
			g.printf("%s\n", link.URL)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the page that it opens, such as /console/deliveries")
	return cmd
}
