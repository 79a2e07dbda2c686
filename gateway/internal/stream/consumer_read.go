package stream

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// readBytes bounds one read, which may bring one entry more: what it costs must not depend on who fills the stream.
	// readEntries bounds its entries.
	readBytes   = 8 << 20
	readEntries = 128

	// readAlone is from which read on an entry is given alone.
	readAlone = 3
	// tidyEvery is how often dead consumers are looked for; deadAfter is how long such a one has been silent.
	tidyEvery = time.Minute
	deadAfter = 10 * time.Minute
)

var (
	//go:embed scripts/read.lua
	readSource string
	//go:embed scripts/leave.lua
	leaveSource string

	readScript  = goredis.NewScript(readSource)
	leaveScript = goredis.NewScript(leaveSource)
)

// next returns entries for this consumer: stale ones of others first, then new ones.
func (c *consumer) next(ctx context.Context) ([]entry, error) {
	entries, err := c.takeOver(ctx)
	if err == nil && len(entries) == 0 {
		entries, err = c.readNew(ctx)
	}
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, nil
	case err != nil && strings.Contains(err.Error(), "NOGROUP"):
		// The group begins at the first entry, also when it was lost: what was accepted before is recognised as a duplicate,
		// and what was not must not be skipped.
		err = c.client.XGroupCreateMkStream(ctx, c.Stream, c.Group, "0").Err()
		if err != nil && strings.Contains(err.Error(), "BUSYGROUP") {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", state.ErrUnavailable, err)
		}
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", state.ErrUnavailable, err)
	}
	return entries, nil
}

func (e *entry) size() int {
	n := len(e.ID)
	for name, value := range e.Fields {
		n += len(name) + len(value)
	}
	return n
}

// readNew reads all new entries that fit into one read. When there are none, it waits for the next one.
func (c *consumer) readNew(ctx context.Context) ([]entry, error) {
	if !c.noScripts {
		got, err := readScript.Run(ctx, c.client, []string{c.Stream}, c.Group, c.name, readEntries, readBytes).Slice()
		if err == nil && len(got) > 0 {
			return entriesOf(got), nil
		}
		if c.noScripts = refusesScripts(err); err != nil && !c.noScripts {
			return nil, err
		}
		if c.noScripts {
			c.Logger.Warn("the stream's Redis lets us run no scripts: entries are read one at a time", "stream", c.Stream, "err", err)
		}
	}
	streams, err := c.client.Do(ctx, "XREADGROUP", "GROUP", c.Group, c.name, "COUNT", 1,
		"BLOCK", c.Block.Milliseconds(), "STREAMS", c.Stream, ">").Slice()
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	if stream, _ := streams[0].([]any); len(stream) == 2 {
		entries, _ := stream[1].([]any)
		return entriesOf(entries), nil
	}
	return nil, nil
}

// refusesScripts reports whether err says that our user, or every user, is not permitted to run scripts.
func refusesScripts(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return (strings.Contains(text, "NOPERM") || strings.Contains(text, "unknown command")) && strings.Contains(text, "eval")
}

// takeOver claims entries that were pending for too long: their consumer died. It looks for them five times within Stale,
// and at once as long as it finds some. It claims them one by one, as each may be large.
func (c *consumer) takeOver(ctx context.Context) ([]entry, error) {
	now := c.Clock.Now()
	if since := now.Sub(c.checked); since >= 0 && since < c.Stale/5 {
		return nil, nil
	}
	pending, err := c.client.XPendingExt(ctx, &goredis.XPendingExtArgs{
		Stream: c.Stream, Group: c.Group, Idle: c.Stale, Start: "-", End: "+", Count: readEntries,
	}).Result()
	if err != nil {
		return nil, err
	}
	if len(pending) == 0 {
		c.checked = now
		c.tidy(ctx, now)
		return nil, nil
	}
	var entries []entry
	size := 0
	for _, p := range pending {
		if size >= readBytes {
			break
		}
		reads := p.RetryCount + 1
		claim := []any{"XCLAIM", c.Stream, c.Group, c.name, c.Stale.Milliseconds(), p.ID}
		if p.Consumer == c.name { // its answer, or that to its acknowledgement, was lost: we live, so it crashed nobody
			reads = max(reads-1, 1)
			claim = append(claim, "RETRYCOUNT", reads)
		}
		alone := reads >= readAlone
		if alone && len(entries) > 0 {
			break
		}
		got, err := c.client.Do(ctx, claim...).Slice()
		if err != nil && len(entries) == 0 {
			return nil, err
		}
		if err != nil {
			break // those that are here do not wait for it
		}
		for _, e := range entriesOf(got) {
			e.Reads = reads
			entries, size = append(entries, e), size+e.size()
		}
		if alone && len(entries) > 0 {
			break
		}
	}
	return entries, nil
}

// tidy deletes dead consumers that have nothing pending: each start of a gateway adds one with a name of its own.
func (c *consumer) tidy(ctx context.Context, now time.Time) {
	if since := now.Sub(c.tidied); since >= 0 && since < tidyEvery {
		return
	}
	c.tidied = now
	consumers, err := c.client.XInfoConsumers(ctx, c.Stream, c.Group).Result()
	if err != nil {
		return // a user that may not ask can still read
	}
	for _, other := range consumers {
		if other.Name != c.name && other.Pending == 0 && other.Idle > deadAfter {
			c.leave(ctx, other.Name)
		}
	}
}

// leave deletes a consumer that has nothing pending. If it fails, another consumer deletes it later.
func (c *consumer) leave(ctx context.Context, name string) {
	if err := leaveScript.Run(ctx, c.client, []string{c.Stream}, c.Group, name).Err(); err != nil {
		c.Logger.Debug("a reader's name stays in its group", "stream", c.Stream, "group", c.Group, "err", err)
	}
}

// entriesOf reads entries, ID and fields each, as first reads.
func entriesOf(replies []any) []entry {
	entries := make([]entry, 0, len(replies))
	for _, reply := range replies {
		parts, _ := reply.([]any)
		if len(parts) != 2 {
			continue
		}
		id, _ := parts[0].(string)
		values, _ := parts[1].([]any)
		fields := make(map[string]string, len(values)/2)
		for i := 0; i+1 < len(values); i += 2 {
			name, _ := values[i].(string)
			fields[name], _ = values[i+1].(string)
		}
		entries = append(entries, entry{ID: id, Fields: fields, Reads: 1})
	}
	return entries
}

// command builds a command on entries: the verb, stream and group, what comes before their IDs, the IDs, what comes after.
func (c *consumer) command(verb string, entries []entry, before, after []any) []any {
	args := append([]any{verb, c.Stream, c.Group}, before...)
	for _, e := range entries {
		args = append(args, e.ID)
	}
	return append(args, after...)
}

func (c *consumer) acknowledge(ctx context.Context, entries []entry) error {
	return c.client.Do(ctx, c.command("XACK", entries, nil, nil)...).Err()
}

// giveBack makes entries stale that could not be accepted and does not count this read: the next consumer takes them over
// at once.
func (c *consumer) giveBack(ctx context.Context, entries []entry) {
	byReads := map[int64][]entry{}
	for _, e := range entries {
		byReads[e.Reads] = append(byReads[e.Reads], e)
	}
	for reads, some := range byReads {
		args := c.command("XCLAIM", some, []any{c.name, 0}, []any{"IDLE", c.Stale.Milliseconds(), "RETRYCOUNT", reads - 1, "JUSTID"})
		if err := c.client.Do(ctx, args...).Err(); err != nil {
			c.Logger.Debug("cannot give entries of the stream back", "stream", c.Stream, "err", err)
		}
	}
}

// renew resets the idle time of entries that are to be accepted later, so that no other consumer takes them over.
func (c *consumer) renew(ctx context.Context, entries []entry) {
	if err := c.client.Do(ctx, c.command("XCLAIM", entries, []any{c.name, 0}, []any{"JUSTID"})...).Err(); err != nil {
		c.Logger.Debug("cannot keep entries of the stream", "stream", c.Stream, "err", err)
	}
}
