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
		Use:     "repair [DIR]",
		Example: `  surveygate store repair surveygate-data`,
		Short:   "Create a new store from the readable data of a damaged one",
		Long: `Create a new store from all readable data of a damaged one in a data folder
(--data, or DIR), and replace it. The damaged store is not changed or deleted: it
is moved to quarantine-TIME in the data folder. The repair needs as much free
disk space as the store takes.

Readable data is kept: events, deliveries including waiting ones, history,
settings, holds, lists, statistics. An event whose decision cannot be read is
decided and delivered again. An event that cannot be read is lost; its id is
forgotten, so that it is accepted when the platform sends it again. The report
lists the affected positions and tenants, and is kept in store/repaired.json.

A store without its list of tables (MANIFEST), or without a table file, cannot
be repaired: restore a backup. The repair fails while a gateway uses the folder,
and if store check finds no damage. --force creates a new store nevertheless,
and also reads data after damage near the end of the newest log. If the repair
is interrupted, run it again.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := g.dataFolder(args)
			if !yes {
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "This creates a new store from the readable data in %s.\n"+
					"The damaged store is moved to %s. Repair it? [y/N] ", dir, filepath.Join(dir, "quarantine-TIME"))
				line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				switch strings.ToLower(strings.TrimSpace(line)) {
				case "y", "yes":
				default:
					return &exit{exitFailed, errors.New("nothing was changed: confirm with y, or use --yes")}
				}
			}
			p := g.progress(false)
			r, err := offline.RepairStore(dir, force, func(what string, records int) { p.show(records, 0, "records "+what) })
			p.end()
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
	cmd.Flags().BoolVar(&force, "force", false, "also if no damage is found")
	return cmd
}

func (g *globals) showRepair(r *offline.StoreRepair) {
	for _, d := range r.Damage {
		g.printf("damaged: %s\n", d)
	}
	for _, p := range r.LostEvents {
		g.printf("lost: events at positions %d to %d: ask the platforms to send them again\n", p.From, p.To)
	}
	for _, tenant := range slices.Sorted(maps.Keys(r.LostByTenant)) {
		g.printf("lost: %d events of tenant %s\n", r.LostByTenant[tenant], tenant)
	}
	for _, what := range slices.Sorted(maps.Keys(r.LeftOut)) {
		g.printf("left out: %d %s\n", r.LeftOut[what], what)
	}
	g.printf("kept: %d events, %d deliveries not finished at the first attempt, %d history entries, %d settings: %d records\n",
		r.Events, r.Deliveries, r.History, r.Settings, r.Records)
	g.printf("%d events will be decided when the gateway starts\n", r.Pending)
	g.printf("the damaged store is in %s\n", r.Quarantine)
}
