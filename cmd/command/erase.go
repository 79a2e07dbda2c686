package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// erasing holds the flags of `erase`.
type erasing struct {
	*globals
	cmd              *cobra.Command
	dryRun, yes      bool
	products, noWait bool
}

func (g *globals) erase() *cobra.Command {
	e := &erasing{globals: g}
	cmd := &cobra.Command{
		Use: "erase PERSON", Short: "Erase what a person wrote", Args: cobra.ExactArgs(1),
		Long: `Erase what a person wrote: the content of their events and of all other events of the same responses, the requests and answers that
are kept of the deliveries of these events, and requests that sources rejected or captured and that name the person. What waits
and what is a dead letter of them is dropped. PERSON is an e-mail address, a phone number or an external id, as events have it.

Of each event its id, type, source, survey and times stay, and the counts in statistics. It is counted first, and erased after a
question. What arrives later is new. With --products, the products that can are asked to erase the person too, each by a delivery
that is retried like any other; the others are listed, for doing it by hand.

It needs a token with the scope admin.`,
		Example: `  surveygate erase jo@example.com --dry-run
  surveygate erase jo@example.com --tenant acme --products --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			e.cmd = cmd
			return e.run(args[0])
		},
	}
	f := cmd.Flags()
	f.BoolVar(&e.dryRun, "dry-run", false, "only count")
	f.BoolVarP(&e.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&e.noWait, "no-wait", false, "do not wait for the end")
	f.BoolVar(&e.products, "products", false, "ask products to erase the person too")
	return cmd
}

func (e *erasing) run(person string) error {
	ctx := e.cmd.Context()
	gw, err := e.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	req := client.ErasureRequest{Respondent: person, Products: e.products}
	found := 0 // events; 0: they were not counted
	if e.dryRun || !e.yes {
		if e.json && !e.dryRun {
			return &exit{exitUsage, errors.New("--json cannot ask for confirmation: use --dry-run to count, or --yes")}
		}
		would, err := gw.CountErasure(ctx, req)
		if err != nil {
			return err
		}
		if e.json {
			return e.print(would)
		}
		e.showReceipt("would be erased", would)
		found = would.Events
		if e.dryRun {
			return nil
		}
		if !e.confirmed(e.cmd, "Erase this? It cannot be undone.") {
			return &exit{exitFailed, errors.New("nothing was erased; --yes skips the question")}
		}
	}
	began, err := gw.BeginErasure(ctx, req)
	if err != nil {
		return err
	}
	if began, err = e.follow(gw, began, found); err != nil {
		return err
	}
	if e.json {
		err = e.print(began)
	} else {
		e.show(began)
	}
	if err == nil && (began.State == "failed" || began.State == "cancelled") {
		return &exit{code: exitFailed}
	}
	return err
}

// follow waits until an erasure of so many events has ended, and shows its progress. Without a terminal, it prints what it waits for.
func (e *erasing) follow(gw *client.Client, now *client.Erasure, found int) (*client.Erasure, error) {
	p := e.progress(false)
	defer p.end()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for now.Ended.IsZero() && !e.noWait {
		what := "events erased"
		if now.Waits != "" {
			what += "; " + now.Waits
		}
		p.show(now.Receipt.Events, found, what)
		select {
		case <-tick.C:
		case <-e.cmd.Context().Done():
			return nil, e.cmd.Context().Err()
		}
		later, err := gw.Erasure(e.cmd.Context(), now.ID)
		if err != nil {
			return nil, fmt.Errorf("%w\nthe erasure goes on: GET /v1/erasures/%s says how far it is", err, now.ID)
		}
		if later.Waits != "" && later.Waits != now.Waits && !e.json && !p.terminal {
			e.say("%s\n", later.Waits)
		}
		now = later
	}
	return now, nil
}

func (e *erasing) show(of *client.Erasure) {
	e.say("%s  %s\n", of.ID, of.State)
	if of.Fault != "" {
		e.say("  %s\n", of.Fault)
	}
	if of.State == "done" {
		e.showReceipt("erased", &of.Receipt)
	}
}

func (e *erasing) showReceipt(what string, r *client.ErasureReceipt) {
	if r.Incomplete {
		e.say("counted so far, and there may be more:\n")
	}
	e.say("%d %s of %d %s: %s\n", r.Events, plural(r.Events, "event"), r.Responses, plural(r.Responses, "response"), what)
	for _, line := range []struct {
		n    int
		text string
	}{
		{r.Deliveries, fmt.Sprintf("%d %s, of which %d waited or were dead letters", r.Deliveries, deliveriesWord(r.Deliveries), r.Dropped)},
		{r.Attempts, fmt.Sprintf("requests and answers of %d %s", r.Attempts, plural(r.Attempts, "attempt"))},
		{r.Removed, fmt.Sprintf("requests and answers of %d %s that retention had removed", r.Removed, plural(r.Removed, "event"))},
		{r.Mentioned, fmt.Sprintf("requests and answers of %d %s of other events, which stay", r.Mentioned, deliveriesWord(r.Mentioned))},
		{r.Rejected, fmt.Sprintf("%d rejected %s", r.Rejected, plural(r.Rejected, "request"))},
		{r.Answers, fmt.Sprintf("%d %s that the API kept", r.Answers, plural(r.Answers, "answer"))},
		{r.Captured, fmt.Sprintf("%d captured %s", r.Captured, plural(r.Captured, "request"))},
	} {
		if line.n > 0 {
			e.say("  %s\n", line.text)
		}
	}
	for i := range r.Products {
		p := &r.Products[i]
		name := p.Destination
		if p.Product != p.Destination {
			name += " (" + p.Product + ")"
		}
		switch {
		case p.ByHand != "":
			e.say("  %s: by hand: %s\n", name, p.ByHand)
		case len(p.Answers) == 0:
			e.say("  %s: is asked to erase the person\n", name)
		}
		for _, a := range p.Answers {
			e.say("  %s: %s\n", name, a.Text)
		}
	}
	for _, text := range r.NotFound {
		e.say("  not found: %s\n", text)
	}
	if r.Disk != "" {
		e.say("  on disk: %s\n", r.Disk)
	}
}
