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

	mu     sync.Mutex
	warned map[laneKey]time.Time
}

// noteVersions maps the name of each note to its version at the previous search. A note is removed only if it is unchanged since
// then: a delivery for which a new note was written may not have been postponed yet.
type noteVersions map[string]uint64

func (m *missing) init() {
	m.holder, m.wake, m.warned, m.repeat = rand.Text(), make(chan struct{}, 1), map[laneKey]time.Time{}, recallAgain
}

func (m *missing) wakeRecall() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// shouldWarn reports whether to log a warning about a destination now: at most once per warnAgain.
func (m *missing) shouldWarn(key laneKey, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.warned[key]; ok && now.Sub(at) < warnAgain {
		return false
	}
	maps.DeleteFunc(m.warned, func(_ laneKey, at time.Time) bool { return now.Sub(at) >= warnAgain })
	m.warned[key] = now
	return true
}

// unconfigured takes a due delivery whose step is not in the newest configuration. It waits once, for missingWait; if the
// step is still missing then, it is a dead letter. Noted are the destinations whose notes were written in this round.
func (l *Loop) unconfigured(plan *decide.Plan, j *job, now time.Time, noted map[laneKey]bool) {
	if l.Plan() != plan { // a reload may have brought the step back
		l.postpone(j, j.delivery.Reason, now.Add(recheck))
		return
	}
	if j.delivery.Reason == decide.Absent {
		d := j.delivery
		d.State, d.Reason, d.Updated = state.Dead, reasonGone, now
		l.settle(j, d, "")
		return
	}
	key := laneKey{j.delivery.Tenant, j.delivery.Destination}
	log := l.Log.With("tenant", key.tenant, "destination", key.name)
	if l.missing.shouldWarn(key, now) {
		log.Warn("deliveries are due whose step is not configured now: they wait an hour for it and then become dead letters",
			"rule", j.delivery.Origin.Name, "step", j.delivery.Step)
	}
	// Before the delivery is put off: a process that ends in between leaves a superfluous note, and never a missing one. In each round
	// anew, as a recall by any replica may have removed the previous note.
	if !noted[key] {
		if err := l.writeMissing(key); err != nil { // they are found by their due time, only later
			log.Warn("cannot note that deliveries wait for their step", "err", err)
		} else {
			noted[key] = true
		}
	}
	l.postpone(j, decide.Absent, now.Add(missingWait))
}

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
	for {
		for looks := 0; looks < 2; {
			switch err := l.recall(ctx, before); {
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

// recall looks once through the destinations that are noted.
func (l *Loop) recall(ctx context.Context, before noteVersions) error {
	noted, err := l.Store.List(ctx, systemTenant, kindMissing)
	if err != nil || len(noted) == 0 {
		return err
	}
	was := maps.Clone(before)
	clear(before)
	defer func() { // the lease ends by itself where this fails
		_, _ = l.Store.Lease(context.WithoutCancel(ctx), recallLeaseName, l.missing.holder, 0)
	}()
	for _, note := range noted {
		tenant, name, _ := strings.Cut(note.Name, "/")
		left, err := l.recallDestination(ctx, laneKey{tenant, name})
		if err != nil {
			return err
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
			return err
		}
	}
	return nil
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
			case d.Reason != decide.Absent:
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
