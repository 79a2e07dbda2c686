package stream

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// letter is the raw body of the dead letter of an entry.
type letter struct {
	Stream string `json:"stream"`
	Entry  string `json:"entry"`
	// Encoding is base64 if a name or value is not UTF-8: then all of them are encoded.
	Encoding string            `json:"encoding,omitempty"`
	Fields   map[string]string `json:"fields"`
	// Truncated means that the entry was too large and values were cut.
	Truncated bool `json:"truncated,omitempty"`
}

// maxKept is how many bytes of each field are kept of an entry that is too large.
const maxKept = 4 << 10

// letterOf makes the dead letter of an entry: an event of its source that can only be viewed and read again. The same entry
// makes the same letter, so reading it twice adds one.
func letterOf(s *config.Source, e entry, why error, now time.Time) (*event.Event, error) {
	l := letter{Stream: s.Stream.Name, Entry: e.ID, Fields: map[string]string{}}
	size, sound := 0, true
	for name, value := range e.Fields {
		size += len(name) + len(value)
		sound = sound && utf8.ValidString(name) && utf8.ValidString(value)
	}
	l.Truncated = size > MaxEntry
	if !sound {
		l.Encoding = "base64"
	}
	kept := 0
	for name, value := range e.Fields {
		if l.Truncated {
			if kept++; kept > 64 {
				break
			}
			name, value = name[:min(len(name), 256)], value[:min(len(value), maxKept)]
		}
		if !sound {
			name, value = base64.StdEncoding.EncodeToString([]byte(name)), base64.StdEncoding.EncodeToString([]byte(value))
		}
		l.Fields[name] = value
	}
	body, err := event.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("dead letter of an entry: %w", err)
	}
	return event.New(event.Header{
		Tenant: s.Tenant, Source: s.Name, SourceKind: s.Receiver.Profile.Name, Type: event.TypeEntry,
		Received: now, OrigType: s.Stream.Name, OrigID: e.ID,
		DedupeKey: "entry:" + s.Stream.Name + ":" + e.ID + ":" + sum(e.Fields),
	}, &event.Data{Warnings: []string{why.Error()}}, event.Raw{ContentType: "application/json", Body: body})
}

// ErrCut means that a dead letter cannot be read again, because its entry was truncated.
var ErrCut = errors.New("too little of this entry was kept to read it again: it was too large")

// Reread reads the entry of a dead letter with the present source. The error says why that still fails; it wraps ErrCut if it
// always will.
func Reread(s *config.Source, dead *event.Event, now time.Time) ([]*event.Event, error) {
	e, err := entryOf(dead)
	if err != nil {
		return nil, err
	}
	return read(s, e, now)
}

func entryOf(dead *event.Event) (entry, error) {
	var l letter
	if err := json.Unmarshal(dead.Raw.Body, &l); err != nil {
		return entry{}, fmt.Errorf("dead letter of an entry: %w", err)
	}
	if l.Truncated {
		return entry{}, ErrCut
	}
	e := entry{ID: l.Entry, Reads: 1, Fields: l.Fields}
	if l.Encoding != "base64" {
		return e, nil
	}
	e.Fields = map[string]string{}
	for name, value := range l.Fields {
		n, err := base64.StdEncoding.DecodeString(name)
		if err != nil {
			return entry{}, fmt.Errorf("dead letter of an entry: %w", err)
		}
		v, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return entry{}, fmt.Errorf("dead letter of an entry: %w", err)
		}
		e.Fields[string(n)] = string(v)
	}
	return e, nil
}
