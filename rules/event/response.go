package event

import "strconv"

// ResponseKey returns a key that identifies the event's response within its tenant; "" for an event without a response id. Two
// events belong to the same response if and only if their tenants and keys are equal.
//
// A response id is not unique by itself, because platforms number the responses of each survey from 1. So the key contains the
// source and the survey too, each with its length before it, because ids may contain any separator. Events that their source did
// not prove have different keys, so that a publisher cannot add to a source's response by naming the source.
func (h *Header) ResponseKey() string {
	if h.ResponseID == "" {
		return ""
	}
	b := make([]byte, 0, len(h.Source)+len(h.SurveyID)+len(h.ResponseID)+16)
	switch h.Verified {
	case "hmac", "token", "basic", "path":
	default: // the key of a proved event begins with a digit; this one does not
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

// Subject returns CloudEvents' attribute subject: the survey's id, and the response's id after a slash. It is meant for people
// and may be ambiguous, because ids may contain slashes. ResponseKey identifies a response.
func (h *Header) Subject() string {
	if h.ResponseID == "" {
		return h.SurveyID
	}
	return h.SurveyID + "/" + h.ResponseID
}
