package command

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// documented is what help texts say of a kind of documents.
var documented = map[client.Kind]struct{ short, settings, example string }{
	client.WebhookKind:    {"List, make, change and delete webhooks", "url: https://hook.example.com/in", "partner"},
	client.ConnectionKind: {"List, make, change and delete connections", `PRODUCT: {token: "${TOKEN}"}`, "crm"},
	client.SourceKind:     {"List, make, change and delete sources; test profiles", `{profile: pollqr, secrets: ["${POLLQR_SECRET}"]}`, "pollqr"},
	client.RuleKind:       {"List, make, change and delete rules", `{when: nps_score <= 6, send: [crm]}`, "detractor"},
}

// documents is the command of a kind of documents that has no other subcommands.
func (g *globals) documents(kind client.Kind) *cobra.Command {
	cmd := &cobra.Command{Use: string(kind), Short: documented[kind].short}
	list := &cobra.Command{
		Use:     "list",
		Short:   fmt.Sprintf("List %ss by name, those of files too", kind),
		Example: fmt.Sprintf("  surveygate %s list", kind),
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listDocuments(cmd, kind) },
	}
	cmd.AddCommand(list)
	cmd.AddCommand(g.documentCommands(kind)...)
	return cmd
}

// documentCommands are the subcommands of one document: the same for each kind.
func (g *globals) documentCommands(kind client.Kind) []*cobra.Command {
	about := documented[kind]
	command := func(use, short, long, example string, args cobra.PositionalArgs, run func(cmd *cobra.Command, gw *client.Client, args []string) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Long: long, Args: args, Example: "  surveygate " + string(kind) + " " + strings.Split(use, " ")[0] + " " + example,
			RunE: func(cmd *cobra.Command, args []string) error {
				gw, err := g.dial()
				if err != nil {
					return err
				}
				defer gw.Close()
				return run(cmd, gw, args)
			},
		}
	}
	show := command("show NAME", fmt.Sprintf("Show a %s's settings as YAML that `put` takes", kind),
		fmt.Sprintf("Show a %s's settings as YAML, which `put` takes back. Secrets are masked: where `put` finds a mask at the same place, it keeps the secret.", kind),
		about.example, cobra.ExactArgs(1), func(cmd *cobra.Command, gw *client.Client, args []string) error {
			d, err := gw.Document(cmd.Context(), kind, args[0])
			if err != nil {
				return err
			}
			return g.showDocument(d)
		})
	var on client.Condition
	put := command("put NAME [FILE]", fmt.Sprintf("Make a %s, or replace its settings", kind),
		fmt.Sprintf("Make a %s, or replace its settings by those in a file, or on stdin, in YAML or JSON: what a configuration file has for it, without the name. ", kind)+
			"${NAME} is replaced from the environment. It needs the scope settings. Exit code 2 means that the settings have faults, 1 that they are refused.",
		fmt.Sprintf("%[1]s %[1]s.yaml --dry-run\n  echo '%[2]s' |\n    surveygate %[3]s put %[1]s", about.example, about.settings, kind), cobra.RangeArgs(1, 2), func(cmd *cobra.Command, gw *client.Client, args []string) error {
			return g.putDocument(cmd, gw, kind, args, on)
		})
	remove := command("delete NAME", fmt.Sprintf("Delete a %s; what waits for it becomes a dead letter", kind),
		"", about.example+" --if-version 17", cobra.ExactArgs(1), func(cmd *cobra.Command, gw *client.Client, args []string) error {
			deleted, err := gw.DeleteDocument(cmd.Context(), kind, args[0], on)
			if err != nil {
				return err
			}
			if g.json {
				return g.print(deleted)
			}
			did, become := "deleted", "become"
			if on.DryRun {
				did, become = "would be deleted", "would become"
			}
			g.printf("%s %s: %s\n", kind, args[0], did)
			if deleted.Waiting > 0 {
				g.printf("  %d %s that waited for it %s dead letters\n", deleted.Waiting, deliveriesWord(deleted.Waiting), become)
			}
			return nil
		})
	if kind == client.RuleKind || kind == client.SourceKind {
		remove.Short = fmt.Sprintf("Delete a %s", kind)
	}
	all := []*cobra.Command{show, put, remove}
	for verb, short := range map[string]string{"enable": "Switch a %s on", "disable": "Switch a %s off; no other setting changes"} {
		all = append(all, command(verb+" NAME", fmt.Sprintf(short, kind), "", about.example, cobra.ExactArgs(1), func(cmd *cobra.Command, gw *client.Client, args []string) error {
			d, err := gw.EnableDocument(cmd.Context(), kind, args[0], verb == "enable", on)
			if err != nil {
				return err
			}
			return g.changedDocument(d, verb+"d")
		}))
	}
	for _, c := range all[1:] {
		c.Flags().Uint64Var(&on.Version, "if-version", 0, "only if this is its current version")
		c.Flags().BoolVar(&on.DryRun, "dry-run", false, "only check, and print what would change")
	}
	return all
}

func (g *globals) listDocuments(cmd *cobra.Command, kind client.Kind) error {
	gw, err := g.dialAny()
	if err != nil {
		return err
	}
	defer gw.Close()
	all, err := gw.Documents(cmd.Context(), kind)
	if err != nil {
		return err
	}
	if g.json {
		return g.print(all)
	}
	rows := make([][]string, len(all))
	for i, d := range all {
		rows[i] = []string{g.nameOf(d.Tenant, d.Name), d.State, origin(d), summary(kind, d)}
	}
	g.table(rows)
	return nil
}

// origin says where a document comes from, in a few words.
func origin(d *client.Document) string {
	switch {
	case d.At != nil:
		return "file"
	case d.Owner != "":
		return fmt.Sprintf("%s of %s, v%d", d.Provenance, d.Owner, d.Version)
	}
	return fmt.Sprintf("%s, v%d", d.Provenance, d.Version)
}

// summary is what a document does, in a line.
func summary(kind client.Kind, d *client.Document) string {
	if len(d.Problems) > 0 && d.State != "active" {
		return d.Problems[0].Msg
	}
	switch kind {
	case client.ConnectionKind:
		return d.Product
	case client.SourceKind:
		return d.Profile + " at " + d.Path
	case client.WebhookKind:
		return withCondition(d.URL, d.When)
	}
	steps := make([]string, len(d.Send))
	for i, s := range d.Send {
		steps[i] = s.Step
	}
	return withCondition(strings.Join(steps, ", "), d.When)
}

func withCondition(what, when string) string {
	if when == "" {
		return what
	}
	return what + " when " + when
}

// showDocument prints a document as YAML, with what is not its settings in comments.
func (g *globals) showDocument(d *client.Document) error {
	if g.json {
		return g.print(d)
	}
	g.say("# %s %s of tenant %s: %s\n", d.Kind, d.Name, d.Tenant, d.State)
	switch {
	case d.At != nil:
		g.say("# defined in %s:%d, where it is changed; not all of its settings are shown\n", d.At.File, d.At.Line)
	case d.Updated != nil:
		g.say("# version %d, written by %s at %s\n", d.Version, or(d.Updated.By, "nobody known"), d.Updated.At.Format(time.RFC3339))
	}
	if d.Owner != "" {
		locked := "; others may change it until it is imported again"
		if d.Locked {
			locked = ", and locked: only an import of that owner changes it"
		}
		g.say("# imported by %s%s\n", d.Owner, locked)
	}
	for _, u := range d.URLs {
		g.say("# enter at the platform: %s\n", u)
	}
	g.remarks("# ", d)
	if d.Shadowed != nil {
		g.say("# a document of this name, version %d, is not used: `delete` removes it\n", d.Shadowed.Version)
	}
	if len(d.Spec) == 0 {
		return nil
	}
	text, err := client.YAML(d.Spec)
	if err != nil {
		return err
	}
	g.printf("%s", text)
	return nil
}

// remarks prints the problems and warnings of a document.
func (g *globals) remarks(before string, d *client.Document) {
	for i, all := range [][]client.SettingProblem{d.Problems, d.Warnings} {
		for _, p := range all {
			text := p.Msg
			if p.Code != "" {
				text += " [" + p.Code + "]"
			}
			if p.Remedy != "" {
				text += "; " + p.Remedy
			}
			if len(p.Loc) > 0 {
				text = strings.Join(p.Loc, ".") + ": " + text
			}
			g.say("%s%s: %s\n", before, [...]string{"problem", "warning"}[i], text)
		}
	}
}

func (g *globals) putDocument(cmd *cobra.Command, gw *client.Client, kind client.Kind, args []string, on client.Condition) error {
	draft, err := g.readDraft(cmd, strings.Join(args[1:], ""))
	if err != nil {
		return err
	}
	before, _ := gw.Document(cmd.Context(), kind, args[0]) // only to tell whether anything changes
	d, isNew, err := gw.PutDocument(cmd.Context(), kind, args[0], draft.JSON(), on)
	if err != nil {
		return refusedDraft(draft, err)
	}
	if kind == client.SourceKind && !on.DryRun {
		if whole, err := gw.Document(cmd.Context(), kind, args[0]); err == nil { // it has the addresses to enter at the platform
			d.URLs = whole.URLs
		}
	}
	did := "written"
	switch {
	case isNew:
		did = "created"
	case before.Version == d.Version:
		did = "unchanged"
	}
	return g.changedDocument(d, did)
}

// changedDocument prints what became of a document.
func (g *globals) changedDocument(d *client.Document, did string) error {
	if g.json {
		return g.print(d)
	}
	switch d.Would {
	case "":
		g.say("%s %s: %s, version %d, %s\n", d.Kind, d.Name, did, d.Version, d.State)
	case "nothing":
		g.say("%s %s: nothing would change\n", d.Kind, d.Name)
	default:
		g.say("%s %s: would be %sd, %s\n", d.Kind, d.Name, d.Would, d.State)
	}
	g.remarks("  ", d)
	for _, u := range d.URLs {
		g.say("  enter at the platform: %s\n", u)
	}
	if d.Secret != "" {
		g.printf("  its secret, shown this once:\n  %s\n", d.Secret)
	}
	return nil
}
