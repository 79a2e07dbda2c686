package source

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// key returns the readable dedupe key of an event.
//   - If all placeholders are empty, or the key is too long, it is the body's hash: a constant key would swallow other events.
//   - If some placeholders are empty, the hash is appended, so that events which they would distinguish are not swallowed.
//   - Adjacent placeholders are alternatives: one of them must have a value.
//   - Only parts of the request that the signature covers are read.
func (r *run) key(head *event.Header, raw event.Raw) string {
	if !r.object {
		return r.digest(raw)
	}
	var b strings.Builder
	full, whole, present, hashed := false, true, false, false
	parts := r.source.Profile.key(head.Type).parts
	for i, part := range parts {
		text := part.literal
		switch part.what {
		case fromBody:
			text = r.known(r.read(part.path), part.path.text)
		case fromHash:
			text, hashed = r.digest(raw), true
		case fromHeader:
			if !r.source.cover.header(part.name) {
				break
			}
			if text = strings.TrimSpace(r.req.header(part.name)); !utf8.ValidString(text) && r.fault == nil {
				r.fault = event.NotTextError("header:" + shown(part.name))
			}
		}
		b.WriteString(text)
		if part.what == literal {
			continue
		}
		full = full || text != ""
		present = text != "" || present && i > 0 && parts[i-1].what != literal
		if i+1 == len(parts) || parts[i+1].what == literal {
			whole = whole && present
		}
	}
	// The type must not affect the key if an unsigned hint may have determined it.
	if !whole && !hashed && (ofSomebody(head.Type) || len(r.source.Profile.Hints) > 0) {
		b.WriteString(":" + r.digest(raw))
	}
	if !full || b.Len() > maxID {
		return r.digest(raw)
	}
	return strings.ToValidUTF8(b.String(), replacement) // for the profile's literals; all other parts are valid UTF-8
}

// digest returns the hash that represents an event in its key. If the signature covers only a part of the request, it is the
// hash of that part: otherwise one signature could be reused for any number of events.
func (r *run) digest(raw event.Raw) string {
	text, compact := r.in.proved, r.source.cover.compact
	switch {
	case !compact && (text == nil || r.part):
		return raw.SHA256
	case r.part:
		text = raw.Body
	case text == nil:
		text = r.req.Body
	}
	var b bytes.Buffer
	if compact && json.Compact(&b, jsonpath.TrimBOM(text)) == nil {
		text = b.Bytes()
	}
	return hash(text)
}

// key returns the template of the dedupe key for a type.
func (p *Profile) key(typ string) Template {
	if t, ok := p.DedupeByType[CanonicalType(typ)]; ok {
		return t
	}
	return p.Dedupe
}

// ofSomebody reports whether an event of this type may belong to a respondent. Events about a survey do not.
func ofSomebody(typ string) bool {
	return !strings.HasPrefix(typ, "survey.") && !strings.HasPrefix(typ, "collector.") && typ != event.TypeTest
}

// known returns a scalar that identifies an event or a response.
func (r *run) known(value jsonpath.Result, place string) string {
	r.wantText(value, place)
	return plain(value)
}

// wantText sets the run's fault if a scalar that identifies an event or a response cannot be read exactly: two different ids
// would become equal.
func (r *run) wantText(value jsonpath.Result, place string) {
	if r.fault == nil && (!value.IsText() || r.in.mangled && strings.Contains(plain(value), replacement)) {
		r.fault = event.NotTextError(shown(place))
	}
}

// replacement replaces bytes that are not UTF-8.
const replacement = "\uFFFD"

func (r *run) id(paths Paths) string {
	for _, path := range paths {
		if id := r.known(r.read(path), path.text); id != "" {
			if len(id) <= maxID {
				return id
			}
			r.warn.add("the event's id at `%s` is longer than %d bytes", path.text, maxID)
		}
	}
	return ""
}
