package redis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Versions of the records. New versions read old ones.
const (
	outcomeV1 = 1
	entryV1   = 1
	holdV1    = 1
)

var (
	verdictWords = []string{"delivered", "skipped", "retry", "rejected", "revoked", "continue"}
	kindWords    = []string{string(state.Rule), string(state.Webhook)}
	holdWords    = []string{
		string(state.HoldCircuit), string(state.HoldRate), string(state.HoldRevoked), string(state.HoldGone), string(state.HoldPaused),
	}
	letters = map[state.DeliveryState]byte{
		state.Waiting: 'W', state.Dead: 'X', state.Delivered: 'D', state.Skipped: 'S', state.Dropped: 'P',
	}
	states = map[byte]state.DeliveryState{
		'W': state.Waiting, 'X': state.Dead, 'D': state.Delivered, 'S': state.Skipped, 'P': state.Dropped,
	}
)

const (
	flagAlone = 1 << iota
	flagLeased
	flagForgiven // the number of forgiven attempts follows that of attempts
	flagRevision // the event's revision that created the delivery follows those
)

func flagsOf(d *state.Delivery) (flags byte) {
	if d.Alone {
		flags |= flagAlone
	}
	if d.Forgiven > 0 {
		flags |= flagForgiven
	}
	if d.Revision > 0 {
		flags |= flagRevision
	}
	return flags
}

// appendAttempts writes the number of attempts and what the flags announce.
func appendAttempts(b []byte, d *state.Delivery) []byte {
	b = appendUint(b, uint64(max(d.Attempts, 0)))
	if d.Forgiven > 0 {
		b = appendUint(b, uint64(d.Forgiven))
	}
	if d.Revision > 0 {
		b = appendUint(b, uint64(d.Revision))
	}
	return b
}

func (r *reader) attempts(flags byte, d *state.Delivery) {
	d.Alone = flags&flagAlone != 0
	d.Attempts = int(r.uint())
	if flags&flagForgiven != 0 {
		d.Forgiven = int(r.uint())
	}
	if flags&flagRevision != 0 {
		d.Revision = int(r.uint())
	}
}

// link is the place of the newest entry of a delivery's history: list h or f, or - if there is none.
type link struct {
	list    byte
	at, seq uint64
	dest    string // token of the destination that has the entry
}

var noLink = link{list: '-'}

// owed is a delivery that its event's commit did not finish, in its present state.
type owed struct {
	state.Delivery
	shard  *shard
	n      uint64 // number of its event in the shard
	suffix string
	size   int64
	failed uint64 // time of its newest entry among failures; 0: none
	newest link
	raw    string // the record as it was read: a change requires that it is unchanged
	dest   string
}

func (o *owed) open() bool { return o.State == state.Waiting || o.State == state.Dead }

// appendTail writes the part of a record that scripts do not read.
func appendTail(b []byte, d *state.Delivery, shape string) []byte {
	b = append(b, shape...)
	b = append(b, flagsOf(d))
	b = appendAttempts(b, d)
	return appendID(b, d.EventID)
}

// readOwed decodes a record that lib.lua wrote.
func (s *store) readOwed(ctx context.Context, tenant string, sh *shard, n uint64, suffix, raw string) (*owed, error) {
	r := reader{b: raw}
	o := &owed{shard: sh, n: n, suffix: suffix, raw: raw}
	if err := s.ownedBy(ctx, &r, o); err != nil {
		return nil, fmt.Errorf("delivery of event %d: %w", n, err)
	}
	o.Tenant, o.ID = tenant, deliveryID(o.EventID, suffix)
	return o, nil
}

func (s *store) ownedBy(ctx context.Context, r *reader, o *owed) error {
	o.State = states[r.byte()]
	o.Leased = r.byte() == 1
	o.size = int64(r.big(4))
	o.Created, o.Updated, o.Due = fromMicro(int64(r.big(7))), fromMicro(int64(r.big(7))), fromMicro(int64(r.big(7)))
	o.failed = r.big(7)
	o.newest = link{list: r.byte(), at: r.big(7), seq: r.big(2), dest: r.zero()}
	o.dest, o.Reason = r.zero(), r.zero()
	if o.newest.dest == "" {
		o.newest.dest = o.dest
	}
	shape := r.take(refSize)
	r.attempts(r.byte(), &o.Delivery)
	o.EventID = r.id()
	if err := r.err(); err != nil {
		return err
	}
	return s.readShape(ctx, shape, &o.Delivery)
}

// writeOwed encodes a record as lib.lua does.
func writeOwed(o *owed, shape string) string {
	b := make([]byte, 0, 128)
	b = append(b, letters[o.State], 0)
	b = appendBig(b, uint64(o.size), 4)
	for _, t := range [...]time.Time{o.Created, o.Updated, o.Due} {
		b = appendBig(b, uint64(unixMicro(t)), 7)
	}
	b = appendBig(b, o.failed, 7)
	b = append(b, o.newest.list)
	b = appendBig(b, o.newest.at, 7)
	b = appendBig(b, o.newest.seq, 2)
	where := o.newest.dest
	if where == o.dest || o.newest.list == '-' {
		where = ""
	}
	b = append(append(b, where...), 0)
	b = append(append(b, o.dest...), 0)
	b = append(append(b, plain(o.Reason)...), 0)
	return string(appendTail(b, &o.Delivery, shape))
}

// plain removes NUL, which ends texts in records that scripts read.
func plain(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// appendEntry writes the history entry of a delivery.
func appendEntry(b []byte, d *state.Delivery, suffix, shape string) []byte {
	b = append(b, 'g', entryV1)
	b = appendText(b, suffix)
	b = appendID(b, d.EventID)
	b = append(b, letters[d.State])
	b = append(b, flagsOf(d))
	b = append(b, shape...)
	b = appendText(b, d.Reason)
	b = appendAttempts(b, d)
	b = appendInt(b, unixMicro(d.Created))
	if d.State == state.Waiting {
		b = appendInt(b, unixMicro(d.Due))
	}
	b = appendUint(b, uint64(len(d.Log)))
	for i := range d.Log {
		b = appendAttempt(b, &d.Log[i])
	}
	return b
}

func appendAttempt(b []byte, a *state.Attempt) []byte {
	var flags byte
	if a.Repeat {
		flags = 1
	}
	b = appendUint(append(b, flags), uint64(max(a.N, 0)))
	b = appendInt(b, unixMicro(a.At))
	b = appendInt(b, a.Took.Microseconds())
	b = appendCode(b, verdictWords, a.Verdict)
	b = appendInt(b, int64(a.Status))
	b = appendText(b, a.Reason)
	b = appendInt(b, int64(a.Sent))
	b = appendInt(b, int64(a.Received))
	b = appendText(b, a.Request)
	return appendText(b, a.Response)
}

func (r *reader) attempt() (a state.Attempt) {
	a.Repeat = r.byte() == 1
	a.N = int(r.uint())
	a.At = fromMicro(r.int())
	a.Took = time.Duration(r.int()) * time.Microsecond
	a.Verdict = r.code(verdictWords)
	a.Status = int(r.int())
	a.Reason = r.text()
	a.Sent, a.Received = int(r.int()), int(r.int())
	if v := r.text(); v != "" {
		a.Request = []byte(v)
	}
	if v := r.text(); v != "" {
		a.Response = []byte(v)
	}
	return a
}

// entry is one entry of a delivery's history.
type entry struct {
	owed
	before link
}

// readEntry decodes an entry that was added to a destination's history at a time.
func (s *store) readEntry(ctx context.Context, tenant, dest string, sh *shard, at uint64, raw string) (*entry, error) {
	r := reader{b: raw}
	e := &entry{before: noLink}
	e.shard = sh
	again := r.byte() == 'r'
	e.n = r.big(6)
	if e.before.list = r.byte(); e.before.list != '-' {
		e.before.at, e.before.seq, e.before.dest = r.big(7), r.big(2), r.zero()
		if e.before.dest == "" {
			e.before.dest = dest
		}
	}
	if r.byte() == 'o' { // a script wrote it: it is the record
		e.suffix = r.zero()
		if err := s.ownedBy(ctx, &r, &e.owed); err != nil {
			return nil, fmt.Errorf("history of %s: %w", dest, err)
		}
	} else {
		if r.byte() != entryV1 {
			r.fail()
		}
		e.suffix, e.EventID = r.text(), r.id()
		e.State = states[r.byte()]
		flags := r.byte()
		shape := r.take(refSize)
		e.Reason = r.text()
		r.attempts(flags, &e.Delivery)
		e.Created = fromMicro(r.int())
		if e.State == state.Waiting {
			e.Due = fromMicro(r.int())
		}
		e.Updated = fromMicro(int64(at))
		for n := r.count(); n > 0 && !r.bad; n-- {
			a := r.attempt()
			a.Repeat = a.Repeat || again
			e.Log = append(e.Log, a)
		}
		if err := r.err(); err != nil {
			return nil, fmt.Errorf("history of %s: %w", dest, err)
		}
		if err := s.readShape(ctx, shape, &e.Delivery); err != nil {
			return nil, fmt.Errorf("history of %s: %w", dest, err)
		}
	}
	e.Tenant, e.ID, e.dest = tenant, deliveryID(e.EventID, e.suffix), dest
	return e, nil
}

// outcome is a committed decision as it is kept.
type outcome struct {
	state.Outcome
	suffixes []string
	links    []link
}

// appendOutcome writes an outcome. The script appends one link for each delivery.
func (s *store) appendOutcome(b []byte, o *state.Outcome, suffixes, shapes []string, fresh *[]newName) []byte {
	b = append(b, outcomeV1)
	b = appendText(b, o.Dead)
	b = append(b, s.names.reference(o.Generation, fresh)...)
	at := unixMicro(o.At)
	b = appendInt(b, at)
	b = appendUint(b, uint64(len(o.Rules)))
	for i := range o.Rules {
		b = appendCode(b, kindWords, string(o.Rules[i].Origin.Kind))
		b = append(b, s.names.reference(o.Rules[i].Origin.Name, fresh)...)
		b = appendText(b, o.Rules[i].Err)
	}
	b = appendUint(b, uint64(len(o.Deliveries)))
	for i := range o.Deliveries {
		d := &o.Deliveries[i]
		b = appendText(b, suffixes[i])
		b = append(b, letters[d.State])
		flags := flagsOf(d)
		if d.Leased {
			flags |= flagLeased
		}
		b = append(b, flags)
		b = append(b, shapes[i]...)
		b = appendText(b, d.Reason)
		b = appendAttempts(b, d)
		b = appendInt(b, unixMicro(d.Created)-at)
		b = appendInt(b, unixMicro(d.Updated)-at)
		if d.State == state.Waiting {
			b = appendInt(b, unixMicro(d.Due)-at)
		}
	}
	return b
}

func (s *store) readOutcome(ctx context.Context, sh *shard, n uint64, tenant, eventID, raw string) (*outcome, error) {
	o, err := s.outcome(ctx, tenant, eventID, raw)
	if err != nil {
		return nil, fmt.Errorf("outcome of event %s: %w", eventID, err)
	}
	o.Position = s.position(sh, n)
	return o, nil
}

func (s *store) outcome(ctx context.Context, tenant, eventID, raw string) (*outcome, error) {
	r := reader{b: raw}
	o := &outcome{Outcome: state.Outcome{Tenant: tenant, EventID: eventID}}
	if r.byte() != outcomeV1 {
		r.fail()
	}
	o.Dead = r.text()
	generation := r.take(refSize)
	at := r.int()
	o.At = fromMicro(at)
	for n := r.count(); n > 0 && !r.bad; n-- {
		rule := state.RuleOutcome{Origin: state.Origin{Kind: state.OriginKind(r.code(kindWords))}}
		name := r.take(refSize)
		rule.Err = r.text()
		if r.bad {
			break
		}
		var err error
		if rule.Origin.Name, err = s.nameOf(ctx, name); err != nil {
			return nil, err
		}
		o.Rules = append(o.Rules, rule)
	}
	for n := r.count(); n > 0 && !r.bad; n-- {
		d := state.Delivery{Tenant: tenant, EventID: eventID}
		suffix := r.text()
		d.ID, d.State = deliveryID(eventID, suffix), states[r.byte()]
		flags := r.byte()
		d.Leased = flags&flagLeased != 0
		shape := r.take(refSize)
		d.Reason = r.text()
		r.attempts(flags, &d)
		d.Created, d.Updated = fromMicro(at+r.int()), fromMicro(at+r.int())
		if d.State == state.Waiting {
			d.Due = fromMicro(at + r.int())
		}
		if r.bad {
			break
		}
		if err := s.readShape(ctx, shape, &d); err != nil {
			return nil, err
		}
		o.Deliveries, o.suffixes = append(o.Deliveries, d), append(o.suffixes, suffix)
	}
	for i := range o.Deliveries {
		l := link{list: r.byte()}
		if l.list != '-' {
			l.at, l.seq, l.dest = r.big(7), r.big(2), token(tenant, o.Deliveries[i].Destination)
		}
		o.links = append(o.links, l)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	var err error
	o.Generation, err = s.nameOf(ctx, generation)
	return o, err
}

// delivery returns a delivery as the outcome has it; nil: it has none with that suffix.
func (o *outcome) delivery(sh *shard, n uint64, suffix string) *owed {
	for i := range o.Deliveries {
		if o.suffixes[i] != suffix {
			continue
		}
		d := &owed{
			Delivery: o.Deliveries[i], shard: sh, n: n, suffix: suffix, newest: o.links[i],
			dest: token(o.Tenant, o.Deliveries[i].Destination),
		}
		if d.newest.list == 'f' {
			d.failed = d.newest.at
		}
		return d
	}
	return nil
}
