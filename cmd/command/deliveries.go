package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// exampleDelivery is the id of a delivery in help texts.
const exampleDelivery = "dl_3ed041c0efce680a08448f664c3d3129_raaoaxzzn6qyp"

func (g *globals) deliveries() *cobra.Command {
	cmd := &cobra.Command{Use: "deliveries", Short: "Show deliveries, and retry them"}
	var state, destination, rule, event, since, cursor string
	var limit int
	var failed bool
	list := &cobra.Command{
		Use:     "list",
		Short:   "List deliveries, newest first",
		Args:    cobra.NoArgs,
		Example: "  surveygate deliveries list --destination crm --state waiting\n  surveygate deliveries list --failed --since 24h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			for name, v := range map[string]string{"state": state, "destination": destination, "rule": rule, "event": event, "since": since, "cursor": cursor} {
				if v != "" {
					q.Set(name, v)
				}
			}
			if failed {
				q.Set("failed", "true")
			}
			q.Set("limit", strconv.Itoa(limit))
			return g.listDeliveries(cmd, q)
		},
	}
	f := list.Flags()
	f.StringVar(&state, "state", "", "waiting, delivered, skipped, dead or dropped")
	f.StringVar(&destination, "destination", "", "to this connection or webhook")
	f.StringVar(&rule, "rule", "", "of this rule or webhook")
	f.StringVar(&event, "event", "", "of this event")
	f.StringVar(&since, "since", "", "changed since then: a time, or how long ago")
	f.BoolVar(&failed, "failed", false, "with at least one failed attempt")
	f.IntVar(&limit, "limit", 50, "how many, up to 200")
	f.StringVar(&cursor, "cursor", "", "continue where a list ended")

	show := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one delivery and its attempts",
		Example: "  surveygate deliveries show " + exampleDelivery,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			gw, err := g.dial()
			if err != nil {
				return err
			}
			defer gw.Close()
			d, err := gw.Delivery(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if g.json {
				return g.print(d)
			}
			g.showDelivery(d)
			return nil
		},
	}
	retry := &cobra.Command{
		Use:     "retry ID…",
		Short:   "Retry waiting or dead deliveries now",
		Example: "  surveygate deliveries retry " + exampleDelivery,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return g.each(cmd, args, "retry", false) },
	}
	drop := &cobra.Command{
		Use:     "drop ID…",
		Short:   "Give up waiting or dead deliveries",
		Example: "  surveygate deliveries drop " + exampleDelivery,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return g.each(cmd, args, "drop", false) },
	}
	cmd.AddCommand(list, show, retry, drop)
	return cmd
}

func (g *globals) dead() *cobra.Command {
	cmd := &cobra.Command{Use: "dead", Short: "Show dead letters, replay or drop them"}
	var destination, cursor string
	var limit int
	list := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, newest first",
		Example: "  surveygate dead list --destination crm",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"state": {"dead"}, "limit": {strconv.Itoa(limit)}}
			if destination != "" {
				q.Set("destination", destination)
			}
			if cursor != "" {
				q.Set("cursor", cursor)
			}
			if destination != "" || cursor != "" {
				return g.listDeliveries(cmd, q) // events have neither filter nor cursor
			}
			return g.listDead(cmd, q, limit)
		},
	}
	list.Flags().StringVar(&destination, "destination", "", "to this connection or webhook")
	list.Flags().IntVar(&limit, "limit", 50, "how many, up to 200")
	list.Flags().StringVar(&cursor, "cursor", "", "continue where a list ended")
	replay := &cobra.Command{
		Use:     "replay ID…",
		Short:   "Deliver dead letters again",
		Example: "  surveygate dead replay " + exampleDelivery,
		Long:    "Deliver dead letters again. The id of a dead event decides it again, or reads its stream entry again.",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return g.each(cmd, args, "replay", true) },
	}
	drop := &cobra.Command{
		Use:     "drop ID…",
		Short:   "Give up dead letters permanently",
		Example: "  surveygate dead drop " + exampleDelivery,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return g.each(cmd, args, "drop", true) },
	}
	cmd.AddCommand(list, replay, drop)
	return cmd
}

// each applies a verb to each delivery or event. With dead, it refuses those that are not dead letters. If one is refused, the others
// are still processed.
func (g *globals) each(cmd *cobra.Command, ids []string, verb string, dead bool) error {
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	var faults []error
	answers := []json.RawMessage{}
	for _, id := range ids {
		path, group := "/v1/deliveries/", "deliveries "
		if verb != "retry" && !client.IsDeliveryID(id) { // an event is not retried
			path = "/v1/events/"
		}
		if verb == "replay" {
			group = ""
		}
		path += url.PathEscape(id)
		var answer json.RawMessage
		var now struct{ State string }
		err := error(nil)
		if dead {
			err = gw.Do(cmd.Context(), client.Call{Method: http.MethodGet, Path: path, Into: &now})
		}
		switch {
		case err != nil:
		case dead && now.State != "dead":
			err = &exit{exitFailed, fmt.Errorf("it is %s, not a dead letter: surveygate %s%s %s", now.State, group, verb, id)}
		default:
			err = gw.Do(cmd.Context(), client.Call{Method: http.MethodPost, Path: path + "/" + verb, Into: &answer})
		}
		if err != nil {
			if len(ids) > 1 {
				err = fmt.Errorf("%s: %w", id, err)
			}
			faults = append(faults, err)
			refused, not := (*client.APIError)(nil), (*exit)(nil)
			if !errors.As(err, &refused) && !errors.As(err, &not) {
				break // the gateway is not reachable
			}
			continue
		}
		answers = append(answers, answer)
		if !g.json {
			g.printDone(id, verb, answer)
		}
	}
	if g.json {
		faults = append(faults, g.print(answers))
	}
	return errors.Join(faults...)
}

// printDone prints the result of a verb on a delivery or an event, including the hold of a destination that it waits for.
func (g *globals) printDone(id, verb string, answer json.RawMessage) {
	var did struct {
		client.Delivery
		Events []client.Published      `json:"events"`
		Held   map[string]*client.Hold `json:"held"` // by destination, of an event
	}
	_ = json.Unmarshal(answer, &did) // unknown fields are not printed
	for _, e := range did.Events {
		g.printf("%s: read again, event %s %s\n", id, e.ID, e.Status)
	}
	switch {
	case len(did.Events) > 0:
	case verb == "drop":
		g.printf("%s: dropped\n", id)
	case did.Hold != nil:
		g.printf("%s: is due, and waits: %s\n  %s\n", id, holdText(did.Destination, did.Hold), did.Hold.Hint)
	case verb == "replay":
		g.printf("%s: will be delivered again\n", id)
	default:
		g.printf("%s: will be tried now\n", id)
	}
	for _, name := range slices.Sorted(maps.Keys(did.Held)) {
		g.printf("  except deliveries that wait: %s\n  %s\n", holdText(name, did.Held[name]), did.Held[name].Hint)
	}
}

func (g *globals) listDeliveries(cmd *cobra.Command, q url.Values) error {
	gw, err := g.dialAny()
	if err != nil {
		return err
	}
	defer gw.Close()
	page, err := gw.Deliveries(cmd.Context(), q)
	if err != nil {
		return err
	}
	if g.json {
		return g.print(page)
	}
	g.printDeliveries(page)
	return nil
}

// listDead lists dead events and stream entries, then dead deliveries.
func (g *globals) listDead(cmd *cobra.Command, q url.Values, limit int) error {
	gw, err := g.dialAny()
	if err != nil {
		return err
	}
	defer gw.Close()
	events := []client.DeadEvent{}
	var more bool
	if g.tenant != everyTenant {
		if events, more, err = gw.DeadEvents(cmd.Context(), limit); err != nil {
			return err
		}
	}
	page, err := gw.Deliveries(cmd.Context(), q)
	if err != nil {
		return err
	}
	if g.json {
		return g.print(struct {
			*client.DeliveryPage
			Events []client.DeadEvent `json:"events"`
		}{page, events})
	}
	for _, e := range events {
		what := e.Type + " from " + e.Source
		if e.Entry != nil {
			what = e.Entry.ID + " of stream " + e.Entry.Stream + ", source " + e.Source
		}
		g.printf("%s  %s %s  %s  %s\n", e.ID, e.Kind(), what, e.Received.Format(time.DateTime), e.Dead)
	}
	if g.tenant == everyTenant {
		_, _ = fmt.Fprintln(g.err, "events that are dead letters are listed of one tenant at a time: name it")
	}
	if more {
		g.printf("there are more events and entries: handle some of these first, or use --limit, up to 200\n")
	}
	if len(page.Data) > 0 || len(events) == 0 {
		for i := range page.Data {
			page.Data[i].State = "delivery" // all are dead, so print the kind instead, as for events and entries
		}
		g.printDeliveries(page)
	}
	return nil
}

func (g *globals) printDeliveries(page *client.DeliveryPage) {
	rows := make([][]string, len(page.Data))
	for i := range page.Data {
		d := &page.Data[i]
		to := d.Destination
		if strings.HasPrefix(d.Step, to+".") { // an action, such as crm.note
			to = d.Step
		}
		rows[i] = []string{
			d.ID, d.State, g.nameOf(d.Tenant, to), d.Rule, strconv.Itoa(d.Attempts) + plural(d.Attempts, " attempt"), d.Updated.Format(time.DateTime), d.Reason,
		}
	}
	g.wholeTable(rows)
	if !page.SearchedBackTo.IsZero() {
		g.printf("searched back to %s\n", page.SearchedBackTo.Format(time.DateTime))
	}
	if page.Next != nil {
		g.printf("more: --cursor %s\n", *page.Next)
	}
}

func (g *globals) showDelivery(d *client.Delivery) {
	g.say("%s  %s\n", d.ID, d.State)
	g.say("  %s %s, step %s, to %s (%s)\n", d.Kind, d.Rule, d.Step, d.Destination, d.Connector)
	if d.Reason != "" {
		g.say("  why: %s\n", d.Reason)
	}
	switch {
	case d.Hold != nil:
		g.say("  on hold: %s\n  what to do: %s\n", holdText(d.Destination, d.Hold), d.Hold.Hint)
	case d.State == "waiting" && !d.Due.IsZero():
		g.say("  next attempt: %s\n", d.Due.Format(time.RFC3339))
		if d.Hint != "" {
			g.say("  what to do: %s\n", d.Hint)
		}
	case d.Hint != "":
		g.say("  what to do: %s\n", d.Hint)
	}
	for _, a := range d.Log {
		g.say("  attempt %d  %s  %s  %s\n", a.N, a.At.Format(time.RFC3339), time.Duration(a.TookMS*float64(time.Millisecond)).Round(time.Microsecond), answered(a.Verdict, a.Status, a.Reason))
		for _, text := range []string{a.Request, a.Response} {
			if text != "" {
				g.printf("    %s\n", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    "))
			}
		}
	}
}

// answered returns an attempt's result in words: `retry: 503 Service Unavailable`, `delivered: 200`. Most reasons begin with the status.
func answered(verdict string, status int, reason string) string {
	if code := strconv.Itoa(status); status != 0 && !strings.HasPrefix(reason, code) {
		reason = strings.TrimSuffix(code+", "+reason, ", ")
	}
	if reason == "" {
		return verdict
	}
	return verdict + ": " + reason
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
