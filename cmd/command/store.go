package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) store() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Look after the data folder of a gateway that is stopped"}
	cmd.AddCommand(g.storeCheck(), g.storeRepair())
	return cmd
}

func (g *globals) storeCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR]",
		Short: "Read all that is kept in a data folder and count it",
		Long: `Read all that the embedded engine keeps in a data folder (--data, or DIR), with
its checksums, count it, and change nothing. Exits with 1 where something is
damaged, and says what to do. It is refused while a gateway runs on the folder.
Damage near the end of the newest log (some 100 KB) looks like an end that a
crash cut off, and is not noticed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := g.dataFolder(args)
			c, err := offline.CheckStore(dir)
			if err != nil {
				return &exit{exitFailed, err}
			}
			if g.json {
				if err := g.print(c); err != nil {
					return err
				}
			} else {
				g.printf("%d events, %d decided, %d deliveries that were not finished at once, %d settings: %d records, %d bytes\n",
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

// dataFolder is the folder that a command of store is about.
func (g *globals) dataFolder(args []string) string {
	switch {
	case len(args) == 1:
		return args[0]
	case g.data != "":
		return g.data
	}
	return config.DefaultData
}
