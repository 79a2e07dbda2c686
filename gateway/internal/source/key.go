package source

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// key is the readable key that two deliveries of one event share. One of which every placeholder is empty is the
// body's hash, never a constant; so is one that is too long to be kept. Where a placeholder is empty, what it would
// have told apart would be swallowed: the hash stands behind. Placeholders with nothing between them are one, of which
// one has to say something. Nothing of a key is read from what the source's proof does not cover.
func (r *run) key(head *event.Header, raw event.Raw) string {
	if !r.object {
		return r.digest(raw)
	}
	var b strings.Builder
	full, whole, said, hashed := false, true, false, false
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
		said = text != "" || said && i > 0 && parts[i-1].what != literal
		if i+1 == len(parts) || parts[i+1].what == literal {
			whole = whole && said
		}
	}
	// A type that a hint may have said does not decide what stands in the key.
	if !whole && !hashed && (ofSomebody(head.Type) || len(r.source.Profile.Hints) > 0) {
		b.WriteString(":" + r.digest(raw))
	}
	if !full || b.Len() > maxID {
		return r.digest(raw)
	}
	return strings.ToValidUTF8(b.String(), replacement) // literals of the profile are text; this is for them alone
}

// digest is the hash that stands for an event in its key. Of a request of which not every byte is proved, it is that of
// what is: else one proof would be good for any number of events.
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

// key is the template of the dedupe key of events of a type.
func (p *Profile) key(typ string) Template {
	if t, ok := p.DedupeByType[CanonicalType(typ)]; ok {
		return t
	}
	return p.Dedupe
}

// ofSomebody says whether an event of this type is one respondent's, or may be. A survey's own has no response.
func ofSomebody(typ string) bool {
	return !strings.HasPrefix(typ, "survey.") && !strings.HasPrefix(typ, "collector.") && typ != event.TypeTest
}

// known is a scalar by which an event or a response is known.
func (r *run) known(value jsonpath.Result, place string) string {
	r.wantText(value, place)
	return plain(value)
}

// wantText is the run's fault where a scalar by which an event or a response is known does not read as what was sent: two
// that differ would be one.
func (r *run) wantText(value jsonpath.Result, place string) {
	if r.fault == nil && (!value.IsText() || r.in.mangled && strings.Contains(plain(value), replacement)) {
		r.fault = event.NotTextError(shown(place))
	}
}

// replacement stands for what is not UTF-8.
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
