package command

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/gateway/client"
)

// askAbove is how many are replayed without a question.
const askAbove = 100

// followEvery is how often a replay is asked for its progress.
const followEvery = time.Second

// byFilter holds the arguments of a replay of everything that filters select.
type byFilter struct {
	client.ReplayRequest
	wait bool
}

func (b *byFilter) flags(cmd *cobra.Command) {
	f, of := cmd.Flags(), &b.Of
	f.StringVar(&of.Destination, "destination", "", "deliveries to this connection or webhook")
	f.StringVar(&of.State, "state", "", "waiting, delivered, skipped, dead or dropped")
	f.StringVar(&of.Status, "status", "", "status of the last attempt: a number, 5xx, or 0 without an answer")
	f.StringVar(&of.Verdict, "verdict", "", "verdict of the last attempt: retry, rejected, …")
	f.StringVar(&of.Rule, "rule", "", "deliveries of this rule or webhook")
	f.StringVar(&of.Type, "type", "", "events of this type")
	f.StringVar(&b.As, "as", "", "same (default), today: by the current rules, or fresh: with new ids")
	f.StringVar(&b.Rate, "rate", "", "how many to schedule, such as 20/s, which is the default")
	f.StringVar(&b.Reason, "reason", "", "the reason to keep with the replay")
	f.BoolVar(&b.wait, "wait", false, "wait for the end, also without a terminal")
}

// isSet reports whether there is anything that only a replay by filter has.
func (b *byFilter) isSet() bool {
	of := &b.Of
	return of.Destination != "" || of.State != "" || of.Status != "" || of.Verdict != "" || of.Rule != "" || of.Type != "" ||
		b.As != "" || b.Rate != "" || b.Reason != "" || b.wait
}

// filter counts what the filters select, asks for confirmation above askAbove, and replays it.
func (r *replaying) filter(b *byFilter) error {
	b.Of.Source, b.Of.Since, b.Of.Until = r.source, r.since, r.until
	ctx := r.cmd.Context()
	gw, err := r.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	count, err := gw.CountReplay(ctx, b.ReplayRequest)
	if err != nil {
		return err
	}
	found := max(count.Deliveries, count.Events)
	complete := count.SearchedBackTo.IsZero()
	if r.dryRun {
		if r.json {
			return r.print(count)
		}
		r.showCount(count)
		return nil
	}
	if found == 0 && complete {
		if r.json {
			return r.print(count)
		}
		r.showCount(count)
		return nil
	}
	if !r.yes && (found > askAbove || !complete) {
		if r.json {
			return &exit{exitUsage, errors.New("--json cannot ask for confirmation: use --dry-run to count, or --yes")}
		}
		r.showCount(count)
		if !r.confirmed("Replay them?") {
			return &exit{exitFailed, errors.New("nothing was replayed; --yes skips the question")}
		}
	} else if !r.json {
		r.showCount(count)
	}
	j, err := gw.BeginReplay(ctx, b.ReplayRequest)
	if err != nil {
		return err
	}
	if !b.wait && (r.json || terminalOf(r.out) == nil) {
		if r.json {
			return r.print(j)
		}
		r.say("%s %s; how far it is: surveygate replay show %s\n", j.ID, j.State, j.ID)
		return nil
	}
	return r.follow(gw, j)
}

func (r *replaying) showCount(c *client.ReplayCount) {
	atLeast := ""
	if !c.SearchedBackTo.IsZero() {
		atLeast = "at least "
	}
	if c.Deliveries == 0 && c.Events > 0 {
		r.printf("%s%d %s", atLeast, c.Events, plural(c.Events, "event"))
	} else {
		r.printf("%s%d %s of %d %s", atLeast, c.Deliveries, deliveriesWord(c.Deliveries), c.Events, plural(c.Events, "event"))
	}
	if !c.Oldest.IsZero() {
		r.printf(", the oldest of %s", c.Oldest)
	}
	r.printf("\n")
	if c.AlreadyWaiting > 0 {
		r.printf("  left alone, %d: they wait already\n", c.AlreadyWaiting)
	}
	if c.NoLongerKept > 0 {
		r.printf("  not replayed, %d: their events are no longer kept\n", c.NoLongerKept)
	}
	if !c.SearchedBackTo.IsZero() {
		r.printf("  counted back to %s only; the replay goes on to the oldest\n", c.SearchedBackTo)
	}
}

// follow waits until a replay has ended, and shows its progress.
func (r *replaying) follow(gw *client.Client, j *client.Job) error {
	if !r.json && terminalOf(r.out) != nil {
		r.printf("%s; ^C leaves it running\n", j.ID)
	}
	p := r.progress(true)
	defer p.end()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for j.Ended.IsZero() {
		p.job(j)
		select {
		case <-tick.C:
		case <-r.cmd.Context().Done():
			return r.cmd.Context().Err()
		}
		now, err := gw.Replay(r.cmd.Context(), j.ID)
		if err != nil {
			return fmt.Errorf("%w\nthe replay goes on: `surveygate replay show %s` says how far it is", err, j.ID)
		}
		j = now
	}
	p.end()
	return r.shown(j)
}

// job shows how far a job is.
func (p *progress) job(j *client.Job) {
	done, total, what := j.Done, j.Total, j.State
	if j.Counting {
		done, total, what = j.Total, 0, what+", found so far"
	}
	if j.Waits != "" {
		what += "; " + j.Waits
	}
	p.show(done, total, what)
}

// progressOf is the progress of a replay in a few words.
func progressOf(j *client.Job) string {
	text := fmt.Sprintf("%s: %d of %d", j.State, j.Done, j.Total)
	if j.Counting {
		text = fmt.Sprintf("%s: %d found so far", j.State, j.Total)
	}
	if j.ETA != "" {
		text += ", " + j.ETA + " left"
	}
	if j.Waits != "" {
		text += "; " + j.Waits
	}
	return text
}

// shown prints a replay; one that failed or was cancelled is a failure of the command.
func (r *replaying) shown(j *client.Job) error {
	if r.json {
		if err := r.print(j); err != nil {
			return err
		}
	} else {
		r.showJob(j)
	}
	if j.State == "failed" || j.State == "cancelled" {
		return &exit{code: exitFailed}
	}
	return nil
}

func (r *replaying) showJob(j *client.Job) {
	r.say("%s  %s\n", j.ID, progressOf(j))
	r.say("  of: %s; as: %s, at %s\n", filterOf(j), j.As, j.Rate)
	asked := fmt.Sprintf("  asked for by %s at %s", j.Created.By, j.Created.At)
	if j.Reason != "" {
		asked += ": " + j.Reason
	}
	r.say("%s\n", asked)
	if j.Fault != "" {
		r.say("  failed: %s\n", j.Fault)
	}
	if j.Deliveries > 0 {
		r.say("  %d %s scheduled\n", j.Deliveries, deliveriesWord(j.Deliveries))
	}
	for _, why := range slices.Sorted(maps.Keys(j.Why)) {
		r.say("  left alone, %d: %s\n", j.Why[why], why)
	}
	if j.NotKept > 0 {
		r.say("  not replayed, %d: no longer kept\n", j.NotKept)
	}
}

// filterOf is what a replay selects, in a line.
func filterOf(j *client.Job) (text string) {
	if j.Of == nil {
		return ""
	}
	of := j.Of
	for _, part := range [][2]string{
		{"destination", of.Destination},
		{"state", of.State},
		{"verdict", of.Verdict},
		{"status", of.Status},
		{"rule", of.Rule},
		{"type", of.Type},
		{"source", of.Source},
		{"since", of.Since},
		{"until", of.Until},
	} {
		if part[1] != "" {
			text += " " + part[0] + " " + part[1]
		}
	}
	if n := len(of.Events); n > 0 {
		text += fmt.Sprintf(" %d %s", n, plural(n, "event"))
	}
	if text == "" {
		return "everything"
	}
	return text[1:]
}

// commands are the subcommands of `replay`, for replays that run or have ended.
func (r *replaying) commands() []*cobra.Command {
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List replays, newest first", Args: cobra.NoArgs,
		Example: "  surveygate replay list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.cmd = cmd
			return r.list(limit)
		},
	}
	list.Flags().IntVar(&limit, "limit", 20, "how many to list, at most 200")
	one := func(use, short string, do func(gw *client.Client, id string) (*client.Job, error)) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: cobra.ExactArgs(1),
			Example: "  surveygate replay " + use[:len(use)-len("ID")] + "job_bka6wcl6v7ser4mu5cmvuz53oa",
			RunE: func(cmd *cobra.Command, args []string) error {
				r.cmd = cmd
				gw, err := r.dial()
				if err != nil {
					return err
				}
				defer gw.Close()
				j, err := do(gw, args[0])
				if err != nil {
					return err
				}
				if r.json {
					return r.print(j)
				}
				r.showJob(j)
				return nil
			},
		}
	}
	return []*cobra.Command{
		list,
		one("show ID", "Show a replay, and how far it is", func(gw *client.Client, id string) (*client.Job, error) {
			return gw.Replay(r.cmd.Context(), id)
		}),
		one("cancel ID", "End a replay; what it has scheduled is delivered", func(gw *client.Client, id string) (*client.Job, error) {
			return gw.CancelReplay(r.cmd.Context(), id)
		}),
	}
}

func (r *replaying) list(limit int) error {
	gw, err := r.dial()
	if err != nil {
		return err
	}
	defer gw.Close()
	page, err := gw.Replays(r.cmd.Context(), url.Values{"limit": {strconv.Itoa(limit)}})
	if err != nil {
		return err
	}
	if r.json {
		return r.print(page)
	}
	rows := make([][]string, len(page.Data))
	for i := range page.Data {
		j := &page.Data[i]
		rows[i] = []string{j.ID, j.State, fmt.Sprintf("%d/%d", j.Done, j.Total), j.Created.At.Format(time.RFC3339), filterOf(j)}
	}
	r.wholeTable(rows)
	return nil
}
