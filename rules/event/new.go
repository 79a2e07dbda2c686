package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Schema is the name of the data's schema, CloudEvents' attribute dataschema.
const Schema = "urn:surveygate:schema:survey-event:1"

// The tenant and the source of an event that names none.
const (
	DefaultTenant = "default"
	DefaultSource = "api"
)

// New returns a new event. It completes the header (names, id, dedupe key, times in UTC) and a copy of the data (see
// Data.Complete), and writes the envelope. It keeps raw.Body, which must not be changed, but neither d nor anything that d refers
// to.
//
// If the header has no dedupe key, the SHA-256 of the body becomes the key, or that of the data if there is no body. New returns
// an error for a type that is not canonical, an invalid tenant or source, a missing time of receipt, or ErrTooManyAnswers.
func New(h Header, d *Data, raw Raw) (*Event, error) {
	h.Revision, h.Erased = 0, time.Time{}
	return build(h, d, raw, "")
}

// build is New with an id that replaces the one made from the dedupe key, unless it is empty.
func build(h Header, d *Data, raw Raw, id string) (*Event, error) {
	w := scratches.Get().(*scratch)
	defer w.put()
	if d != nil {
		w.data = *d
	}
	data := &w.data
	data.Complete(nil)
	if len(data.Response.Answers) > MaxAnswers {
		return nil, ErrTooManyAnswers
	}
	if data.Survey.ID == "" {
		data.Survey.ID = h.SurveyID
	}
	if data.Response.ID == "" {
		data.Response.ID = h.ResponseID
	}
	h.SurveyID, h.ResponseID = data.Survey.ID, data.Response.ID
	if raw.SHA256 == "" {
		sum := sha256.Sum256(raw.Body)
		raw.SHA256 = hex.EncodeToString(sum[:])
	}
	if raw.ContentType == "" {
		raw.ContentType = "application/json"
	}
	raw.ContentType = valid(raw.ContentType)
	raw.AnswersAt, raw.LeadsAt = validAll(raw.AnswersAt), validAll(raw.LeadsAt)
	if h.DedupeKey == "" {
		if h.DedupeKey = raw.SHA256; len(raw.Body) == 0 {
			body, _, err := appendData(nil, data, &raw)
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256(body)
			h.DedupeKey = hex.EncodeToString(sum[:])
		}
	}
	if err := h.complete(); err != nil {
		return nil, err
	}
	if id != "" {
		h.ID = id
	}
	out := appendHeader(w.out[:0], &h)
	e := &Event{Header: h, Raw: raw, dataAt: len(out)}
	out, rawEnd, err := appendData(out, data, &raw)
	w.out = out
	if err != nil {
		return nil, err
	}
	e.dataEnd, e.rawEnd = len(out), rawEnd
	w.out = append(out, '}')
	e.envelope = bytes.Clone(w.out)
	return e, nil
}

// scratch is reusable memory for New. Only a copy of the finished envelope leaves it.
type scratch struct {
	data Data
	out  []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{out: make([]byte, 0, 4<<10)} }}

func (w *scratch) put() {
	w.data = Data{}
	if cap(w.out) > 256<<10 {
		return // the pool must not keep the memory of one huge event
	}
	scratches.Put(w)
}

func (h *Header) complete() error {
	if h.Tenant == "" {
		h.Tenant = DefaultTenant
	}
	if h.Source == "" {
		h.Source = DefaultSource
	}
	if h.SourceKind == "" {
		h.SourceKind = DefaultSource
	}
	if h.Verified == "" {
		h.Verified = "none"
	}
	switch {
	case !IsCanonical(h.Type):
		return fmt.Errorf("event type %q is not canonical", clip(h.Type))
	case strings.ContainsAny(h.Tenant, "/\x00") || strings.ContainsAny(h.Source, "/\x00"):
		return errors.New("name of the event's tenant or source holds a slash or NUL")
	case h.Received.IsZero():
		return errors.New("event without time of receipt")
	}
	switch h.Verified {
	case "hmac", "token", "basic", "path", "none", VerifiedAPI:
	default:
		return fmt.Errorf("event verified by %q", clip(h.Verified))
	}
	received := h.Received.UTC()
	h.Received = received.Truncate(time.Millisecond)
	if h.Time = h.Time.UTC(); h.Time.IsZero() || !inRange(h.Time) {
		h.Time = h.Received
	}
	for _, s := range []*string{&h.Tenant, &h.Source, &h.SourceKind, &h.OrigType, &h.OrigID, &h.DedupeKey, &h.SurveyID, &h.ResponseID} {
		*s = valid(*s)
	}
	h.ID = inSpace(h.space(), ID(h.Tenant, h.Source, h.DedupeKey))
	return nil
}

// valid returns text as it is written to the envelope: each byte that is not UTF-8 becomes U+FFFD. The new event must equal the
// one that is decoded later.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func validAll(all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, valid(s))
	}
	return out
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// TestDedupeKey returns the dedupe key of an event of type test. It contains the time of receipt, so that a test event is never a
// duplicate: otherwise the second press of a test button would seem to fail.
func TestDedupeKey(key string, received time.Time) string {
	return key + ":" + received.UTC().Format(time.RFC3339Nano)
}

// Envelope returns the event as CloudEvents JSON, without raw.body. It must not be changed.
func (e *Event) Envelope() []byte { return e.envelope }

// DataJSON returns the bytes of the object `data` within Envelope. It must not be changed.
func (e *Event) DataJSON() []byte { return e.envelope[e.dataAt:e.dataEnd:e.dataEnd] }

// Size returns the size of the stored event in bytes: the envelope and the raw bytes.
func (e *Event) Size() int { return len(e.envelope) + len(e.Raw.Body) }

// EnvelopeWithRaw returns the envelope with raw.body, the original bytes as text or in base64, for API responses that show one
// event. If the raw bytes were not loaded, it returns the envelope.
func (e *Event) EnvelopeWithRaw() []byte {
	if len(e.Raw.Body) == 0 || e.rawEnd == 0 {
		return e.envelope
	}
	out := make([]byte, 0, len(e.envelope)+len(e.Raw.Body)*5/4+16)
	out = append(append(out, e.envelope[:e.rawEnd]...), `,"body":`...)
	if encoding(e.Raw.Body) == "utf8" {
		out = appendText(out, string(e.Raw.Body))
	} else {
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, e.Raw.Body)
		out = append(out, '"')
	}
	return append(out, e.envelope[e.rawEnd:]...)
}
