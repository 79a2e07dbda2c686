package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// MaxCapture is for how long somebody can ask a source to capture requests.
	MaxCapture = 24 * time.Hour
	// captureSweep is how often all of these settings are read again, in case that a change was missed.
	captureSweep = time.Minute
	// captureForget is how long after its end such a setting is deleted.
	captureForget = time.Hour
	// captureTries is how often a write is tried again that meets another one.
	captureTries = 5
)

// asked are until when sources capture because somebody asked for it. Every request reads them, so that nothing may block there.
type asked struct {
	all     atomic.Pointer[map[ofSource]time.Time] // never changed
	writing sync.Mutex
}

type ofSource struct{ tenant, name string }

func (a *asked) until(tenant, name string) time.Time {
	all := a.all.Load()
	if all == nil || len(*all) == 0 {
		return time.Time{}
	}
	return (*all)[ofSource{tenant, name}]
}

// set notes until when one source captures; zero: it does not.
func (a *asked) set(tenant, name string, until time.Time) {
	a.writing.Lock()
	defer a.writing.Unlock()
	next := map[ofSource]time.Time{}
	if all := a.all.Load(); all != nil {
		maps.Copy(next, *all)
	}
	if until.IsZero() {
		delete(next, ofSource{tenant, name})
	} else {
		next[ofSource{tenant, name}] = until
	}
	a.all.Store(&next)
}

func (a *asked) replace(all map[ofSource]time.Time) {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.all.Store(&all)
}

// storedCapture is the value of such a setting.
type storedCapture struct {
	Until time.Time `json:"until"`
}

// captureOf reads a setting. It returns false for one that it cannot read, or that lasts longer than somebody can ask for: another
// version may have written it, and it is left alone.
func captureOf(value []byte, now time.Time) (until time.Time, ok bool) {
	var s storedCapture
	if json.Unmarshal(value, &s) != nil || s.Until.IsZero() || s.Until.After(now.Add(MaxCapture)) {
		return time.Time{}, false
	}
	return s.Until, true
}

// Capture lets a source capture requests from now on, on all replicas, for at most MaxCapture; 0 ends what was asked for before. What
// the configuration says of the source stays. It returns until when the source captures; zero: it does not.
func (d *Door) Capture(ctx context.Context, tenant, name string, lasts time.Duration) (until time.Time, err error) {
	for range captureTries {
		now := d.Clock.Now().UTC()
		var version uint64
		kept, err := d.Store.Get(ctx, tenant, state.KindCapture, name)
		switch {
		case err == nil:
			version = kept.Version
		case !errors.Is(err, state.ErrNotFound):
			return time.Time{}, fmt.Errorf("capture requests of %s: %w", name, err)
		}
		until = time.Time{}
		if lasts > 0 {
			until = now.Add(min(lasts, MaxCapture))
			value, err := json.Marshal(storedCapture{until})
			if err != nil {
				return time.Time{}, err
			}
			_, err = d.Store.Put(ctx, tenant, state.KindCapture, name, value, version)
			if errors.Is(err, state.ErrConflict) {
				continue
			}
			if err != nil {
				return time.Time{}, fmt.Errorf("capture requests of %s: %w", name, err)
			}
		} else if version > 0 {
			err = d.Store.Delete(ctx, tenant, state.KindCapture, name, version)
			if errors.Is(err, state.ErrConflict) {
				continue
			}
			if err != nil && !errors.Is(err, state.ErrNotFound) {
				return time.Time{}, fmt.Errorf("capture no more requests of %s: %w", name, err)
			}
		}
		d.asked.set(tenant, name, until)
		return d.CaptureUntil(tenant, name), nil
	}
	return time.Time{}, state.ErrConflict
}

// WatchCaptures follows what is asked for on any replica until ctx ends.
func (d *Door) WatchCaptures(ctx context.Context) {
	var changes <-chan state.Change
	for {
		if changes == nil {
			var err error
			if changes, err = d.Store.Watch(ctx, "*"); err != nil && ctx.Err() == nil {
				d.Log.Warn("cannot watch which sources capture requests: other replicas' captures begin later", "err", err)
			}
		}
		if err := d.readCaptures(ctx); err != nil && ctx.Err() == nil {
			d.Log.Warn("cannot read which sources capture requests", "err", err)
		}
		if !d.followCaptures(ctx, changes) {
			return
		}
	}
}

// followCaptures applies changes until the next sweep. It returns false when ctx ended or the store was closed.
func (d *Door) followCaptures(ctx context.Context, changes <-chan state.Change) bool {
	sweep, stop := d.Clock.After(captureSweep)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-sweep:
			return true
		case c, open := <-changes:
			if !open {
				<-ctx.Done()
				return false
			}
			if c.Kind == state.KindCapture {
				d.readCapture(ctx, c.Tenant, c.Name)
			}
		}
	}
}

// readCapture reads one setting. One that cannot be read now is read by the next sweep.
func (d *Door) readCapture(ctx context.Context, tenant, name string) {
	kept, err := d.Store.Get(ctx, tenant, state.KindCapture, name)
	switch {
	case err == nil:
		until, _ := captureOf(kept.Value, d.Clock.Now())
		d.asked.set(tenant, name, until)
	case errors.Is(err, state.ErrNotFound):
		d.asked.set(tenant, name, time.Time{})
	}
}

// readCaptures reads all settings, and deletes those whose time is long over.
func (d *Door) readCaptures(ctx context.Context) error {
	last, err := d.Store.LastChanges(ctx, state.KindCapture)
	if err != nil {
		return err
	}
	all := map[ofSource]time.Time{}
	for _, l := range last {
		kept, err := d.Store.List(ctx, l.Tenant, state.KindCapture)
		if err != nil {
			return err
		}
		now := d.Clock.Now()
		for _, setting := range kept {
			until, ok := captureOf(setting.Value, now)
			if now.Before(until) {
				all[ofSource{l.Tenant, setting.Name}] = until
			} else if ok && now.After(until.Add(captureForget)) {
				err := d.Store.Delete(ctx, l.Tenant, state.KindCapture, setting.Name, setting.Version)
				if err != nil && !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrNotFound) {
					return err
				}
			}
		}
	}
	d.asked.replace(all)
	return nil
}
