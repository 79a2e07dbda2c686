// Package erase erases what a person wrote, as a job of the gateway: events with all that is kept of their deliveries, history that
// names the person, and requests that sources kept.
//
// A job that goes on after a crash has to know the person. So what it knows is in its record, sealed by the vault, until it ends;
// afterwards the record has a keyed hash of the person and what was counted. The audit has the hash alone. An event that arrives
// while the job runs or later is new.
package erase

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/job"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Kind is the kind of the jobs of this package.
const Kind = "erasure"

// Options are the dependencies of an Eraser; all are required.
type Options struct {
	Store state.Store
	Vault *vault.Vault
	Audit *audit.Log
	Clock clock.Clock
	// Lists returns the lists of a tenant that may quote what a person wrote: `captured/…` and `rejected/…` of the requests that sources
	// kept, and others of answers that the API kept. It returns them in the same order each time.
	Lists func(ctx context.Context, tenant string) ([]string, error)
	// Ended counts a delivery that waited and was dropped.
	Ended func(d *state.Delivery)
	// Plan returns the running configuration.
	Plan func() *decide.Plan
}

// Eraser counts and runs erasures. It is safe for concurrent use.
type Eraser struct{ Options }

// Spec is what a job is asked for, and what it did.
type Spec struct {
	// Person is a keyed hash.
	Person string `json:"person"`
	// Sealed is the person; empty once the job has begun.
	Sealed string `json:"sealed,omitempty"`
	// Products: those that can are asked to erase the person too.
	Products bool                `json:"products,omitempty"`
	Receipt  view.ErasureReceipt `json:"receipt"`
}

// ErrNoKey: the vault has no key, so that the person cannot be sealed.
var ErrNoKey = vault.ErrNoKey

// The place that the person is sealed for.
const sealedField = "person"

// Spec returns the spec of a job for a person. ErrNoKey.
func (e *Eraser) Spec(ctx context.Context, tenant, person string, products bool) (*Spec, error) {
	hash, err := e.hash(ctx, tenant, person)
	if err != nil {
		return nil, err
	}
	sealed, err := e.seal(tenant, hash, &search{Person: normal(person), Names: []string{normal(person)}})
	if err != nil {
		return nil, err
	}
	return &Spec{Person: hash, Sealed: sealed, Products: products}, nil
}

func normal(person string) string { return strings.TrimSpace(person) }

func (e *Eraser) seal(tenant, hash string, s *search) (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("seal the person: %w", err)
	}
	return e.Vault.SealOut(tenant, Kind, hash, sealedField, text) // a job is short: its key is not taken out meanwhile
}

func (e *Eraser) open(tenant, hash, sealed string) (*search, error) {
	text, err := e.Vault.Open(tenant, Kind, hash, sealedField, sealed)
	if err != nil {
		return nil, err
	}
	s := &search{}
	return s, json.Unmarshal(text, s)
}

// The setting with the key of the hashes of persons.
const (
	kindKey  = "erasure-key"
	everyone = "*"
)

// hash returns a keyed hash of a person of a tenant.
func (e *Eraser) hash(ctx context.Context, tenant, person string) (string, error) {
	for {
		kept, err := e.Store.Get(ctx, everyone, kindKey, kindKey)
		if err == nil {
			return hex.EncodeToString(state.NewPeople(kept.Value).Hash(tenant + "\x00" + normal(person))), nil
		}
		if !errors.Is(err, state.ErrNotFound) {
			return "", fmt.Errorf("read the key of hashes: %w", err)
		}
		key := make([]byte, 32)
		_, _ = rand.Read(key) // it never fails
		if _, err := e.Store.Put(ctx, everyone, kindKey, kindKey, key, 0); err != nil && !errors.Is(err, state.ErrConflict) {
			return "", fmt.Errorf("write the key of hashes: %w", err)
		}
	}
}

// View makes the view of a job of this kind.
func View(j *job.Job) view.Erasure {
	var spec Spec
	_ = json.Unmarshal(j.Spec, &spec) // of another version: only the job itself is shown
	return view.NewErasure(j, spec.Person, spec.Receipt)
}

// Bounds of a job's work.
const (
	// atOnce is how many events one step erases. Each step reads the tenant's history once, so it is as many as the store takes.
	atOnce = state.MaxErase
	// saveEvery is how many events are erased between two writes of the job. Those that are erased again then change nothing.
	saveEvery = 200
	// busyFor is how long to wait for events that cannot be erased yet.
	busyFor = 2 * time.Second
	restFor = 5 * time.Millisecond
)

// progress is how far a job came, as its record keeps it.
type progress struct {
	// Sealed is the search, with what it found.
	Sealed string `json:"sealed"`
	// Done are how many of the events, Attempts and Removed, in this order, were erased.
	Done int `json:"done"`
	// Busy are those of them that were busy, to come again behind the others.
	Busy []string `json:"busy,omitempty"`
	// Erased: all of them were.
	Erased bool `json:"erased,omitempty"`
	// Asked are the erasures that products were asked for, of which Told says that they were, and Answered that all have ended.
	Asked    []asked `json:"asked,omitempty"`
	Told     bool    `json:"told,omitempty"`
	Answered bool    `json:"answered,omitempty"`
}

// work is an erasure that runs.
type work struct {
	finder
	run   *job.Run
	spec  Spec
	p     progress
	since int // erased since the last write
}

// Work begins or resumes a job of this kind.
func (e *Eraser) Work(run *job.Run) (job.Work, error) {
	w := &work{run: run}
	if err := json.Unmarshal(run.Spec, &w.spec); err != nil {
		return nil, fmt.Errorf("read what is to be erased: %w", err)
	}
	if _, err := run.Resume(&w.p); err != nil {
		return nil, fmt.Errorf("read how far the erasure came: %w", err)
	}
	sealed := w.p.Sealed
	if sealed == "" {
		sealed = w.spec.Sealed
	}
	s, err := e.open(run.Tenant, w.spec.Person, sealed)
	if err != nil {
		return nil, errors.New("the key of the vault that sealed the person is gone: ask for the erasure once more")
	}
	w.finder = finder{Eraser: e, tenant: run.Tenant, s: s, r: &w.spec.Receipt}
	return w, nil
}

// Step searches, erases some events, or ends the job.
func (w *work) Step(ctx context.Context) (wait time.Duration, done bool, err error) {
	switch {
	case w.s.Stage != searched:
		if err := w.step(ctx); err != nil {
			if IsTooMany(err) {
				w.spec.Sealed = ""
				err = errors.Join(&job.Failure{Reason: err.Error()}, w.writeSpec())
			}
			return 0, false, err
		}
		w.run.Total, w.run.Counted = len(w.s.Events)+len(w.s.Attempts)+len(w.s.Removed), w.s.Stage == searched
		return restFor, false, w.save(ctx)
	case w.spec.Products && !w.p.Told:
		return 0, false, w.askProducts(ctx)
	case !w.p.Erased:
		return w.erase(ctx)
	case w.spec.Products && !w.p.Answered:
		return w.awaitProducts(ctx)
	}
	return 0, true, w.end(ctx)
}

// save stores how far the job came. What it knows of the person is sealed.
func (w *work) save(ctx context.Context) error {
	sealed, err := w.seal(w.tenant, w.spec.Person, w.s)
	if err != nil {
		return err
	}
	w.p.Sealed, w.spec.Sealed, w.since = sealed, "", 0
	if err := w.writeSpec(); err != nil {
		return err
	}
	return w.run.Save(ctx, &w.p)
}

func (w *work) writeSpec() error {
	text, err := json.Marshal(&w.spec)
	if err == nil {
		w.run.Spec = text
	}
	return err
}

// erase erases the next events, or the texts of the next deliveries of others.
func (w *work) erase(ctx context.Context) (wait time.Duration, done bool, err error) {
	events, attempts, removed := w.s.Events, w.s.Attempts, w.s.Removed
	var some []string
	switch at := w.p.Done; {
	case at < len(events):
		some = events[at:min(at+atOnce, len(events))]
		err = w.eraseEvents(ctx, some)
	case len(w.p.Busy) > 0:
		return w.again(ctx)
	case at < len(events)+len(attempts):
		at -= len(events)
		some = attempts[at:min(at+atOnce, len(attempts))]
		_, err = w.Store.EraseAttempts(ctx, w.tenant, some)
	case at < len(events)+len(attempts)+len(removed):
		at -= len(events) + len(attempts)
		some = removed[at:min(at+atOnce, len(removed))]
		err = w.eraseEvents(ctx, some)
	default:
		w.p.Erased = true
		return 0, false, w.save(ctx)
	}
	if err != nil {
		return 0, false, fmt.Errorf("erase: %w", err)
	}
	w.p.Done += len(some)
	w.run.Done = w.p.Done - len(w.p.Busy)
	if w.since += len(some); w.since >= saveEvery {
		err = w.save(ctx)
	}
	return restFor, false, err
}

// again erases events that were busy.
func (w *work) again(ctx context.Context) (wait time.Duration, done bool, err error) {
	busy := w.p.Busy
	w.p.Busy = nil
	for some := range slices.Chunk(busy, atOnce) {
		if err := w.eraseEvents(ctx, some); err != nil {
			w.p.Busy = busy
			return 0, false, fmt.Errorf("erase: %w", err)
		}
	}
	w.run.Done = w.p.Done - len(w.p.Busy)
	if len(w.p.Busy) > 0 {
		return busyFor, false, w.save(ctx)
	}
	w.run.Waits = ""
	return 0, false, nil
}

func (w *work) eraseEvents(ctx context.Context, ids []string) error {
	if err := w.passDigests(ctx, ids); err != nil {
		return err
	}
	results, err := w.Store.Erase(ctx, w.tenant, ids)
	if err != nil {
		return err
	}
	for i := range results {
		res := &results[i]
		if res.Busy != "" {
			w.p.Busy = append(w.p.Busy, res.ID)
			w.run.Waits = "an event cannot be erased yet: " + res.Busy
			continue
		}
		w.r.Deliveries += res.Deliveries
		w.r.Dropped += len(res.Ended)
		w.r.Attempts += res.Attempts
		for k := range res.Ended {
			if d := res.Ended[k]; d.State == state.Waiting {
				d.State, d.Reason = state.Dropped, state.ErasedReason
				w.Ended(&d)
			}
		}
	}
	return nil
}

// end removes the bytes from the disk, where that is the gateway's to do, and what the job knew of the person.
func (w *work) end(ctx context.Context) error {
	w.run.Waits = ""
	if c, ok := w.Store.(state.Compacter); ok {
		lists, err := w.Lists(ctx, w.tenant)
		if err != nil {
			return fmt.Errorf("find the requests that sources kept: %w", err)
		}
		ids := slices.Concat(w.s.Events, w.s.Removed)
		for i := range w.s.Attempts {
			if id, _, ok := state.SplitDeliveryID(w.s.Attempts[i]); ok {
				ids = append(ids, id)
			}
		}
		if err := c.CompactErased(ctx, w.tenant, ids, lists); err != nil {
			return err
		}
		w.r.Disk = "the files of the store were rewritten without them"
		w.r.OffDisk = view.Time{Time: w.Clock.Now().UTC()}
	} else {
		w.r.Disk = "Redis forgets them at the next rewrite of its append-only file (BGREWRITEAOF), and in its snapshot (RDB) at the next one"
	}
	w.r.NotFound = notFound(w.r)
	w.spec.Sealed = ""
	if err := w.writeSpec(); err != nil {
		return err
	}
	after, _ := json.Marshal(Line{w.spec.Person, w.r})
	line := audit.Line{By: w.run.By, Did: Kind + ".done", Of: Kind + "/" + w.run.ID, After: after}
	return w.Audit.Add(ctx, w.tenant, line)
}

// Line is what the audit tells of an erasure.
type Line struct {
	Person  string               `json:"person"`
	Receipt *view.ErasureReceipt `json:"receipt,omitempty"`
}
