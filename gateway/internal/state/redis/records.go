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

const (
	flagAlone = 1 << iota
	flagLeased
	flagForgiven // how many attempts are forgiven follows their number
	flagRevision // the revision that owes it follows those
	flagRef      // Ref follows those
	flagMaxBatch // MaxBatch, if it is not 1 (flagAlone), follows those
)

func flagsOf(d *state.Delivery) (flags byte) {
	if d.MaxBatch == 1 {
		flags |= flagAlone
	} else if d.MaxBatch > 1 {
		flags |= flagMaxBatch
	}
	if d.Forgiven > 0 {
		flags |= flagForgiven
	}
	if d.Revision > 0 {
		flags |= flagRevision
	}
	if d.Ref != "" {
		flags |= flagRef
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
	if d.Ref != "" {
		b = state.AppendText(b, d.Ref)
	}
	if d.MaxBatch > 1 {
		b = appendUint(b, uint64(d.MaxBatch))
	}
	return b
}

func (r *reader) attempts(flags byte, d *state.Delivery) {
	d.Attempts = int(r.Uint())
	if flags&flagForgiven != 0 {
		d.Forgiven = int(r.Uint())
	}
	if flags&flagRevision != 0 {
		d.Revision = int(r.Uint())
	}
	if flags&flagRef != 0 {
		d.Ref = r.Text()
	}
	if flags&flagAlone != 0 {
		d.MaxBatch = 1
	}
	if flags&flagMaxBatch != 0 {
		d.MaxBatch = int(r.Uint())
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
	r := readerOf(raw)
	o := &owed{shard: sh, n: n, suffix: suffix, raw: raw}
	if err := s.ownedBy(ctx, &r, o); err != nil {
		return nil, fmt.Errorf("delivery of event %d: %w", n, err)
	}
	o.Tenant, o.ID = tenant, state.JoinDeliveryID(o.EventID, suffix)
	return o, nil
}

func (s *store) ownedBy(ctx context.Context, r *reader, o *owed) error {
	o.State = state.StateOfLetter(r.Byte())
	o.Leased = r.Byte() == 1
	o.size = int64(r.big(4))
	o.Created, o.Updated, o.Due = fromMicro(int64(r.big(7))), fromMicro(int64(r.big(7))), fromMicro(int64(r.big(7)))
	o.failed = r.big(7)
	o.newest = link{list: r.Byte(), at: r.big(7), seq: r.big(2), dest: r.zero()}
	o.dest, o.Reason = r.zero(), r.zero()
	if o.newest.dest == "" {
		o.newest.dest = o.dest
	}
	shape := r.Take(refSize)
	r.attempts(r.Byte(), &o.Delivery)
	o.EventID = r.id()
	if err := r.Err(); err != nil {
		return err
	}
	return s.readShape(ctx, shape, &o.Delivery)
}

// writeOwed encodes a record as lib.lua does.
func writeOwed(o *owed, shape string) string {
	b := make([]byte, 0, 128)
	b = append(b, o.State.Letter(), 0)
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
	b = state.AppendText(b, suffix)
	b = appendID(b, d.EventID)
	b = append(b, d.State.Letter())
	b = append(b, flagsOf(d))
	b = append(b, shape...)
	b = state.AppendText(b, d.Reason)
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
	b = state.VerdictCodes.Append(b, a.Verdict)
	b = appendInt(b, int64(a.Status))
	b = state.AppendText(b, a.Reason)
	b = appendInt(b, int64(a.Sent))
	b = appendInt(b, int64(a.Received))
	b = state.AppendText(b, a.Request)
	return state.AppendText(b, a.Response)
}

func (r *reader) attempt() (a state.Attempt) {
	a.Repeat = r.Byte() == 1
	a.N = int(r.Uint())
	a.At = fromMicro(r.Int())
	a.Took = time.Duration(r.Int()) * time.Microsecond
	a.Verdict = r.Code(state.VerdictCodes)
	a.Status = int(r.Int())
	a.Reason = r.Text()
	a.Sent, a.Received = int(r.Int()), int(r.Int())
	if v := r.Text(); v != "" {
		a.Request = []byte(v)
	}
	if v := r.Text(); v != "" {
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
	r := readerOf(raw)
	e := &entry{before: noLink}
	e.shard = sh
	again := r.Byte() == 'r'
	e.n = r.big(6)
	if e.before.list = r.Byte(); e.before.list != '-' {
		e.before.at, e.before.seq, e.before.dest = r.big(7), r.big(2), r.zero()
		if e.before.dest == "" {
			e.before.dest = dest
		}
	}
	if r.Byte() == 'o' { // a script wrote it: it is the record
		e.suffix = r.zero()
		if err := s.ownedBy(ctx, &r, &e.owed); err != nil {
			return nil, fmt.Errorf("history of %s: %w", dest, err)
		}
	} else {
		r.Version(entryV1)
		e.suffix, e.EventID = r.Text(), r.id()
		e.State = state.StateOfLetter(r.Byte())
		flags := r.Byte()
		shape := r.Take(refSize)
		e.Reason = r.Text()
		r.attempts(flags, &e.Delivery)
		e.Created = fromMicro(r.Int())
		if e.State == state.Waiting {
			e.Due = fromMicro(r.Int())
		}
		e.Updated = fromMicro(int64(at))
		for n := r.Count(); n > 0 && !r.Bad(); n-- {
			a := r.attempt()
			a.Repeat = a.Repeat || again
			e.Log = append(e.Log, a)
		}
		if err := r.Err(); err != nil {
			return nil, fmt.Errorf("history of %s: %w", dest, err)
		}
		if err := s.readShape(ctx, shape, &e.Delivery); err != nil {
			return nil, fmt.Errorf("history of %s: %w", dest, err)
		}
	}
	e.Tenant, e.ID, e.dest = tenant, state.JoinDeliveryID(e.EventID, e.suffix), dest
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
	b = state.AppendText(b, o.Dead)
	b = append(b, s.names.reference(o.Generation, fresh)...)
	at := unixMicro(o.At)
	b = appendInt(b, at)
	b = appendUint(b, uint64(len(o.Rules)))
	for i := range o.Rules {
		b = state.OriginCodes.Append(b, string(o.Rules[i].Origin.Kind))
		b = append(b, s.names.reference(o.Rules[i].Origin.Name, fresh)...)
		b = state.AppendText(b, o.Rules[i].Err)
	}
	b = appendUint(b, uint64(len(o.Deliveries)))
	for i := range o.Deliveries {
		d := &o.Deliveries[i]
		b = state.AppendText(b, suffixes[i])
		b = append(b, d.State.Letter())
		flags := flagsOf(d)
		if d.Leased {
			flags |= flagLeased
		}
		b = append(b, flags)
		b = append(b, shapes[i]...)
		b = state.AppendText(b, d.Reason)
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
	r := readerOf(raw)
	o := &outcome{Outcome: state.Outcome{Tenant: tenant, EventID: eventID}}
	r.Version(outcomeV1)
	o.Dead = r.Text()
	generation := r.Take(refSize)
	at := r.Int()
	o.At = fromMicro(at)
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		rule := state.RuleOutcome{Origin: state.Origin{Kind: state.OriginKind(r.Code(state.OriginCodes))}}
		name := r.Take(refSize)
		rule.Err = r.Text()
		if r.Bad() {
			break
		}
		var err error
		if rule.Origin.Name, err = s.nameOf(ctx, name); err != nil {
			return nil, err
		}
		o.Rules = append(o.Rules, rule)
	}
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		d := state.Delivery{Tenant: tenant, EventID: eventID}
		suffix := r.Text()
		d.ID, d.State = state.JoinDeliveryID(eventID, suffix), state.StateOfLetter(r.Byte())
		flags := r.Byte()
		d.Leased = flags&flagLeased != 0
		shape := r.Take(refSize)
		d.Reason = r.Text()
		r.attempts(flags, &d)
		d.Created, d.Updated = fromMicro(at+r.Int()), fromMicro(at+r.Int())
		if d.State == state.Waiting {
			d.Due = fromMicro(at + r.Int())
		}
		if r.Bad() {
			break
		}
		if err := s.readShape(ctx, shape, &d); err != nil {
			return nil, err
		}
		o.Deliveries, o.suffixes = append(o.Deliveries, d), append(o.suffixes, suffix)
	}
	for i := range o.Deliveries {
		l := link{list: r.Byte()}
		if l.list != '-' {
			l.at, l.seq, l.dest = r.big(7), r.big(2), token(tenant, o.Deliveries[i].Destination)
		}
		o.links = append(o.links, l)
	}
	if err := r.Err(); err != nil {
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
