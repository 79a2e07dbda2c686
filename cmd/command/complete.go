package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
)

// completeWithin is how long a shell waits for the names of a running gateway.
const completeWithin = 300 * time.Millisecond

// nameKind is a kind of names that a shell completes.
type nameKind string

const (
	connections  nameKind = "connection"
	webhooks     nameKind = "webhook"
	sources      nameKind = "source"
	rulesOf      nameKind = "rule"
	apiTokens    nameKind = "token"
	tenants      nameKind = "tenant"
	destinations nameKind = "destinations" // connections and webhooks
	matching     nameKind = "matching"     // rules and webhooks
	profiles     nameKind = "profile"      // built-in; a file can be one too
)

var (
	// namedWords are the words of a command's usage that stand for a name. NAME is of the kind of its command: namedBy.
	namedWords = map[string]nameKind{"SOURCE": sources, "CONNECTION": connections, "WEBHOOK": webhooks, "TENANT": tenants, "PROFILE": profiles}
	namedBy    = map[string]nameKind{
		"destinations": destinations, "webhook": webhooks, "connection": connections, "source": sources, "rule": rulesOf, "token": apiTokens,
	}
	// namedFlags are the flags that take a name, in every command.
	namedFlags = map[string]nameKind{
		"destination": destinations, "rule": matching, "source": sources, "sources": sources, "tenant": tenants,
	}
	// fileWords stand for a file or a folder in a command's usage.
	fileWords = []string{"FILE", "PAYLOAD", "DIR"}
)

// completing gives the commands below a command, and their flags, the completion of names, by the words of their usage.
func (g *globals) completing(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		g.completing(child)
	}
	visit := func(f *pflag.Flag) {
		if kind, named := namedFlags[f.Name]; named {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, g.named(kind)) // refused where the command has its own
		}
	}
	cmd.LocalNonPersistentFlags().VisitAll(visit)
	cmd.PersistentFlags().VisitAll(visit)
	if cmd.ValidArgsFunction != nil || cmd.HasSubCommands() && !strings.Contains(cmd.Use, " ") {
		return
	}
	words := argumentsOf(cmd)
	cmd.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(words) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if len(args) >= len(words) && !repeats(words[len(words)-1]) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		word := words[min(len(args), len(words)-1)]
		files := cobra.ShellCompDirectiveNoFileComp
		if slices.ContainsFunc(fileWords, func(file string) bool { return strings.Contains(word, file) }) {
			files = cobra.ShellCompDirectiveDefault
		}
		if kind, named := g.kindOf(cmd, word); named {
			found, directive := g.named(kind)(c, args, begun)
			return slices.DeleteFunc(found, func(name string) bool { return slices.Contains(args, name) }), directive
		}
		return nil, files
	}
}

// kindOf returns the kind of names that a word of a command's usage stands for.
func (g *globals) kindOf(cmd *cobra.Command, word string) (kind nameKind, named bool) {
	word = strings.TrimRight(word, ".…")
	if word != "NAME" {
		kind, named = namedWords[word]
		return kind, named
	}
	if cmd.Name() == "create" {
		return "", false // a new name
	}
	kind, named = namedBy[cmd.Parent().Name()]
	return kind, named
}

func repeats(word string) bool {
	return strings.HasSuffix(word, "…") || strings.HasSuffix(word, "...")
}

// argumentsOf returns the arguments in a command's usage, in their order. Alternatives are one argument.
func argumentsOf(cmd *cobra.Command) []string {
	_, usage, _ := strings.Cut(cmd.Use, " ")
	usage = strings.NewReplacer("[", "", "]", "", " | ", "|").Replace(usage)
	return slices.DeleteFunc(strings.Fields(usage), func(word string) bool { return strings.HasPrefix(word, "-") })
}

// named completes names of a kind: those of the running gateway, or of the configuration file where none answers in time. A shell shows no
// errors.
func (g *globals) named(kind nameKind) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		if kind == profiles {
			if asked := cmd.Flags().Lookup("running"); asked == nil || !asked.Changed {
				return beginning(platformNames(), begun), cobra.ShellCompDirectiveDefault
			}
			kind = sources
		}
		outer := cmd.Context()
		if outer == nil {
			outer = context.Background()
		}
		ctx, cancel := context.WithTimeout(outer, completeWithin)
		defer cancel()
		names, err := g.runningNames(ctx, kind)
		if err != nil {
			names = g.fileNames(kind)
		}
		return beginning(names, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// beginning returns the names that begin with a text, sorted, each once.
func beginning(names []string, begun string) []string {
	var found []string
	for _, name := range names {
		if strings.HasPrefix(name, begun) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (g *globals) runningNames(ctx context.Context, kind nameKind) (names []string, err error) {
	gw, err := g.dialAny()
	if err != nil {
		return nil, err
	}
	defer gw.Close()
	switch kind {
	case tenants:
		all, err := gw.Tenants(ctx)
		for i := range all {
			names = append(names, all[i].ID)
		}
		return names, err
	case apiTokens:
		all, err := gw.Tokens(ctx)
		for i := range all {
			names = append(names, all[i].Name)
		}
		return names, err
	}
	for _, kind := range parts(kind) {
		all, err := gw.Documents(ctx, client.Kind(kind))
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

// parts returns the kinds of documents that a kind of names consists of.
func parts(kind nameKind) []nameKind {
	switch kind {
	case destinations:
		return []nameKind{connections, webhooks}
	case matching:
		return []nameKind{rulesOf, webhooks}
	}
	return []nameKind{kind}
}

func (g *globals) fileNames(kind nameKind) (names []string) {
	all, err := offline.NamesOf(offline.Options{Config: g.config}, g.tenant)
	if err != nil {
		return nil
	}
	of := map[nameKind][]string{
		connections: all.Connections, webhooks: all.Webhooks, sources: all.Sources, rulesOf: all.Rules, apiTokens: all.Tokens, tenants: all.Tenants,
	}
	for _, kind := range parts(kind) {
		names = append(names, of[kind]...)
	}
	return names
}

// commandNames completes the names of commands, for `help`.
func commandNames(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	found, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, child := range found.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name()+"\t"+child.Short)
		}
	}
	return beginning(names, begun), cobra.ShellCompDirectiveNoFileComp
}
