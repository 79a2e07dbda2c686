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
	eventV2     = 2 // the same, with what is kept of the event's revisions
	timelineV1  = 1
	outcomeV1   = 1
	revisionsV1 = 1
	deliveryV1  = 1
	historyV1   = 1
	holdV1      = 1
	destV1      = 1
	statV1      = 1
)

// terms are what an event is indexed under, and what a scan filters by. They are kept beside the envelope, so that
// retention can take an event out of its indexes without decoding it.
type terms struct {
	tenant, id, kind, source, survey, response string
	received                                   int64
	persons                                    [][]byte
	// revisions are those of an event that was revised, as readRevisions reads them.
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
	b = appendBytes(b, t.tenant)
	b = appendID(b, t.id)
	b = appendBytes(b, t.kind)
	b = appendBytes(b, t.source)
	b = appendBytes(b, t.survey)
	b = appendBytes(b, t.response)
	b = appendUint(b, uint64(len(t.persons)))
	for _, p := range t.persons {
		b = appendBytes(b, p)
	}
	if version == eventV2 {
		b = appendBytes(b, t.revisions)
	}
	b = appendBytes(b, envelope)
	return append(b, raw...)
}

// readEvent shares memory with the record.
func readEvent(b []byte) (t terms, envelope, raw []byte, err error) {
	r := reader{b: b}
	revised := len(b) > 0 && b[0] == eventV2
	if revised {
		r.version(eventV2)
	} else {
		r.version(eventV1)
	}
	t.received = r.int()
	t.tenant, t.id = r.text(), r.id()
	t.kind, t.source, t.survey, t.response = r.text(), r.text(), r.text(), r.text()
	for n := r.count(); n > 0 && !r.bad; n-- {
		t.persons = append(t.persons, r.bytes())
	}
	if revised {
		t.revisions = r.bytes()
	}
	envelope = r.bytes()
	return t, envelope, r.b, r.err()
}

func appendTimeline(b []byte, t *terms, size int) []byte {
	b = append(b, timelineV1)
	b = appendInt(b, t.received)
	b = appendUint(b, uint64(size))
	b = appendBytes(b, t.kind)
	b = appendBytes(b, t.source)
	return appendBytes(b, t.survey)
}

// line is an entry of the timeline; it shares memory with the record.
type line struct {
	received             int64
	size                 int
	kind, source, survey []byte
}

func readTimeline(b []byte) (l line, err error) {
	r := reader{b: b}
	r.version(timelineV1)
	l.received, l.size = r.int(), int(r.uint())
	l.kind, l.source, l.survey = r.bytes(), r.bytes(), r.bytes()
	return l, r.err()
}

// idRecord leads from an id to its event, and is what a duplicate is recognised by.
func appendIDRecord(b []byte, pos uint64, at int64) []byte { return appendInt(appendUint(b, pos), at) }

func readIDRecord(b []byte) (pos uint64, at int64, err error) {
	r := reader{b: b}
	pos, at = r.uint(), r.int()
	return pos, at, r.err()
}

var (
	stateWords = []string{
		string(state.Waiting), string(state.Delivered), string(state.Skipped), string(state.Dead), string(state.Dropped),
	}
	kindWords    = []string{string(state.Rule), string(state.Webhook)}
	verdictWords = []string{"delivered", "skipped", "retry", "rejected", "revoked", "continue"}
	holdWords    = []string{
		string(state.HoldCircuit), string(state.HoldRate), string(state.HoldRevoked), string(state.HoldGone), string(state.HoldPaused),
	}
)

const (
	flagAlone = 1 << iota
	flagLeased
	flagStepIsName // the step has the rule's or webhook's name
	flagStepIsDest // the step has the destination's name
	flagForgiven   // how many attempts are forgiven follows their number
	flagRevision   // the revision that owes it follows those
	flagRef        // Ref follows those
)

// appendDelivery writes all of a delivery but its tenant, its event and its log, which its key and its place say.
func appendDelivery(b []byte, d *state.Delivery) []byte {
	var flags byte
	if d.Alone {
		flags |= flagAlone
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
	b = appendCode(b, stateWords, string(d.State))
	b = appendCode(b, kindWords, string(d.Origin.Kind))
	b = appendBytes(b, d.Origin.Name)
	b = appendBytes(b, d.Destination)
	if flags&(flagStepIsName|flagStepIsDest) == 0 {
		b = appendBytes(b, d.Step)
	}
	b = appendBytes(b, d.Connector)
	b = appendBytes(b, d.Reason)
	b = appendUint(b, uint64(d.Attempts))
	if d.Forgiven > 0 {
		b = appendUint(b, uint64(d.Forgiven))
	}
	if d.Revision > 0 {
		b = appendUint(b, uint64(d.Revision))
	}
	if d.Ref != "" {
		b = appendBytes(b, d.Ref)
	}
	created := nanos(d.Created)
	b = appendInt(b, created)
	b = appendInt(b, nanos(d.Updated)-created)
	return appendInt(b, nanos(d.Due)-created)
}

func (r *reader) delivery() (d state.Delivery) {
	r.version(deliveryV1)
	flags := r.byte()
	d.Alone, d.Leased = flags&flagAlone != 0, flags&flagLeased != 0
	d.State = state.DeliveryState(r.code(stateWords))
	d.Origin.Kind = state.OriginKind(r.code(kindWords))
	d.Origin.Name = r.text()
	d.Destination = r.text()
	switch {
	case flags&flagStepIsName != 0:
		d.Step = d.Origin.Name
	case flags&flagStepIsDest != 0:
		d.Step = d.Destination
	default:
		d.Step = r.text()
	}
	d.Connector, d.Reason = r.text(), r.text()
	d.Attempts = int(r.uint())
	if flags&flagForgiven != 0 {
		d.Forgiven = int(r.uint())
	}
	if flags&flagRevision != 0 {
		d.Revision = int(r.uint())
	}
	if flags&flagRef != 0 {
		d.Ref = r.text()
	}
	created := r.int()
	d.Created = fromNanos(created)
	d.Updated, d.Due = fromNanos(created+r.int()), fromNanos(created+r.int())
	return d
}

// link leads to the newest entry of a delivery's history; zero is none. The destination is where the entry was made: a
// delivery may go elsewhere since its step was changed.
type link struct {
	table byte
	at    int64
	dest  string
}

// appendLink leaves the destination out where it is the delivery's own.
func appendLink(b []byte, l link, own string) []byte {
	if l.table == 0 {
		return append(b, 0)
	}
	b = appendInt(append(b, l.table), l.at)
	if l.dest == own {
		return append(b, 0)
	}
	return appendBytes(b, l.dest)
}

func (r *reader) link() (l link) {
	if l.table = r.byte(); l.table != 0 {
		l.at = r.int()
		l.dest = r.text()
	}
	return l
}

func (l link) or(own string) link {
	if l.table != 0 && l.dest == "" {
		l.dest = own
	}
	return l
}

// owed is a delivery that its event's commit did not finish, as it stands now.
type owed struct {
	state.Delivery
	pos      uint64
	suffix   string
	size     int   // bytes of its event
	at       int64 // when it is due, by the store's time; Due is the caller's word for it
	newest   link  // of its history
	failedAt int64 // newest entry in failures; noTime is none
}

func (o *owed) open() bool { return o.State == state.Waiting || o.State == state.Dead }

func appendOwed(b []byte, o *owed) []byte {
	b = appendID(b, o.EventID)
	b = appendUint(b, uint64(o.size))
	b = appendLink(b, o.newest, o.Destination)
	b = appendInt(b, o.failedAt)
	b = appendDelivery(b, &o.Delivery)
	if o.State == state.Waiting && o.at != nanos(o.Due) {
		b = appendInt(b, o.at) // the clock had stepped; former versions read up to here
	}
	return b
}

func readOwed(tenant string, pos uint64, suffix string, b []byte) (*owed, error) {
	r := reader{b: b}
	o := &owed{pos: pos, suffix: suffix}
	id := r.id()
	o.size = int(r.uint())
	o.newest, o.failedAt = r.link(), r.int()
	o.Delivery = r.delivery()
	if o.at = nanos(o.Due); len(r.b) > 0 {
		o.at = r.int()
	}
	o.newest = o.newest.or(o.Destination)
	o.Tenant, o.EventID, o.ID = tenant, id, deliveryID(id, suffix)
	if err := r.err(); err != nil {
		return nil, fmt.Errorf("delivery %s: %w", o.ID, err)
	}
	return o, nil
}

// entry is what one commit said of a delivery.
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

func readEntry(tenant string, p place, b []byte) (*entry, error) {
	r := reader{b: b}
	r.version(historyV1)
	e := &entry{}
	id := r.id()
	e.before = r.link()
	e.Delivery = r.delivery()
	e.before = e.before.or(e.Destination)
	e.Tenant, e.EventID, e.ID = tenant, id, deliveryID(id, p.suffix)
	for n := r.count(); n > 0 && !r.bad; n-- {
		e.Log = append(e.Log, r.attempt(p.at))
	}
	if err := r.err(); err != nil {
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
	b = appendCode(b, verdictWords, a.Verdict)
	b = appendInt(b, int64(a.Status))
	b = appendBytes(b, a.Reason)
	b = appendInt(b, int64(a.Sent))
	b = appendInt(b, int64(a.Received))
	b = appendBytes(b, a.Request)
	return appendBytes(b, a.Response)
}

func (r *reader) attempt(at int64) (a state.Attempt) {
	a.Repeat = r.byte() == 1
	a.N = int(r.uint())
	a.At = fromNanos(at + r.int())
	a.Took = time.Duration(r.int())
	a.Verdict = r.code(verdictWords)
	a.Status = int(r.int())
	a.Reason = r.text()
	a.Sent, a.Received = int(r.int()), int(r.int())
	if b := r.bytes(); len(b) > 0 {
		a.Request = append([]byte(nil), b...)
	}
	if b := r.bytes(); len(b) > 0 {
		a.Response = append([]byte(nil), b...)
	}
	return a
}

func deliveryID(eventID, suffix string) string { return "dl_" + eventID + "_" + suffix }
