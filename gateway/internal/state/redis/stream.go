package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// StreamOptions say which stream of somebody else's is read. URL and Stream are required.
type StreamOptions struct {
	// URL leads to the Redis that has the stream, in the forms of Options.
	URL    string
	Stream string
	// Group is our consumer group there: `surveygate` where nothing is said.
	Group string
	// Holder begins the name of this process among its consumers; the rest is random.
	Holder string
	// Stale is how long an entry is held before another replica takes it: 10 s where nothing is said.
	Stale  time.Duration
	Clock  clock.Clock
	Logger *slog.Logger
}

// Entry is an entry of the stream.
type Entry struct {
	ID     string
	Fields map[string]string
	// Read counts how often it was given out, this time included.
	Read int64
}

const (
	streamCount = 128
	streamWait  = time.Second
	streamPause = 100 * time.Millisecond
	pauseMost   = 5 * time.Second
)

// Stream reads another program's stream with a consumer group of its own.
type Stream struct {
	opts   StreamOptions
	client goredis.UniversalClient
	holder string
}

// OpenStream makes a reader. It does not connect: a stream's Redis that is gone must not keep the gateway from starting.
func OpenStream(opts StreamOptions) (*Stream, error) {
	o, _, err := parse(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	if opts.Stream == "" {
		return nil, errors.New("open stream: no stream is named")
	}
	if opts.Group == "" {
		opts.Group = "surveygate"
	}
	if opts.Holder == "" {
		opts.Holder = "gateway"
	}
	if opts.Stale == 0 {
		opts.Stale = deadAfter
	}
	if opts.Clock == nil {
		opts.Clock = clock.System()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	var suffix [6]byte
	if _, err := rand.Read(suffix[:]); err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	o.ReadTimeout += streamWait // a read waits that long on purpose
	return &Stream{opts: opts, client: newClient(o), holder: opts.Holder + "-" + hex.EncodeToString(suffix[:])}, nil
}

// Close ends the connection. What is not acknowledged comes to another reader when it is stale.
func (s *Stream) Close() error { return s.client.Close() }

// Run gives entries to take until ctx ends, oldest first, and acknowledges them when it returns nil: then they are
// accepted, or kept as dead letters because nothing can be made of them. With an error all of them are given again,
// after a pause that grows; they stay ours meanwhile. What a dead reader held is taken over.
func (s *Stream) Run(ctx context.Context, take func(ctx context.Context, entries []Entry) error) error {
	pause := streamPause
	rest := func(what string, err error) {
		s.opts.Logger.Warn("a stream cannot be read", "source", s.opts.Stream, "doing", what, "err", err)
		c, stop := s.opts.Clock.After(pause)
		defer stop()
		select {
		case <-c:
		case <-ctx.Done():
		}
		pause = min(2*pause, pauseMost)
	}
	for ctx.Err() == nil {
		entries, err := s.next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				rest("cannot read the stream", err)
			}
			continue
		}
		if len(entries) == 0 {
			continue
		}
		for ctx.Err() == nil {
			if err := take(ctx, entries); err == nil {
				break
			} else if ctx.Err() == nil {
				rest("cannot accept entries of the stream", err)
				s.keep(ctx, entries)
			}
		}
		if ctx.Err() != nil {
			break
		}
		if err := s.ack(ctx, entries); err != nil {
			rest("cannot acknowledge entries of the stream", err) // they come again, as duplicates of themselves
			continue
		}
		pause = streamPause
	}
	return ctx.Err()
}

// next are entries that nobody has: first stale ones, then new ones.
func (s *Stream) next(ctx context.Context) ([]Entry, error) {
	got, err := s.client.Do(ctx, "XAUTOCLAIM", s.opts.Stream, s.opts.Group, s.holder, s.opts.Stale.Milliseconds(), "0-0", "COUNT", streamCount).Result()
	if err == nil {
		if all := asList(got); len(all) > 1 && len(asList(all[1])) > 0 {
			return entriesOf(asList(all[1]), 2), nil
		}
		got, err = s.client.Do(ctx, "XREADGROUP", "GROUP", s.opts.Group, s.holder, "COUNT", streamCount,
			"BLOCK", streamWait.Milliseconds(), "STREAMS", s.opts.Stream, ">").Result()
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
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", state.ErrUnavailable, err)
	}
	streams := asList(got)
	if len(streams) == 0 {
		return nil, nil
	}
	return entriesOf(asList(asList(streams[0])[1]), 1), nil
}

func entriesOf(all []any, read int64) []Entry {
	entries := make([]Entry, 0, len(all))
	for _, e := range all {
		if e := asList(e); len(e) == 2 {
			entries = append(entries, Entry{ID: asText(e[0]), Fields: fieldsOf(e[1]), Read: read})
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

// keep makes entries young again that are waited with, so that nobody takes them for stale.
func (s *Stream) keep(ctx context.Context, entries []Entry) {
	if err := s.client.Do(ctx, s.ids("XCLAIM", entries, []any{s.holder, 0}, []any{"JUSTID"})...).Err(); err != nil {
		s.opts.Logger.Debug("cannot keep entries of the stream", "source", s.opts.Stream, "err", err)
	}
}
