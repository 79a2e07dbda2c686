package event

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/jsonpath"
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
// Without a dedupe key the hash of the body is the key, and without a body that of the data. An event
// of type test is never a duplicate: its key gets the time of receipt.
func New(h Header, d *Data, raw Raw) (*Event, error) {
	var data Data
	if d != nil {
		data = *d
	}
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

	body, marks, err := appendData(make([]byte, 0, 1024+len(raw.Body)), &data, &raw)
	if err != nil {
		return nil, err
	}
	if h.DedupeKey == "" {
		if h.DedupeKey = raw.SHA256; len(raw.Body) == 0 {
			sum := sha256.Sum256(body)
			h.DedupeKey = hex.EncodeToString(sum[:])
		}
	}
	if err := h.complete(); err != nil {
		return nil, err
	}
	e := &Event{Header: h, Raw: raw}
	e.envelope = append(appendHeader(make([]byte, 0, 640+len(h.DedupeKey)+len(body)), &h), body...)
	head := len(e.envelope) - len(body)
	e.envelope = append(e.envelope, '}')
	e.dataAt, e.dataEnd, e.rawEnd = head, head+len(body), head+marks
	return e, nil
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
	case !Canonical(h.Type):
		return fmt.Errorf("event type %q is not canonical", clip(h.Type))
	case strings.ContainsAny(h.Tenant, "/\x00") || strings.ContainsAny(h.Source, "/\x00"):
		return errors.New("name of the event's tenant or source holds a slash or NUL")
	case h.Received.IsZero():
		return errors.New("event without time of receipt")
	}
	switch h.Verified {
	case "hmac", "token", "basic", "path", "none":
	default:
		return fmt.Errorf("event verified by %q", clip(h.Verified))
	}
	received := h.Received.UTC()
	if h.Type == TypeTest {
		h.DedupeKey += "@" + received.Format(time.RFC3339Nano)
	}
	h.Received = received.Truncate(time.Millisecond)
	if h.Time = h.Time.UTC(); h.Time.IsZero() || h.Time.Year() < 0 || h.Time.Year() > 9999 {
		h.Time = h.Received
	}
	// What is not UTF-8 is written as U+FFFD; the header in hand must say what the stored one will.
	for _, s := range []*string{&h.Tenant, &h.Source, &h.SourceKind, &h.OrigType, &h.OrigID, &h.DedupeKey, &h.SurveyID, &h.ResponseID} {
		if !utf8.ValidString(*s) {
			*s = string([]rune(*s))
		}
	}
	h.ID = ID(h.Tenant, h.Source, h.DedupeKey)
	return nil
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// ID is the first 32 hex digits of SHA-256(tenant, NUL, source, NUL, dedupe key).
func ID(tenant, source, dedupeKey string) string {
	var room [256]byte
	in := append(room[:0], tenant...)
	in = append(append(in, 0), source...)
	in = append(append(in, 0), dedupeKey...)
	sum := sha256.Sum256(in)
	return hex.EncodeToString(sum[:16])
}

// The parts of an envelope that are the same in all; Decode knows an envelope of ours by them.
const (
	headID       = `{"specversion":"1.0","id":`
	headSource   = `,"source":`
	headType     = `,"type":`
	headSubject  = `,"subject":`
	headTime     = `,"time":`
	headContent  = `,"datacontenttype":"application/json","dataschema":"` + Schema + `","tenant":`
	headKind     = `,"sourcekind":`
	headOrigType = `,"origtype":`
	headOrigID   = `,"origid":`
	headKey      = `,"dedupekey":`
	headReceived = `,"receivedtime":`
	headVerified = `,"verified":`
	headData     = `,"data":`

	sourcePrefix = "/tenants/"
	sourceMiddle = "/sources/"
)

func appendHeader(out []byte, h *Header) []byte {
	out = appendText(append(out, headID...), h.ID)
	out = appendText(append(out, headSource...), sourcePrefix+h.Tenant+sourceMiddle+h.Source)
	out = appendText(append(out, headType...), h.Type)
	if h.SurveyID != "" || h.ResponseID != "" {
		subject := h.SurveyID
		if h.ResponseID != "" {
			subject += "/" + h.ResponseID
		}
		out = appendText(append(out, headSubject...), subject)
	}
	out = appendTime(append(out, headTime...), h.Time)
	out = appendText(append(out, headContent...), h.Tenant)
	out = appendText(append(out, headKind...), h.SourceKind)
	if h.OrigType != "" {
		out = appendText(append(out, headOrigType...), h.OrigType)
	}
	if h.OrigID != "" {
		out = appendText(append(out, headOrigID...), h.OrigID)
	}
	out = appendText(append(out, headKey...), h.DedupeKey)
	out = appendTime(append(out, headReceived...), h.Received)
	out = appendText(append(out, headVerified...), h.Verified)
	return append(out, headData...)
}

func appendTime(out []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(out, '"'), time.RFC3339Nano), '"')
}

// object appends members, with a comma before all but the first.
type object struct {
	out []byte
	err error
	any bool
}

func (o *object) key(name string) {
	if o.any {
		o.out = append(o.out, ',')
	}
	o.any = true
	o.out = append(append(append(o.out, '"'), name...), '"', ':')
}

func (o *object) text(name, value string) {
	if value != "" {
		o.key(name)
		o.out = appendText(o.out, value)
	}
}

func (o *object) truth(name string, value *bool) {
	if value != nil {
		o.key(name)
		if *value {
			o.out = append(o.out, "true"...)
		} else {
			o.out = append(o.out, "false"...)
		}
	}
}

func (o *object) number(name string, value *float64) {
	if value != nil && !math.IsNaN(*value) && !math.IsInf(*value, 0) {
		o.key(name)
		o.out = appendFloat(o.out, *value)
	}
}

func (o *object) json(name string, raw json.RawMessage) {
	if len(raw) > 0 {
		o.key(name)
		o.raw(name, raw)
	}
}

func (o *object) raw(name string, raw json.RawMessage) {
	if o.err != nil {
		return
	}
	out, err := appendExact(o.out, raw)
	if err != nil {
		o.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	o.out = out
}

// open begins an object inside, close ends it; an object that would be empty is taken back.
func (o *object) open(name string) (mark int, was bool) {
	mark, was = len(o.out), o.any
	o.key(name)
	o.out = append(o.out, '{')
	o.any = false
	return mark, was
}

func (o *object) close(mark int, was bool) {
	if !o.any {
		o.out, o.any = o.out[:mark], was
		return
	}
	o.out = append(o.out, '}')
}

// appendData writes the `data` object; rawEnd is where the closing brace of its `raw` stands.
// Raw comes first, then what the header is read from, so that Decode need not look further.
func appendData(out []byte, d *Data, raw *Raw) (_ []byte, rawEnd int, err error) {
	o := object{out: append(out, '{')}
	o.key("raw")
	o.out = append(o.out, '{')
	o.any = false
	o.text("content_type", raw.ContentType)
	o.text("encoding", encoding(raw.Body))
	o.text("sha256", raw.SHA256)
	if raw.Redacted {
		o.truth("redacted", &raw.Redacted)
	}
	o.texts("answers_at", raw.AnswersAt)
	o.texts("leads_at", raw.LeadsAt)
	rawEnd = len(o.out)
	o.out = append(o.out, '}')

	if d.Account.ID != "" {
		mark, was := o.open("account")
		o.text("id", d.Account.ID)
		o.close(mark, was)
	}
	o.survey(&d.Survey)
	o.response(&d.Response)
	o.respondent(&d.Respondent)
	o.context(&d.Context)
	o.texts("warnings", d.Warnings)
	return append(o.out, '}'), rawEnd, o.err
}

func encoding(body []byte) string {
	if utf8.Valid(body) {
		return "utf8"
	}
	return "base64"
}

func (o *object) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.key(name)
	for i, v := range values {
		if i == 0 {
			o.out = append(o.out, '[')
		} else {
			o.out = append(o.out, ',')
		}
		o.out = appendText(o.out, v)
	}
	o.out = append(o.out, ']')
}

func (o *object) survey(s *Survey) {
	mark, was := o.open("survey")
	o.text("id", s.ID)
	o.text("title", s.Title)
	o.text("type", s.Type)
	o.text("version", s.Version)
	o.close(mark, was)
}

func (o *object) response(r *Response) {
	mark, was := o.open("response")
	o.text("id", r.ID)
	o.truth("completed", r.Completed)
	o.text("started_at", r.StartedAt)
	o.text("completed_at", r.CompletedAt)
	o.text("updated_at", r.UpdatedAt)
	o.number("duration_s", r.DurationS)
	o.text("permalink", r.Permalink)
	o.text("review_state", r.ReviewState)
	scores, before := o.open("score")
	o.number("nps", r.Score.NPS)
	o.number("csat", r.Score.CSAT)
	o.number("ces", r.Score.CES)
	o.number("custom", r.Score.Custom)
	o.close(scores, before)
	o.text("feedback", r.Feedback)
	o.answers(r.Answers)
	o.object("result", r.Result)
	if len(r.Leads) > 0 {
		o.key("leads")
		for i, lead := range r.Leads {
			if i == 0 {
				o.out = append(o.out, '[')
			} else {
				o.out = append(o.out, ',')
			}
			o.check("leads", lead)
			o.raw("leads", lead)
		}
		o.out = append(o.out, ']')
	}
	o.close(mark, was)
}

// object appends JSON that must be an object.
func (o *object) object(name string, raw json.RawMessage) {
	if len(raw) > 0 {
		o.check(name, raw)
		o.json(name, raw)
	}
}

func (o *object) check(name string, raw json.RawMessage) {
	if kind := jsonpath.Parse(raw).Kind(); kind != jsonpath.Object && o.err == nil {
		o.err = fmt.Errorf("%s: %s where an object should be", name, kind)
	}
}

func (o *object) answers(all []Answer) {
	if len(all) == 0 {
		return
	}
	o.key("answers")
	o.out = append(o.out, '[')
	for i := range all {
		a := &all[i]
		if i > 0 {
			o.out = append(o.out, ',')
		}
		o.out = append(o.out, '{')
		o.any = false
		o.key("question_id")
		o.out = appendText(o.out, a.QuestionID)
		o.text("question", a.Question)
		o.text("type", a.Type)
		o.json("value", a.Value)
		if !emptyJSON(a.ValueIDs) {
			o.json("value_ids", a.ValueIDs)
		}
		o.text("comment", a.Comment)
		o.out = append(o.out, '}')
	}
	o.out = append(o.out, ']')
	o.any = true
}

func (o *object) respondent(r *Respondent) {
	mark, was := o.open("respondent")
	o.text("id", r.ID)
	o.text("external_id", r.ExternalID)
	o.text("email", r.Email)
	o.text("name", r.Name)
	o.text("first_name", r.FirstName)
	o.text("last_name", r.LastName)
	o.text("phone", r.Phone)
	o.truth("verified", r.Verified)
	o.truth("consent", r.Consent)
	o.object("params", r.Params)
	o.close(mark, was)
}

func (o *object) context(c *Context) {
	mark, was := o.open("context")
	o.text("ip", c.IP)
	o.text("user_agent", c.UserAgent)
	o.text("page_url", c.PageURL)
	o.text("channel", c.Channel)
	o.text("language", c.Language)
	o.text("country", c.Country)
	o.text("collector_id", c.CollectorID)
	o.close(mark, was)
}

// Envelope is the event as CloudEvents JSON, without raw.body. It must not be changed.
func (e *Event) Envelope() []byte { return e.envelope }

// DataJSON is the `data` object's bytes within Envelope. It must not be changed.
func (e *Event) DataJSON() []byte { return e.envelope[e.dataAt:e.dataEnd:e.dataEnd] }

// Size is how many bytes the event is kept with: the envelope and the raw bytes.
func (e *Event) Size() int { return len(e.envelope) + len(e.Raw.Body) }

// WithRaw is the envelope with raw.body, the exact bytes as text or in base64: for answers that show one event. Where the
// raw bytes were not loaded it is the envelope.
func (e *Event) WithRaw() []byte {
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
