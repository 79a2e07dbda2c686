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

// letter is the raw body of a dead letter of kind entry: the entry as it was.
type letter struct {
	Stream string `json:"stream"`
	Entry  string `json:"entry"`
	// Encoding is base64 where a name or a value is no UTF-8: then all of them are written so.
	Encoding string            `json:"encoding,omitempty"`
	Fields   map[string]string `json:"fields"`
	// Truncated says that values were cut: the entry was too large to be kept.
	Truncated bool `json:"truncated,omitempty"`
}

// maxKept is how much of each field is kept of an entry that is too large.
const maxKept = 4 << 10

// letterOf is the dead letter of an entry: an event of its source that nothing but looking at it and reading it again can
// be done with. The same entry gives the same letter, so that reading it twice makes one.
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

// ErrCut says that a dead letter cannot be read again, because too little of its entry was kept.
var ErrCut = errors.New("too little of this entry was kept to read it again: it was too large")

// Again reads the entry of a dead letter through its source as that is today. The error says why it is still none, and
// wraps ErrCut where it never will be.
func Again(s *config.Source, dead *event.Event, now time.Time) ([]*event.Event, error) {
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
