package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// streamBytes is how much one read brings, and one entry more: what it may cost us must not depend on who fills the
	// stream. streamCount is how many entries it brings at most.
	streamBytes = 8 << 20
	streamCount = 128
	streamWait  = time.Second

	// readAlone is from which time on an entry is given alone.
	readAlone = 3
	// tidyEvery is how often readers are looked for that are gone, and goneAfter how long they were silent then.
	tidyEvery = time.Minute
	goneAfter = 10 * time.Minute
)

var (
	departScript = goredis.NewScript(source("depart"))
	readScript   = goredis.NewScript(source("read"))
)

// next are entries that nobody has: first stale ones, then new ones.
func (s *Stream) next(ctx context.Context) ([]Entry, error) {
	entries, err := s.stale(ctx)
	if err == nil && len(entries) == 0 {
		entries, err = s.fresh(ctx)
	}
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, nil
	case err != nil && strings.Contains(err.Error(), "NOGROUP"):
		// From the beginning, also where the group was lost: what was accepted before is recognised as a duplicate, and
		// what was not must not be passed over.
		err = s.client.XGroupCreateMkStream(ctx, s.opts.Stream, s.opts.Group, "0").Err()
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

func (e *Entry) size() int {
	n := len(e.ID)
	for name, value := range e.Fields {
		n += len(name) + len(value)
	}
	return n
}

// fresh takes new entries: all that fit at once, and where there is none, the next one to come.
func (s *Stream) fresh(ctx context.Context) ([]Entry, error) {
	if !s.singly {
		got, err := readScript.Run(ctx, s.client, []string{s.opts.Stream}, s.opts.Group, s.holder, streamCount, streamBytes).Result()
		if all := asList(got); err == nil && len(all) > 0 {
			return entriesOf(all), nil
		}
		if s.singly = refusesScripts(err); err != nil && !s.singly {
			return nil, err
		}
		if s.singly {
			s.opts.Logger.Warn("the stream's Redis lets us run no scripts: entries are read one at a time", "stream", s.opts.Stream, "err", err)
		}
	}
	got, err := s.client.Do(ctx, "XREADGROUP", "GROUP", s.opts.Group, s.holder, "COUNT", 1,
		"BLOCK", streamWait.Milliseconds(), "STREAMS", s.opts.Stream, ">").Result()
	streams := asList(got)
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	return entriesOf(asList(asList(streams[0])[1])), nil
}

// refusesScripts is when our user may not run one, or nobody may.
func refusesScripts(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return (strings.Contains(text, "NOPERM") || strings.Contains(text, "unknown command")) && strings.Contains(text, "eval")
}

// stale takes over entries that their reader had for too long: it died. Now and then it is looked for them. They are
// taken one by one, as each may be large.
func (s *Stream) stale(ctx context.Context) ([]Entry, error) {
	now := s.opts.Clock.Now()
	if since := now.Sub(s.looked); since >= 0 && since < s.opts.Stale/5 {
		return nil, nil
	}
	idle := s.opts.Stale.Milliseconds()
	got, err := s.client.Do(ctx, "XPENDING", s.opts.Stream, s.opts.Group, "IDLE", idle, "-", "+", streamCount).Result()
	if err != nil {
		return nil, err
	}
	all := asList(got)
	if len(all) == 0 { // as long as there are any, the next look is at once
		s.looked = now
		s.tidy(ctx, now)
		return nil, nil
	}
	var entries []Entry
	for size := 0; len(all) > 0 && size < streamBytes; all = all[1:] {
		p := asList(all[0])
		if len(p) != 4 {
			continue
		}
		id, times := asText(p[0]), asInt(p[3])+1
		claim := []any{"XCLAIM", s.opts.Stream, s.opts.Group, s.holder, idle, id}
		if asText(p[1]) == s.holder { // its answer, or that to its acknowledgement, was lost: we live, so it is no poison
			times = max(times-1, 1)
			claim = append(claim, "RETRYCOUNT", times)
		}
		alone := times >= readAlone
		if alone && len(entries) > 0 {
			break
		}
		got, err := s.client.Do(ctx, claim...).Result()
		if err != nil && len(entries) == 0 {
			return nil, err
		}
		if err != nil {
			break // those that are here are not to wait for it
		}
		for _, e := range entriesOf(asList(got)) {
			e.Read = times
			entries, size = append(entries, e), size+e.size()
		}
		if alone && len(entries) > 0 {
			break
		}
	}
	return entries, nil
}

// tidy takes readers out of the group that are gone for good and hold nothing: each start has a name of its own.
func (s *Stream) tidy(ctx context.Context, now time.Time) {
	if since := now.Sub(s.tidied); since >= 0 && since < tidyEvery {
		return
	}
	s.tidied = now
	readers, err := s.client.XInfoConsumers(ctx, s.opts.Stream, s.opts.Group).Result()
	if err != nil {
		return // whoever may not ask reads all the same
	}
	for _, r := range readers {
		if r.Name != s.holder && r.Pending == 0 && r.Idle > goneAfter {
			s.depart(ctx, r.Name)
		}
	}
}

// depart takes a reader out of the group if it holds nothing. What cannot be done now, another reader does later.
func (s *Stream) depart(ctx context.Context, holder string) {
	if err := departScript.Run(ctx, s.client, []string{s.opts.Stream}, s.opts.Group, holder).Err(); err != nil {
		s.opts.Logger.Debug("a reader's name stays in its group", "stream", s.opts.Stream, "group", s.opts.Group, "err", err)
	}
}

// entriesOf reads entries that are given out for the first time.
func entriesOf(all []any) []Entry {
	entries := make([]Entry, 0, len(all))
	for _, e := range all {
		if e := asList(e); len(e) == 2 {
			entries = append(entries, Entry{ID: asText(e[0]), Fields: fieldsOf(e[1]), Read: 1})
		}
	}
	return entries
}

func (s *Stream) ids(verb string, entries []Entry, before, behind []any) []any {
	args := append([]any{verb, s.opts.Stream, s.opts.Group}, before...)
	for _, e := range entries {
		args = append(args, e.ID)
	}
	return append(args, behind...)
}

func (s *Stream) ack(ctx context.Context, entries []Entry) error {
	return s.client.Do(ctx, s.ids("XACK", entries, nil, nil)...).Err()
}

// giveBack makes entries stale that could not be taken, as often read as before: whoever comes next takes them at once.
func (s *Stream) giveBack(ctx context.Context, entries []Entry) {
	read := map[int64][]Entry{}
	for _, e := range entries {
		read[e.Read] = append(read[e.Read], e)
	}
	for times, some := range read {
		args := s.ids("XCLAIM", some, []any{s.holder, 0}, []any{"IDLE", s.opts.Stale.Milliseconds(), "RETRYCOUNT", times - 1, "JUSTID"})
		if err := s.client.Do(ctx, args...).Err(); err != nil {
			s.opts.Logger.Debug("cannot give entries of the stream back", "stream", s.opts.Stream, "err", err)
		}
	}
}

// keep makes entries young again that are waited with, so that nobody takes them for stale.
func (s *Stream) keep(ctx context.Context, entries []Entry) {
	if err := s.client.Do(ctx, s.ids("XCLAIM", entries, []any{s.holder, 0}, []any{"JUSTID"})...).Err(); err != nil {
		s.opts.Logger.Debug("cannot keep entries of the stream", "stream", s.opts.Stream, "err", err)
	}
}
