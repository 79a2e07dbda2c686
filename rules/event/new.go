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

// Schema names the shape of data, as CloudEvents' dataschema.
const Schema = "urn:surveygate:schema:survey-event:1"

// Where nobody says otherwise.
const (
	DefaultTenant = "default"
	DefaultSource = "api"
)

// New makes an event. It completes the header (names, id, dedupe key, times in UTC) and a copy of the
// data (see Data.Complete), and writes the envelope once. Neither d nor what it refers to is kept; raw.Body is.
//
// Without a dedupe key the hash of the body is the key, and without a body that of the data.
func New(h Header, d *Data, raw Raw) (*Event, error) {
	h.Revision = 0
	return build(h, d, raw, "")
}

// build is New; an id that is given stands instead of the one that the dedupe key makes.
func build(h Header, d *Data, raw Raw, id string) (*Event, error) {
	w := workshops.Get().(*workshop)
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

// workshop is what New works in: it is left behind, and only the finished envelope is carried out.
type workshop struct {
	data Data
	out  []byte
}

var workshops = sync.Pool{New: func() any { return &workshop{out: make([]byte, 0, 4<<10)} }}

func (w *workshop) put() {
	w.data = Data{}
	if cap(w.out) > 256<<10 {
		return // one huge event should not keep its memory for ever
	}
	workshops.Put(w)
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
	if h.Time = h.Time.UTC(); h.Time.IsZero() || h.Time.Year() < 0 || h.Time.Year() > 9999 {
		h.Time = h.Received
	}
	for _, s := range []*string{&h.Tenant, &h.Source, &h.SourceKind, &h.OrigType, &h.OrigID, &h.DedupeKey, &h.SurveyID, &h.ResponseID} {
		*s = valid(*s)
	}
	h.ID = inSpace(h.space(), ID(h.Tenant, h.Source, h.DedupeKey))
	return nil
}

// valid is what text becomes by being written: each byte that is not UTF-8 is U+FFFD. What is in hand must
// be what is read back later.
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

// TestDedupeKey is the dedupe key of an event of type test, which is never a duplicate: the second press of a
// test button would look broken.
func TestDedupeKey(key string, received time.Time) string {
	return key + ":" + received.UTC().Format(time.RFC3339Nano)
}

// Envelope is the event as CloudEvents JSON, without raw.body. It must not be changed.
func (e *Event) Envelope() []byte { return e.envelope }

// DataJSON is the `data` object's bytes within Envelope. It must not be changed.
func (e *Event) DataJSON() []byte { return e.envelope[e.dataAt:e.dataEnd:e.dataEnd] }

// Size is how many bytes the event is kept with: the envelope and the raw bytes.
func (e *Event) Size() int { return len(e.envelope) + len(e.Raw.Body) }

// EnvelopeWithRaw is the envelope with raw.body, the exact bytes as text or in base64: for answers that show one event. Where the
// raw bytes were not loaded it is the envelope.
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
