package event

import "time"

// erasedKey is the dedupe key of every event whose content was erased. The readable key may name a person; ID, its hash, stays.
const erasedKey = "erased"

// Erase returns what stays of an event whose content is erased at a time: id, tenant, source, type, survey, times, proof and
// revision. Its data has the survey's id alone, and its raw bytes are empty. The event before is not changed.
func Erase(before *Event, at time.Time) (*Event, error) {
	return build(Header{
		Tenant: before.Tenant, Source: before.Source, SourceKind: before.SourceKind, Type: before.Type, SurveyID: before.SurveyID,
		Time: before.Time, Received: before.Received, DedupeKey: erasedKey, Verified: before.Verified, Revision: before.Revision,
		Erased: at.UTC().Truncate(time.Millisecond),
	}, nil, Raw{}, before.ID)
}

// IsErased reports whether the content was erased.
func (h *Header) IsErased() bool { return !h.Erased.IsZero() }
