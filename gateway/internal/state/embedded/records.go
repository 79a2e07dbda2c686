package embedded

import (
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Versions of the records. A new one reads the old.
const (
	eventV1     = 1
	eventV2     = 2 // the same, with the revisions of the event
	timelineV1  = 1
	outcomeV1   = 1
	revisionsV1 = 1
	deliveryV1  = 1
	historyV1   = 1
	holdV1      = 1
	destV1      = 1
)

// terms are the fields of an event that indexes and filters use. They are stored next to the envelope, so that retention can
// remove an event from its indexes without decoding it.
type terms struct {
	tenant, id, kind, source, survey, response string
	received                                   int64
	persons                                    [][]byte
	// revisions is the record of revisions, if the event was revised (readRevisions).
	revisions []byte
}

func termsOf(ev *event.Event) terms {
	return terms{
		tenant: ev.Tenant, id: ev.ID, kind: ev.Type, source: ev.Source, survey: ev.SurveyID,
		response: ev.ResponseID, received: nanos(ev.Received),
	}
}

func appendEvent(b []byte, t *terms, envelope, raw []byte) []byte {
	version := byte(eventV1)
	if len(t.revisions) > 0 {
		version = eventV2
	}
	b = append(b, version)
	b = appendInt(b, t.received)
	b = state.AppendText(b, t.tenant)
	b = appendID(b, t.id)
	b = state.AppendText(b, t.kind)
	b = state.AppendText(b, t.source)
	b = state.AppendText(b, t.survey)
	b = state.AppendText(b, t.response)
	b = appendUint(b, uint64(len(t.persons)))
	for _, p := range t.persons {
		b = state.AppendText(b, p)
	}
	if version == eventV2 {
		b = state.AppendText(b, t.revisions)
	}
	b = state.AppendText(b, envelope)
	return append(b, raw...)
}

// readEvent shares memory with the record.
func readEvent(b []byte) (t terms, envelope, raw []byte, err error) {
	r := readerOf(b)
	revised := len(b) > 0 && b[0] == eventV2
	if revised {
		r.Version(eventV2)
	} else {
		r.Version(eventV1)
	}
	t.received = r.Int()
	t.tenant, t.id = r.Text(), r.id()
	t.kind, t.source, t.survey, t.response = r.Text(), r.Text(), r.Text(), r.Text()
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		t.persons = append(t.persons, r.bytes())
	}
	if revised {
		t.revisions = r.bytes()
	}
	envelope = r.bytes()
	return t, envelope, r.Rest, r.Err()
}

func appendTimeline(b []byte, t *terms, size int) []byte {
	b = append(b, timelineV1)
	b = appendInt(b, t.received)
	b = appendUint(b, uint64(size))
	b = state.AppendText(b, t.kind)
	b = state.AppendText(b, t.source)
	return state.AppendText(b, t.survey)
}

// line is an entry of the timeline. It shares memory with the record.
type line struct {
	received             int64
	size                 int
	kind, source, survey []byte
}

func readTimeline(b []byte) (l line, err error) {
	r := readerOf(b)
	r.Version(timelineV1)
	l.received, l.size = r.Int(), int(r.Uint())
	l.kind, l.source, l.survey = r.bytes(), r.bytes(), r.bytes()
	return l, r.Err()
}

// appendIDRecord writes the record that leads from an id to its event, and by which duplicates are recognised.
func appendIDRecord(b []byte, pos uint64, at int64) []byte { return appendInt(appendUint(b, pos), at) }

func readIDRecord(b []byte) (pos uint64, at int64, err error) {
	r := readerOf(b)
	pos, at = r.Uint(), r.Int()
	return pos, at, r.Err()
}

const (
	flagAlone = 1 << iota
	flagLeased
	flagStepIsName // the step has the rule's or webhook's name
	flagStepIsDest // the step has the destination's name
	flagForgiven   // how many attempts are forgiven follows their number
	flagRevision   // the revision that owes it follows those
	flagRef        // Ref follows those
	flagMaxBatch   // MaxBatch, if it is not 1 (flagAlone), follows those
)

// appendDelivery writes a delivery without its tenant, event and log, which follow from the key and the surrounding record.
func appendDelivery(b []byte, d *state.Delivery) []byte {
	var flags byte
	if d.MaxBatch == 1 {
		flags |= flagAlone
	} else if d.MaxBatch > 1 {
		flags |= flagMaxBatch
	}
	if d.Leased {
		flags |= flagLeased
	}
	if d.Step == d.Origin.Name {
		flags |= flagStepIsName
	} else if d.Step == d.Destination {
		flags |= flagStepIsDest
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
	b = append(b, deliveryV1, flags)
	b = state.StateCodes.Append(b, string(d.State))
	b = state.OriginCodes.Append(b, string(d.Origin.Kind))
	b = state.AppendText(b, d.Origin.Name)
	b = state.AppendText(b, d.Destination)
	if flags&(flagStepIsName|flagStepIsDest) == 0 {
		b = state.AppendText(b, d.Step)
	}
	b = state.AppendText(b, d.Connector)
	b = state.AppendText(b, d.Reason)
	b = appendUint(b, uint64(d.Attempts))
	if d.Forgiven > 0 {
		b = appendUint(b, uint64(d.Forgiven))
	}
	if d.Revision > 0 {
		b = appendUint(b, uint64(d.Revision))
	}
	if d.Ref != "" {
		b = state.AppendText(b, d.Ref)
	}
	if flags&flagMaxBatch != 0 {
		b = appendUint(b, uint64(d.MaxBatch))
	}
	created := nanos(d.Created)
	b = appendInt(b, created)
	b = appendInt(b, nanos(d.Updated)-created)
	return appendInt(b, nanos(d.Due)-created)
}

func (r *reader) delivery() (d state.Delivery) {
	r.Version(deliveryV1)
	flags := r.Byte()
	d.Leased = flags&flagLeased != 0
	d.State = state.DeliveryState(r.Code(state.StateCodes))
	d.Origin.Kind = state.OriginKind(r.Code(state.OriginCodes))
	d.Origin.Name = r.Text()
	d.Destination = r.Text()
	switch {
	case flags&flagStepIsName != 0:
		d.Step = d.Origin.Name
	case flags&flagStepIsDest != 0:
		d.Step = d.Destination
	default:
		d.Step = r.Text()
	}
	d.Connector, d.Reason = r.Text(), r.Text()
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
	created := r.Int()
	d.Created = fromNanos(created)
	d.Updated, d.Due = fromNanos(created+r.Int()), fromNanos(created+r.Int())
	return d
}

// link leads to the newest entry of a delivery's history; zero: there is none. dest is the destination of the entry, because
// a delivery goes to another one after its step was changed.
type link struct {
	table byte
	at    int64
	dest  string
}

// appendLink leaves out the destination if it is that of the delivery.
func appendLink(b []byte, l link, own string) []byte {
	if l.table == 0 {
		return append(b, 0)
	}
	b = appendInt(append(b, l.table), l.at)
	if l.dest == own {
		return append(b, 0)
	}
	return state.AppendText(b, l.dest)
}

func (r *reader) link() (l link) {
	if l.table = r.Byte(); l.table != 0 {
		l.at = r.Int()
		l.dest = r.Text()
	}
	return l
}

func (l link) withDest(own string) link {
	if l.table != 0 && l.dest == "" {
		l.dest = own
	}
	return l
}

// owed is a delivery that the commit of its event did not finish, as it is now.
type owed struct {
	state.Delivery
	pos      uint64
	suffix   string
	size     int   // bytes of its event
	at       int64 // when it is due, by the store's clock; Due is by the caller's clock
	newest   link  // entry of its history
	failedAt int64 // newest entry in failures; noTime is none
}

func appendOwed(b []byte, o *owed) []byte {
	b = appendID(b, o.EventID)
	b = appendUint(b, uint64(o.size))
	b = appendLink(b, o.newest, o.Destination)
	b = appendInt(b, o.failedAt)
	b = appendDelivery(b, &o.Delivery)
	if o.State == state.Waiting && o.at != nanos(o.Due) {
		b = appendInt(b, o.at) // the clock had stepped; former versions read only up to here
	}
	return b
}

func readOwed(tenant string, pos uint64, suffix string, b []byte) (*owed, error) {
	r := readerOf(b)
	o := &owed{pos: pos, suffix: suffix}
	id := r.id()
	o.size = int(r.Uint())
	o.newest, o.failedAt = r.link(), r.Int()
	o.Delivery = r.delivery()
	if o.at = nanos(o.Due); len(r.Rest) > 0 {
		o.at = r.Int()
	}
	o.newest = o.newest.withDest(o.Destination)
	o.Tenant, o.EventID, o.ID = tenant, id, state.JoinDeliveryID(id, suffix)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("delivery %s: %w", o.ID, err)
	}
	return o, nil
}

// entry is an entry of history: a delivery after one commit.
type entry struct {
	state.Delivery
	before link
}

func appendEntry(b []byte, d *state.Delivery, before link, at int64, repeat bool) []byte {
	b = append(b, historyV1)
	b = appendID(b, d.EventID)
	b = appendLink(b, before, d.Destination)
	b = appendDelivery(b, d)
	b = appendUint(b, uint64(len(d.Log)))
	for i := range d.Log {
		b = appendAttempt(b, &d.Log[i], at, repeat)
	}
	return b
}

func readEntry(tenant string, p sortKey, b []byte) (*entry, error) {
	r := readerOf(b)
	r.Version(historyV1)
	e := &entry{}
	id := r.id()
	e.before = r.link()
	e.Delivery = r.delivery()
	e.before = e.before.withDest(e.Destination)
	e.Tenant, e.EventID, e.ID = tenant, id, state.JoinDeliveryID(id, p.suffix)
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		e.Log = append(e.Log, r.attempt(p.at))
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("history of %s: %w", e.ID, err)
	}
	return e, nil
}

func appendAttempt(b []byte, a *state.Attempt, at int64, repeat bool) []byte {
	var flags byte
	if a.Repeat || repeat {
		flags = 1
	}
	b = append(b, flags)
	b = appendUint(b, uint64(a.N))
	b = appendInt(b, nanos(a.At)-at)
	b = appendInt(b, int64(a.Took))
	b = state.VerdictCodes.Append(b, a.Verdict)
	b = appendInt(b, int64(a.Status))
	b = state.AppendText(b, a.Reason)
	b = appendInt(b, int64(a.Sent))
	b = appendInt(b, int64(a.Received))
	b = state.AppendText(b, a.Request)
	return state.AppendText(b, a.Response)
}

func (r *reader) attempt(at int64) (a state.Attempt) {
	a.Repeat = r.Byte() == 1
	a.N = int(r.Uint())
	a.At = fromNanos(at + r.Int())
	a.Took = time.Duration(r.Int())
	a.Verdict = r.Code(state.VerdictCodes)
	a.Status = int(r.Int())
	a.Reason = r.Text()
	a.Sent, a.Received = int(r.Int()), int(r.Int())
	if b := r.bytes(); len(b) > 0 {
		a.Request = append([]byte(nil), b...)
	}
	if b := r.bytes(); len(b) > 0 {
		a.Response = append([]byte(nil), b...)
	}
	return a
}
