package command

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway"
)

func (g *globals) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Example: "  surveygate version",
		Short:   "Print the version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if g.json {
				return g.print(map[string]string{"version": gateway.Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			g.printf("surveygate %s (%s, %s/%s)\n", gateway.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
