package command

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/rules/event"
)

func (g *globals) explain() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "explain EVENT-ID | FILE",
		Short: "Explain why an event was delivered or not",
		Long: `With an event's id, or the id it was published with: ask a running gateway how it was handled, rule by rule and
delivery by delivery. With a file: show how the configuration would handle it; nothing is sent or stored.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Stat(args[0]); err == nil {
				return g.explainFile(args[0], source)
			}
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			x, err := gw.Explain(cmd.Context(), client.EventID(args[0]), source)
			var refused *client.APIError
			if errors.As(err, &refused) && refused.Status == http.StatusNotFound && looksLikePath(args[0]) {
				return &exit{exitNothing, fmt.Errorf("there is neither a file `%s` nor an event with that id", args[0])}
			}
			if err != nil {
				return err
			}
			if g.json {
				return g.print(x)
			}
			return x.Text(g.out)
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the file is from this source's platform; or the id was published with this source")
	return cmd
}

// looksLikePath reports whether an argument is probably a file name.
func looksLikePath(text string) bool {
	switch filepath.Ext(text) {
	case ".json", ".ndjson", ".txt", ".body", ".yaml":
		return true
	}
	return strings.ContainsRune(text, filepath.Separator) || strings.HasPrefix(text, ".")
}

func (g *globals) explainFile(path, source string) error {
	if err := g.needConfig(); err != nil {
		return err
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return &exit{exitUsage, err}
	}
	all, err := offline.Explain(offline.Options{Config: g.config}, g.tenant, source, body)
	if _, fault := errors.AsType[*event.FieldError](err); fault && source == "" {
		err = fmt.Errorf("%w\nif %s is a platform's body, name its source: --source NAME", err, path)
	}
	if err != nil {
		return &exit{exitUsage, err}
	}
	if g.json {
		return g.print(all)
	}
	for i, x := range all {
		if i > 0 {
			g.printf("\n")
		}
		if err := x.Text(g.out); err != nil {
			return err
		}
	}
	return nil
}
