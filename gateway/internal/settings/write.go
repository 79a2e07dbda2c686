package settings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

const (
	// leaseFor is how long a writer that was killed blocks others; a working one renews its lease every renewEvery, for at most
	// workFor. waitFor is how long another one waits for it, which is longer than it waits for one that was killed.
	leaseFor, waitFor = 5 * time.Second, 6 * time.Second
	renewEvery        = leaseFor / 4
	workFor           = 2 * time.Minute
	// askEvery is how often it asks.
	askEvery = 25 * time.Millisecond
)

// Writer writes documents. All fields are required; it is safe for concurrent use.
type Writer struct {
	Store state.Settings
	Vault *vault.Vault
	Clock clock.Clock
}

// Put writes a document if version is that of its setting (0: there is none yet), and returns the new version. The document
// need not compile. state.ErrConflict: it has another version, or another writer of the tenant took too long. ErrTooLarge: the
// document, or those of the tenant together, exceed a bound.
func (w *Writer) Put(ctx context.Context, tenant string, d Draft, version uint64) (uint64, error) {
	var next uint64
	err := w.Alone(ctx, tenant, func(ctx context.Context) error {
		value, err := Encode(w.Vault, tenant, d)
		if err != nil {
			return err
		}
		if err := w.fits(ctx, tenant, d.Name, len(value)); err != nil {
			return err
		}
		next, err = w.Store.Put(ctx, tenant, state.KindDocument, d.Name, value, version)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write %s of tenant %s: %w", d.Name, tenant, err)
	}
	return next, nil
}

// Delete removes a document if version is that of its setting. Its errors are those of Put, and state.ErrNotFound.
func (w *Writer) Delete(ctx context.Context, tenant, name string, version uint64) error {
	err := w.Alone(ctx, tenant, func(ctx context.Context) error {
		return w.Store.Delete(ctx, tenant, state.KindDocument, name, version)
	})
	if err != nil {
		return fmt.Errorf("delete %s of tenant %s: %w", name, tenant, err)
	}
	return nil
}

// fits checks the bounds of a tenant's documents together, with one of a size in place of its present one.
func (w *Writer) fits(ctx context.Context, tenant, name string, size int) error {
	all, err := w.Store.List(ctx, tenant, state.KindDocument)
	if err != nil {
		return err
	}
	count, bytes := 1, size
	for _, other := range all {
		if other.Name != name {
			count++
			bytes += len(other.Value)
		}
	}
	return tooMany(count, bytes)
}

// tooMany checks the bounds of a tenant's documents together.
func tooMany(count, bytes int) error {
	switch {
	case count > config.MaxDocuments:
		return fmt.Errorf("%w: a tenant has at most %d documents", ErrTooLarge, config.MaxDocuments)
	case bytes > config.MaxDocumentBytes:
		return fmt.Errorf("%w: the documents of a tenant take at most %d bytes together", ErrTooLarge, config.MaxDocumentBytes)
	}
	return nil
}

// Alone calls do while no other writer of the tenant's documents is at work, on any replica, so that what do reads stays true
// until it has written. It waits for another writer for up to waitFor; then the error is state.ErrConflict. The lease is renewed
// while do works; the context of do ends when that fails, and after workFor.
func (w *Writer) Alone(ctx context.Context, tenant string, do func(context.Context) error) error {
	name, holder := "settings:"+tenant, rand.Text()
	began := w.Clock.Now()
	for {
		_, err := w.Store.Lease(ctx, name, holder, leaseFor)
		if err == nil {
			break
		}
		if !errors.Is(err, state.ErrConflict) || w.Clock.Now().Sub(began) >= waitFor {
			return err
		}
		again, stop := w.Clock.After(askEvery)
		select {
		case <-again:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
	}
	within, cancel := context.WithTimeout(ctx, workFor)
	var renewing sync.WaitGroup
	renewing.Go(func() { defer cancel(); w.renew(within, name, holder) })
	err := do(within)
	cancel()
	renewing.Wait()
	// A lease that cannot be given back ends by itself.
	_, _ = w.Store.Lease(context.WithoutCancel(ctx), name, holder, 0)
	return err
}

// renew renews a lease until ctx ends. It returns early when another writer may have it.
func (w *Writer) renew(ctx context.Context, name, holder string) {
	for held := w.Clock.Elapsed(); ; {
		after, stop := w.Clock.After(renewEvery)
		select {
		case <-after:
		case <-ctx.Done():
			stop()
			return
		}
		stop()
		asked := w.Clock.Elapsed()
		switch _, err := w.Store.Lease(ctx, name, holder, leaseFor); {
		case err == nil:
			held = asked
		case errors.Is(err, state.ErrConflict), w.Clock.Elapsed()-held >= leaseFor-renewEvery:
			return
		}
	}
}
