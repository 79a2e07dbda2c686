package event

import (
	"crypto/sha256"
	"encoding/hex"
)

// VerifiedAPI is Header.Verified of an event that was published to the gateway's API under the name of another source than `api`:
// the token's holder vouches for it, but the source did not prove it.
const VerifiedAPI = "api"

// Key spaces separate the ids of events with the same dedupe key by the kind of their proof, strongest first. So a publisher
// cannot occupy the id of an event that another sender proves better. An event with a weaker proof is a duplicate of one with a
// stronger proof.
const (
	// provedSpace: the source proved the event (hmac, token, basic, path), or it is the API's own source.
	provedSpace = iota
	// vouchedSpace: VerifiedAPI.
	vouchedSpace
	// unprovedSpace: without proof.
	unprovedSpace
	spaces
)

// spaceMarks are the prefixes that are hashed into the ids of weaker proofs. A tenant's name cannot begin with NUL, so the ids of
// two spaces never collide, whatever the dedupe key contains.
var spaceMarks = [spaces]string{"", "\x00api\x00", "\x00none\x00"}

// ID returns the id of an event that its source proved: the first 32 hex digits of SHA-256(tenant, NUL, source, NUL, dedupe key).
// IDs returns those of events with a weaker proof too.
func ID(tenant, source, dedupeKey string) string {
	var buf [256]byte
	in := append(buf[:0], tenant...)
	in = append(append(in, 0), source...)
	in = append(append(in, 0), dedupeKey...)
	sum := sha256.Sum256(in)
	return hex.EncodeToString(sum[:16])
}

// IDs returns the ids that events with one dedupe key can have, one for each kind of proof, strongest first.
func IDs(tenant, source, dedupeKey string) []string { return IDsByProof(ID(tenant, source, dedupeKey)) }

// IDsByProof returns the same ids as IDs, derived from the first of them.
func IDsByProof(strongest string) []string {
	ids := make([]string, spaces)
	for space := range ids {
		ids[space] = inSpace(space, strongest)
	}
	return ids
}

// inSpace returns the id in a key space: the id of the strongest proof, or a hash of it.
func inSpace(space int, strongest string) string {
	if space == provedSpace {
		return strongest
	}
	var buf [64]byte
	sum := sha256.Sum256(append(append(buf[:0], spaceMarks[space]...), strongest...))
	return hex.EncodeToString(sum[:16])
}

// space returns the key space of the event's proof.
func (h *Header) space() int {
	switch h.Verified {
	case VerifiedAPI:
		return vouchedSpace
	case "none", "":
		return unprovedSpace
	}
	return provedSpace
}

// StrongerIDs returns the ids that the event would have with a stronger proof, strongest first. If one of them is known, this
// event is a duplicate. It returns nil for an event that its source proved.
func (h *Header) StrongerIDs() []string {
	space := h.space()
	if space == provedSpace {
		return nil
	}
	return h.without(IDs(h.Tenant, h.Source, h.DedupeKey)[:space])
}

// StrongestID returns the id that the event would have if its source proved it. It is the same for all events with one dedupe
// key.
func (h *Header) StrongestID() string {
	if h.space() == provedSpace {
		return h.ID
	}
	return ID(h.Tenant, h.Source, h.DedupeKey)
}

// WeakerIDs returns the ids that the event would have with a weaker proof, strongest first.
func (h *Header) WeakerIDs() []string {
	return h.without(IDs(h.Tenant, h.Source, h.DedupeKey)[h.space()+1:])
}

// without removes the event's own id. An event that was stored before key spaces existed has the strongest id, whatever its
// proof.
func (h *Header) without(ids []string) []string {
	kept := ids[:0]
	for _, id := range ids {
		if id != h.ID {
			kept = append(kept, id)
		}
	}
	return kept
}
