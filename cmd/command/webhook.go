package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// webhook is the command of webhooks, which have secrets too.
func (g *globals) webhook() *cobra.Command {
	cmd := g.documents(client.WebhookKind)
	cmd.AddCommand(g.webhookSecrets())
	return cmd
}

// webhookSecrets is the command of the secrets that webhooks sign with.
func (g *globals) webhookSecrets() *cobra.Command {
	cmd := &cobra.Command{Use: "secret", Short: "List, rotate and end the secrets that a webhook signs with"}
	list := &cobra.Command{
		Use: "list WEBHOOK", Short: "List a webhook's secrets, without their values", Args: cobra.ExactArgs(1),
		Example: "  surveygate webhook secret list partner",
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.secretsOf(cmd, func(ctx context.Context, gw *client.Client) ([]client.WebhookSecret, error) {
				return gw.WebhookSecrets(ctx, args[0])
			})
		},
	}
	remove := &cobra.Command{
		Use: "delete WEBHOOK ID", Short: "End a secret now; the last one cannot be ended", Args: cobra.ExactArgs(2),
		Example: "  surveygate webhook secret delete partner s_2ak6",
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.secretsOf(cmd, func(ctx context.Context, gw *client.Client) ([]client.WebhookSecret, error) {
				return gw.DeleteWebhookSecret(ctx, args[0], args[1])
			})
		},
	}
	var overlap string
	var quiet bool
	rotate := &cobra.Command{
		Use: "rotate WEBHOOK", Short: "Make another secret, and print it once", Args: cobra.ExactArgs(1),
		Long: "Make another secret, and print it once. Until the overlap ends, requests are signed with both secrets, or with the former one " +
			"where a style has one signature; then the former one is removed.",
		Example: "  surveygate webhook secret rotate partner --overlap 1h",
		RunE: func(cmd *cobra.Command, args []string) error {
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			made, err := gw.RotateWebhookSecret(cmd.Context(), args[0], overlap)
			switch {
			case err != nil:
				return err
			case g.json:
				return g.print(made)
			case quiet:
				g.printf("%s\n", made.Secret)
			default:
				g.say("webhook %s: secret %s, shown this once:\n", args[0], made.ID)
				g.printf("%s\n", made.Secret)
			}
			return nil
		},
	}
	rotate.Flags().StringVar(&overlap, "overlap", "", "how long the former secret is still used, 0s to 720h (default 24h)")
	rotate.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the secret alone")
	cmd.AddCommand(list, rotate, remove)
	return cmd
}

// secretsOf prints the secrets of a webhook.
func (g *globals) secretsOf(cmd *cobra.Command, ask func(context.Context, *client.Client) ([]client.WebhookSecret, error)) error {
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	all, err := ask(cmd.Context(), gw)
	if err != nil {
		return err
	}
	if g.json {
		return g.print(all)
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		until := ""
		if !s.Until.IsZero() {
			until = "until " + s.Until.Format(time.RFC3339)
		}
		rows[i] = []string{s.ID, s.Hint, "since " + s.Since.Format(time.RFC3339), until}
	}
	g.table(rows)
	return nil
}
