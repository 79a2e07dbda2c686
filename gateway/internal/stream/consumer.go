package stream

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
	"github.com/surveygate/surveygate/gateway/internal/redis"
)

// consumerOptions say which stream a consumer reads. URL and Stream are required.
type consumerOptions struct {
	// URL is the address of the Redis that has the stream; see redis.Parse.
	URL    string
	Stream string
	// Group is our consumer group; the default is `surveygate`.
	Group string
	// Holder begins the consumer's name; the rest is random.
	Holder string
	// Stale is how long an entry may be pending before another replica takes it over; the default is 10 s.
	Stale time.Duration
	// Block is how long a read waits for a new entry; the default is 1 s.
	Block  time.Duration
	Clock  clock.Clock
	Logger *slog.Logger
	// Report is called with the reason why the stream cannot be read or its entries cannot be accepted now, and with nil
	// when they can again. It may be nil.
	Report func(err error)
}

// entry is an entry of the stream.
type entry struct {
	ID     string
	Fields map[string]string
	// Reads counts how often the entry was given to a consumer, this time included. Answers that were lost on their way to
	// a consumer that still lives count as one. From readAlone on, an entry is given alone, so that one that crashes its
	// reader takes no others with it.
	Reads int64
}

const (
	defaultStale = 10 * time.Second
	defaultBlock = time.Second
	minPause     = 100 * time.Millisecond
	maxPause     = 5 * time.Second
	// stopGrace is how long entries may still be accepted after a consumer was told to stop.
	stopGrace = 5 * time.Second
	// logEvery is how often the same problem is logged.
	logEvery = time.Minute
)

// consumer reads another program's stream as a member of a consumer group. It is for one call of run.
type consumer struct {
	consumerOptions

	client goredis.UniversalClient
	name   string // in the group

	noScripts       bool      // this Redis refuses scripts: entries are read one at a time
	checked, tidied time.Time // when stale entries and dead consumers were looked for last
	problem         string    // the last one that was reported; empty when all is well
	problemAt       time.Time // when it was logged last
	pause           time.Duration
}

// newConsumer makes a consumer. It does not connect: a stream whose Redis is down must not keep the gateway from starting.
func newConsumer(o consumerOptions) (*consumer, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	address, err := redis.Parse(o.URL, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	if o.Stream == "" {
		return nil, errors.New("open stream: no stream is named")
	}
	if o.Group == "" {
		o.Group = "surveygate"
	}
	if o.Holder == "" {
		o.Holder = "gateway"
	}
	if o.Stale == 0 {
		o.Stale = defaultStale
	}
	if o.Block == 0 {
		o.Block = defaultBlock
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	var suffix [6]byte
	if _, err := rand.Read(suffix[:]); err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	address.Options.ReadTimeout += o.Block // a read blocks that long on purpose
	address.Options.MinIdleConns = 0       // one consumer needs one connection
	return &consumer{
		consumerOptions: o, client: address.Client(), name: o.Holder + "-" + hex.EncodeToString(suffix[:]), pause: minPause,
	}, nil
}

// close ends the connection. Another consumer takes over what is not acknowledged once it is stale.
func (c *consumer) close() error { return c.client.Close() }

// run passes entries to accept until ctx ends, oldest first, and acknowledges them when accept returns nil: then they are
// durable, as events or as dead letters. After an error all of them are passed again, after a pause that grows; they stay
// pending for this consumer meanwhile. Entries of a dead consumer are taken over.
//
// The context of accept outlives ctx by stopGrace, so that what was begun is finished and acknowledged.
func (c *consumer) run(ctx context.Context, accept func(ctx context.Context, entries []entry) error) error {
	work, stop := c.grace(ctx)
	defer stop()
	for ctx.Err() == nil {
		entries, err := c.next(ctx)
		if err != nil {
			c.backOff(ctx, fmt.Errorf("read: %w", err))
			continue
		}
		for len(entries) > 0 {
			err := accept(work, entries)
			if err == nil {
				break
			}
			if c.backOff(ctx, fmt.Errorf("accept entries: %w", err)); ctx.Err() != nil {
				c.giveBack(work, entries)
				return ctx.Err()
			}
			c.renew(work, entries)
		}
		if len(entries) > 0 {
			if err := c.acknowledge(work, entries); err != nil {
				c.backOff(ctx, fmt.Errorf("acknowledge entries: %w", err)) // they come again, and are recognised as duplicates
				continue
			}
		}
		c.recovered()
	}
	c.leave(work, c.name)
	return ctx.Err()
}

// grace returns a context that ends stopGrace after ctx.
func (c *consumer) grace(ctx context.Context) (context.Context, func()) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		over, release := c.Clock.After(stopGrace)
		defer release()
		select {
		case <-over:
			cancel()
		case <-work.Done():
		}
	})
	return work, func() {
		stop()
		cancel()
	}
}

// backOff reports a problem and waits, longer each time. A problem that lasts is logged every logEvery.
func (c *consumer) backOff(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	c.Report(err)
	if now := c.Clock.Now(); err.Error() != c.problem || now.Sub(c.problemAt) >= logEvery {
		c.Logger.Warn("a stream cannot be read now; it is tried again", "stream", c.Stream, "group", c.Group, "err", err)
		c.problem, c.problemAt = err.Error(), now
	}
	over, stop := c.Clock.After(c.pause)
	defer stop()
	select {
	case <-over:
	case <-ctx.Done():
	}
	c.pause = min(2*c.pause, maxPause)
}

// recovered reports that a problem is over and resets the pause.
func (c *consumer) recovered() {
	if c.problem != "" {
		c.Logger.Info("the stream is read again", "stream", c.Stream, "group", c.Group)
		c.Report(nil)
	}
	c.problem, c.pause = "", minPause
}
