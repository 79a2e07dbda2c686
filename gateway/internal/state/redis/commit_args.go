package redis

import (
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// commitArgs are the arguments of commit.lua.
type commitArgs struct {
	Caller string
	Ops    []commitOp
}

// commitOp is one operation: Op tells which of the others is set.
type commitOp struct {
	Op      string
	Release *releaseArgs
	Burial  *burialArgs
	Event   *eventArgs
	Due     *dueArgs
}

type releaseArgs struct {
	N uint64
	idRef
}

type burialArgs struct {
	N       uint64
	Share   string // the tenant, escaped
	Outcome []byte
}

type eventArgs struct {
	N uint64
	idRef
	Outcome    []byte
	Deliveries []deliveryArgs
	More       *eventEndArgs // of operation F
}

type eventEndArgs struct {
	Share  string // the tenant, escaped
	DeadAt int64  // microseconds
	Free   freeKeysArgs
}

type dueArgs struct {
	idRef
	Lease    int64 // microseconds
	Free     freeKeysArgs
	Delivery deliveryArgs
}

type deliveryArgs struct {
	State, Dest, List string
	Entry             []byte
	Record            *recordArgs // unless the delivery ended with its event
}

type recordArgs struct {
	Suffix, Reason     string
	Tail               []byte
	Leased, Size       int
	Created, Wait, Due int64 // microseconds
}

func (p *committing) event(s *store, sh *shard, n uint64, o *state.Outcome, now time.Time) error {
	id := idRefOf(o.Tenant, o.EventID)
	p.items++
	if o.Release {
		p.ops = append(p.ops, commitOp{Op: "R", Release: &releaseArgs{n, id}})
		return nil
	}
	own := *o
	if own.At.IsZero() {
		own.At = now
	}
	suffixes, err := o.AppendSuffixes(make([]string, 0, len(o.Deliveries)))
	if err != nil {
		return err
	}
	own.Deliveries = slices.Clone(o.Deliveries)
	shapes := make([]string, len(own.Deliveries))
	for i := range own.Deliveries {
		d := &own.Deliveries[i]
		d.Tenant, d.EventID = o.Tenant, o.EventID
		d.Stamp(now)
		shapes[i] = s.names.reference(shape(d), &p.fresh)
	}
	record := s.appendOutcome(nil, &own, suffixes, shapes, &p.fresh)
	args := &eventArgs{N: n, idRef: id, Outcome: record, Deliveries: make([]deliveryArgs, len(own.Deliveries))}
	p.bytes += len(record) + 128
	sh.mu.Lock()
	size, known := sh.claimed[n]
	sh.mu.Unlock()
	if !known {
		size = -1
	}
	for i := range own.Deliveries {
		args.Deliveries[i] = p.delivery(&own.Deliveries[i], suffixes[i], shapes[i], size, now, false)
	}
	op := "E"
	if own.Dead != "" || len(own.Free) > 0 {
		op, args.More = "F", &eventEndArgs{Share: escape(o.Tenant), Free: s.freeIn(sh, o.Tenant, o.EventID, o.Free)}
		if own.Dead != "" {
			args.More.DeadAt = unixMicro(own.At)
		}
	}
	p.ops = append(p.ops, commitOp{Op: op, Event: args})
	return nil
}

func (p *committing) settle(s *store, sh *shard, given *state.Settled, now time.Time) {
	d := given.Delivery
	eventID, suffix, _ := state.SplitDeliveryID(d.ID)
	d.EventID = eventID
	d.Stamp(now)
	p.items++
	p.ops = append(p.ops, commitOp{Op: "D", Due: &dueArgs{
		idRef: idRefOf(d.Tenant, eventID), Lease: unixMicro(given.Lease), Free: s.freeIn(sh, d.Tenant, eventID, given.Free),
		Delivery: p.delivery(&d, suffix, s.names.reference(shape(&d), &p.fresh), 0, now, true),
	}})
}

// freeIn returns the keys of `once` to give back that are in this shard. With one shard that is all of them.
func (s *store) freeIn(sh *shard, tenant, owner string, keys []string) (free freeKeysArgs) {
	for _, k := range keys {
		if s.onceShard(tenant, k) == sh {
			free.Keys = append(free.Keys, onceKeyArgs{onceKey(tenant, k), owner})
		}
	}
	return free
}

// delivery makes the script's arguments for a delivery. One that ended with its event leaves history only; recorded says
// that it has a record of its own.
func (p *committing) delivery(d *state.Delivery, suffix, shape string, size int, now time.Time, recorded bool) deliveryArgs {
	args := deliveryArgs{State: letterOf(d.State), Dest: token(d.Tenant, d.Destination)}
	if d.EntersHistory() {
		args.List, args.Entry = listFor(d), appendEntry(nil, d, suffix, shape)
	}
	if recorded || d.State.Open() {
		v := valuesOf(d, shape, now)
		args.Record = &recordArgs{
			Suffix: suffix, Reason: v.reason, Tail: v.tail,
			Leased: leased(d), Size: size, Created: v.created, Wait: v.wait, Due: v.due,
		}
	}
	p.items++
	p.bytes += len(args.Entry) + 256
	return args
}

func leased(d *state.Delivery) int {
	if d.Leased {
		return 1
	}
	return 0
}

func letterOf(s state.DeliveryState) string { return string(s.Letter()) }

// values are the parts of a delivery's record that scripts read.
type values struct {
	created, wait, due int64 // microseconds
	reason             string
	tail               []byte
}

func valuesOf(d *state.Delivery, shape string, now time.Time) values {
	wait := int64(0)
	if d.State == state.Waiting {
		wait = d.Due.Sub(now).Microseconds() // a duration, as the clock may have stepped since Due was computed
	}
	return values{
		created: unixMicro(d.Created), wait: wait, due: unixMicro(d.Due), reason: plain(d.Reason),
		tail: appendTail(nil, d, shape),
	}
}

// listFor returns the history list of a delivery. Failures have a list of their own, so that many successes do not displace
// them.
func listFor(d *state.Delivery) string {
	if d.Failed() {
		return "f"
	}
	return "h"
}
