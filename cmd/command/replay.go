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

// replaying is what `replay` was asked for.
type replaying struct {
	*globals
	cmd                  *cobra.Command
	source, since, until string
	again, dryRun, yes   bool
}

func (g *globals) replay() *cobra.Command {
	r := &replaying{globals: g}
	var normalise bool
	cmd := &cobra.Command{
		Use:   "replay ID… | --normalise [--source NAME] [--since TIME] [--until TIME]",
		Short: "Deliver again, or read raw bodies again by today's roles",
		Long: `With ids of events or deliveries: decide and deliver them again, by today's rules and steps.

With --normalise the raw body of each event is read again, through the profile, the roles and the surveys that its source
has today. An event that reads otherwise gets another revision: the same event id, revision 1, 2, and so on. It is decided
by today's rules. Lists and searches show the newest revision, and explain shows the earlier ones too.

What is delivered:
- A step whose request is another one today, and one that is owed for the first time, gets a delivery of its own, with an
id of its own: a receiver that swallows ids it has seen takes it.
- A step that was delivered, or waits, with the same request gets none; --again delivers it all the same.
- A delivery of an earlier revision that waits or is dead, and whose request is another one today or whose rule does not
match any more, ends as dropped: superseded by revision N.
- What a rule says once for a response is not said again for another event of it. A delay counts from when the event came in.

What is left as it is, and said: an event whose body today's profile cannot read or does not know, whose source left the
configuration, whose raw body is not kept, or that was published in surveygate's own form, which no profile and no role
reads; and one that is being delivered at this moment. An event that reads as before has no new revision.

Without ids many events are read again, those received in the time that is given (a time as 2026-01-02T03:04:05Z, or how
long ago, as 24h or 7d). They are counted first, and nothing is done until you say yes, or --yes. It may be stopped and
started again at any time: what was put right already reads as before.`,
		Example: `  surveygate replay --normalise 61cc5a12f7d1b0c2a9e04c1c4c53be0c
  surveygate replay --normalise --source typeform --since 7d --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, ids []string) error {
			r.cmd = cmd
			switch {
			case !normalise && len(ids) == 0:
				return &exit{exitUsage, errors.New("name events or deliveries to replay; many at once go with --normalise")}
			case !normalise && (r.again || r.dryRun || r.yes || r.source != "" || r.since != "" || r.until != ""):
				return &exit{exitUsage, errors.New("--source, --since, --until, --again, --dry-run and --yes go with --normalise")}
			case !normalise:
				return g.each(cmd, ids, "replay", false)
			case len(ids) > 0 && (r.since != "" || r.until != ""):
				return &exit{exitUsage, errors.New("--since and --until choose among all events; leave the ids out")}
			case len(ids) > 0:
				return r.some(ids)
			}
			return r.many()
		},
	}
	f := cmd.Flags()
	f.BoolVar(&normalise, "normalise", false, "read the raw body again through today's profile, roles and surveys")
	f.StringVar(&r.source, "source", "", "events of this source")
	f.StringVar(&r.since, "since", "", "received since then: a time, or how long ago")
	f.StringVar(&r.until, "until", "", "received before then (default: now)")
	f.BoolVar(&r.again, "again", false, "deliver also what was delivered already with the same request")
	f.BoolVar(&r.dryRun, "dry-run", false, "count, and change nothing")
	f.BoolVar(&r.yes, "yes", false, "do not ask")
	return cmd
}

func (r *replaying) query(dryRun bool) url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"source": r.source, "since": r.since, "until": r.until} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, said := range map[string]bool{"again": r.again, "dry_run": dryRun} {
		if said {
			q.Set(name, "true")
		}
	}
	return q
}

// some reads the events again that are named. One that is refused keeps none behind it from it.
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
				break // nobody is there
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
		r.printf("%s: reads as before; nothing to do\n", res.Event)
		return
	}
	r.printf("%s: %s revision %d: %s\n", res.Event, r.word("has", "would have"), res.Revision, strings.Join(res.Differences, ", "))
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
			r.printf("  %s %s\n", part.word, text)
		}
	}
}

func (r *replaying) word(done, would string) string {
	if r.dryRun {
		return would
	}
	return done
}

// many counts first, asks, and then reads again, a page at a time.
func (r *replaying) many() error {
	if r.until == "" { // what comes in meanwhile is read by today's sources already
		r.until = time.Now().UTC().Format(time.RFC3339Nano)
	}
	if r.since != "" && !strings.Contains(r.since, ":") { // an age is counted from now, once for all pages
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
			return &exit{exitUsage, errors.New("--json asks nothing: count with --dry-run, or say --yes")}
		}
		if err := r.counted(total, false); err != nil {
			return err
		}
		if !r.asked() {
			return &exit{exitFailed, errors.New("nothing was done; --yes does it without asking")}
		}
	}
	if total, err = r.pages(gw, false); err != nil {
		return fmt.Errorf("%w\nwhat was done stays done: the same command goes on from there", err)
	}
	return r.counted(total, true)
}

// ago reads how long ago, as the API does.
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
	// LeftFor counts events that were left, by the reason.
	LeftFor map[string]int `json:"left_for,omitempty"`
}

const (
	// mostReasons and mostShown bound what is kept of events that differ from each other.
	mostReasons = 50
	mostShown   = 20
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
				if _, known := total.LeftFor[reason]; !known && len(total.LeftFor) >= mostReasons {
					reason = "other reasons"
				}
				total.LeftFor[reason]++
			}
			if len(total.Results) < mostShown {
				total.Results = append(total.Results, b)
			}
		}
		if page.Next == "" {
			return total, nil
		}
		query.Set("cursor", page.Next)
	}
}

// counted says what was counted, or what was done.
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
	r.printf("%d %s looked at: %d read otherwise today, %d as before, %d cannot be read again and stay as they are\n",
		t.Events, plural(t.Events, "event"), t.Revised, t.Unchanged, t.Left)
	if t.Revised > 0 {
		r.printf("%d %s %s made, %d of earlier revisions %s ended, %d stay as they are\n",
			t.Deliveries, deliveriesWord(t.Deliveries), will(t.Deliveries), t.Superseded, will(t.Superseded), t.Kept)
	}
	for _, b := range t.Results {
		if b.Status == client.Revised {
			r.printf("  %s  revision %d: %s; %d %s\n", b.Event, b.Revision, strings.Join(b.Differences, ", "), b.Deliveries, deliveriesWord(b.Deliveries))
		}
	}
	if t.Revised > mostShown {
		r.printf("  and more\n")
	}
	if t.OwnForm > 0 {
		r.printf("  left, %d: published in surveygate's own form, which no profile and no role reads\n", t.OwnForm)
	}
	for _, reason := range slices.Sorted(maps.Keys(t.LeftFor)) {
		r.printf("  left, %d: %s\n", t.LeftFor[reason], reason)
	}
	return nil
}

func deliveriesWord(n int) string {
	if n == 1 {
		return "delivery"
	}
	return "deliveries"
}

// asked is what a person answers.
func (r *replaying) asked() bool {
	r.printf("Put them right? [y/N] ")
	line, _ := bufio.NewReader(r.cmd.InOrStdin()).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	}
	return false
}
