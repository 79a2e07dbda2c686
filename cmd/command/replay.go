package command

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// replaying holds the arguments of `replay`.
type replaying struct {
	*globals
	cmd                  *cobra.Command
	source, since, until string
	again, dryRun, yes   bool
}

func (g *globals) replay() *cobra.Command {
	r := &replaying{globals: g}
	var normalise bool
	filters := &byFilter{}
	cmd := &cobra.Command{
		Use:   "replay ID… | --destination NAME … | --normalise",
		Short: "Deliver again, or normalise raw bodies again",
		Long: `With ids of events or deliveries: decide and deliver them again, with the current rules and steps.

With filters (--destination, --state, --status, --verdict, --rule, --type, --source, --since, --until): deliver again all
deliveries that they select. These are counted first; above 100 of them you are asked, or give --yes. The gateway then works
on it by itself, oldest first, at --rate, behind live traffic: replay show tells how far it is, and replay cancel ends it. On a
terminal the command shows the progress. Deliveries that wait, or are being delivered, are left alone. As same (the default)
they keep their ids; as fresh they get new ones, so that receivers which ignore known ids accept them; as today their events
are decided by the current rules. --as today with --type, --source, --since and --until alone selects events, also those that
nothing was delivered of.

With --normalise, the raw body of each event is normalised again with the current profile, roles and surveys of its source.
If the result differs, the event gets another revision: the same event id, revision 1, 2, and so on. It is decided by the
current rules. Lists and searches show the newest revision; explain also shows the earlier ones.

What is delivered:
- A step whose request has changed, or that applies for the first time, gets a new delivery with a new id, so that receivers
which ignore known ids accept it.
- A step that was delivered, or waits, with the same request gets none; --again delivers it nevertheless.
- A waiting or dead delivery of an earlier revision is dropped, as superseded by revision N, if its request has changed or its
rule does not match any more.
- With once: response, a step is not sent again for another event of the response. A delay counts from the event's receipt.

What is skipped and reported: an event whose body the current profile cannot read or does not recognise, whose source has
been removed, whose raw body is not kept, that was published in surveygate's own format, to which profiles and roles do not
apply, or that is being delivered at the moment. An event with the same result gets no new revision.

Without ids, all events received in the given time are normalised (a time such as 2026-01-02T03:04:05Z, or an age such as 24h
or 7d). They are counted first, and nothing is changed until you confirm, or with --yes. You can interrupt the command and
repeat it at any time: events that are already corrected are unchanged.`,
		Example: `  surveygate replay --normalise 61cc5a12f7d1b0c2a9e04c1c4c53be0c
  surveygate replay --normalise --source typeform --since 7d --dry-run
  surveygate replay --destination crm --state dead --since 6h --dry-run
  surveygate replay --destination crm --status 5xx --since 24h --rate 50/s`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			r.cmd = cmd
			spans := r.source != "" || r.since != "" || r.until != ""
			switch {
			case normalise && filters.isSet():
				return &exit{exitUsage, errors.New("--normalise takes --source, --since and --until; the other filters are for a replay without it")}
			case !normalise && len(ids) > 0 && (spans || filters.isSet() || r.dryRun || r.yes):
				return &exit{exitUsage, errors.New("name what to replay by ids or by filters, not both; --dry-run and --yes need filters or --normalise")}
			case !normalise && r.again:
				return &exit{exitUsage, errors.New("--again needs --normalise")}
			case !normalise && len(ids) > 0:
				return g.each(cmd, ids, "replay", false)
			case !normalise && !spans && !filters.isSet():
				return &exit{exitUsage, errors.New("name the events or deliveries to replay, or select them by filters such as --destination crm --since 6h; --normalise reads raw bodies again")}
			case !normalise:
				return r.filter(filters)
			case len(ids) > 0 && (r.since != "" || r.until != ""):
				return &exit{exitUsage, errors.New("--since and --until select among all events; remove the ids")}
			case len(ids) > 0:
				return r.some(ids)
			}
			return r.many()
		},
	}
	f := cmd.Flags()
	f.BoolVar(&normalise, "normalise", false, "normalise the raw body again with the current profile, roles and surveys")
	f.StringVar(&r.source, "source", "", "events of this source")
	f.StringVar(&r.since, "since", "", "since then: a time, or how long ago")
	f.StringVar(&r.until, "until", "", "before then (default: now)")
	f.BoolVar(&r.again, "again", false, "also repeat deliveries whose request is the same")
	f.BoolVar(&r.dryRun, "dry-run", false, "only count, without changes")
	f.BoolVar(&r.yes, "yes", false, "do not ask")
	filters.flags(cmd)
	cmd.AddCommand(r.commands()...)
	return cmd
}

func (r *replaying) query(dryRun bool) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"source": r.source, "since": r.since, "until": r.until} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, set := range map[string]bool{"again": r.again, "dry_run": dryRun} {
		if set {
			q.Set(name, "true")
		}
	}
	return q
}

// some normalises the named events again. If one is refused, the others are still processed.
func (r *replaying) some(ids []string) error {
	gw, err := r.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	var faults []error
	for _, id := range ids {
		res, err := gw.Normalise(r.cmd.Context(), client.EventID(id), r.query(r.dryRun))
		if err != nil {
			if len(ids) > 1 {
				err = fmt.Errorf("%s: %w", id, err)
			}
			faults = append(faults, err)
			if refused := (*client.APIError)(nil); !errors.As(err, &refused) {
				break // the gateway is not reachable
			}
			continue
		}
		if r.json {
			if err := r.print(res); err != nil {
				return err
			}
			continue
		}
		r.show(res)
	}
	return errors.Join(faults...)
}

func (r *replaying) show(res *client.Normalised) {
	if res.Status == client.Unchanged {
		r.say("%s: unchanged; nothing to do\n", res.Event)
		return
	}
	r.say("%s: %s revision %d: %s\n", res.Event, r.word("has", "would have"), res.Revision, strings.Join(res.Differences, ", "))
	for _, part := range []struct {
		word string
		all  []client.NormalisedDelivery
	}{
		{r.word("delivers", "would deliver"), res.Deliveries}, {r.word("ends", "would end"), res.Superseded}, {"leaves", res.Kept},
	} {
		for _, d := range part.all {
			text := fmt.Sprintf("%s → %s (%s %s)", d.Step, d.Destination, d.Kind, d.Rule)
			if d.ID != "" {
				text += "  " + d.ID
			}
			if d.Why != "" {
				text += ": " + d.Why
			}
			r.say("  %s %s\n", part.word, text)
		}
	}
}

func (r *replaying) word(done, would string) string {
	if r.dryRun {
		return would
	}
	return done
}

// many counts the events, asks for confirmation, and then normalises them, a page at a time.
func (r *replaying) many() error {
	if r.until == "" { // events received from now on are normalised by the current sources anyway
		r.until = time.Now().UTC().Format(time.RFC3339Nano)
	}
	if r.since != "" && !strings.Contains(r.since, ":") { // an age is relative to now, and must be the same for all pages
		if at, ok := ago(r.since); ok {
			r.since = at.UTC().Format(time.RFC3339Nano)
		}
	}
	gw, err := r.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	total, err := r.pages(gw, true)
	if err != nil {
		return err
	}
	if r.dryRun || total.Revised == 0 {
		return r.counted(total, false)
	}
	if !r.yes {
		if r.json {
			return &exit{exitUsage, errors.New("--json cannot ask for confirmation: use --dry-run to count, or --yes")}
		}
		if err := r.counted(total, false); err != nil {
			return err
		}
		if !r.confirmed("Correct them?") {
			return &exit{exitFailed, errors.New("nothing was changed; --yes skips the question")}
		}
	}
	if total, err = r.pages(gw, false); err != nil {
		return fmt.Errorf("%w\nthe changes so far are kept: the same command continues from there", err)
	}
	return r.counted(total, true)
}

// ago parses an age, like the API.
func ago(text string) (time.Time, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := time.ParseDuration(days + "h"); err == nil {
			return time.Now().Add(-24 * n), true
		}
	}
	d, err := time.ParseDuration(text)
	return time.Now().Add(-d), err == nil
}

// replayed is the sum of all pages.
type replayed struct {
	client.NormalisedPage
	// LeftFor counts skipped events by reason.
	LeftFor map[string]int `json:"left_for,omitempty"`
}

const (
	// maxReasons and maxListed limit the distinct reasons and the events to print.
	maxReasons = 50
	maxListed  = 20
)

func (r *replaying) pages(gw *client.Client, dryRun bool) (*replayed, error) {
	total := &replayed{LeftFor: map[string]int{}}
	query := r.query(dryRun)
	for {
		page, err := gw.NormaliseMany(r.cmd.Context(), query)
		if err != nil {
			return nil, err
		}
		total.Events += page.Events
		total.Revised += page.Revised
		total.Unchanged += page.Unchanged
		total.Left += page.Left
		total.OwnForm += page.OwnForm
		total.Deliveries += page.Deliveries
		total.Superseded += page.Superseded
		total.Kept += page.Kept
		for _, b := range page.Results {
			if b.Reason != "" {
				reason := b.Reason
				if _, known := total.LeftFor[reason]; !known && len(total.LeftFor) >= maxReasons {
					reason = "other reasons"
				}
				total.LeftFor[reason]++
			}
			if len(total.Results) < maxListed {
				total.Results = append(total.Results, b)
			}
		}
		if page.Next == "" {
			return total, nil
		}
		query.Set("cursor", page.Next)
	}
}

// counted prints the counts, before or after the changes.
func (r *replaying) counted(t *replayed, done bool) error {
	if r.json {
		return r.print(t)
	}
	will := func(n int) string {
		switch {
		case !done:
			return "would be"
		case n == 1:
			return "was"
		}
		return "were"
	}
	r.say("%d %s checked: %d changed, %d unchanged, %d skipped because they cannot be normalised again\n",
		t.Events, plural(t.Events, "event"), t.Revised, t.Unchanged, t.Left)
	if t.Revised > 0 {
		r.say("%d %s %s created, %d of earlier revisions %s dropped, %d unchanged\n",
			t.Deliveries, deliveriesWord(t.Deliveries), will(t.Deliveries), t.Superseded, will(t.Superseded), t.Kept)
	}
	for _, b := range t.Results {
		if b.Status == client.Revised {
			r.say("  %s  revision %d: %s; %d %s\n", b.Event, b.Revision, strings.Join(b.Differences, ", "), b.Deliveries, deliveriesWord(b.Deliveries))
		}
	}
	if t.Revised > maxListed {
		r.say("  and more\n")
	}
	if t.OwnForm > 0 {
		r.say("  skipped, %d: published in surveygate's own format, to which profiles and roles do not apply\n", t.OwnForm)
	}
	for _, reason := range slices.Sorted(maps.Keys(t.LeftFor)) {
		r.say("  skipped, %d: %s\n", t.LeftFor[reason], reason)
	}
	return nil
}

func deliveriesWord(n int) string {
	if n == 1 {
		return "delivery"
	}
	return "deliveries"
}

// confirmed asks for confirmation.
func (r *replaying) confirmed(question string) bool { return r.globals.confirmed(r.cmd, question) }

// confirmed asks a question, and reports whether the answer is yes.
func (g *globals) confirmed(cmd *cobra.Command, question string) bool {
	g.printf("%s [y/N] ", question)
	line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}
