package source

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxElements bounds the elements that are searched for answers, including elements without an answer.
const maxElements = 10 * event.MaxAnswers

// answers reads the answers of all entries of the profile, in order.
func (r *run) answers() error {
	for i := range r.source.Profile.Answers {
		a := &r.source.Profile.Answers[i]
		if a.Where != nil && !r.holds(a.Where) {
			continue
		}
		r.on |= a.on
		from := r.root
		if !a.From.IsZero() {
			from = r.read(a.From)
		}
		r.asked = r.asked || from.Exists()
		if empty(from) {
			continue
		}
		if err := r.answersOf(a, from); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) answersOf(a *Answers, from jsonpath.Result) error {
	d := reading{run: r, answers: a, found: make([]jsonpath.Result, a.elements.Len())}
	place := func() string {
		if a.From.IsZero() {
			return "the body"
		}
		return "`" + shown(a.From.text) + "`"
	}
	switch a.Shape {
	case ShapeObject:
		if from.Kind() != jsonpath.Object {
			r.warn.add("answers: %s is %s, not an object", place(), from.Kind())
			return nil
		}
		d.members(from)
	case ShapeSingle:
		if from.Kind() != jsonpath.Object {
			r.warn.add("answers: %s is %s, not an object", place(), from.Kind())
			return nil
		}
		d.walk(from)
		d.element(from, 1)
	default:
		switch from.Kind() {
		case jsonpath.Object:
			d.walk(from)
			d.element(from, 1)
		case jsonpath.Array:
			d.rows = optionRows(a, from)
			d.expect(len(from.Raw()) / likelyAnswer)
			n, before := 0, len(d.data.Response.Answers)
			d.doc.Elements(&a.elements, from, d.found, func(element jsonpath.Result) bool {
				if n++; n > maxElements {
					d.err = ErrTooManyAnswers
					return false
				}
				d.element(element, n)
				return d.err == nil
			})
			if n > 0 && len(d.data.Response.Answers) == before {
				r.warn.add("answers: %s holds %d, and the profile can read none of them", place(), n)
			}
		default:
			r.warn.add("answers: %s is %s, not an array", place(), from.Kind())
		}
	}
	return d.err
}

// reading is the state while one entry of answers is read.
type reading struct {
	*run
	answers *Answers
	found   []jsonpath.Result // values of the current element, by slot
	defined bool              // whether the definitions have been read
	rows    map[string]bool   // keys of rows that only repeat an option
	err     error
}

// walk extracts the values of one element.
func (d *reading) walk(element jsonpath.Result) { d.doc.Extract(&d.answers.elements, element, d.found) }

const likelyAnswer = 128 // bytes

// expect allocates capacity for n answers, if there are none yet.
func (d *reading) expect(n int) {
	all := &d.data.Response.Answers
	if cap(*all) == 0 {
		*all, d.answersBuffer = d.answersBuffer, nil
	}
	if len(*all) == 0 && n > cap(*all) {
		*all = make([]event.Answer, 0, min(n, event.MaxAnswers))
	}
}

// add appends an answer, up to the limit.
func (d *reading) add(a event.Answer, name string) {
	all := &d.data.Response.Answers
	if len(*all) == event.MaxAnswers {
		d.err = ErrTooManyAnswers
		return
	}
	if name != "" {
		if d.names == nil {
			d.names = map[int]string{}
		}
		d.names[len(*all)] = name
	}
	*all = append(*all, a)
}

// members reads an object whose keys are the questions. If a key occurs twice, the first one counts, as everywhere.
func (d *reading) members(from jsonpath.Result) {
	a := d.answers
	before := len(d.data.Response.Answers)
	n := 0
	from.Each(func([]byte, jsonpath.Result) bool { n++; return n <= event.MaxAnswers })
	d.expect(n)
	var seen map[string]bool
	var silent keys
	looked := 0
	from.Each(func(key []byte, value jsonpath.Result) bool {
		if looked++; looked > maxElements {
			d.err = ErrTooManyAnswers
			return false
		}
		if a.Skip != nil && a.Skip.Match(key) {
			return true
		}
		text := string(key)
		id, name, ok := d.splitKey(text)
		other := !ok
		if other {
			if !a.Others || a.known[text] {
				return true
			}
			id = text
		}
		if len(d.data.Response.Answers)-before > fewAnswers && seen == nil {
			seen = make(map[string]bool, 4*fewAnswers)
			for _, earlier := range d.data.Response.Answers[before:] {
				seen[earlier.QuestionID] = true
			}
		}
		if silent[id] {
			return true
		}
		if d.twice(before, seen, id) {
			d.warn.add("answers: `%s` occurs twice; the first one counts", shown(id))
			return true
		}
		answer := event.Answer{QuestionID: id}
		if len(a.Each) > 0 && value.Kind() == jsonpath.Object {
			d.walk(value)
			d.parts(&answer, value)
		} else {
			d.value(&answer, value)
		}
		if answer.Value == nil && answer.Comment == "" {
			silent.add([]byte(id))
			return true
		}
		if seen != nil {
			seen[id] = true
		}
		if len(a.Defs) > 0 {
			d.define(&answer, text)
		}
		if other {
			d.warn.add("answers: `%s` is not a key of the profile; it is kept as an answer under that name", shown(id))
		}
		d.add(answer, name)
		return d.err == nil
	})
}

const fewAnswers = 16 // up to this number, a scan for duplicates is cheaper than a map

func (d *reading) twice(from int, seen map[string]bool, id string) bool {
	if seen != nil {
		return seen[id]
	}
	for _, earlier := range d.data.Response.Answers[from:] {
		if earlier.QuestionID == id {
			return true
		}
	}
	return false
}

// splitKey returns the question's id and name within a key.
func (d *reading) splitKey(key string) (id, name string, ok bool) {
	pattern := d.answers.Key
	if pattern == nil {
		return key, "", true
	}
	match := pattern.FindStringSubmatch(key)
	if match == nil {
		return "", "", false
	}
	id = key
	for i, group := range pattern.SubexpNames() {
		switch {
		case group == "id" && match[i] != "":
			id = match[i]
		case group == "name":
			name = match[i]
		}
	}
	return id, name, true
}

// element reads one answer, which is an element of an array or a single object; n is its number, from 1.
func (d *reading) element(element jsonpath.Result, n int) {
	if element.Kind() != jsonpath.Object {
		if !empty(element) {
			d.warn.add("answers: one of them is %s, not an object", element.Kind())
		}
		return
	}
	raw := element.Raw()
	var answer event.Answer
	answer.QuestionID = d.text(raw, d.answers.parts.id)
	if d.rows[answer.QuestionID] {
		return
	}
	d.parts(&answer, element)
	if answer.Value == nil && answer.Comment == "" {
		return
	}
	if !d.answers.Join.IsZero() {
		d.define(&answer, shared(d.answers.Join.among(d.found, raw)))
	}
	if answer.QuestionID == "" {
		// Without an id, people would refer to the answer by its text.
		if answer.QuestionID = answer.Question; answer.QuestionID == "" {
			answer.QuestionID = strconv.Itoa(n)
		}
	}
	d.add(answer, "")
}

// parts reads question, type, comment and value of an element.
func (d *reading) parts(answer *event.Answer, element jsonpath.Result) {
	raw, parts := element.Raw(), &d.answers.parts
	answer.Question = d.text(raw, parts.question)
	answer.Type = d.text(raw, parts.typ)
	answer.Comment = d.text(raw, parts.comment)
	if d.answers.ValueByType {
		d.typedValue(answer, element)
		return
	}
	value := parts.value.among(d.found, raw)
	if options := d.answers.Options; options != nil {
		if d.chosen(answer, value, raw, options) {
			return
		}
	}
	if d.value(answer, value); answer.Value != nil {
		if ids := parts.valueIDs.among(d.found, raw); !empty(ids) {
			answer.ValueIDs = texts(ids)
		}
	}
}

// texts converts all scalars of a JSON value to strings, keeping their spelling; null is dropped. It is for ids.
func texts(ids jsonpath.Result) json.RawMessage {
	var out []byte
	var write func(v jsonpath.Result)
	list := func(open, close byte, named bool, v jsonpath.Result) {
		out = append(out, open)
		first := true
		v.Each(func(key []byte, one jsonpath.Result) bool {
			if one.Kind() == jsonpath.Null {
				return true
			}
			if !first {
				out = append(out, ',')
			}
			first = false
			if named {
				out = append(append(out, quote(string(key))...), ':')
			}
			write(one)
			return true
		})
		out = append(out, close)
	}
	write = func(v jsonpath.Result) {
		switch v.Kind() {
		case jsonpath.Array:
			list('[', ']', false, v)
		case jsonpath.Object:
			list('{', '}', true, v)
		default:
			out = append(out, quote(plain(v))...)
		}
	}
	write(ids)
	return out
}

// text returns the first alternative that is not empty, as text.
func (d *reading) text(raw []byte, paths Paths) string {
	for i := range paths {
		if text := shared(paths[i].among(d.found, raw)); text != "" {
			return text
		}
	}
	return ""
}

// value stores the answer's value with its original spelling. If the question was not answered, the value stays absent.
func (d *reading) value(answer *event.Answer, value jsonpath.Result) {
	switch value.Kind() {
	case jsonpath.Absent, jsonpath.Null:
		return
	case jsonpath.String:
		if len(value.Raw()) <= 2 || d.answers.SkipEmpty && plain(value) == "" {
			return
		}
	case jsonpath.Array, jsonpath.Object:
		if d.answers.SkipEmpty && empty(value) {
			return
		}
	}
	answer.Value = compact(value)
}

// typedValue reads the value under the key that the element's `type` names. A choice is an object of label and id; its label
// is the value.
func (d *reading) typedValue(answer *event.Answer, element jsonpath.Result) {
	typ := shared(d.answers.named.among(d.found, element.Raw()))
	if typ == "" {
		return
	}
	value := d.doc.Child(element, typ)
	if value.Kind() == jsonpath.Object {
		var label json.RawMessage
		for _, form := range [...]struct{ text, id string }{{"label", "id"}, {"labels", "ids"}} {
			if found := value.Child(form.text); !empty(found) {
				label = compact(found)
				if ids := value.Child(form.id); !empty(ids) {
					answer.ValueIDs = texts(ids)
				}
				break
			}
		}
		if answer.Value = withOther(label, value.Child("other")); answer.Value != nil {
			return
		}
	}
	d.value(answer, value)
}

// withOther adds the text of an "other" choice: as the last item of a list of labels, or instead of a single label.
func withOther(label json.RawMessage, other jsonpath.Result) json.RawMessage {
	switch {
	case other.Kind() != jsonpath.String || empty(other):
		return label
	case len(label) > 0 && label[0] == '[':
		return slices.Concat(label[:len(label)-1], []byte{','}, other.Raw(), []byte{']'})
	}
	return other.Raw()
}
