package event

import "strconv"

// ResponseKey identifies the event's response within its tenant; it is empty for an event without a response id. Two events
// are of the same response exactly if their tenants and their keys are equal.
//
// A response id alone identifies nothing: platforms count 1, 2, 3 for each survey. So the key holds the source and the survey
// too, each behind its length, because ids may hold any separator. Events that their source did not prove have other keys than
// those that it did, so that nobody takes a response from a source by naming it.
func (h *Header) ResponseKey() string {
	if h.ResponseID == "" {
		return ""
	}
	b := make([]byte, 0, len(h.Source)+len(h.SurveyID)+len(h.ResponseID)+16)
	switch h.Verified {
	case "hmac", "token", "basic", "path":
	default: // unlike the key of a proved event, it begins with no digit
		b = append(append(b, h.Verified...), '?')
	}
	b = appendCounted(b, h.Source)
	b = appendCounted(b, h.SurveyID)
	return string(append(b, h.ResponseID...))
}

func appendCounted(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	return append(append(b, ':'), s...)
}

// Subject is CloudEvents' subject: the survey's id, and behind a slash the response's. It is made for people: ids may hold
// slashes themselves. ResponseKey tells responses apart.
func (h *Header) Subject() string {
	if h.ResponseID == "" {
		return h.SurveyID
	}
	return h.SurveyID + "/" + h.ResponseID
}
