// Package stream reads events from Redis streams of other programs, for the sources that name one.
//
// An entry is acknowledged once its events are durable, or once it is kept as a dead letter because it cannot be read as an
// event. Entries that come again after a crash are recognised by their dedupe keys.
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
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// Options are what readers work with; all are required.
type Options struct {
	Store accept.Store
	Stats *stats.Stats
	Clock clock.Clock
	Log   *slog.Logger
	// Redis is the address for sources that name none. Prefix begins the names of consumer groups; the default is
	// `surveygate`.
	Redis, Prefix string
	// Holder begins the name of this process among a group's consumers.
	Holder string
	// Stale is how long an entry may be pending before another consumer takes it over; 0 is 10 s.
	Stale time.Duration
}

// Readers read the streams of a configuration. Make them with New; they are safe for concurrent use.
type Readers struct {
	Options
	acceptor *accept.Acceptor

	using   sync.Mutex // held while readers start and end, which may take long
	stopped bool

	mu      sync.Mutex
	running map[readerKey]*reader
}

// readerKey identifies a reader. A source that names another stream or another Redis gets another reader.
type readerKey struct{ tenant, source, stream, url string }

// New makes readers that read no stream yet.
func New(o Options) *Readers {
	return &Readers{
		Options: o, running: map[readerKey]*reader{},
		acceptor: accept.New(accept.Options{Store: o.Store, Stats: o.Stats, Clock: o.Clock}),
	}
}

// group is a source's consumer group: each source reads all of its stream, and the gateway's replicas share it.
func (r *Readers) group(tenant, source string) string {
	return cmp.Or(r.Prefix, "surveygate") + ":" + tenant + ":" + source
}

// Use applies a configuration: it ends and starts readers, and gives the others their new source. A reader that ends first
// finishes the entries that it has read.
func (r *Readers) Use(c *config.Config) error {
	r.using.Lock()
	defer r.using.Unlock()
	if r.stopped {
		return nil
	}
	wanted := map[readerKey]*config.Source{}
	for _, s := range c.Sources {
		if s.Stream == nil || !s.Enabled {
			continue
		}
		url := s.Stream.URL.Expose()
		if s.Stream.URL.IsZero() {
			url = r.Redis // of the running store: another one in the configuration applies from the next start on
		}
		wanted[readerKey{s.Tenant, s.Name, s.Stream.Name, url}] = s
	}
	end(r.remove(wanted))

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

// remove removes the readers that are not wanted and returns them.
func (r *Readers) remove(wanted map[readerKey]*config.Source) []*reader {
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

// Stop ends all readers after they have finished the entries that they have read. None is started afterwards.
func (r *Readers) Stop() {
	r.using.Lock()
	defer r.using.Unlock()
	r.stopped = true
	end(r.remove(nil))
}

// Problems returns a warning for each stream that cannot be read now.
func (r *Readers) Problems() []view.Warning {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []view.Warning
	for at, each := range r.running {
		if why := each.problem.Load(); why != nil {
			w, name := view.Warning{}, at.source
			if at.tenant != config.DefaultTenant {
				name = at.tenant + "/" + name
				w.Hidden = "sources that cannot take events from their streams"
			}
			w.Text = fmt.Sprintf("the source %s cannot take events from its stream: %s", name, *why)
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b view.Warning) int { return cmp.Compare(a.Text, b.Text) })
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

func (r *Readers) start(at readerKey, s *config.Source) (*reader, error) {
	each := &reader{
		Readers: r, counts: r.Stats.Source(at.tenant, at.source), done: make(chan struct{}),
		log: r.Log.With("tenant", at.tenant, "source", at.source),
	}
	each.source.Store(s)
	c, err := newConsumer(consumerOptions{
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
		_ = c.run(ctx, each.accept) // it ends with its context only
		_ = c.close()
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

// appendEvents and appendBytes bound one append to the store: an entry may have a thousand events.
const (
	appendEvents = 512
	appendBytes  = 8 << 20
)

// accept makes entries durable, as events or as dead letters. After an error none of them may be acknowledged.
func (r *reader) accept(ctx context.Context, entries []entry) error {
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
	if len(unread) > 0 { // one line for all of them, so that bad entries cannot flood the log
		r.log.Warn("entries of a stream cannot be read as events: they are dead letters", "stream", s.Stream.Name, "count", len(unread), "err", unread[0])
	}
	return nil
}

// Counters are those of the reader's source, which every event of the stream belongs to.
func (r *reader) Counters(_, _ string) *stats.Source { return r.counts }

// sum returns a hash of fields, which tells entries of one ID apart: IDs start over when a stream was deleted.
func sum(fields map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		_, _ = fmt.Fprintf(h, "%d %d %s%s", len(name), len(fields[name]), name, fields[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
