package event

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Revise makes the next revision of an event: what its raw bytes say as they are read today. It keeps who the event is (its
// id, tenant, source, dedupe key, proof and time of receipt) and the raw bytes as they were kept; everything else is
// today's. Neither event is changed.
func Revise(before, today *Event) (*Event, error) {
	h := today.Header
	h.Tenant, h.Source, h.Received = before.Tenant, before.Source, before.Received
	h.DedupeKey, h.Verified, h.Revision = before.DedupeKey, before.Verified, before.Revision+1
	if h.Time.Equal(h.Received) && before.Time.Truncate(time.Millisecond).Equal(before.Received) {
		h.Time = before.Time // the body says none: it is the time of receipt, which the header keeps in milliseconds
	}
	raw := before.Raw
	raw.AnswersAt, raw.LeadsAt = today.Raw.AnswersAt, today.Raw.LeadsAt
	return build(h, today.Data(), raw, before.ID)
}

// Differences are the names of what two revisions of an event say differently, in the order of an event's fields: of the
// header, and of the data as paths such as `response.score.nps`. Warnings and what is unread do not count: a newer version
// may word them differently, or find more.
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

// dataDifferences compares what the two are written as, but for what is told of how the body was read.
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

// compare goes into objects, two levels deep and into scores; an array is one field.
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

// WithRevision is the same event under another number of its revisions, for comparing what two of them are written as.
func (e *Event) WithRevision(revision int) (*Event, error) {
	if e.Revision == revision {
		return e, nil
	}
	h := e.Header
	h.Revision = revision
	return build(h, e.Data(), e.Raw, e.ID)
}
