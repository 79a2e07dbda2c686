package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Normalise converts a verified request to events: one, or one for each element if the profile splits. Unknown content is not an
// error: it becomes an `unknown` event, or is omitted with a warning. The errors are ErrNotJSON, the limits ErrTooDeep,
// ErrTooManyAnswers and ErrTooManyEvents, and an *event.FieldError for an id that is not a text.
func (s *Source) Normalise(req *Request, received time.Time) ([]*event.Event, error) {
	if s.Profile == own {
		return s.ownEvent(req, received)
	}
	in := contents.Get().(*content)
	defer in.release()
	if err := s.decode(req, in); err != nil {
		if req.Verified.Test && errors.Is(err, ErrNotJSON) {
			return s.unreadableTest(req, received)
		}
		return nil, err
	}
	raw := s.raw(req)
	if s.Profile.Split.IsZero() {
		ev, err := s.one(req, received, in, in.doc.Root(), raw, false)
		if err != nil {
			return nil, err
		}
		return []*event.Event{ev}, nil
	}
	return s.split(req, received, in, raw)
}

// split converts each element to an event. Webhooks receive an event's raw bytes. If there is one element, these are the bytes of
// the request. If there are several, each event keeps its own element, wrapped in an array if the body was one, so that together
// they are not larger than the body.
func (s *Source) split(req *Request, received time.Time, in *content, whole event.Raw) ([]*event.Event, error) {
	found := jsonpath.Read(in.doc.JSON(), s.Profile.Split.text)
	if found.Kind() != jsonpath.Array {
		ev, err := s.one(req, received, in, in.doc.Root(), whole, false)
		if err != nil {
			return nil, err
		}
		return []*event.Event{ev}, nil
	}
	var elements []jsonpath.Result
	found.Each(func(_ []byte, element jsonpath.Result) bool {
		elements = append(elements, element)
		return len(elements) <= MaxEvents
	})
	if len(elements) > MaxEvents {
		return nil, ErrTooManyEvents
	}
	if len(elements) == 0 {
		in.warn.add("the array that holds the events is empty")
		ev, err := s.one(req, received, in, in.doc.Root(), whole, false)
		if err != nil {
			return nil, err
		}
		return []*event.Event{ev}, nil
	}
	if s.Profile.beside != nil {
		in.outside = s.outside(in)
	}
	root := s.Profile.Split.text == "@this" && s.Profile.Decode == DecodeJSON
	events := make([]*event.Event, 0, len(elements))
	for _, element := range elements {
		raw := whole
		if len(elements) > 1 {
			raw.Body = s.masked(element.Raw())
			if root {
				raw.Body = append(append(make([]byte, 0, len(raw.Body)+2), '['), raw.Body...)
				raw.Body = append(raw.Body, ']')
			}
			raw.SHA256 = hash(raw.Body) // of the kept bytes: the platform has no hash of a single element
		}
		if root {
			raw.AnswersAt, raw.LeadsAt = below("0.", raw.AnswersAt), below("0.", raw.LeadsAt)
		}
		ev, err := s.one(req, received, in, element, raw, len(elements) > 1)
		if err != nil {
			return nil, err
		}
		events = append(events, ev)
	}
	return events, nil
}

func below(prefix string, paths []string) []string {
	out := make([]string, len(paths))
	for i, path := range paths {
		out[i] = prefix + path
	}
	return out
}

// unreadableTest returns a test event for a body that cannot be decoded: the bodies of test buttons vary.
func (s *Source) unreadableTest(req *Request, received time.Time) ([]*event.Event, error) {
	d := &event.Data{Warnings: []string{"the body is not in the format that the profile decodes"}}
	head := s.head(req, received)
	raw := s.raw(req)
	head.Type, head.DedupeKey = event.TypeTest, event.TestDedupeKey(raw.SHA256, received)
	ev, err := event.New(head, d, raw)
	if err != nil {
		return nil, err
	}
	return []*event.Event{ev}, nil
}

func (s *Source) head(req *Request, received time.Time) event.Header {
	return event.Header{
		Tenant: s.Tenant, Source: s.Name, SourceKind: s.Profile.Name, Type: event.TypeUnknown,
		Time: received, Received: received, Verified: req.Verified.Kind,
	}
}

// raw returns the exact bytes, with tokens removed.
func (s *Source) raw(req *Request) event.Raw {
	raw := event.Raw{
		ContentType: req.ContentType, Body: req.Body, SHA256: hash(req.Body),
		AnswersAt: s.Profile.answersAt, LeadsAt: s.Profile.leadsAt,
	}
	if raw.ContentType == "" {
		raw.ContentType = contentTypes[s.Profile.typeOf(req.Body)]
	}
	s.redact(req, &raw)
	return raw
}

var contentTypes = map[Decoder]string{
	DecodeJSON: "application/json", DecodeForm: "application/x-www-form-urlencoded", DecodeMultipart: "multipart/form-data",
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// run is the state while one event is built.
type run struct {
	source *Source
	req    *Request
	in     *content
	doc    *jsonpath.Index   // of in
	root   jsonpath.Result   // the whole of doc, or one element
	part   bool              // whether root is one of several elements
	object bool              // whether root is an object, so that it has paths
	asked  bool              // whether the body has a place for answers, even an empty one
	found  []jsonpath.Result // by slot
	data   event.Data
	fault  error // an id that is not a text
	result map[string][]byte
	warn   warnings
	on     when           // the conditions of the profile that hold
	at     []byte         // room for the place that unread looks at
	names  map[int]string // the <name> of answers whose key the profile splits, by place, for roles

	answersBuffer []event.Answer // for answers, empty
	defs          []map[string]definition
}

// runs pools runs. They can be reused because event.New copies its arguments.
var runs = sync.Pool{New: func() any { return new(run) }}

// maxPooledAnswers bounds the capacity of a pooled run's answers.
const maxPooledAnswers = 512

func (r *run) leave() {
	buffer := r.data.Response.Answers
	clear(buffer) // elements beyond its length have never been used
	switch {
	case cap(buffer) == 0:
		buffer = r.answersBuffer
	case cap(buffer) > maxPooledAnswers:
		buffer = nil
	}
	clear(r.found)
	for _, list := range r.defs {
		if len(list) > maxPooledAnswers {
			r.defs = nil
			break
		}
		clear(list)
	}
	*r = run{found: r.found[:0], answersBuffer: buffer[:0], defs: r.defs, at: r.at[:0]}
	runs.Put(r)
}

// one builds one event from one object of the body.
func (s *Source) one(req *Request, received time.Time, in *content, root jsonpath.Result, raw event.Raw, part bool) (*event.Event, error) {
	p := s.Profile
	r := runs.Get().(*run)
	defer r.leave()
	r.source, r.req, r.in, r.doc, r.root, r.part, r.warn = s, req, in, &in.doc, root, part, slices.Clip(in.warn)
	head := s.head(req, received)
	if r.root.Kind() != jsonpath.Object {
		r.warn.add("the body is %s, not an object", r.root.Kind())
		return r.finish(head, raw)
	}
	r.object = true
	r.found = slices.Grow(r.found, p.paths.Len())[:p.paths.Len()]
	in.doc.Extract(&p.paths, root, r.found)

	named := false
	head.Type, head.OrigType, named = r.kind()
	typ := head.Type
	head.OrigID = r.id(p.ID)
	r.times(&head)

	for _, f := range p.byType[CanonicalType(head.Type)] {
		r.fill(f.field, f.from)
	}
	for _, f := range p.fields {
		if f.field.absent(&r.data) {
			r.fill(f.field, f.from)
		}
	}
	r.params()
	if err := r.answers(); err != nil {
		return nil, err
	}
	if len(r.data.Response.Answers) == 0 && (head.Type == event.TypeAnswerUpserted || !r.asked && slices.Contains(p.Answered, CanonicalType(head.Type))) {
		r.warn.add("answers: the profile can read none; the body is kept")
	}
	r.scores()
	r.sourceRoles()
	r.roles()
	r.leads()
	r.writeResult()
	if r.data.Survey.Title == "" {
		r.data.Survey.Title = s.Surveys[r.data.Survey.ID].Name
	}
	if !named && head.Type != event.TypeUnknown && r.nothing() {
		// Only a constant or a default determined the type, and no field was found.
		head.Type = event.TypeUnknown
		r.warn.add("the profile %s recognises nothing in the body", p.Name)
	}
	if r.data.Survey.ID == "" && r.data.Response.ID == "" && !unbound[head.Type] && !req.Verified.Test {
		r.warn.add("neither a survey id nor a response id was found")
	}
	r.completed(head.Type)
	r.data.Unread = r.unread(typ)
	return r.finish(head, raw)
}

// unbound are types whose events may lack both a survey and a response.
var unbound = map[string]bool{event.TypeTest: true, "entity.updated": true, "respondent.unsubscribed": true}

// finish sets the event's key and builds it.
func (r *run) finish(head event.Header, raw event.Raw) (*event.Event, error) {
	if r.req.Verified.Test {
		head.Type = event.TypeTest
	}
	head.DedupeKey = r.key(&head, raw)
	if r.fault != nil {
		return nil, r.fault
	}
	if head.Type == event.TypeTest {
		head.DedupeKey = event.TestDedupeKey(head.DedupeKey, head.Received)
	}
	r.data.Warnings = r.warn
	return event.New(head, &r.data, raw)
}

// read returns the value at a path of the body.
func (r *run) read(p Path) jsonpath.Result {
	switch {
	case p.slot > 0:
		if p.slot > len(r.found) {
			return jsonpath.Result{}
		}
		return r.found[p.slot-1]
	case p.fixed.Exists():
		return p.fixed
	case p.text == "":
		return jsonpath.Result{}
	}
	return jsonpath.Read(r.root.Raw(), p.text)
}

// times sets the event's time; without one, it remains the time of receipt.
func (r *run) times(head *event.Header) {
	for _, path := range r.source.Profile.Time {
		text := plain(r.read(path))
		if text == "" || r.source.Profile.noTime(text) {
			continue
		}
		if t, ok := event.ParseTime(text, r.source.zone); ok {
			head.Time = t
			return
		}
		r.warn.add("time: the value of `%s` is not a readable time", path.text)
	}
}

// completed derives response.completed from the type, if the platform does not send it.
func (r *run) completed(typ string) {
	if r.data.Response.Completed != nil {
		return
	}
	r.data.Response.Completed = event.IsComplete(typ)
}

// nothing reports whether no field was found.
func (r *run) nothing() bool {
	d := &r.data
	return d.Account == (event.Account{}) && d.Survey == (event.Survey{}) && d.Context == (event.Context{}) &&
		d.Response.ID == "" && len(d.Response.Answers) == 0 && len(d.Response.Leads) == 0 && d.Response.Score == (event.Score{}) &&
		len(d.Response.Result) == 0 && d.Response.CompletedAt == "" && d.Response.StartedAt == "" &&
		d.Respondent.ID == "" && d.Respondent.Email == "" && d.Respondent.Name == "" && len(d.Respondent.Params) == 0
}

// compact removes white space between tokens of JSON; numbers and strings keep their spelling.
func compact(r jsonpath.Result) json.RawMessage {
	raw := r.Raw()
	if r.Kind() != jsonpath.Array && r.Kind() != jsonpath.Object {
		return raw
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil { // cannot happen: the body was checked
		return nil
	}
	return b.Bytes()
}
