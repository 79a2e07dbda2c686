package command

import (
	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) secret() *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "secret",
		Example: `  surveygate secret
  surveygate secret --for token`,
		Short: "Print a new secret",
		Long: `Print a new random secret for one purpose:

  webhook  whsec_…, signs webhooks in the standard style: 32 bytes
  ed25519  whsk_…, signs webhooks; receivers hold the public key, printed too
  path     the secret part of a source's URL
  token    grants access to the API
  key      seals secrets in the store: SURVEYGATE_KEY or key_file`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			made, err := offline.NewSecret(kind)
			if err != nil {
				return &exit{exitUsage, err}
			}
			if g.json {
				return g.print(made)
			}
			g.printf("%s\n", made.Secret)
			if made.Public != "" {
				g.printf("%s\n", made.Public)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&kind, "for", "webhook", "webhook, ed25519, path, token or key")
	return cmd
}
