package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// tenants is the command of tenants. --tenant does not count: the tenant is an argument.
func (g *globals) tenants() *cobra.Command {
	cmd := &cobra.Command{Use: "tenant", Short: "List, make, change and delete tenants"}
	list := &cobra.Command{
		Use: "list", Short: "List tenants, by name", Args: cobra.NoArgs,
		Long:    "List tenants, by name: those that have a record, and those that a file, a document or a token names. It needs a token of every tenant with the scope admin.",
		Example: "  surveygate tenant list",
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listTenants(cmd) },
	}
	show := &cobra.Command{
		Use: "show TENANT", Short: "Show a tenant, its limits, and how much it has", Args: cobra.ExactArgs(1),
		Example: "  surveygate tenant show acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			gw, err := g.dialFor("")
			if err != nil {
				return err
			}
			defer gw.Close()
			t, err := gw.Tenant(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return g.showTenant(t)
		},
	}
	var on client.Condition
	var cascade, yes, wait bool
	remove := &cobra.Command{
		Use: "delete TENANT", Short: "Delete a tenant, with --cascade all that it owns too", Args: cobra.ExactArgs(1),
		Example: "  surveygate tenant delete acme --cascade",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cascade && !yes && !g.json && isTerminal(cmd.InOrStdin()) && !g.confirmed(cmd, "Delete tenant "+args[0]+" and all that it owns?") {
				return &exit{exitFailed, errors.New("nothing was deleted; --yes skips the question")}
			}
			gw, err := g.dialFor("")
			if err != nil {
				return err
			}
			defer gw.Close()
			j, err := gw.DeleteTenant(cmd.Context(), args[0], cascade, on)
			if err != nil {
				return err
			}
			if j != nil && wait {
				if j, err = g.finished(cmd.Context(), gw, j); err != nil {
					return err
				}
			}
			return g.deletedTenant(args[0], j)
		},
	}
	remove.Flags().BoolVar(&cascade, "cascade", false, "delete its documents, tokens and waiting deliveries first, as a job")
	remove.Flags().BoolVar(&wait, "wait", false, "wait for the end of the job")
	remove.Flags().BoolVar(&yes, "yes", false, "do not ask")
	put := g.putTenant(&on)
	for _, c := range []*cobra.Command{put, remove} {
		c.Flags().Uint64Var(&on.Version, "if-version", 0, "only if this is the current version of its record")
	}
	cmd.AddCommand(list, show, put, remove)
	return cmd
}

// finished waits until a job has ended, and shows its progress.
func (g *globals) finished(ctx context.Context, gw *client.Client, j *client.Job) (*client.Job, error) {
	p := g.progress(true)
	defer p.end()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for j.Ended.IsZero() {
		p.job(j)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		now, err := gw.Job(ctx, j.ID)
		if err != nil {
			return nil, fmt.Errorf("%w\nthe job %s goes on", err, j.ID)
		}
		j = now
	}
	return j, nil
}

// deletedTenant prints what became of a tenant; j is nil if it was deleted without a job.
func (g *globals) deletedTenant(id string, j *client.Job) error {
	switch {
	case j == nil && g.json:
		return g.print(map[string]string{"deleted": id})
	case j == nil || j.State == "done" && !g.json:
		g.say("tenant %s: deleted\n", id)
		return nil
	case g.json:
		if err := g.print(j); err != nil {
			return err
		}
	default:
		g.say("tenant %s: its deletion is %s, as %s\n", id, progressOf(j), j.ID)
		if j.Fault != "" {
			g.say("  %s\n", j.Fault)
		}
	}
	if j.State == "failed" {
		return &exit{code: exitFailed}
	}
	return nil
}

func (g *globals) listTenants(cmd *cobra.Command) error {
	gw, err := g.dialFor("")
	if err != nil {
		return err
	}
	defer gw.Close()
	all, err := gw.Tenants(cmd.Context())
	if err != nil {
		return err
	}
	if g.json {
		return g.print(all)
	}
	rows := make([][]string, len(all))
	for i := range all {
		rows[i] = []string{all[i].ID, all[i].Provenance, all[i].Title}
	}
	g.table(rows)
	return nil
}

func (g *globals) showTenant(t *client.Tenant) error {
	if g.json {
		return g.print(t)
	}
	g.say("%s\n", strings.TrimSpace(t.ID+"  "+t.Title))
	if t.Updated != nil {
		g.say("  version %d, written by %s at %s\n", t.Version, or(t.Updated.By, "nobody known"), t.Updated.At.Format(time.RFC3339))
	} else {
		g.say("  without a record: %s\n", map[string]string{"file": "a file names it", "api": "it has documents or tokens", "store": "only its events are there"}[t.Provenance])
	}
	uses := map[string]int{}
	if u := t.Uses; u != nil {
		uses = map[string]int{"webhooks": u.Webhooks, "connections": u.Connections, "sources": u.Sources, "rules": u.Rules, "tokens": u.Tokens}
	}
	own, allowed := t.Limits.All(), t.Allowed.All()
	for _, name := range []string{"webhooks", "connections", "sources", "rules", "tokens", "events_per_minute"} {
		has, counted := uses[name]
		if !counted && allowed[name] == nil {
			continue
		}
		text := ""
		if counted {
			text = fmt.Sprintf("%d", has)
		}
		if limit := allowed[name]; limit != nil {
			if counted {
				text += " of "
			}
			text += fmt.Sprintf("at most %d", *limit)
			if own[name] != nil {
				text += ", its own limit"
			}
		}
		g.say("  %s: %s\n", name, text)
	}
	for _, key := range slices.Sorted(maps.Keys(t.Metadata)) {
		g.say("  metadata %s: %s\n", key, t.Metadata[key])
	}
	return nil
}

// putTenant is the command that makes a tenant or changes its record.
func (g *globals) putTenant(on *client.Condition) *cobra.Command {
	var title string
	var limits, metadata []string
	var restore bool
	cmd := &cobra.Command{
		Use: "put TENANT [FILE]", Short: "Make a tenant, or change its title, limits and metadata", Args: cobra.RangeArgs(1, 2),
		Long: `Make a tenant, or change its record. Flags change what they name, and the rest stays. A file, or - for stdin, in YAML or JSON,
replaces all:

  title: Acme
  limits: {webhooks: 10, events_per_minute: 600}
  metadata: {plan: team}

The name of a deleted tenant is free when none of its events is kept any more. Until then --restore makes it again for the same
customer, who sees those events again.

It needs a token of every tenant with the scope admin.`,
		Example: `  surveygate tenant put acme --title Acme --limit webhooks=10
  surveygate tenant put acme acme.yaml`,
	}
	f := cmd.Flags()
	f.StringVar(&title, "title", "", "its title")
	f.StringArrayVar(&limits, "limit", nil, "NAME=NUMBER, such as webhooks=10; without a number the operator's limit applies again")
	f.StringArrayVar(&metadata, "metadata", nil, "KEY=VALUE, your own notes; without a value the key is removed")
	f.BoolVar(&restore, "restore", false, "make a deleted tenant again, for the same customer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		patch := map[string]any{}
		if f.Changed("title") {
			patch["title"] = title
		}
		var err error
		if len(limits) > 0 {
			patch["limits"], err = pairs("--limit", limits, func(text string) (any, error) { return strconv.Atoi(text) })
		}
		if err == nil && len(metadata) > 0 {
			patch["metadata"], err = pairs("--metadata", metadata, func(text string) (any, error) { return text, nil })
		}
		switch {
		case err != nil:
			return &exit{exitUsage, err}
		case len(args) == 2 && len(patch) > 0:
			return &exit{exitUsage, errors.New("a file replaces all: leave --title, --limit and --metadata out, or the file")}
		case restore && on.Version > 0:
			return &exit{exitUsage, errors.New("a deleted tenant has no version: leave --if-version out, or --restore")}
		}
		gw, err := g.dialFor("")
		if err != nil {
			return err
		}
		defer gw.Close()
		var t *client.Tenant
		var isNew bool
		if len(args) == 2 {
			draft, fault := g.readDraft(cmd, args[1])
			if fault != nil {
				return fault
			}
			if restore {
				isNew = true
				t, err = gw.RestoreTenant(cmd.Context(), args[0], draft.Plain())
			} else {
				t, isNew, err = gw.PutTenant(cmd.Context(), args[0], draft.Plain(), *on)
			}
			if err != nil {
				return refusedDraft(draft, err)
			}
		} else {
			body, fault := json.Marshal(patch)
			if fault != nil {
				return fault
			}
			if restore {
				isNew = true
				t, err = gw.RestoreTenant(cmd.Context(), args[0], body)
			} else {
				t, isNew, err = gw.ChangeTenant(cmd.Context(), args[0], body, *on)
			}
			if err != nil {
				return err
			}
		}
		if !g.json {
			g.printf("%s: ", map[bool]string{true: "created", false: "written"}[isNew])
		}
		return g.showTenant(t)
	}
	return cmd
}

// pairs reads NAME=VALUE of a flag into a merge patch: null where there is no value.
func pairs(flag string, all []string, value func(text string) (any, error)) (map[string]any, error) {
	patch := map[string]any{}
	for _, pair := range all {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %q: write NAME=VALUE", flag, pair)
		}
		if patch[name] = nil; text == "" {
			continue
		}
		v, err := value(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: this is no whole number", flag, pair)
		}
		patch[name] = v
	}
	return patch, nil
}
