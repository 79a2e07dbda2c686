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
	// digestKept is how long it is remembered beyond its period which deliveries a digest stands for: as long as a delivery may wait.
	digestKept = 15 * 24 * time.Hour
	// maxPeriods bounds the periods in which a delivery looks for the digest that it is.
	maxPeriods = 1000
)

// Reasons of what a guardrail keeps back.
const (
	reasonDigest   = "the digest of what exceeds at_most is sent when the period ends"
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
	if limits.AtMost.Digest {
		is, err := l.digest(ctx, j, owed, now)
		if err != nil || is.Event == nil {
			return is, err
		}
		found.Note = is.Note
	}
	if j.atDue.digest != nil || j.delivery.Attempts > 0 || limits.AtMost.Count == 0 && limits.ContactCap.Count == 0 || skips(j, ev) {
		return found, nil
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

// reserveOne reserves one of some keys for a delivery, or finds the one that is reserved for it; false: others have all of them. With a
// ttl of 0 it reserves nothing. Without keys it is true.
func (l *Loop) reserveOne(ctx context.Context, j *job, keys []string, ttl time.Duration) (bool, error) {
	if len(keys) == 0 {
		return true, nil
	}
	owners, err := l.owners(ctx, j, keys, 0)
	if err != nil || slices.Contains(owners, j.delivery.ID) {
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

// owners returns for which deliveries keys are reserved.
func (l *Loop) owners(ctx context.Context, j *job, keys []string, ttl time.Duration) ([]string, error) {
	asked := make([]state.OnceKey, len(keys))
	for i, key := range keys {
		asked[i] = state.OnceKey{Key: key, Owner: j.delivery.ID}
	}
	return l.Store.Once(ctx, j.delivery.Tenant, asked, ttl)
}

// joinDigest makes a delivery the digest of its period, or has the one that is stand for it.
func (l *Loop) joinDigest(ctx context.Context, j *job, owed *decide.Owed, period time.Time) (found decide.Look, err error) {
	kept := owed.AtDue.Guard.AtMost.Per + digestKept
	owners, err := l.owners(ctx, j, []string{owed.DigestKey(period)}, kept)
	if err != nil {
		return found, err
	}
	if _, err = l.reserveOne(ctx, j, owed.MemberKeys(period), kept); err != nil {
		return found, err
	}
	if owners[0] == j.delivery.ID {
		return decide.Look{Wait: period.Add(owed.AtDue.Guard.AtMost.Per), Reason: reasonDigest}, nil
	}
	return decide.Look{Skip: fmt.Sprintf(reasonDigested, owners[0]), Told: true}, nil
}

// digest finds out whether a delivery is the digest of a period. If the period has ended it sets the digest to send.
func (l *Loop) digest(ctx context.Context, j *job, owed *decide.Owed, now time.Time) (found decide.Look, err error) {
	found.Event = j.event
	per := owed.AtDue.Guard.AtMost.Per
	var periods []time.Time
	var keys []string
	for at := owed.Period(now); len(periods) < maxPeriods && at.Add(per).After(j.delivery.Created); at = at.Add(-per) {
		periods, keys = append(periods, at), append(keys, owed.DigestKey(at))
	}
	owners, err := l.owners(ctx, j, keys, 0)
	if err != nil {
		return decide.Look{}, err
	}
	i := slices.Index(owners, j.delivery.ID)
	if i < 0 {
		return found, nil
	}
	if end := periods[i].Add(per); end.After(now) {
		return decide.Look{Wait: end, Reason: reasonDigest}, nil
	}
	if owners, err = l.owners(ctx, j, owed.MemberKeys(periods[i]), 0); err != nil {
		return decide.Look{}, err
	}
	d := &connectors.Digest{Rule: owed.AtDue.Name, From: periods[i], To: periods[i].Add(per)}
	for _, id := range owners {
		if id == "" {
			break
		}
		if d.Total++; len(d.Events) == connectors.MaxDigestEvents {
			continue
		}
		record, err := l.Store.Event(ctx, j.delivery.Tenant, state.EventID(id))
		switch {
		case errors.Is(err, state.ErrNotFound):
		case err != nil:
			return decide.Look{}, err
		default:
			d.Events = append(d.Events, record.Event)
		}
	}
	d.More = d.Total == decide.MaxDigested
	j.atDue.digest, found.Note = d, fmt.Sprintf("%s%d events", decide.Digested, d.Total)
	return found, nil
}
