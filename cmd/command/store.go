package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) store() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Check or repair the data folder of a stopped gateway"}
	cmd.AddCommand(g.storeCheck(), g.storeRepair())
	return cmd
}

func (g *globals) storeCheck() *cobra.Command {
	return &cobra.Command{
		Use:     "check [DIR]",
		Example: `  surveygate store check surveygate-data`,
		Short:   "Read and count everything in a data folder",
		Long: `Read everything that the embedded engine stores in a data folder (--data, or
DIR), verify its checksums and count it, without changes. If something is
damaged, it exits with 1 and shows what to do. It fails while a gateway uses the
folder. Damage near the end of the newest log (about 100 KB) cannot be
distinguished from a write that a crash interrupted, and is not reported.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := g.dataFolder(args)
			p := g.progress(false)
			c, err := offline.CheckStore(dir, func(records int) { p.show(records, 0, "records read") })
			p.end()
			if err != nil {
				return &exit{exitFailed, err}
			}
			if g.json {
				if err := g.print(c); err != nil {
					return err
				}
			} else {
				g.printf("%d events, %d decided, %d deliveries not finished at the first attempt, %d settings: %d records, %d bytes\n",
					c.Events, c.Outcomes, c.Deliveries, c.Settings, c.Records, c.Bytes)
			}
			switch {
			case c.Damage != "":
				return &exit{exitFailed, errors.New(c.Damage)}
			case c.Unreadable > 0:
				g.printf("%d events cannot be decoded: the gateway makes them dead letters\n", c.Unreadable)
				return &exit{exitFailed, errors.New("")}
			}
			return nil
		},
	}
}

// dataFolder returns the folder that a store command uses.
func (g *globals) dataFolder(args []string) string {
	switch {
	case len(args) == 1:
		return args[0]
	case g.data != "":
		return g.data
	}
	return config.DefaultData
}
