package embedded

import (
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// outcome is a committed decision as kept: generations by number, each delivery with the link to its history.
type outcome struct {
	state.Outcome
	generation uint64
	suffixes   []string
	links      []link
}

// appendOutcome writes an outcome. A delivery that its owed record will speak for is written all the same: the record
// is what the commit said, and what its owed record says now is laid over it.
func appendOutcome(b []byte, o *state.Outcome, generation uint64, suffixes []string, links []link) []byte {
	b = append(b, outcomeV1)
	b = appendBytes(b, o.Dead)
	b = appendUint(b, generation)
	b = appendInt(b, nanos(o.At))
	b = appendRules(b, o.Rules)
	b = appendUint(b, uint64(len(o.Deliveries)))
	for i := range o.Deliveries {
		b = appendBytes(b, suffixes[i])
		b = appendLink(b, links[i], o.Deliveries[i].Destination)
		b = appendDelivery(b, &o.Deliveries[i])
	}
	return b
}

func readOutcome(tenant, eventID string, pos uint64, b []byte) (*outcome, error) {
	r := reader{b: b}
	r.version(outcomeV1)
	o := &outcome{Outcome: state.Outcome{Position: pos, Tenant: tenant, EventID: eventID}}
	o.Dead = r.text()
	o.generation = r.uint()
	o.At = fromNanos(r.int())
	o.Rules = r.rules()
	for n := r.count(); n > 0 && !r.bad; n-- {
		suffix, l := r.text(), r.link()
		d := r.delivery()
		d.Tenant, d.EventID, d.ID = tenant, eventID, state.JoinDeliveryID(eventID, suffix)
		o.Deliveries = append(o.Deliveries, d)
		o.suffixes, o.links = append(o.suffixes, suffix), append(o.links, l.or(d.Destination))
	}
	if err := r.err(); err != nil {
		return nil, fmt.Errorf("outcome of event %s: %w", eventID, err)
	}
	return o, nil
}

func appendHold(b []byte, h *state.Hold) []byte {
	b = append(b, holdV1)
	b = state.HoldCodes.Append(b, string(h.Kind))
	b = appendBytes(b, h.Reason)
	b = appendInt(b, nanos(h.Until))
	b = appendBytes(b, h.Fingerprint)
	return appendInt(b, nanos(h.Since))
}

// readHold reads a hold, and when it ends by the store's time; never: not by itself.
func readHold(b []byte) (h state.Hold, till int64, err error) {
	r := reader{b: b}
	r.version(holdV1)
	h.Kind = state.HoldKind(r.code(state.HoldCodes))
	h.Reason = r.text()
	h.Until = fromNanos(r.int())
	h.Fingerprint = r.text()
	h.Since = fromNanos(r.int())
	switch {
	case h.Until.IsZero():
		till = never
	case len(r.b) > 0:
		till = r.int()
	default:
		till = nanos(h.Until)
	}
	return h, till, r.err()
}

// destCounts are a destination's lists in numbers.
type destCounts struct {
	waiting, waitingBytes int64
	dead, deadBytes       int64
	history, failures     int64
}

func appendDest(b []byte, c *destCounts) []byte {
	b = append(b, destV1)
	for _, n := range [...]int64{c.waiting, c.waitingBytes, c.dead, c.deadBytes, c.history, c.failures} {
		b = appendInt(b, n)
	}
	return b
}

func readDest(b []byte) (c destCounts, err error) {
	r := reader{b: b}
	r.version(destV1)
	for _, n := range [...]*int64{&c.waiting, &c.waitingBytes, &c.dead, &c.deadBytes, &c.history, &c.failures} {
		*n = r.int()
	}
	return c, r.err()
}

func appendStat(b []byte, s *state.Stat) []byte {
	b = append(b, statV1)
	n := 0
	for i, c := range s.Latency {
		if c != 0 {
			n = i + 1
		}
	}
	b = appendUint(b, uint64(n))
	for _, c := range s.Latency[:n] {
		b = appendInt(b, c)
	}
	b = appendUint(b, uint64(len(s.Verdicts)))
	for verdict, c := range s.Verdicts {
		b = appendInt(state.VerdictCodes.Append(b, verdict), c)
	}
	return b
}

func (r *reader) stat() (s state.Stat) {
	r.version(statV1)
	n := r.count()
	if n > len(s.Latency) {
		r.fail()
		return s
	}
	for i := range s.Latency[:n] {
		s.Latency[i] = r.int()
	}
	s.Verdicts = map[string]int64{}
	for n := r.count(); n > 0 && !r.bad; n-- {
		verdict := r.code(state.VerdictCodes)
		s.Verdicts[verdict] += r.int()
	}
	return s
}
