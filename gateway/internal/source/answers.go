package source

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxElements bounds what is looked through for answers: elements that hold none are not counted as one.
const maxElements = 10 * event.MaxAnswers

// answers reads every entry of the profile's answers, in their order.
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
				r.warn.add("answers: %s holds %d, none of which says anything that the profile can read", place(), n)
			}
		default:
			r.warn.add("answers: %s is %s, not an array", place(), from.Kind())
		}
	}
	return d.err
}

// reading is the reading of one entry of answers.
type reading struct {
	*run
	answers *Answers
	found   []jsonpath.Result // of the element that is read, by slot
	defined bool              // the definitions were read
	rows    map[string]bool   // keys of rows that only repeat an option
	err     error
}

// walk finds what is asked for of one element.
func (d *reading) walk(element jsonpath.Result) { d.doc.Extract(&d.answers.elements, element, d.found) }

const likelyAnswer = 128 // bytes

// expect makes room for so many answers, where there are none yet.
func (d *reading) expect(n int) {
	all := &d.data.Response.Answers
	if cap(*all) == 0 {
		*all, d.room = d.room, nil
	}
	if len(*all) == 0 && n > cap(*all) {
		*all = make([]event.Answer, 0, min(n, event.MaxAnswers))
	}
}

// add keeps an answer, up to the bound.
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

// members reads an object whose keys are the questions. Of a key that stands twice the first counts, as everywhere.
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
			d.warn.add("answers: `%s` stands twice; the first one counts", shown(id))
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
			d.warn.add("answers: `%s` is no key that the profile knows; it is an answer under that name", shown(id))
		}
		d.add(answer, name)
		return d.err == nil
	})
}

const fewAnswers = 16 // up to here a scan for doubles is cheaper than a map

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

// splitKey is the question's id within a key, and the name beside it.
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

// element reads one answer that is an element of an array, or stands alone; n is its place, from 1.
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
		// Without an id the text is what a person would look the answer up by.
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

// texts is JSON in which every scalar is text, as ids are, by its own token; null is absent.
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

// text is the first alternative that is a text.
func (d *reading) text(raw []byte, paths Paths) string {
	for i := range paths {
		if text := shared(paths[i].among(d.found, raw)); text != "" {
			return text
		}
	}
	return ""
}

// value keeps what was answered as it was spelt. Nothing answered leaves it absent.
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

// typedValue is the value under the key that the element's `type` names. A choice stands there as its label with
// ids beside it: the label is the value.
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

// withOther is what was chosen with what was written beside it: the last of a list of labels, or in place of a label.
func withOther(label json.RawMessage, other jsonpath.Result) json.RawMessage {
	switch {
	case other.Kind() != jsonpath.String || empty(other):
		return label
	case len(label) > 0 && label[0] == '[':
		return slices.Concat(label[:len(label)-1], []byte{','}, other.Raw(), []byte{']'})
	}
	return other.Raw()
}
