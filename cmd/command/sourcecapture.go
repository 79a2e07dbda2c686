package command

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// sourceCapture is the command that lets a source keep its requests for a while.
func (g *globals) sourceCapture() *cobra.Command {
	var lasts time.Duration
	cmd := &cobra.Command{
		Use:   "capture SOURCE",
		Short: "Keep the requests that a source gets for a while",
		Long: "Keep the requests that a source gets for a while, on all replicas: `source captured` lists and saves them. Secrets in them are hidden. " +
			"It needs the scope settings, and is audited.",
		Example: `  surveygate source capture typeform --for 1h
  surveygate source capture typeform --for 0s`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			until, err := gw.CaptureRequests(cmd.Context(), args[0], lasts)
			switch {
			case err != nil:
				return err
			case g.json:
				shown := map[string]any{"source": args[0], "capture_until": nil}
				if !until.IsZero() {
					shown["capture_until"] = client.Time{Time: until}
				}
				return g.print(shown)
			case until.IsZero():
				g.printf("source %s: keeps no requests\n", args[0])
			default:
				g.printf("source %s: keeps requests until %s\n  to see them: surveygate source captured %s\n", args[0], until.Format(time.RFC3339), args[0])
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&lasts, "for", time.Hour, "how long, up to 24h; 0s ends it")
	return cmd
}
