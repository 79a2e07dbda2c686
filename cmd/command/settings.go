package command

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

func (g *globals) settings() *cobra.Command {
	cmd := &cobra.Command{Use: "settings", Short: "Export and import a tenant's settings; rotate the key of secrets"}
	var out string
	var sealed bool
	export := &cobra.Command{
		Use: "export", Short: "Print a tenant's settings made by API, as a configuration file", Args: cobra.NoArgs,
		Long: "Print the settings that a tenant has made by API as a configuration file, with ${NAME} in place of secrets; its first lines list the names to set. " +
			"`check` and `settings import` take it. It needs the scope admin.\n\n" +
			"With --sealed, it has the secrets too, sealed: `settings import` takes them back on a gateway with the same key of the vault, for the same tenant and " +
			"names. This needs the scope secrets too, and is audited.",
		Example: "  surveygate settings export --tenant acme --out acme.yaml\n  surveygate settings export --tenant acme --sealed --out backup.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			text, err := gw.ExportSettings(cmd.Context(), sealed)
			switch {
			case err != nil:
				return err
			case out != "":
				return os.WriteFile(out, text, 0o600)
			case g.json:
				return g.print(map[string]string{"yaml": string(text)})
			}
			g.printf("%s", text)
			return nil
		},
	}
	export.Flags().StringVarP(&out, "out", "o", "", "write it to this file, which is replaced")
	export.Flags().BoolVar(&sealed, "sealed", false, "with the secrets, sealed for the same vault")
	rotate := g.reseals("rotate-key", "  surveygate settings rotate-key")
	cmd.AddCommand(export, g.importSettings(), rotate)
	return cmd
}

func (g *globals) importSettings() *cobra.Command {
	var how client.HowToImport
	var yes bool
	cmd := &cobra.Command{
		Use: "import [FILE]", Short: "Make and change what a file has; the plan is printed first", Args: cobra.MaximumNArgs(1),
		Long: `Make and change the settings of a tenant that a file, or stdin, has in YAML or JSON: tenant, sources, connections, webhooks and rules, as in a
configuration file, or a sealed export. ${NAME} is replaced from the environment. The plan is printed first. If it deletes anything, you are asked on a terminal; elsewhere --yes is
needed. The same import again changes nothing. It needs the scope admin.

With --owner, they belong to that owner from then on. --replace also deletes those of the owner that the file does not have, and nothing of others.
--lock refuses changes by others.`,
		Example: `  surveygate settings import acme.yaml --dry-run
  surveygate settings import acme.yaml --owner ci --replace --lock --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (how.Replace || how.Lock) && how.Owner == "" {
				return &exit{exitUsage, errors.New("--replace and --lock need --owner: only documents of that owner are deleted or locked")}
			}
			return g.runImport(cmd, strings.Join(args, ""), how, yes)
		},
	}
	f := cmd.Flags()
	f.StringVar(&how.Owner, "owner", "", "the owner from now on, such as ci")
	f.BoolVar(&how.Replace, "replace", false, "delete what the owner has and the file does not")
	f.BoolVar(&how.Lock, "lock", false, "refuse changes by everybody but the owner")
	f.BoolVar(&how.DryRun, "dry-run", false, "print the plan, and change nothing")
	f.BoolVar(&yes, "yes", false, "delete without asking")
	return cmd
}

func (g *globals) runImport(cmd *cobra.Command, file string, how client.HowToImport, yes bool) error {
	draft, err := g.readDraft(cmd, file)
	if err != nil {
		return err
	}
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	first := how
	first.DryRun = true
	p := g.progress(false)
	p.show(0, 0, "asking what would change")
	plan, err := gw.ImportSettings(cmd.Context(), draft, first)
	p.end()
	if err != nil {
		return refusedDraft(draft, err)
	}
	if !g.json {
		g.printPlan(plan)
	}
	if how.DryRun {
		if g.json {
			return g.print(plan)
		}
		return nil
	}
	if plan.Create+plan.Update+plan.Delete == 0 && how.Owner == "" {
		if g.json {
			return g.print(plan)
		}
		g.printf("nothing to change\n")
		return nil
	}
	if plan.Delete > 0 && !yes {
		// A file that was read from stdin has taken the answer's place.
		if g.json || file == "" || file == "-" || !isTerminal(cmd.InOrStdin()) {
			return &exit{exitUsage, fmt.Errorf("this deletes %d %s: nothing was changed; --yes does it", plan.Delete, plural(plan.Delete, "document"))}
		}
		if !g.confirmed(cmd, fmt.Sprintf("Delete %d %s?", plan.Delete, plural(plan.Delete, "document"))) {
			return &exit{exitFailed, errors.New("nothing was changed; --yes skips the question")}
		}
	}
	p = g.progress(false)
	p.show(0, 0, "importing: "+plan.Plan)
	done, err := gw.ImportSettings(cmd.Context(), draft, how)
	p.end()
	if err != nil {
		return refusedDraft(draft, err)
	}
	if g.json {
		return g.print(done)
	}
	g.printf("done: %s\n", done.Plan)
	return nil
}

// printPlan prints what an import does, one line for each document that changes.
func (g *globals) printPlan(plan *client.Import) {
	mark := map[string]string{"create": "+", "update": "~", "delete": "-", "nothing": "="}
	for i := range plan.Tenants {
		t := &plan.Tenants[i]
		for j := range t.Items {
			item := &t.Items[j]
			if item.Change == "nothing" && len(item.Warnings) == 0 {
				continue
			}
			g.say("%s %s %s\n", mark[item.Change], item.Kind, owned(t.Tenant, item.Name))
			if item.Owner != nil {
				g.say("    owner: %s → %s\n", cmp.Or(item.Owner.From, "none"), cmp.Or(item.Owner.To, "none"))
			}
			if item.Locked != nil {
				g.say("    %s\n", map[bool]string{true: "locked", false: "no longer locked"}[*item.Locked])
			}
			if item.Waiting > 0 {
				g.say("    %d waiting %s will become dead letters\n", item.Waiting, deliveriesWord(item.Waiting))
			}
			for _, w := range item.Warnings {
				g.say("    warning: %s\n", w.Msg)
			}
		}
	}
	g.say("plan: %s, %d unchanged\n", plan.Plan, plan.Nothing)
}
