package command

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway"
)

func (g *globals) explain() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "explain EVENT-ID | FILE",
		Short: "Say why an event arrived where it did, and why not elsewhere",
		Long: `With an event's id: ask a running gateway what became of it, rule by rule and delivery by delivery.
With a file: say what the configuration would do with it; nothing is sent or stored.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err == nil {
				return g.explainFile(args[0], source)
			}
			client, err := g.dial()
			if err != nil {
				return err
			}
			defer client.Close()
			x, err := client.Explain(cmd.Context(), eventID(args[0]))
			if err != nil {
				return err
			}
			if g.json {
				return g.print(x)
			}
			return x.Text(g.out)
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the file is this source's platform's own body")
	return cmd
}

// eventID takes a delivery's id for its event's: dl_<event>_<step>.
func eventID(id string) string {
	if rest, ok := strings.CutPrefix(id, "dl_"); ok {
		id, _, _ = strings.Cut(rest, "_")
	}
	return id
}

func (g *globals) explainFile(path, source string) error {
	if err := g.needConfig(); err != nil {
		return err
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return &exit{exitUsage, err}
	}
	all, err := gateway.Explain(gateway.Options{Config: g.config}, g.tenant, source, body)
	if err != nil {
		return &exit{exitUsage, err}
	}
	if g.json {
		return g.print(all)
	}
	for i, x := range all {
		if i > 0 {
			g.printf("\n")
		}
		if err := x.Text(g.out); err != nil {
			return err
		}
	}
	return nil
}
