package event

import (
	"crypto/sha256"
	"encoding/hex"
)

// VerifiedAPI is Header.Verified of an event that a token of our API published under another source's name than `api`: the
// token's holder vouches for it, and the source proved nothing.
const VerifiedAPI = "api"

// Key spaces keep events of one dedupe key apart by who proves them, strongest first, so that nobody takes the id of an
// event that somebody else proves better. A stronger one has its id to itself; a weaker one is a duplicate of it.
const (
	// provedSpace: the source's own proof passed (hmac, token, basic, path), or it is our API's own source.
	provedSpace = iota
	// vouchedSpace: VerifiedAPI.
	vouchedSpace
	// unprovedSpace: nothing proves it.
	unprovedSpace
	spaces
)

// spaceMarks begin what an id of a weaker proof is the hash of. NUL begins no tenant's name, so no two spaces share an id,
// whatever a key holds.
var spaceMarks = [spaces]string{"", "\x00api\x00", "\x00none\x00"}

// ID is the first 32 hex digits of SHA-256(tenant, NUL, source, NUL, dedupe key): the id of an event that its source
// proved. IDs has those of the others.
func ID(tenant, source, dedupeKey string) string {
	var room [256]byte
	in := append(room[:0], tenant...)
	in = append(append(in, 0), source...)
	in = append(append(in, 0), dedupeKey...)
	sum := sha256.Sum256(in)
	return hex.EncodeToString(sum[:16])
}

// IDs are the ids that events of one dedupe key have, by how well they are proved: strongest first.
func IDs(tenant, source, dedupeKey string) []string { return IDsByProof(ID(tenant, source, dedupeKey)) }

// IDsByProof are the ids of one dedupe key, strongest proof first, from the first of them.
func IDsByProof(strongest string) []string {
	ids := make([]string, spaces)
	for space := range ids {
		ids[space] = inSpace(space, strongest)
	}
	return ids
}

// inSpace is the id that an event has in a key space: that of the strongest proof, or a hash of it.
func inSpace(space int, strongest string) string {
	if space == provedSpace {
		return strongest
	}
	var room [64]byte
	sum := sha256.Sum256(append(append(room[:0], spaceMarks[space]...), strongest...))
	return hex.EncodeToString(sum[:16])
}

// space is the key space that an event belongs to by its proof.
func (h *Header) space() int {
	switch h.Verified {
	case VerifiedAPI:
		return vouchedSpace
	case "none", "":
		return unprovedSpace
	}
	return provedSpace
}

// StrongerIDs are the ids that the same event has where it is better proved, strongest first: while one of them is known,
// this one is a duplicate. It is nil for an event that its source proved.
func (h *Header) StrongerIDs() []string {
	space := h.space()
	if space == provedSpace {
		return nil
	}
	return h.without(IDs(h.Tenant, h.Source, h.DedupeKey)[:space])
}

// StrongestID is the id that the event has where its source proves it: what all events of its dedupe key have in common.
func (h *Header) StrongestID() string {
	if h.space() == provedSpace {
		return h.ID
	}
	return ID(h.Tenant, h.Source, h.DedupeKey)
}

// WeakerIDs are the ids that the same event has where it is less well proved, strongest first.
func (h *Header) WeakerIDs() []string {
	return h.without(IDs(h.Tenant, h.Source, h.DedupeKey)[h.space()+1:])
}

// without leaves out the event's own id: one that was kept before proofs had key spaces has the strongest whatever
// proved it.
func (h *Header) without(ids []string) []string {
	kept := ids[:0]
	for _, id := range ids {
		if id != h.ID {
			kept = append(kept, id)
		}
	}
	return kept
}
