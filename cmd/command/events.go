package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

func (g *globals) events() *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Find events, and show one"}
	list := &cobra.Command{
		Use:   "list",
		Short: "List events, newest first",
		Args:  cobra.NoArgs,
		Example: `  surveygate events list --person jo@example.com
  surveygate events list --rule detractor --since 24h
  surveygate events list --unmatched`,
	}
	query := eventFlags(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := query()
		if err != nil {
			return &exit{exitUsage, err}
		}
		gw, err := g.dial()
		if err != nil {
			return err
		}
		defer gw.Close()
		page, err := gw.Events(cmd.Context(), q)
		if err != nil {
			return err
		}
		if g.json {
			return g.print(page)
		}
		g.printEvents(page)
		return nil
	}
	var source string
	show := &cobra.Command{
		Use:     "show ID",
		Example: "  surveygate events show 22c72aaf6e3cc33966a37873c0b297d9\n  surveygate events show r1-final --source app",
		Short:   "Show one event: its content, its decision and its deliveries",
		Long:    "Show one event: its content, its decision and its deliveries. ID is the event's, the one it was published with, or that of one of its deliveries.",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			e, err := gw.Event(cmd.Context(), client.EventID(args[0]), source)
			if err != nil {
				return err
			}
			if g.json {
				return g.print(e)
			}
			return g.showEvent(e)
		},
	}
	show.Flags().StringVar(&source, "source", "", "the id was published with this source")
	cmd.AddCommand(list, show)
	return cmd
}

// eventFlags adds the flags that select events. The result returns the query that they mean.
func eventFlags(cmd *cobra.Command) (query func() (url.Values, error)) {
	f := cmd.Flags()
	texts := map[string]*string{} // by parameter
	text := func(flag, parameter, usage string) { texts[parameter] = f.String(flag, "", usage) }
	text("person", "respondent", "of this respondent: e-mail address, phone number or your own id")
	text("response", "response", "of this response, by the platform's id")
	text("survey", "survey", "of this survey, by the platform's id")
	text("source", "source", "of this source; those published with a token have the source api")
	text("type", "type", "of this type, such as response.completed")
	text("rule", "rule", "that this rule or webhook matched")
	text("since", "since", "received since then: a time, or how long ago")
	text("until", "until", "received before then")
	text("cursor", "cursor", "continue where a list ended")
	unmatched := f.Bool("unmatched", false, "that no rule or webhook matched; with --rule, that this one did not match")
	dead := f.Bool("dead", false, "that could not be decided, and are dead letters themselves")
	limit := f.Int("limit", 50, "how many, up to 200")
	return func() (url.Values, error) {
		q := url.Values{"limit": {strconv.Itoa(*limit)}}
		for parameter, value := range texts {
			if *value != "" {
				q.Set(parameter, *value)
			}
		}
		if *dead && *unmatched {
			return nil, errors.New("--dead and --unmatched exclude each other: nothing was decided on a dead event")
		}
		if *unmatched {
			q.Set("matched", "false")
		}
		if *dead {
			q.Set("dead", "true")
		}
		return q, nil
	}
}

func (g *globals) printEvents(page *client.EventPage) {
	g.wholeTable(eventRows(page))
	if !page.RespondentsSince.IsZero() {
		g.printf("people are found in events since %s only: the key of that index was lost\n", page.RespondentsSince.Format(time.DateTime))
	}
	if !page.SearchedBackTo.IsZero() {
		g.printf("searched back to %s\n", page.SearchedBackTo.Format(time.DateTime))
	}
	if page.Next != nil {
		g.printf("more: --cursor %s\n", *page.Next)
	}
}

func eventRows(page *client.EventPage) [][]string {
	rows := make([][]string, len(page.Data))
	for i := range page.Data {
		rows[i] = eventRow(&page.Data[i])
	}
	return rows
}

// eventRow returns what a list shows of an event.
func eventRow(e *client.Event) []string {
	about := ""
	if e.ResponseID != "" {
		about = "response " + e.ResponseID
	} else if e.SurveyID != "" {
		about = "survey " + e.SurveyID
	}
	return []string{e.ID, e.Received.Format(time.DateTime), e.Type, e.Source, about, became(e)}
}

// became says in words what became of an event.
func became(e *client.Event) string {
	switch {
	case !e.Erased.IsZero():
		return "erased"
	case e.Dead != "":
		return "dead: " + e.Dead
	case e.State != "decided":
		return e.State
	case len(e.Deliveries) == 0:
		return "owes nothing"
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(e.Deliveries)) {
		parts = append(parts, fmt.Sprintf("%d %s", e.Deliveries[state], state))
	}
	return strings.Join(parts, ", ")
}

func (g *globals) showEvent(e *client.EventRecord) error {
	g.say("%s  %s from %s\n", e.ID, e.Type, e.Source)
	g.say("  received %s, verified by %s\n", e.Received.Format(time.RFC3339), or(e.Verified, "nothing"))
	if !e.Erased.IsZero() {
		g.say("  its content was erased at %s\n", e.Erased.Format(time.RFC3339))
	}
	if e.Dead != "" {
		g.say("  dead letter: %s\n", e.Dead)
	}
	if e.Outcome == nil {
		g.say("  not decided yet\n")
	} else {
		matched := []string{}
		for _, r := range e.Outcome.Rules {
			name := r.Kind + " " + r.Name
			if r.Error != "" {
				name += " (failed: " + r.Error + ")"
			}
			matched = append(matched, name)
		}
		g.say("  decided %s: %s\n", e.Outcome.At.Format(time.RFC3339), or(strings.Join(matched, ", "), "nothing matched"))
	}
	for i := range e.Deliveries {
		d := &e.Deliveries[i]
		line := d.ID + "  " + d.State + "  to " + d.Destination
		if d.Reason != "" {
			line += ": " + d.Reason
		}
		g.say("  %s\n", line)
	}
	var content bytes.Buffer
	if err := json.Indent(&content, e.Envelope, "", "  "); err != nil {
		return err
	}
	g.printf("%s\nwhy: surveygate explain %s\n", content.String(), e.ID)
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
