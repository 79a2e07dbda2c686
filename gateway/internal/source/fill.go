package source

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxID limits ids and the dedupe key, which are indexed. No platform has longer ids.
const maxID = 1024

// outcome is the result of filling a field: missing if there was no value, unusable if the value does not fit.
type outcome uint8

const (
	missing outcome = iota
	filled
	unusable
)

// fill sets a field to the first usable alternative, overwriting its value. It warns about unusable alternatives only if none is
// usable.
func (r *run) fill(f Field, from Lookup) outcome {
	var bad Path
	for _, path := range from.Paths {
		value := r.read(path)
		if empty(value) || len(from.Except) > 0 && slices.Contains(from.Except, plain(value)) {
			continue
		}
		if f.identity() {
			r.wantText(value, path.text)
		}
		got := r.put(f, value, from.Prefix)
		if got == filled {
			return filled
		}
		if got == unusable && bad.IsZero() {
			bad = path
		}
	}
	if !bad.IsZero() {
		r.warn.add("%s: the value of `%s` is not %s", f.Name, shown(bad.text), f.wants())
		return unusable
	}
	return missing
}

// put parses a value for a field and stores it.
func (r *run) put(f Field, value jsonpath.Result, prefix string) outcome {
	switch {
	case f.kind == kindResult:
		return r.putResult(strings.TrimPrefix(f.Name, resultPrefix), value, prefix)
	case value.Kind() == jsonpath.Array, value.Kind() == jsonpath.Object:
		return unusable
	}
	return r.putText(f, plain(value), prefix)
}

// putText is put for a text.
func (r *run) putText(f Field, text, prefix string) outcome {
	if text == "" {
		return missing
	}
	d := &r.data
	switch f.kind {
	case kindText, kindID:
		if text = prefix + text; f.kind == kindID && (len(text) > maxID || !f.identity() && strings.Contains(text, replacement)) {
			return unusable
		}
		*f.text(d) = text
	case kindTime:
		if r.source.Profile.noTime(text) {
			return missing
		}
		t, ok := event.ParseTime(text, r.source.zone)
		if !ok {
			return unusable
		}
		*f.text(d) = timeText(t)
	case kindScore, kindNPS, kindSeconds, kindMillis:
		n, ok := number(text)
		switch {
		case !ok,
			f.kind == kindNPS && (n < 0 || n > 10),
			(f.kind == kindSeconds || f.kind == kindMillis) && n < 0:
			return unusable
		case f.kind == kindMillis:
			n /= 1000
		}
		*f.num(d) = &n
	case kindBool:
		b, ok := truth(text)
		if !ok {
			return unusable
		}
		*f.flag(d) = &b
	default:
		return unusable
	}
	return filled
}

// identity reports whether the field is part of a response's identity.
func (f Field) identity() bool { return f.Name == "survey.id" || f.Name == "response.id" }

// absent reports whether the field has no value yet.
func (f Field) absent(d *event.Data) bool {
	switch {
	case f.text != nil:
		return *f.text(d) == ""
	case f.num != nil:
		return *f.num(d) == nil
	case f.flag != nil:
		return *f.flag(d) == nil
	}
	return true
}

// In reports whether the field has a value in an event's data.
func (f Field) In(d *event.Data) bool { return !f.absent(d) }

// wants describes the values that a field accepts, for warnings.
func (f Field) wants() string {
	switch f.kind {
	case kindTime:
		return "a readable time"
	case kindScore:
		return "a number"
	case kindNPS:
		return "a number from 0 to 10"
	case kindSeconds, kindMillis:
		return "a number from 0 up"
	case kindBool:
		return "a clear yes or no"
	case kindID:
		return "an id of at most 1024 bytes of UTF-8"
	}
	return "a text"
}

// resultOrder is the order of the members of response.result.
var resultOrder = []string{"id", "title", "description", "image", "right_answers"}

// putResult stores one member of response.result as JSON; ids and texts become strings, other values are unchanged.
func (r *run) putResult(member string, value jsonpath.Result, prefix string) outcome {
	var raw []byte
	switch {
	case member == "id" || prefix != "" || value.Kind() == jsonpath.String:
		text := plain(value)
		if text == "" {
			return unusable
		}
		raw = quote(prefix + text)
	default:
		raw = compact(value)
	}
	if r.result == nil {
		r.result = map[string][]byte{}
	}
	r.result[member] = raw
	return filled
}
