package event

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// The constant parts of an envelope, by which Decode recognises one that New wrote. A test compares their names with the
// table of attributes.
const (
	headID       = `{"specversion":"` + specVersion + `","id":`
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
	headRevision = `,"revision":`
	headErased   = `,"erasedtime":` // in no event that is sent, so it is no attribute of the table
	headData     = `,"data":`

	sourcePrefix = "/tenants/"
	sourceMiddle = "/sources/"
)

func appendHeader(out []byte, h *Header) []byte {
	out = appendText(append(out, headID...), h.ID)
	out = append(append(append(out, headSource...), '"'), sourcePrefix...)
	out = append(appendInner(out, h.Tenant), sourceMiddle...)
	out = append(appendInner(out, h.Source), '"')
	out = appendText(append(out, headType...), h.Type)
	if h.SurveyID != "" || h.ResponseID != "" {
		out = appendInner(append(append(out, headSubject...), '"'), h.SurveyID)
		if h.ResponseID != "" {
			out = appendInner(append(out, '/'), h.ResponseID)
		}
		out = append(out, '"')
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
	if h.Revision > 0 {
		out = strconv.AppendInt(append(out, headRevision...), int64(h.Revision), 10)
	}
	if !h.Erased.IsZero() {
		out = appendTime(append(out, headErased...), h.Erased)
	}
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
	if plainString(raw) { // as most answers are
		o.out = append(o.out, raw...)
		return
	}
	out, err := appendExact(o.out, raw)
	if err != nil {
		o.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	o.out = out
}

// open begins a nested object and close ends it. close removes an object that has no members.
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

// appendData writes the `data` object. rawEnd is the offset of the closing brace of its member `raw`. `raw` comes first, and then
// the members that the header is read from, so that Decode can stop after them.
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
	o.notice(&d.Notice)
	o.texts("warnings", d.Warnings)
	o.texts("unread", d.Unread)
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
	o.texts("cleared", r.Cleared)
	o.text("status", r.Status)
	o.number("version", r.Version)
	o.number("events", r.Events)
	o.text("first_at", r.FirstAt)
	o.text("last_at", r.LastAt)
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

func (o *object) notice(n *Notice) {
	mark, was := o.open(pathNotice)
	o.text("summary", n.Summary)
	o.text("destination", n.Destination)
	o.text("source", n.Source)
	o.text("setting", n.Setting)
	o.text("act", n.Act)
	o.text("by", n.By)
	o.text("reason", n.Reason)
	o.number("count", n.Count)
	o.text("since", n.Since)
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
