package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
	"github.com/surveygate/surveygate/rules/event"
)

func (g *globals) explain() *cobra.Command {
	var source, response string
	cmd := &cobra.Command{
		Use:   "explain ID | PERSON | FILE | --response ID",
		Short: "Explain why an event was delivered or not",
		Long: `With the id of an event or of a delivery, or the id that an event was published with: ask a running gateway how it was
handled, rule by rule and delivery by delivery. With a person's e-mail address, phone number or id, or a response's id: find the
events, and explain the one, or list them. With --response: show the response as it stands, its events, and the deliveries of all
of them. With a file: show how the configuration would handle it; nothing is sent or stored.`,
		Example: `  surveygate explain jo@example.com
  surveygate explain --response r-1017
  surveygate explain event.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("response") {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("response") {
				gw, err := g.dial()
				if err != nil {
					return err
				}
				defer gw.Close()
				return g.explainResponse(cmd.Context(), gw, response, source)
			}
			if _, err := os.Stat(args[0]); err == nil {
				return g.explainFile(args[0], source)
			}
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			return g.explainFound(cmd.Context(), gw, args[0], source)
		},
	}
	cmd.Flags().StringVar(&response, "response", "", "show the response with this id as it stands")
	cmd.Flags().StringVar(&source, "source", "", "the file is from this source's platform; or the id was published with this source")
	return cmd
}

// maxFound is how many events of a person or response are listed.
const maxFound = 20

// explainFound explains the event that a text leads to: by an id, a person, or a response. Of several events it prints a list.
func (g *globals) explainFound(ctx context.Context, gw *client.Client, text, source string) error {
	// An address is that of a person first. Any other text may be an id of a caller's own, such as a number.
	ways := []func() (*client.Explanation, *client.EventPage, error){
		func() (*client.Explanation, *client.EventPage, error) {
			x, err := gw.Explain(ctx, client.EventID(text), source)
			return x, nil, err
		},
		func() (*client.Explanation, *client.EventPage, error) {
			return g.find(ctx, gw, "respondent", text, source)
		},
		func() (*client.Explanation, *client.EventPage, error) {
			return g.find(ctx, gw, "response", text, source)
		},
	}
	if strings.Contains(text, "@") || strings.HasPrefix(text, "+") {
		ways[0], ways[1] = ways[1], ways[0]
	}
	for _, way := range ways {
		x, page, err := way()
		switch {
		case isMissing(err):
			continue
		case err != nil:
			return err
		case x != nil && g.json:
			return g.print(x)
		case x != nil:
			return g.showExplanation(x)
		case page == nil:
			continue
		case g.json:
			return g.print(page)
		}
		g.printFound(text, page)
		return nil
	}
	if looksLikePath(text) {
		return &exit{exitNothing, fmt.Errorf("there is neither a file `%s` nor an event with that id", text)}
	}
	return &exit{exitNothing, errors.New(folded(fmt.Sprintf("no such event: no event, delivery, respondent or response that is kept is called `%s`", text)))}
}

// showExplanation prints an explanation for a person.
func (g *globals) showExplanation(x *client.Explanation) error {
	var text strings.Builder
	if err := x.Text(&text); err != nil {
		return err
	}
	g.printf("%s", foldedExplanation(text.String()))
	return nil
}

// requestIndent is what a request in an explanation is indented by, at least.
const requestIndent = "        "

// foldedExplanation folds the lines of an explanation, except requests, whose lines count as they are.
func foldedExplanation(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		below, isBelow := strings.CutPrefix(line, requestIndent)
		if !isBelow || strings.HasPrefix(below, "attempt ") || strings.Contains(below, " is on hold (") {
			line = folded(line)
		}
		b.WriteString(line)
	}
	return b.String()
}

// find explains the one event that a filter selects, or returns a page of several.
func (g *globals) find(ctx context.Context, gw *client.Client, filter, text, source string) (*client.Explanation, *client.EventPage, error) {
	q := url.Values{filter: {text}, "limit": {strconv.Itoa(maxFound)}}
	if source != "" {
		q.Set("source", source)
	}
	page, err := gw.Events(ctx, q)
	switch {
	case err != nil || len(page.Data) == 0:
		return nil, nil, err
	case len(page.Data) > 1:
		return nil, page, nil
	}
	x, err := gw.Explain(ctx, page.Data[0].ID, "")
	return x, nil, err
}

// printFound lists events, with what to type next.
func (g *globals) printFound(text string, page *client.EventPage) {
	more := ""
	if page.Next != nil {
		more = " newest"
	}
	g.printf("%d%s events of %s:\n\n", len(page.Data), more, text)
	g.wholeTable(eventRows(page))
	g.printf("\nThe newest: surveygate explain %s\n", page.Data[0].ID)
}

func isMissing(err error) bool {
	refused, ok := errors.AsType[*client.APIError](err)
	return ok && refused.Status == http.StatusNotFound
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
		if err := g.showExplanation(x); err != nil {
			return err
		}
	}
	return nil
}
