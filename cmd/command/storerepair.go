package command

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/offline"
)

func (g *globals) storeRepair() *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "repair [DIR]",
		Short: "Make a new store of what can be read of a damaged one",
		Long: `Make a new store of all that can be read of a damaged one in a data folder
(--data, or DIR), and put it in its place. The damaged store is not changed: it
is moved into the folder quarantine-TIME of the data folder, and nothing is
deleted. It needs as much free disk as the store takes.

What can be read stays as it was: events, deliveries and what waits, history,
settings, holds, lists, statistics. An event whose decision cannot be read is
decided and delivered again. An event that cannot be read is lost; its id is
forgotten, so it is accepted when the platform sends it again. The report says
which positions and tenants are concerned, and stays in store/repaired.json.

A store whose list of tables (MANIFEST) or whole table file is gone cannot be
repaired: put a backup in its place. It is refused while a gateway runs on the
folder, and where store check finds no damage (--force makes a new one even so,
which also reads on behind damage near the end of the newest log). When it is
interrupted, run it again.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := g.dataFolder(args)
			if !yes {
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "The store in %s is read, and a new one made of what can be read.\n"+
					"The damaged one is moved to %s. Repair it? [y/N] ", dir, filepath.Join(dir, "quarantine-TIME"))
				line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				switch strings.ToLower(strings.TrimSpace(line)) {
				case "y", "yes":
				default:
					return &exit{exitFailed, errors.New("nothing was done: confirm with y, or give --yes")}
				}
			}
			r, err := offline.RepairStore(dir, force)
			if err != nil {
				return &exit{exitFailed, err}
			}
			if g.json {
				return g.print(r)
			}
			g.showRepair(r)
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "also where no damage is found")
	return cmd
}

func (g *globals) showRepair(r *offline.StoreRepair) {
	for _, d := range r.Damage {
		g.printf("damaged: %s\n", d)
	}
	for _, p := range r.LostEvents {
		g.printf("lost: events at the positions %d to %d: have the platforms send them again\n", p.From, p.To)
	}
	for _, tenant := range slices.Sorted(maps.Keys(r.LostByTenant)) {
		g.printf("lost: %d events of tenant %s\n", r.LostByTenant[tenant], tenant)
	}
	for _, what := range slices.Sorted(maps.Keys(r.LeftOut)) {
		g.printf("left out: %d %s\n", r.LeftOut[what], what)
	}
	g.printf("carried over: %d events, %d deliveries that were not finished at once, %d entries of history, %d settings: %d records\n",
		r.Events, r.Deliveries, r.History, r.Settings, r.Records)
	g.printf("%d events are decided when the gateway starts\n", r.Pending)
	g.printf("the damaged store is in %s\n", r.Quarantine)
}
