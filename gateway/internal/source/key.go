package source

import (
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// key is the readable key that two deliveries of one event share. One of which every placeholder is empty is the
// body's hash, never a constant; so is one that is too long to be kept. Where a placeholder is empty, what it would
// have told apart would be swallowed: the hash stands behind. Placeholders with nothing between them are one, of which
// one has to say something.
func (r *run) key(head *event.Header, sha string) string {
	if !r.object {
		return sha
	}
	var b strings.Builder
	full, whole, said, hashed := false, true, false, false
	parts := r.source.Profile.key(head.Type).parts
	for i, part := range parts {
		text := part.literal
		switch part.what {
		case fromBody:
			text = plain(r.read(part.path))
		case fromHash:
			text, hashed = sha, true
		case fromHeader:
			text = strings.TrimSpace(r.req.header(part.name))
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
	if !whole && !hashed && ofSomebody(head.Type) {
		b.WriteString(":" + sha)
	}
	if !full || b.Len() > maxID {
		return sha
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
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
