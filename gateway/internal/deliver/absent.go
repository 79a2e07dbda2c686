package deliver

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

const (
	// missingWait is how long a due delivery waits for its step to be configured again. It covers a configuration that was
	// loaded by mistake: a file that was empty or half written for a while.
	missingWait = time.Hour
	// warnAgain is how often the log is told at most that deliveries of a destination miss their step.
	warnAgain = time.Minute
	// minDropAt is how many destinations are remembered at least before those are dropped that may be warned of again.
	minDropAt = 1000
	// recallAgain is the time between two searches for deliveries whose step is configured again. One search is not enough: a
	// delivery that was claimed under the previous configuration may have been postponed after it.
	recallAgain = 5 * time.Second
	// recallLeaseTTL is how long a replica holds recallLeaseName, for one page of that search.
	recallLeaseTTL = time.Minute

	// systemTenant owns what belongs to the gateway itself. No tenant can be named so.
	systemTenant = "*"
	// kindMissing are settings named TENANT/DESTINATION: deliveries of that destination wait for their step.
	kindMissing = "missing"
	// reasonGone is why a delivery is a dead letter whose step has been missing for longer.
	reasonGone = "no longer configured"

	recallLeaseName = "recall"
	reasonRecalled  = "configured again"
)

// missing finds deliveries that wait for their step, so that they continue as soon as it is back. The delivery itself records that it
// waits, and since when: in its reason and its due time.
type missing struct {
	holder string        // of the lease
	wake   chan struct{} // receives after a reload
	repeat time.Duration // recallAgain, but in tests

	mu      sync.Mutex            // guards what follows
	warned  map[laneKey]time.Time // when a warning was logged; older ones are dropped when the map has dropAt
	dropAt  int
	pending scope // what the next search is of
}

// scope is the destinations of some tenants, or of all.
type scope struct {
	all     bool
	tenants map[string]bool
}

func (s *scope) isEmpty() bool { return !s.all && len(s.tenants) == 0 }

func (s *scope) has(tenant string) bool { return s.all || s.tenants[tenant] }

// noteVersions maps the name of each note to its version at the previous search. A note is removed only if it is unchanged since
// then: a delivery for which a new note was written may not have been postponed yet.
type noteVersions map[string]uint64

func (m *missing) init() {
	m.holder, m.wake, m.warned, m.repeat = rand.Text(), make(chan struct{}, 1), map[laneKey]time.Time{}, recallAgain
}

// wakeRecall asks for a search in some tenants, or without any in all.
func (m *missing) wakeRecall(tenants ...string) {
	m.mu.Lock()
	if m.pending.all = m.pending.all || len(tenants) == 0; m.pending.all {
		m.pending.tenants = nil
	} else {
		if m.pending.tenants == nil {
			m.pending.tenants = map[string]bool{}
		}
		for _, tenant := range tenants {
			m.pending.tenants[tenant] = true
		}
	}
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// takeScope returns what was asked for since the last call.
func (m *missing) takeScope() scope {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.pending
	m.pending = scope{}
	return s
}

// shouldWarn reports whether to log a warning about a destination now: at most once per warnAgain.
func (m *missing) shouldWarn(key laneKey, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.warned[key]; ok && now.Sub(at) < warnAgain {
		return false
	}
	if len(m.warned) >= m.dropAt {
		maps.DeleteFunc(m.warned, func(_ laneKey, at time.Time) bool { return now.Sub(at) >= warnAgain })
		m.dropAt = max(minDropAt, 2*len(m.warned))
	}
	m.warned[key] = now
	return true
}

// unconfigured takes a due delivery whose step is not in the newest configuration. It waits once, for missingWait; if the
// step is still missing then, it is a dead letter. Noted are the destinations whose notes were written in this round.
func (l *Loop) unconfigured(j *job, now time.Time, noted map[laneKey]bool) {
	if l.stepIsBack(j, now) {
		return
	}
	if j.delivery.Reason == decide.Absent {
		d := j.delivery
		d.State, d.Reason, d.Updated = state.Dead, reasonGone, now
		l.settle(j, d, "")
		return
	}
	if l.missing.shouldWarn(j.laneKey(), now) {
		l.Log.Warn("deliveries are due whose step is not configured now: they wait an hour for it and then become dead letters",
			"tenant", j.delivery.Tenant, "destination", j.delivery.Destination, "rule", j.delivery.Origin.Name, "step", j.delivery.Step)
	}
	l.awaitStep(j, decide.Absent, now, noted)
}

// stepIsBack postpones a delivery whose step a change of the configuration may have brought back since the round began.
func (l *Loop) stepIsBack(j *job, now time.Time) bool {
	d := &j.delivery
	plan := l.Plan()
	if !plan.HasStep(d.Tenant, d.Origin, d.Step) && !plan.IsBroken(d.Tenant, d.Origin) {
		return false
	}
	l.postpone(j, d.Reason, now.Add(recheck))
	return true
}

// awaitStep lets a delivery wait, for missingWait or until its step is back.
func (l *Loop) awaitStep(j *job, reason string, now time.Time, noted map[laneKey]bool) {
	key := j.laneKey()
	// Before the delivery is put off: a process that ends in between leaves a superfluous note, and never a missing one. In each round
	// anew, as a recall by any replica may have removed the previous note.
	if !noted[key] {
		if err := l.writeMissing(key); err != nil { // they are found by their due time, only later
			l.Log.Warn("cannot note that deliveries wait for their step", "tenant", key.tenant, "destination", key.name, "err", err)
		} else {
			noted[key] = true
		}
	}
	l.postpone(j, reason, now.Add(missingWait))
}

func (j *job) laneKey() laneKey { return laneKey{j.delivery.Tenant, j.delivery.Destination} }

// writeMissing writes the note anew where it stands already, so that a recall that began before does not remove it.
func (l *Loop) writeMissing(key laneKey) error {
	ctx := context.Background()
	name := key.tenant + "/" + key.name
	kept, err := l.Store.Get(ctx, systemTenant, kindMissing, name)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	_, err = l.Store.Put(ctx, systemTenant, kindMissing, name, []byte("{}"), kept.Version)
	if errors.Is(err, state.ErrConflict) {
		return nil // another replica wrote it just now
	}
	return err
}

// recallLoop makes deliveries due whose step is back, at the start and after each reload.
func (l *Loop) recallLoop(ctx context.Context) {
	before := noteVersions{}
	for of := (scope{all: true}); ; of = l.missing.takeScope() {
		for looks := 0; looks < 2 && !of.isEmpty(); {
			switch err := l.recall(ctx, of, before); {
			case err == nil:
				looks++
			case ctx.Err() != nil || errors.Is(err, state.ErrClosed):
				return
			case !errors.Is(err, state.ErrConflict): // else another replica is at it
				l.Log.Warn("cannot look for deliveries whose step is configured again", "err", err)
			}
			if !l.sleep(ctx, l.missing.repeat) {
				return
			}
		}
		select {
		case <-l.missing.wake:
		case <-ctx.Done():
			return
		}
	}
}

// recall looks once through the destinations that are noted, of some tenants.
func (l *Loop) recall(ctx context.Context, of scope, before noteVersions) error {
	noted, err := l.Store.List(ctx, systemTenant, kindMissing)
	if err != nil {
		return err
	}
	was := maps.Clone(before)
	clear(before)
	if len(noted) == 0 {
		return nil
	}
	defer func() { // the lease ends by itself where this fails
		_, _ = l.Store.Lease(context.WithoutCancel(ctx), recallLeaseName, l.missing.holder, 0)
	}()
	var errs []error // what cannot be read of one destination does not keep others waiting
	for _, note := range noted {
		tenant, name, _ := strings.Cut(note.Name, "/")
		if !of.has(tenant) {
			if version, looked := was[note.Name]; looked {
				before[note.Name] = version
			}
			continue
		}
		left, err := l.recallDestination(ctx, laneKey{tenant, name})
		if err != nil {
			errs = append(errs, err)
			if state.StopsAll(err) {
				break
			}
			continue
		}
		if left {
			continue
		}
		if was[note.Name] != note.Version {
			before[note.Name] = note.Version
			continue
		}
		// Put off meanwhile: the note has another version, and stays.
		err = l.Store.Delete(ctx, systemTenant, kindMissing, note.Name, note.Version)
		if err != nil && !errors.Is(err, state.ErrConflict) && !errors.Is(err, state.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// recallDestination makes the deliveries of a destination due whose step is back, and reports whether others still wait. Only one replica does
// this at a time: a delivery that one has read as waiting may be delivered by another a moment later.
func (l *Loop) recallDestination(ctx context.Context, key laneKey) (left bool, err error) {
	q := state.DeliveryQuery{State: state.Waiting, Destination: key.name, Limit: 200}
	n := 0
	for {
		if _, err := l.Store.Lease(ctx, recallLeaseName, l.missing.holder, recallLeaseTTL); err != nil {
			return false, err
		}
		page, err := l.Store.Deliveries(ctx, key.tenant, q)
		if err != nil {
			return false, err
		}
		plan, now := l.Plan(), l.Clock.Now()
		var back []state.Delivery
		for i := range page.Items {
			d := &page.Items[i]
			switch {
			case d.Reason != decide.Absent && d.Reason != decide.BrokenRule:
			case !plan.HasStep(d.Tenant, d.Origin, d.Step):
				left = true
			case d.Leased || d.Due.Sub(now) < l.missing.repeat: // it is tried anyway
			default:
				back = append(back, state.Delivery{ID: d.ID, EventID: d.EventID, Tenant: d.Tenant, Reason: reasonRecalled, Due: now})
			}
		}
		if len(back) > 0 {
			if _, err := l.Store.Schedule(ctx, key.tenant, back); err != nil {
				return false, err
			}
			n += len(back)
			l.wakeDue()
		}
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	if n > 0 {
		l.Log.Info("deliveries go out whose step is configured again", "tenant", key.tenant, "destination", key.name, "count", n)
	}
	return left, nil
}
