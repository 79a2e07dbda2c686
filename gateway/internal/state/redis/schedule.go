package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// changes is how often a change is tried again that somebody else's came before.
const changes = 16

var errChanged = errors.New("it changes all the time")

// Schedule puts deliveries into the due-queue, each a step of its own.
func (s *store) Schedule(ctx context.Context, tenant string, deliveries []state.Delivery) ([]bool, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	for i := range deliveries {
		d := &deliveries[i]
		if _, _, err := suffixOf(d); err != nil {
			return nil, fmt.Errorf("schedule: %w", err)
		}
		if d.Tenant != "" && d.Tenant != tenant {
			return nil, fmt.Errorf("schedule: delivery %s of tenant %q: %w", d.ID, tenant, state.ErrNotFound)
		}
	}
	result := make([]bool, len(deliveries))
	for i := range deliveries {
		done, err := s.schedule(ctx, tenant, &deliveries[i])
		if err != nil {
			return nil, fmt.Errorf("schedule %s: %w", deliveries[i].ID, err)
		}
		result[i] = done
	}
	return result, nil
}

func (s *store) schedule(ctx context.Context, tenant string, given *state.Delivery) (bool, error) {
	eventID, suffix, _ := splitID(given.ID)
	for range changes {
		sh, n, err := s.locate(ctx, tenant, eventID)
		if err != nil || sh == nil {
			return false, err
		}
		o, err := s.current(ctx, tenant, eventID, suffix)
		if err != nil {
			return false, err
		}
		now := s.clock.Now()
		to := &owed{shard: sh, n: n, suffix: suffix, newest: noLink}
		if o != nil {
			*to = *o
		}
		switch {
		case o != nil && o.open():
			to.Reason, to.Alone = given.Reason, given.Alone || o.Alone
		case given.Destination != "":
			created, attempts := to.Created, to.Attempts
			to.Delivery = *given
			to.Attempts = max(given.Attempts, attempts)
			if to.Created.IsZero() {
				to.Created = created
			}
		case o != nil:
			to.Reason = given.Reason
		default:
			return false, nil // nothing is known of it: it must be told where it goes
		}
		to.Forgiven = to.Attempts
		to.Tenant, to.EventID, to.Log, to.Leased = tenant, eventID, nil, false
		to.State, to.Due = state.Waiting, given.Due
		stamp(&to.Delivery, now)
		switch done, err := s.change(ctx, to, false, now); {
		case err != nil:
			return false, err
		case done >= 0:
			return done == 1, nil
		}
	}
	return false, errChanged
}

// change writes a delivery if it is still as it was read: 1 when it was, 0 when somebody has it, -1 when it changed.
func (s *store) change(ctx context.Context, to *owed, ends bool, now time.Time) (int, error) {
	var fresh []any
	sh := s.names.of(shape(&to.Delivery), &fresh)
	if err := s.keepNames(ctx, fresh); err != nil {
		return 0, err
	}
	l := to.newest
	args := []any{
		s.now(), slotOf(to.EventID), fieldOf(to.Tenant, to.EventID), to.suffix, to.raw,
		string(l.list), text(l.at), text(l.seq), l.dest, text(to.failed),
	}
	v := deliveryValues(&to.Delivery, to.suffix, sh, 0, now)
	args = append(args, v[0], v[2], v[5], v[6], v[7], v[8], v[9])
	entry := ""
	if ends {
		entry = listFor(&to.Delivery) + string(appendEntry(nil, &to.Delivery, to.suffix, sh))
	}
	got, err := s.run(ctx, changeScript, to.shard.base, append(args, entry)...)
	if err != nil {
		return 0, err
	}
	all := asList(got)
	if len(all) != 1 {
		return 0, errCorrupt
	}
	return int(asInt(all[0])), nil
}

// Drop ends a waiting or dead delivery, or takes an event out of the dead letters.
func (s *store) Drop(ctx context.Context, tenant, id string) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.drop(ctx, tenant, id); err != nil {
		return fmt.Errorf("drop %s: %w", id, err)
	}
	return nil
}

func (s *store) drop(ctx context.Context, tenant, id string) error {
	eventID, suffix, ok := splitID(id)
	if !ok {
		return s.pardon(ctx, tenant, id)
	}
	for range changes {
		o, err := s.current(ctx, tenant, eventID, suffix)
		if err != nil {
			return err
		}
		if o == nil || !o.open() {
			return state.ErrNotFound
		}
		now := s.clock.Now()
		o.State, o.Reason = state.Dropped, ""
		stamp(&o.Delivery, now)
		switch done, err := s.change(ctx, o, true, now); {
		case err != nil:
			return err
		case done == 1:
			return nil
		case done == 0:
			return state.ErrConflict
		}
	}
	return errChanged
}

// pardon takes an event out of the dead letters.
func (s *store) pardon(ctx context.Context, tenant, id string) error {
	sh, _, err := s.locate(ctx, tenant, id)
	if err != nil {
		return err
	}
	if sh == nil {
		return state.ErrNotFound
	}
	got, err := s.run(ctx, pardonScript, sh.base, s.now(), escape(tenant), slotOf(id), fieldOf(tenant, id))
	if err == nil && asInt(got) == 0 {
		err = state.ErrNotFound
	}
	return err
}

// Hold keeps a destination from being claimed: in every shard, one after the other.
func (s *store) Hold(ctx context.Context, tenant, destination string, h state.Hold) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	var record []byte
	till := ""
	if h != (state.Hold{}) {
		record = appendHold(nil, &h)
		if !h.Until.IsZero() {
			till = span(h.Until.Sub(s.clock.Now()))
		}
	}
	for _, sh := range s.shards {
		if _, err := s.run(ctx, holdScript, sh.base, s.now(), token(tenant, destination), till, record); err != nil {
			return fmt.Errorf("hold %s: %w", destination, err)
		}
	}
	return nil
}

// Holds are the destinations on hold. One whose time is over is none.
func (s *store) Holds(ctx context.Context, tenant string) ([]state.Held, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	// Every shard has all of them; where a crash came between, the one that says so counts.
	tokens := map[string]string{}
	for _, sh := range s.shards {
		all, err := s.client.HGetAll(ctx, sh.base+"holds").Result()
		if err != nil {
			return nil, fmt.Errorf("holds: %w", s.fault(err))
		}
		maps.Copy(tokens, all)
	}
	now := s.clock.Now()
	var held []state.Held
	var counts [][]*goredis.IntCmd
	pipe := s.client.Pipeline()
	for t, raw := range tokens {
		h, err := readHold(raw)
		if err != nil {
			return nil, fmt.Errorf("hold of %s: %w", t, err)
		}
		of, dest := untoken(t)
		if tenant != "*" && of != tenant || !h.Until.IsZero() && !h.Until.After(now) {
			continue
		}
		held = append(held, state.Held{Tenant: of, Destination: dest, Hold: h})
		var waiting []*goredis.IntCmd
		for _, sh := range s.shards {
			waiting = append(waiting, pipe.ZCard(ctx, sh.base+"wait:"+t))
		}
		counts = append(counts, waiting)
	}
	if len(held) == 0 {
		return nil, nil
	}
	if err := s.exec(ctx, pipe); err != nil {
		return nil, fmt.Errorf("holds: %w", err)
	}
	for i := range held {
		for _, c := range counts[i] {
			held[i].Waiting += int(c.Val())
		}
	}
	slices.SortFunc(held, func(a, b state.Held) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Destination, b.Destination))
	})
	return held, nil
}
