package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Revise returns the next revision of the event before, with the content of today, which is the result of normalising the same
// raw bytes again. It keeps the id, tenant, source, dedupe key, proof, time of receipt and raw bytes of before; everything else
// is from today. Neither event is changed.
func Revise(before, today *Event) (*Event, error) {
	h := today.Header
	h.Tenant, h.Source, h.Received = before.Tenant, before.Source, before.Received
	h.Erased = time.Time{}
	h.DedupeKey, h.Verified, h.Revision = before.DedupeKey, before.Verified, before.Revision+1
	if h.Time.Equal(h.Received) && before.Time.Truncate(time.Millisecond).Equal(before.Received) {
		h.Time = before.Time // the body has no time, so it is the time of receipt, which the header holds in milliseconds
	}
	raw := before.Raw
	raw.AnswersAt, raw.LeadsAt = today.Raw.AnswersAt, today.Raw.LeadsAt
	return build(h, today.Data(), raw, before.ID)
}

// Differences returns the names of the fields that differ between two revisions of an event: first those of the header, then
// those of the data, as sorted paths such as `response.score.nps`. It ignores Warnings and Unread, because a newer version may
// word them differently, or find more.
func Differences(a, b *Event) []string {
	var names []string
	add := func(name string, same bool) {
		if !same {
			names = append(names, name)
		}
	}
	add("type", a.Type == b.Type)
	add("time", a.Time.Equal(b.Time))
	add("sourcekind", a.SourceKind == b.SourceKind)
	add("origtype", a.OrigType == b.OrigType)
	add("origid", a.OrigID == b.OrigID)
	add("raw.answers_at", slices.Equal(a.Raw.AnswersAt, b.Raw.AnswersAt))
	add("raw.leads_at", slices.Equal(a.Raw.LeadsAt, b.Raw.LeadsAt))
	return append(names, dataDifferences(a.Data(), b.Data())...)
}

// dataDifferences compares the JSON of the two, without Warnings and Unread.
func dataDifferences(a, b *Data) []string {
	was, is := *a, *b
	was.Warnings, is.Warnings = nil, nil
	was.Unread, is.Unread = nil, nil
	before, err := json.Marshal(&was)
	if err != nil {
		return []string{"data"}
	}
	after, err := json.Marshal(&is)
	if err != nil {
		return []string{"data"}
	}
	if bytes.Equal(before, after) {
		return nil
	}
	var names []string
	compare("", before, after, &names)
	slices.Sort(names)
	return names
}

// compare compares objects member by member, down to two levels, and three for scores. An array is one field.
func compare(path string, before, after json.RawMessage, names *[]string) {
	if bytes.Equal(before, after) {
		return
	}
	var was, is map[string]json.RawMessage
	if open := path == "" || path == "response.score" || !bytes.Contains([]byte(path), []byte(".")); !open ||
		before != nil && json.Unmarshal(before, &was) != nil || after != nil && json.Unmarshal(after, &is) != nil {
		*names = append(*names, path)
		return
	}
	for key := range was {
		compare(join(path, key), was[key], is[key], names)
	}
	for key := range is {
		if _, both := was[key]; !both {
			compare(join(path, key), nil, is[key], names)
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// WithRevision returns the same event with another revision number, so that the bytes of two revisions can be compared.
func (e *Event) WithRevision(revision int) (*Event, error) {
	if e.Revision == revision {
		return e, nil
	}
	h := e.Header
	h.Revision = revision
	return build(h, e.Data(), e.Raw, e.ID)
}
