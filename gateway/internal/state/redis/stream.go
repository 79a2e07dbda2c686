package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/clock"
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
	// Report hears why the stream cannot be read or its entries cannot be taken now, and nil when they can again. It
	// may be nil.
	Report func(err error)
}

// Entry is an entry of the stream.
type Entry struct {
	ID     string
	Fields map[string]string
	// Read counts how often it was given out, this time included. Answers that were lost on their way to a reader that
	// still lives count as one. From the third time on it is given alone, so that one that ends its reader takes no others
	// with it.
	Read int64
}

const (
	streamPause = 100 * time.Millisecond
	pauseMost   = 5 * time.Second
	// streamGrace is how long entries may still be taken once a reader is to stop.
	streamGrace = 5 * time.Second
	// sayAgain is how often the same problem is logged.
	sayAgain = time.Minute
)

// Stream reads another program's stream with a consumer group of its own. It is for one Run.
type Stream struct {
	opts   StreamOptions
	client goredis.UniversalClient
	holder string

	singly         bool      // no scripts may be run there: entries are read one at a time
	looked, tidied time.Time // when stale entries were looked for, and readers that are gone
	problem        string    // as it was reported
	problemAt      time.Time // when it was logged
	pause          time.Duration
}

// OpenStream makes a reader. It does not connect: a stream's Redis that is gone must not keep the gateway from starting.
func OpenStream(opts StreamOptions) (*Stream, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	o, _, err := parseToConnect(opts.URL, opts.Logger)
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
	if opts.Report == nil {
		opts.Report = func(error) {}
	}
	var suffix [6]byte
	if _, err := rand.Read(suffix[:]); err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	o.ReadTimeout += streamWait // a read waits that long on purpose
	o.MinIdleConns = 0          // one reader needs one connection
	return &Stream{
		opts: opts, client: newClient(o), holder: opts.Holder + "-" + hex.EncodeToString(suffix[:]),
		pause: streamPause,
	}, nil
}

// CheckURL says what is wrong with an address of Redis; nothing of it is in the error. The certificates that it names are
// read by readFile.
func CheckURL(address string, readFile func(path string) ([]byte, error)) error {
	_, _, err := parseWith(address, readFile, slog.New(slog.DiscardHandler))
	return err
}

// Close ends the connection. What is not acknowledged comes to another reader when it is stale.
func (s *Stream) Close() error { return s.client.Close() }

// Run gives entries to take until ctx ends, oldest first, and acknowledges them when it returns nil: then they are
// accepted, or kept as dead letters because nothing can be made of them. With an error all of them are given again,
// after a pause that grows; they stay ours meanwhile. What a dead reader held is taken over.
//
// The context of take outlives ctx a little, so that what was begun is finished and acknowledged.
func (s *Stream) Run(ctx context.Context, take func(ctx context.Context, entries []Entry) error) error {
	work, stop := s.grace(ctx)
	defer stop()
	for ctx.Err() == nil {
		entries, err := s.next(ctx)
		if err != nil {
			s.rest(ctx, fmt.Errorf("read: %w", err))
			continue
		}
		for len(entries) > 0 {
			err := take(work, entries)
			if err == nil {
				break
			}
			if s.rest(ctx, fmt.Errorf("accept entries: %w", err)); ctx.Err() != nil {
				s.giveBack(work, entries)
				return ctx.Err() // they are pending, and anybody's
			}
			s.keep(work, entries)
		}
		if len(entries) > 0 {
			if err := s.ack(work, entries); err != nil {
				s.rest(ctx, fmt.Errorf("acknowledge entries: %w", err)) // they come again, as duplicates of themselves
				continue
			}
		}
		s.well()
	}
	s.depart(work, s.holder)
	return ctx.Err()
}

// grace is a context that ends a little after ctx.
func (s *Stream) grace(ctx context.Context) (context.Context, func()) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		c, release := s.opts.Clock.After(streamGrace)
		defer release()
		select {
		case <-c:
			cancel()
		case <-work.Done():
		}
	})
	return work, func() {
		stop()
		cancel()
	}
}

// rest reports a problem and waits, longer each time. A problem that lasts is logged now and then.
func (s *Stream) rest(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.opts.Report(err)
	if now := s.opts.Clock.Now(); err.Error() != s.problem || now.Sub(s.problemAt) >= sayAgain {
		s.opts.Logger.Warn("a stream cannot be read now; it is tried again", "stream", s.opts.Stream, "group", s.opts.Group, "err", err)
		s.problem, s.problemAt = err.Error(), now
	}
	c, stop := s.opts.Clock.After(s.pause)
	defer stop()
	select {
	case <-c:
	case <-ctx.Done():
	}
	s.pause = min(2*s.pause, pauseMost)
}

// well is after everything went as it should.
func (s *Stream) well() {
	if s.problem != "" {
		s.opts.Logger.Info("the stream is read again", "stream", s.opts.Stream, "group", s.opts.Group)
		s.opts.Report(nil)
	}
	s.problem, s.pause = "", streamPause
}
