package event

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Overlay is the content of several events of one response, in an order: of each field the newest value, of each question the
// newest answer. It is made of one event with NewOverlay, and of two overlays with Over. Over is associative: how events are
// grouped does not matter.
type Overlay struct {
	data    Data            // without answers and Cleared
	answers []Answer        // in the order of their first appearance; one without a value was cleared
	at      map[string]int  // the index in answers, by answerKey
	cleared map[string]bool // paths of the fields that were cleared, and not filled since
	named   bool            // one of the events has a name, whose parts are one value, also if they were cleared since
}

// NewOverlay returns the content of one event.
func NewOverlay(ev *Event) *Overlay {
	o := &Overlay{data: *ev.Data(), at: map[string]int{}, cleared: map[string]bool{}}
	for _, a := range o.data.Response.Answers {
		o.answer(a)
	}
	for _, name := range o.data.Response.Cleared {
		if leaf(name) != nil {
			if !filled(leaf(name), &o.data) {
				o.cleared[name] = true
			}
			continue
		}
		if _, given := o.at["q"+name]; !given {
			o.answer(Answer{QuestionID: name})
		}
	}
	o.data.Response.Answers, o.data.Response.Cleared = nil, nil
	o.named = o.data.Respondent.Name != "" || o.data.Respondent.FirstName != "" || o.data.Respondent.LastName != ""
	o.data.Respondent.Params = overlayObject(nil, o.data.Respondent.Params)
	for i := range leaves {
		if l := &leaves[i]; l.whole && l.text != nil {
			*l.text(&o.data) = ""
		} else if l.whole {
			*l.number(&o.data) = nil
		}
	}
	return o
}

// leaf returns the text, number or truth with a path; nil if there is none. Only these are filled with an answer.
func leaf(path string) *node {
	for i := range leaves {
		if l := &leaves[i]; l.Path == path && l.special == 0 && l.object == nil {
			return l
		}
	}
	return nil
}

func filled(l *node, d *Data) bool {
	switch {
	case l.text != nil:
		return *l.text(d) != ""
	case l.number != nil:
		return *l.number(d) != nil
	case l.truth != nil:
		return *l.truth(d) != nil
	}
	return len(*l.object(d)) > 0
}

// copyLeaf makes a field of one the same as that of another.
func copyLeaf(l *node, to, from *Data) {
	switch {
	case l.text != nil:
		*l.text(to) = *l.text(from)
	case l.number != nil:
		*l.number(to) = *l.number(from)
	case l.truth != nil:
		*l.truth(to) = *l.truth(from)
	default:
		*l.object(to) = *l.object(from)
	}
}

// answerKey identifies a question. One without an id is known by its label.
func answerKey(a *Answer) string {
	if a.QuestionID != "" {
		return "q" + a.QuestionID
	}
	return "l" + a.Question
}

// answer sets the answer to a question.
func (o *Overlay) answer(a Answer) {
	key := answerKey(&a)
	if i, known := o.at[key]; known {
		o.answers[i] = a
		return
	}
	o.at[key] = len(o.answers)
	o.answers = append(o.answers, a)
}

// Over puts a newer overlay over this one, which it changes and returns. The newer one must not be used any more.
func (o *Overlay) Over(newer *Overlay) *Overlay {
	o.named = o.named || newer.named
	for i := range leaves {
		l := &leaves[i]
		if l.special != 0 || l.whole {
			continue
		}
		isName := l.Path == "respondent.name" || l.Path == "respondent.first_name" || l.Path == "respondent.last_name"
		switch {
		case l.Path == Shortcuts["params"]:
			o.data.Respondent.Params = overlayObject(o.data.Respondent.Params, newer.data.Respondent.Params)
		case isName && newer.named, filled(l, &newer.data), newer.cleared[l.Path]: // the parts of a name are one value
			copyLeaf(l, &o.data, &newer.data)
		default:
			continue
		}
		delete(o.cleared, l.Path)
		if newer.cleared[l.Path] {
			o.cleared[l.Path] = true
		}
	}
	if len(newer.data.Response.Leads) > 0 {
		o.data.Response.Leads = newer.data.Response.Leads
	}
	o.data.Notice = newer.data.Notice
	o.data.Warnings, o.data.Unread = newer.data.Warnings, newer.data.Unread
	for _, a := range newer.answers {
		o.answer(a)
	}
	return o
}

// overlayObject returns an object with the members of both; of one that both have, that of newer. Members keep the order of their
// first appearance. Of a name that one object has twice, the first member counts.
func overlayObject(older, newer json.RawMessage) json.RawMessage {
	if len(newer) == 0 {
		return older
	}
	type member struct{ key, value []byte }
	var all []member
	at := map[string]int{}
	for _, object := range []json.RawMessage{older, newer} {
		own := map[string]bool{}
		jsonpath.Parse(object).Each(func(key []byte, v jsonpath.Result) bool {
			name := string(key)
			if own[name] {
				return true
			}
			own[name] = true
			if i, known := at[name]; known {
				all[i].value = v.Raw()
				return true
			}
			at[name] = len(all)
			all = append(all, member{slices.Clone(key), v.Raw()})
			return true
		})
	}
	if len(all) == 0 {
		return nil
	}
	out := []byte{'{'}
	for i, m := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, string(m.key)), ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}

// The statuses of a response as a whole.
const (
	Started      = "started"
	Partial      = "partial"
	Completed    = "completed"
	Disqualified = "disqualified"
	Overquota    = "overquota"
	Deleted      = "deleted"
)

// Statuses returns all of them.
func Statuses() []string {
	return []string{Started, Partial, Completed, Disqualified, Overquota, Deleted}
}

// Whole is what is known of a response as a whole, beside its content.
type Whole struct {
	// Type is the type of the event that stands for it.
	Type    string
	Status  string
	Version int
	Events  int
	// First and Last are when its first and its last event were received.
	First, Last time.Time
	// Started and Completed are when it began and when it was submitted, where no event says so; zero: unknown.
	Started, Completed time.Time
}

// Event returns an event with the content of the overlay. Its id, attributes and raw bytes are those of one of its events. Answers
// beyond MaxAnswers are left out, with a warning. The error is that of content that no event can have, which New refuses.
func (o *Overlay) Event(like *Event, whole Whole) (*Event, error) {
	d := o.data
	r := &d.Response
	for i := range o.answers {
		a := o.answers[i]
		switch {
		case len(a.Value) == 0:
			r.clear(a.QuestionID)
		case len(r.Answers) == MaxAnswers:
			d.Warn("response.answers: more than the response may have; the newest are left out")
		default:
			r.Answers = append(r.Answers, a)
		}
	}
	for i := range leaves {
		if o.cleared[leaves[i].Path] {
			r.clear(leaves[i].Path)
		}
	}
	if whole.Status != "" {
		completed := whole.Status == Completed
		r.Completed = &completed
	}
	version, events := float64(whole.Version), float64(whole.Events)
	r.Status, r.Version, r.Events = whole.Status, &version, &events
	r.FirstAt, r.LastAt = stamp(whole.First), stamp(whole.Last)
	if r.StartedAt == "" {
		r.StartedAt = stamp(whole.Started)
	}
	if r.CompletedAt == "" {
		r.CompletedAt = stamp(whole.Completed)
	}
	h := like.Header
	h.Type = whole.Type
	return build(h, &d, like.Raw, like.ID)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
