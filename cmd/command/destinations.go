package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

func (g *globals) destinations() *cobra.Command {
	cmd := &cobra.Command{Use: "destinations", Short: "Show connections and webhooks, pause, resume and test them"}
	list := &cobra.Command{
		Use:     "list",
		Example: "  surveygate destinations list",
		Short:   "List connections and webhooks, their backlogs and holds",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.listDestinations(cmd) },
	}
	show := &cobra.Command{
		Use:     "show NAME",
		Example: "  surveygate destinations show crm",
		Short:   "Show a destination, and what to do if it is on hold",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.destination(cmd, func(ctx context.Context, c *client.Client) (*client.Destination, error) {
				return c.Destination(ctx, args[0])
			})
		},
	}
	var reason string
	pause := &cobra.Command{
		Use:     "pause NAME",
		Example: "  surveygate destinations pause crm --reason 'moving to another account'",
		Short:   "Send nothing to a destination until `resume`; its deliveries wait",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.destination(cmd, func(ctx context.Context, c *client.Client) (*client.Destination, error) {
				return c.Pause(ctx, args[0], reason)
			})
		},
	}
	pause.Flags().StringVar(&reason, "reason", "", "the reason to show; at most 200 bytes")
	resume := &cobra.Command{
		Use:     "resume NAME",
		Example: "  surveygate destinations resume crm",
		Short:   "Serve a destination again: end its pause, or any other hold",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.destination(cmd, func(ctx context.Context, c *client.Client) (*client.Destination, error) {
				return c.Resume(ctx, args[0])
			})
		},
	}
	var email string
	var wait time.Duration
	test := &cobra.Command{
		Use:     "test NAME",
		Example: "  surveygate destinations test crm --email me@example.com",
		Short:   "Send a test delivery, and wait for its first attempt",
		Long: `A test delivery is an event of type test, to which no rule applies. It is stored, queued, sent, signed and recorded like any
other. It uses the connection itself, without the settings of a rule's step. Products that store people need --email.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return g.testDestination(cmd, args[0], email, wait) },
	}
	test.Flags().StringVar(&email, "email", "", "your own address: products that store people write its record, with consent given")
	test.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the first attempt")
	cmd.AddCommand(list, show, pause, resume, test)
	return cmd
}

func (g *globals) listDestinations(cmd *cobra.Command) error {
	gw, err := g.dialAny()
	if err != nil {
		return err
	}
	defer gw.Close()
	all, err := gw.Destinations(cmd.Context())
	if err != nil {
		return err
	}
	if g.json {
		if all == nil {
			all = []client.Destination{}
		}
		return g.print(all)
	}
	if len(all) == 0 {
		g.printf("none\n")
		return nil
	}
	rows, notes := make([][]string, len(all)), make([]string, len(all))
	for i := range all {
		d := &all[i]
		waits := fmt.Sprintf("%d waiting", d.Waiting)
		if !d.OldestWaiting.IsZero() {
			waits += ", oldest of " + d.OldestWaiting.Format(time.DateTime)
		}
		if d.Hold != nil {
			notes[i] = since(d.Hold)
		}
		rows[i] = []string{g.nameOf(d.Tenant, d.Name), d.Product, d.State, waits}
	}
	g.tableWith(rows, notes)
	return nil
}

// destination reads or changes a destination, and shows the result.
func (g *globals) destination(cmd *cobra.Command, ask func(context.Context, *client.Client) (*client.Destination, error)) error {
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	d, err := ask(cmd.Context(), gw)
	if err != nil {
		return err
	}
	if g.json {
		return g.print(d)
	}
	g.showDestination(d)
	return nil
}

func (g *globals) showDestination(d *client.Destination) {
	g.say("%s  %s  %s\n", d.Name, d.Product, d.State)
	if d.Hold != nil {
		g.say("  on hold: %s\n  what to do: %s\n", holdText(d.Name, d.Hold), d.Hold.Hint)
	}
	waits := fmt.Sprintf("  waiting: %d", d.Waiting)
	if !d.OldestWaiting.IsZero() {
		waits += ", the oldest since " + d.OldestWaiting.Format(time.RFC3339)
	}
	how := fmt.Sprintf("  timeout %s, %d at once", d.Timeout, d.Concurrency)
	if d.Rate != "" {
		how += ", at most " + d.Rate
	}
	if len(d.Retry) > 0 {
		how += ", tried again after " + strings.Join(shorter(d.Retry), " ")
	}
	g.say("%s\n%s\n", waits, how)
	switch {
	case d.At == nil || d.At.Line == 0: // a document, whose place a gateway of the previous version says without a line
		kind := client.ConnectionKind
		if d.Product == "webhook" {
			kind = client.WebhookKind
		}
		g.say("  its settings: surveygate %s show %s\n", kind, d.Name)
	default:
		g.say("  defined in %s:%d\n", d.At.File, d.At.Line)
	}
}

// shorter removes the zeros that Go writes in durations: `5m`, not `5m0s`.
func shorter(waits []string) []string {
	short := make([]string, len(waits))
	for i, w := range waits {
		if strings.HasSuffix(w, "m0s") {
			w = strings.TrimSuffix(w, "0s")
		}
		if strings.HasSuffix(w, "h0m") {
			w = strings.TrimSuffix(w, "0m")
		}
		short[i] = w
	}
	return short
}

// holdText describes the hold of a destination: `crm is paused since 2026-01-02T12:00:00Z: moving`.
func holdText(name string, h *client.Hold) string {
	kind := map[string]string{
		"paused": "is paused", "disabled": "is switched off", "revoked": "is on hold, because it has accepted nothing",
		"gone": "is on hold, because its receiver answered 410 Gone", "circuit": "is on hold, because nearly all of its last answers were failures",
		"rate": "is on hold, because it asked to wait",
	}[h.Kind]
	if kind == "" {
		kind = "is on hold (" + h.Kind + ")"
	}
	text := since(h)
	if text != "" && text[0] != ':' {
		text = " " + text
	}
	return name + " " + kind + text
}

// since returns the time span and the reason of a hold.
func since(h *client.Hold) string {
	var parts []string
	if !h.Since.IsZero() {
		parts = append(parts, "since "+h.Since.Format(time.RFC3339))
	}
	if !h.Until.IsZero() {
		parts = append(parts, "until "+h.Until.Format(time.RFC3339))
	}
	text := strings.Join(parts, " ")
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}

// pollEvery is how often a test delivery is polled.
const pollEvery = 100 * time.Millisecond

func (g *globals) testDestination(cmd *cobra.Command, name, email string, wait time.Duration) error {
	gw, err := g.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	ctx := cmd.Context()
	d, err := gw.TestDestination(ctx, name, email)
	if err != nil {
		return err
	}
	patience, stop := context.WithTimeout(ctx, wait)
	defer stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for d.Attempts == 0 && d.State == "waiting" && !onHoldBefore(d) && patience.Err() == nil {
		select {
		case <-tick.C:
		case <-patience.Done():
			continue
		}
		newer, err := gw.Delivery(ctx, d.ID)
		var refused *client.APIError
		switch {
		case errors.As(err, &refused) && refused.Status == http.StatusNotFound: // not decided yet
		case err != nil:
			return err
		default:
			d = newer
		}
	}
	if g.json {
		err = g.print(d)
	} else {
		g.printTested(d, wait)
	}
	if err == nil && d.State != "delivered" {
		err = &exit{code: exitFailed}
	}
	return err
}

// onHoldBefore reports whether the destination was on hold before the delivery, so that the delivery is not its cause.
func onHoldBefore(d *client.Delivery) bool {
	return d.Hold != nil && !d.Hold.Since.After(d.Created.Time)
}

// printTested prints the state of a test delivery.
func (g *globals) printTested(d *client.Delivery, wait time.Duration) {
	switch {
	case d.State == "skipped":
		g.say("skipped: %s\n", d.Reason)
		if d.Reason == "no e-mail" {
			g.say("  --email ADDRESS names the person whose record it writes\n")
		}
	case len(d.Log) > 0:
		a := d.Log[len(d.Log)-1]
		g.say("%s, in %s\n", answered(a.Verdict, a.Status, a.Reason), time.Duration(a.TookMS*float64(time.Millisecond)).Round(time.Millisecond))
		switch {
		case d.Hold != nil:
			g.say("  %s\n", d.Hold.Hint)
		case d.State == "waiting":
			g.say("  it will be tried again at %s\n", d.Due.Format(time.RFC3339))
		case d.Hint != "":
			g.say("  %s\n", d.Hint)
		}
	case d.Hold != nil:
		g.say("not sent yet: %s\n  %s\n", holdText(d.Destination, d.Hold), d.Hold.Hint)
	case d.State == "waiting":
		g.say("not sent within %s: %s\n", wait, orWaits(d.Reason))
	default:
		g.say("%s: %s\n", d.State, d.Reason)
		if d.Hint != "" {
			g.say("  %s\n", d.Hint)
		}
	}
	g.say("event %s\ndelivery %s\n", d.Event, d.ID)
}

func orWaits(reason string) string {
	if reason == "" {
		return "it is not decided yet"
	}
	return reason
}
