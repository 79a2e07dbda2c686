package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// digestGrace is how long after the end of a period its digest is sent, so that deliveries that were looked at before the end are
	// counted.
	digestGrace = time.Second
)

// Reasons of what a guardrail keeps back.
const (
	reasonDigested = "at_most: it is counted in the digest %s"
	reasonAtMost   = "at_most: the limit of this period is reached: "
	reasonContact  = "contact_cap: this person has heard as often as may be: "
)

// guard asks the guardrails of a rule about a delivery that is to be sent with ev. They let through what had an attempt before.
func (l *Loop) guard(ctx context.Context, j *job, ev *event.Event, now time.Time) (found decide.Look, err error) {
	found.Event = ev
	owed := &decide.Owed{Delivery: j.delivery, AtDue: j.atDue.rule}
	limits := &j.atDue.rule.Guard
	_, atMost, contactCap := limits.Words()
	if j.delivery.Attempts > 0 || limits.AtMost.Count == 0 && limits.ContactCap.Count == 0 || skips(j, ev) {
		return found, nil
	}
	if j.atDue.busy { // what it reserved may be free again
		return decide.Look{Wait: now.Add(decide.BehindFor), Reason: decide.BehindEarlier}, nil
	}
	person := owed.ContactKeys(ev, l.FingerprintKey)
	if free, err := l.reserveOne(ctx, j, person, 0); err != nil || !free {
		return decide.Look{Skip: reasonContact + contactCap}, err
	}
	if limits.AtMost.Count > 0 {
		period := owed.Period(now)
		free, err := l.reserveOne(ctx, j, owed.RateKeys(period), limits.AtMost.Per)
		switch {
		case err != nil:
			return found, err
		case !free && limits.AtMost.Digest:
			return l.joinDigest(ctx, j, owed, period)
		case !free:
			return decide.Look{Skip: reasonAtMost + atMost}, nil
		}
	}
	if free, err := l.reserveOne(ctx, j, person, limits.ContactCap.Per); err != nil || !free {
		return decide.Look{Skip: reasonContact + contactCap}, err
	}
	return found, nil
}

// skips reports whether nothing would be sent anyway, so that nothing is counted. Its attempt says why.
func skips(j *job, ev *event.Event) (is bool) {
	if j.build == nil {
		return true
	}
	defer func() {
		if recover() != nil {
			is = true
		}
	}()
	_, err := j.build.Build(ev.WithBudget(nil))
	return err != nil
}

// reserveOne reserves one of some keys for a delivery, or finds the one that is reserved for it, or for what it stands for; false: others
// have all of them. With a ttl of 0 it reserves nothing. Without keys it is true. It reads all keys, which become free in any order.
func (l *Loop) reserveOne(ctx context.Context, j *job, keys []string, ttl time.Duration) (bool, error) {
	if len(keys) == 0 {
		return true, nil
	}
	owners, err := l.owners(ctx, j, keys, 0)
	own := func(id string) bool { return id == j.delivery.ID || slices.Contains(j.atDue.unused, id) }
	if err != nil || slices.ContainsFunc(owners, own) {
		return err == nil, err
	}
	from := slices.Index(owners, "")
	if from < 0 {
		return false, nil
	}
	if ttl == 0 {
		return true, nil
	}
	for i, key := range keys[from:] {
		if owners[from+i] != "" {
			continue
		}
		owners, err := l.owners(ctx, j, []string{key}, ttl)
		if err != nil || owners[0] == j.delivery.ID {
			return err == nil, err
		} // else another one has reserved it meanwhile
	}
	return false, nil
}

// memberStride is how far apart the keys are that reserveMember reads first.
const memberStride = 32

// reserveMember reserves the first free one of many keys, which are reserved in their order and become free together; none if all
// are reserved. It reads few of them, so that a rule that exceeds its limit all the time keeps the store free for others. A delivery that
// asks again, after a crash, may get a second one.
func (l *Loop) reserveMember(ctx context.Context, j *job, keys []string, ttl time.Duration) error {
	var some []string
	for i := 0; i < len(keys); i += memberStride {
		some = append(some, keys[i])
	}
	owners, err := l.owners(ctx, j, some, 0)
	if err != nil {
		return err
	}
	from := slices.Index(owners, "")
	if from < 0 {
		from = len(owners)
	}
	from = max(from-1, 0) * memberStride // the last one that is reserved
	for part := range slices.Chunk(keys[from:], memberStride) {
		if owners, err = l.owners(ctx, j, part, 0); err != nil {
			return err
		}
		for i, key := range part {
			if owners[i] != "" {
				continue
			}
			got, err := l.owners(ctx, j, []string{key}, ttl)
			if err != nil || got[0] == j.delivery.ID {
				return err
			} // else another one has reserved it meanwhile
		}
	}
	return nil
}

// owners returns for which deliveries keys are reserved.
func (l *Loop) owners(ctx context.Context, j *job, keys []string, ttl time.Duration) ([]string, error) {
	asked := make([]state.OnceKey, len(keys))
	for i, key := range keys {
		asked[i] = state.OnceKey{Key: key, Owner: j.delivery.ID}
	}
	return l.Store.Once(ctx, j.delivery.Tenant, asked, ttl)
}

// joinDigest makes a delivery the digest of its period, or has the one that is stand for it.
func (l *Loop) joinDigest(ctx context.Context, j *job, owed *decide.Owed, period decide.Period) (found decide.Look, err error) {
	kept := period.Per + decide.DigestKept
	owners, err := l.owners(ctx, j, []string{owed.DigestKey(period)}, kept)
	if err != nil {
		return found, err
	}
	if owners[0] == j.delivery.ID {
		key := state.OnceKey{Key: owed.DigestOfKey(), Owner: period.String()}
		if _, err = l.Store.Once(ctx, j.delivery.Tenant, []state.OnceKey{key}, kept); err != nil {
			return found, err
		}
	}
	if err = l.reserveMember(ctx, j, owed.MemberKeys(period), kept); err != nil {
		return found, err
	}
	switch now := l.Clock.Now(); {
	case owners[0] == j.delivery.ID:
		return decide.Look{Wait: period.End().Add(digestGrace), Reason: decide.DigestWaits}, nil
	case now.After(period.End()): // the digest may have been sent already
		return decide.Look{Wait: now, Reason: reasonQueue}, nil
	}
	return decide.Look{Skip: fmt.Sprintf(reasonDigested, owners[0]), Told: true}, nil
}

// digest finds out whether a delivery is the digest of a period; nil: it is not. If the period has ended it sets the digest to send. What
// became of its own response, and of the rule, is not asked: it tells of others too.
func (l *Loop) digest(ctx context.Context, j *job, now time.Time) (*decide.Look, error) {
	if !j.atDue.rule.Guard.AtMost.Digest && j.delivery.Reason != decide.DigestWaits {
		return nil, nil
	}
	owed := &decide.Owed{Delivery: j.delivery, AtDue: j.atDue.rule}
	period, is, err := l.digestOf(ctx, j, owed, now)
	if err != nil || !is {
		return nil, err
	}
	if end := period.End().Add(digestGrace); end.After(now) {
		return &decide.Look{Wait: end, Reason: decide.DigestWaits}, nil
	}
	found := owed.Guarded(decide.Look{Event: j.event}, now)
	if !found.Wait.IsZero() {
		found.Reason = decide.DigestWaits // so that it is known as one
		return &found, nil
	}
	owners, err := l.owners(ctx, j, owed.MemberKeys(period), 0)
	if err != nil {
		return nil, err
	}
	d := &connectors.Digest{Rule: owed.AtDue.Name, From: period.From, To: period.End()}
	counted := map[string]bool{"": true}
	for _, id := range append(owners, j.delivery.ID) { // a crash may have left it out, or counted one twice
		if counted[id] {
			continue
		}
		counted[id] = true
		if d.Total++; len(d.Events) == connectors.MaxDigestEvents {
			continue
		}
		record, err := l.Store.Event(ctx, j.delivery.Tenant, state.EventID(id))
		switch {
		case errors.Is(err, state.ErrNotFound):
		case err != nil:
			return nil, err
		case !record.Event.IsErased():
			d.Events = append(d.Events, record.Event)
		}
	}
	d.More = d.Total >= decide.MaxDigested
	j.atDue.digest, found.Note = d, fmt.Sprintf("%s%d events", decide.Digested, d.Total)
	return &found, nil
}

// digestOf returns the period whose digest a delivery is.
func (l *Loop) digestOf(ctx context.Context, j *job, owed *decide.Owed, now time.Time) (p decide.Period, is bool, err error) {
	owners, err := l.owners(ctx, j, []string{owed.DigestOfKey()}, 0)
	if err != nil {
		return p, false, err
	}
	if p, is = decide.ParsePeriod(owners[0]); is || !owed.AtDue.Guard.AtMost.Digest {
		return p, is, nil
	}
	// A crash may have come between the two keys.
	for _, p := range []decide.Period{owed.Period(now), owed.Period(now).Before()} {
		if owners, err = l.owners(ctx, j, []string{owed.DigestKey(p)}, 0); err != nil || owners[0] == j.delivery.ID {
			return p, err == nil, err
		}
	}
	return p, false, nil
}
