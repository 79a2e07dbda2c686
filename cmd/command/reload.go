package command

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) reload() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "reload",
		Example: `  surveygate reload
  surveygate reload --force`,
		Short: "Make a running gateway reload its configuration",
		Long: `Make the gateway that uses --data reload its configuration, and show what changed. It also reloads by itself shortly after a
file changes.

A configuration that removes more than a third of the sources, connections, webhooks, rules or tokens, or everything of a
tenant, waits until its files have not changed for 30 s, because a file may be half written. --force uses it now. Exit code 1
means that it waits, 2 that it is refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gw, err := g.dialFor("") // of the whole gateway
			if err != nil {
				return err
			}
			defer gw.Close()
			call := client.Call{Method: http.MethodPost, Path: "/v1/reload"}
			if force {
				call.Query = url.Values{"force": {"true"}}
			}
			var answer struct {
				Status     string          `json:"status"`
				Difference string          `json:"difference,omitempty"`
				Generation string          `json:"generation,omitempty"`
				Reason     string          `json:"reason,omitempty"`
				Faults     []offline.Fault `json:"faults,omitempty"`
			}
			call.Into = &answer
			if err := gw.Do(cmd.Context(), call); err != nil {
				return err
			}
			if g.json {
				if err := g.print(answer); err != nil {
					return err
				}
			} else {
				g.printf("%s", answer.Status)
				if answer.Difference != "" {
					g.printf(": %s", answer.Difference)
				}
				g.printf("\n")
				if answer.Reason != "" {
					g.printf("  %s\n", answer.Reason)
				}
				for _, f := range answer.Faults {
					g.printf("%s\n", f)
				}
			}
			switch answer.Status {
			case "waiting":
				return &exit{code: exitFailed}
			case "refused":
				return &exit{code: exitUsage}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "use it now, even if it removes much")
	return cmd
}
