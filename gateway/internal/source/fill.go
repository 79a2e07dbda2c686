package source

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// maxID bounds ids and the dedupe key: they are indexed, and no platform's is longer.
const maxID = 1024

// missing is the outcome of a fill that found nothing, unusable of one that found what does not fit.
type outcome uint8

const (
	missing outcome = iota
	filled
	unusable
)

// place takes the first alternative that can be used and puts it where the field is; what stands there already is
// overwritten. Alternatives that are there but do not fit are told only where none fits.
func (r *run) place(f Field, from Lookup) outcome {
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
		r.warn.add("%s: what `%s` holds is not %s", f.Name, shown(bad.text), f.wants())
		return unusable
	}
	return missing
}

// put reads a value as the field wants it and stores it.
func (r *run) put(f Field, value jsonpath.Result, prefix string) outcome {
	switch {
	case f.kind == kindResult:
		return r.putResult(strings.TrimPrefix(f.Name, resultPrefix), value, prefix)
	case value.Kind() == jsonpath.Array, value.Kind() == jsonpath.Object:
		return unusable
	}
	return r.putText(f, plain(value), prefix)
}

// putText is put for what is text already.
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

// identity says whether a response is known by the field.
func (f Field) identity() bool { return f.Name == "survey.id" || f.Name == "response.id" }

// absent says whether nothing stands at the field yet.
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

// wants says what a field takes, for warnings.
func (f Field) wants() string {
	switch f.kind {
	case kindTime:
		return "a time that can be read"
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

// resultOrder is how members of response.result are written.
var resultOrder = []string{"id", "title", "description", "image", "right_answers"}

// putResult keeps one member of response.result, as JSON; ids and texts are text, the rest stays what it is.
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
