package event

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Decode returns the event of a stored envelope and its raw bytes, which may be nil if they were not loaded. Both are kept and
// must not be changed. For an envelope in the form that New writes, it reads only the header, in one pass; any other envelope is
// checked completely.
func Decode(envelope, raw []byte) (*Event, error) {
	e := &Event{envelope: envelope, Raw: Raw{Body: raw}}
	if e.decodeOurs() {
		return e, nil
	}
	*e = Event{envelope: envelope, Raw: Raw{Body: raw}}
	if err := e.decodeAny(); err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	return e, nil
}

// reader parses exactly the form that appendHeader and appendData write.
type reader struct {
	b    []byte
	text string // the same bytes
	i    int
	bad  bool
	copy string
}

func (r *reader) try(literal string) bool {
	if r.bad || !strings.HasPrefix(r.text[r.i:], literal) {
		return false
	}
	r.i += len(literal)
	return true
}

func (r *reader) want(literal string) {
	if !r.try(literal) {
		r.bad = true
	}
}

// string reads a JSON string.
func (r *reader) string() string {
	if !r.try(`"`) {
		r.bad = true
		return ""
	}
	n := strings.IndexByte(r.text[r.i:], '"')
	if n < 0 {
		r.bad = true
		return ""
	}
	s := r.text[r.i : r.i+n]
	if strings.IndexByte(s, '\\') < 0 {
		r.i += n + 1
		return s
	}
	// Something is escaped, possibly the quote that was found.
	for i := r.i; i < len(r.text); i++ {
		switch r.text[i] {
		case '\\':
			i++
		case '"':
			s := jsonpath.Parse(r.b[r.i-1 : i+1]).Text()
			r.i = i + 1
			return s
		}
	}
	r.bad = true
	return ""
}

func (r *reader) optional(literal string) string {
	if r.try(literal) {
		return r.string()
	}
	return ""
}

// number reads digits.
func (r *reader) number() int {
	n := strings.IndexFunc(r.text[r.i:], func(c rune) bool { return c < '0' || c > '9' })
	v, err := strconv.Atoi(r.text[r.i : r.i+max(n, 0)])
	if err != nil {
		r.bad = true
		return 0
	}
	r.i += n
	return v
}

func (r *reader) time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, r.string())
	if err != nil {
		r.bad = true
	}
	return t
}

func (r *reader) texts(literal string) []string {
	if !r.try(literal) {
		return nil
	}
	all := []string{r.string()}
	for r.try(",") {
		all = append(all, r.string())
	}
	r.want("]")
	return all
}

// decodeOurs reads the header of an envelope in exactly the form that New writes. It returns false for any other form, which may
// be valid too.
func (e *Event) decodeOurs() bool {
	b := e.envelope
	if len(b) < len(headID) || !bytes.HasSuffix(b, []byte("}}")) {
		return false
	}
	r := reader{b: b, text: unsafe.String(unsafe.SliceData(b), len(b))}
	h := &e.Header
	r.want(headID)
	h.ID = r.string()
	r.want(headSource)
	source := r.string()
	r.want(headType)
	h.Type = r.string()
	r.optional(headSubject)
	r.want(headTime)
	h.Time = r.time()
	r.want(headContent)
	h.Tenant = r.string()
	r.want(headKind)
	h.SourceKind = r.string()
	h.OrigType = r.optional(headOrigType)
	h.OrigID = r.optional(headOrigID)
	r.want(headKey)
	h.DedupeKey = r.string()
	r.want(headReceived)
	h.Received = r.time()
	r.want(headVerified)
	h.Verified = r.string()
	if r.try(headRevision) {
		h.Revision = r.number()
	}
	if r.try(headErased) {
		h.Erased = r.time()
	}
	r.want(headData)
	e.dataAt, e.dataEnd = r.i, len(b)-1

	r.want(`{"raw":{"content_type":`)
	e.Raw.ContentType = r.string()
	r.want(`,"encoding":`)
	r.string()
	r.want(`,"sha256":`)
	e.Raw.SHA256 = r.string()
	e.Raw.Redacted = r.try(`,"redacted":true`)
	e.Raw.AnswersAt = r.texts(`,"answers_at":[`)
	e.Raw.LeadsAt = r.texts(`,"leads_at":[`)
	e.rawEnd = r.i
	r.want(`}`)

	if r.try(`,"account":{"id":`) {
		r.string()
		r.want(`}`)
	}
	if r.try(`,"survey":{`) {
		if r.try(`"id":`) {
			h.SurveyID = r.string()
			r.try(`,`)
		}
		for _, key := range [...]string{`"title":`, `"type":`, `"version":`} {
			if r.try(key) {
				r.string()
				r.try(`,`)
			}
		}
		r.want(`}`)
	}
	switch {
	case r.try(`,"response":{`):
		if r.try(`"id":`) {
			h.ResponseID = r.string()
		}
	case r.try(`,"respondent":`), r.try(`,"context":`), r.try(`,"warnings":`), r.try(`,"unread":`), r.try(`}`):
	default:
		r.bad = true
	}
	rest, ok := strings.CutPrefix(source, sourcePrefix)
	if r.bad || !ok {
		return false
	}
	tenant, name, ok := strings.Cut(rest, sourceMiddle)
	h.Source = name
	r.own(&h.ID, &h.Tenant, &h.Source, &h.SourceKind, &h.Type, &h.SurveyID, &h.ResponseID, &h.OrigType, &h.OrigID,
		&h.DedupeKey, &h.Verified, &e.Raw.ContentType, &e.Raw.SHA256)
	for _, paths := range [][]string{e.Raw.AnswersAt, e.Raw.LeadsAt} {
		for i := range paths {
			r.own(&paths[i])
		}
	}
	return ok && tenant == h.Tenant
}

// own replaces strings that share the envelope's memory by slices of one small copy, so that a caller who keeps an id does not
// keep the envelope in memory.
func (r *reader) own(all ...*string) {
	if r.copy == "" {
		r.copy = strings.Clone(r.text[:r.i])
	}
	begin := uintptr(unsafe.Pointer(unsafe.StringData(r.text)))
	for _, s := range all {
		if *s == "" {
			continue
		}
		if at := uintptr(unsafe.Pointer(unsafe.StringData(*s))) - begin; at < uintptr(r.i) {
			*s = r.copy[at : int(at)+len(*s)]
		}
	}
}

// decodeAny reads any envelope that conforms to the schema.
func (e *Event) decodeAny() error {
	if err := jsonpath.Check(e.envelope, maxStableDepth); err != nil {
		return err
	}
	root := jsonpath.Parse(e.envelope)
	if root.Kind() != jsonpath.Object {
		return errors.New("it is not an object")
	}
	var data jsonpath.Result
	var source string
	var err error
	h := &e.Header
	times := func(v jsonpath.Result) time.Time {
		t, fault := time.Parse(time.RFC3339Nano, v.Text())
		if fault != nil {
			err = errors.New("a time is not in RFC 3339")
		}
		return t.UTC()
	}
	root.Each(func(key []byte, v jsonpath.Result) bool {
		switch name := string(key); name {
		case "source":
			source = v.Text()
		case "time":
			h.Time = times(v)
		case "receivedtime":
			h.Received = times(v)
		case "erasedtime":
			h.Erased = times(v)
		case "revision":
			if n, ok := v.Number(); ok && n >= 0 && n < math.MaxInt32 {
				h.Revision = int(n)
			}
		case "data":
			data = v
		default:
			if i := attributeIndex(name); i >= 0 && attributes[i].field != nil {
				*attributes[i].field(h) = v.Text()
			}
		}
		return true
	})
	tenant, name, ok := strings.Cut(strings.TrimPrefix(source, sourcePrefix), sourceMiddle)
	h.Source = name
	switch {
	case err != nil:
		return err
	case h.ID == "" || h.Tenant == "" || !IsCanonical(h.Type) || h.Time.IsZero() || h.Received.IsZero():
		return errors.New("id, type, tenant, time or receivedtime is missing")
	case !ok || tenant != h.Tenant:
		return errors.New("source does not name the tenant and a source")
	case data.Kind() != jsonpath.Object:
		return errors.New("data is not an object")
	}
	e.dataAt = data.Offset(e.envelope)
	e.dataEnd = e.dataAt + len(data.Raw())
	e.decodeRaw(data)
	h.SurveyID = jsonpath.Read(data.Raw(), "survey.id").Text()
	h.ResponseID = jsonpath.Read(data.Raw(), "response.id").Text()
	return nil
}

func (e *Event) decodeRaw(data jsonpath.Result) {
	raw := jsonpath.Read(data.Raw(), "raw")
	if raw.Kind() != jsonpath.Object {
		return
	}
	members := 0
	texts := func(v jsonpath.Result) (all []string) {
		v.Each(func(_ []byte, v jsonpath.Result) bool { all = append(all, v.Text()); return true })
		return all
	}
	body := false
	raw.Each(func(key []byte, v jsonpath.Result) bool {
		members++
		switch string(key) {
		case "content_type":
			e.Raw.ContentType = v.Text()
		case "sha256":
			e.Raw.SHA256 = v.Text()
		case "redacted":
			e.Raw.Redacted, _ = v.Bool()
		case "answers_at":
			e.Raw.AnswersAt = texts(v)
		case "leads_at":
			e.Raw.LeadsAt = texts(v)
		case "body":
			body = true
		}
		return true
	})
	if members > 0 && !body {
		e.rawEnd = raw.Offset(e.envelope) + len(raw.Raw()) - 1
	}
}

// Data returns the content, which is decoded at first use. Callers must not change it.
func (e *Event) Data() *Data {
	if e.original != nil {
		return e.original.Data()
	}
	e.once.Do(func() { e.data = decodeData(e.DataJSON()) })
	return e.data
}

// decodeData reads the known fields and ignores others, which a newer version may have written.
func decodeData(text []byte) *Data {
	d := new(Data)
	var seen uint64
	var walk func(n *node, v jsonpath.Result)
	walk = func(n *node, v jsonpath.Result) {
		v.Each(func(key []byte, v jsonpath.Result) bool {
			next := n.index[string(key)]
			switch {
			case next == nil:
			case next.index != nil:
				walk(next, v)
			case seen&next.bit == 0:
				seen |= next.bit
				_ = next.set(d, next.Path, v, true)
			}
			return true
		})
	}
	walk(schema, jsonpath.Parse(text))
	return d
}
