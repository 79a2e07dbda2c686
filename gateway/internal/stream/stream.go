// Package stream reads events from Redis streams of other programs, for the sources that name one.
//
// An entry is acknowledged only once its events are durable, or once it is kept as a dead letter of its own because no
// event can be made of it. Whatever comes again after a crash is recognised by its dedupe key.
package stream

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/accept"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/rules/event"
)

// Options are what readers work with; all are required.
type Options struct {
	Store accept.Store
	Stats *stats.Stats
	Clock clock.Clock
	Log   *slog.Logger
	// Redis is the address of streams that name none, and Prefix what the gateway calls itself there: `surveygate` where
	// nothing is said.
	Redis, Prefix string
	// Holder begins this process's name among the readers of a stream.
	Holder string
	// Stale is how long entries are held by a reader that says nothing before another takes them; 0 is 10 s.
	Stale time.Duration
}

// Readers read the streams of a configuration. Make them with New; they are safe for concurrent use.
type Readers struct {
	Options
	acceptor *accept.Acceptor

	using   sync.Mutex // held while readers start and end, which takes its time
	stopped bool

	mu      sync.Mutex
	running map[place]*reader
}

// place is what a reader is tied to. A source that names another stream, or another Redis, gets another reader.
type place struct{ tenant, source, stream, url string }

// New are readers that read nothing yet.
func New(o Options) *Readers {
	return &Readers{
		Options: o, running: map[place]*reader{},
		acceptor: accept.New(accept.Options{Store: o.Store, Stats: o.Stats, Clock: o.Clock}),
	}
}

// group is a source's consumer group: each source reads all of its stream, and the gateway's replicas share it.
func (r *Readers) group(tenant, source string) string {
	return cmp.Or(r.Prefix, "surveygate") + ":" + tenant + ":" + source
}

// Use makes the readers those of a configuration: it starts and ends what differs, and gives the others their source as
// it is now. Entries that a reader has in its hands when it ends are finished first.
func (r *Readers) Use(c *config.Config) error {
	r.using.Lock()
	defer r.using.Unlock()
	if r.stopped {
		return nil
	}
	wanted := map[place]*config.Source{}
	for _, s := range c.Sources {
		if s.Stream == nil || !s.Enabled {
			continue
		}
		url := s.Stream.URL.Expose()
		if s.Stream.URL.IsZero() {
			url = r.Redis // what runs: another one in the configuration counts from the next start on
		}
		wanted[place{s.Tenant, s.Name, s.Stream.Name, url}] = s
	}
	end(r.without(wanted))

	r.mu.Lock()
	defer r.mu.Unlock()
	var faults []error
	for at, s := range wanted {
		if each := r.running[at]; each != nil {
			each.source.Store(s)
			continue
		}
		each, err := r.start(at, s)
		if err != nil {
			faults = append(faults, fmt.Errorf("source %s: %w", s.Name, err))
			continue
		}
		r.running[at] = each
	}
	return errors.Join(faults...)
}

// without takes the readers out that are not wanted any more.
func (r *Readers) without(wanted map[place]*config.Source) []*reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ending []*reader
	for at, each := range r.running {
		if wanted[at] == nil {
			ending = append(ending, each)
			delete(r.running, at)
		}
	}
	return ending
}

// Stop ends all readers, once what they have in their hands is finished. Nothing starts afterwards.
func (r *Readers) Stop() {
	r.using.Lock()
	defer r.using.Unlock()
	r.stopped = true
	end(r.without(nil))
}

// Problems are the streams that cannot be read now, in words.
func (r *Readers) Problems() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for at, each := range r.running {
		if why := each.problem.Load(); why != nil {
			name := at.source
			if at.tenant != config.DefaultTenant {
				name = at.tenant + "/" + name
			}
			all = append(all, fmt.Sprintf("the source %s cannot take events from its stream: %s", name, *why))
		}
	}
	slices.Sort(all)
	return all
}

// reader reads one source's stream.
type reader struct {
	*Readers

	source  atomic.Pointer[config.Source]
	counts  *stats.Source
	problem atomic.Pointer[string]
	log     *slog.Logger
	cancel  context.CancelFunc
	done    chan struct{}
}

func (r *Readers) start(at place, s *config.Source) (*reader, error) {
	each := &reader{
		Readers: r, counts: r.Stats.Source(at.tenant, at.source), done: make(chan struct{}),
		log: r.Log.With("tenant", at.tenant, "source", at.source),
	}
	each.source.Store(s)
	stream, err := redis.OpenStream(redis.StreamOptions{
		URL: at.url, Stream: at.stream, Group: r.group(at.tenant, at.source), Holder: r.Holder, Stale: r.Stale,
		Clock: r.Clock, Logger: each.log, Report: each.report,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	each.cancel = cancel
	go func() {
		defer close(each.done)
		_ = stream.Run(ctx, each.take) // it ends with its context only
		_ = stream.Close()
	}()
	return each, nil
}

func end(all []*reader) {
	for _, each := range all {
		each.cancel()
	}
	for _, each := range all {
		<-each.done
	}
}

func (r *reader) report(err error) {
	if err == nil {
		r.problem.Store(nil)
		return
	}
	text := err.Error()
	r.problem.Store(&text)
}

// appendEvents and appendBytes bound what goes to the store at once: an entry may hold a thousand events.
const (
	appendEvents = 512
	appendBytes  = 8 << 20
)

// take makes entries durable, as events or as dead letters. With an error nothing of them may be acknowledged.
func (r *reader) take(ctx context.Context, entries []redis.Entry) error {
	s, started := r.source.Load(), r.Clock.Now()
	var batch []*event.Event
	var unread []error
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if _, err := r.acceptor.Append(ctx, batch, started, r); err != nil {
			return err
		}
		batch, size = batch[:0:0], 0
		return nil
	}
	for _, e := range entries {
		events, err := read(s, e, started)
		if err != nil {
			unread = append(unread, fmt.Errorf("entry %s: %w", e.ID, err))
			dead, err := letterOf(s, e, err, started)
			if err != nil {
				return err
			}
			events = []*event.Event{dead}
		}
		for _, ev := range events {
			if batch, size = append(batch, ev), size+ev.Size(); len(batch) >= appendEvents || size >= appendBytes {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if len(unread) > 0 { // one line, however many: who adds them writes nobody's log full
		r.log.Warn("no event can be made of entries of a stream: they are dead letters", "stream", s.Stream.Name, "count", len(unread), "err", unread[0])
	}
	return nil
}

// Counters are those of the reader's source, which every event of the stream belongs to.
func (r *reader) Counters(_, _ string) *stats.Source { return r.counts }

// sum is a hash of fields: ids of entries begin again where a stream was deleted.
func sum(fields map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		_, _ = fmt.Fprintf(h, "%d %d %s%s", len(name), len(fields[name]), name, fields[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
