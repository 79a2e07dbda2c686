package embedded

import (
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// outcome is a committed decision as it is stored: the generation by number, each delivery with a link to its history.
type outcome struct {
	state.Outcome
	generation uint64
	suffixes   []string
	links      []link
}

// appendOutcome writes an outcome with all its deliveries, as they were at the commit. Those with a record of their own in
// tabOwed are replaced by it when they are read.
func appendOutcome(b []byte, o *state.Outcome, generation uint64, suffixes []string, links []link) []byte {
	b = append(b, outcomeV1)
	b = state.AppendText(b, o.Dead)
	b = appendUint(b, generation)
	b = appendInt(b, nanos(o.At))
	b = appendRules(b, o.Rules)
	b = appendUint(b, uint64(len(o.Deliveries)))
	for i := range o.Deliveries {
		b = state.AppendText(b, suffixes[i])
		b = appendLink(b, links[i], o.Deliveries[i].Destination)
		b = appendDelivery(b, &o.Deliveries[i])
	}
	return b
}

func readOutcome(tenant, eventID string, pos uint64, b []byte) (*outcome, error) {
	r := readerOf(b)
	r.Version(outcomeV1)
	o := &outcome{Outcome: state.Outcome{Position: pos, Tenant: tenant, EventID: eventID}}
	o.Dead = r.Text()
	o.generation = r.Uint()
	o.At = fromNanos(r.Int())
	o.Rules = r.rules()
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		suffix, l := r.Text(), r.link()
		d := r.delivery()
		d.Tenant, d.EventID, d.ID = tenant, eventID, state.JoinDeliveryID(eventID, suffix)
		o.Deliveries = append(o.Deliveries, d)
		o.suffixes, o.links = append(o.suffixes, suffix), append(o.links, l.withDest(d.Destination))
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("outcome of event %s: %w", eventID, err)
	}
	return o, nil
}

func appendHold(b []byte, h *state.Hold) []byte {
	b = append(b, holdV1)
	b = state.HoldCodes.Append(b, string(h.Kind))
	b = state.AppendText(b, h.Reason)
	b = appendInt(b, nanos(h.Until))
	b = state.AppendText(b, h.Fingerprint)
	return appendInt(b, nanos(h.Since))
}

// readHold reads a hold, and when it ends by the store's clock; never: not by itself.
func readHold(b []byte) (h state.Hold, till int64, err error) {
	r := readerOf(b)
	r.Version(holdV1)
	h.Kind = state.HoldKind(r.Code(state.HoldCodes))
	h.Reason = r.Text()
	h.Until = fromNanos(r.Int())
	h.Fingerprint = r.Text()
	h.Since = fromNanos(r.Int())
	switch {
	case h.Until.IsZero():
		till = never
	case len(r.Rest) > 0:
		till = r.Int()
	default:
		till = nanos(h.Until)
	}
	return h, till, r.Err()
}

// destCounts are the lengths and sizes of a destination's lists.
type destCounts struct {
	waiting, waitingBytes int64
	dead, deadBytes       int64
	history, failures     int64
}

// appendDest writes the counts, and up to when the destination has entries of rules that are not in tabRule (destRules).
func appendDest(b []byte, c *destCounts, unknownTo int64) []byte {
	b = append(b, destV1)
	for _, n := range [...]int64{c.waiting, c.waitingBytes, c.dead, c.deadBytes, c.history, c.failures} {
		b = appendInt(b, n)
	}
	// Former versions read and write only up to here. If one of them wrote last, what follows is missing.
	switch unknownTo {
	case noTime:
		unknownTo = 0
	case 0:
		unknownTo = 1
	}
	return appendInt(b, unknownTo)
}

// readDest returns in unknownTo unlooked if a former version wrote the record last.
func readDest(b []byte) (c destCounts, unknownTo int64, err error) {
	r := readerOf(b)
	r.Version(destV1)
	for _, n := range [...]*int64{&c.waiting, &c.waitingBytes, &c.dead, &c.deadBytes, &c.history, &c.failures} {
		*n = r.Int()
	}
	if unknownTo = unlooked; len(r.Rest) > 0 {
		if unknownTo = r.Int(); unknownTo == 0 {
			unknownTo = noTime
		}
	}
	return c, unknownTo, r.Err()
}
