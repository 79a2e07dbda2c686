package intake

import (
	"bytes"
	"mime"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/redact"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// hidden stands where a secret was.
const hidden = connectors.Hidden

// secretWords make the name of a header, a parameter or a JSON field suspicious.
var secretWords = []string{
	"authorization", "secret", "token", "cookie", "password", "passwd", "api-key", "api_key", "apikey", "handshakekey", "credential",
}

// telling says whether what goes by this name is likely a secret.
func telling(name string) bool {
	if len(name) > 256 {
		return true
	}
	lower := strings.ToLower(name)
	for _, word := range secretWords {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

func never(string) bool { return false }

// mask takes secrets out of what is kept of one request: the source's own and those that the request brought, wherever
// and however they are written; what stands where the source's `verify` looks for a secret; and what goes by a telling
// name.
type mask struct {
	cutter *redact.Cutter
	places source.Places
	// path is what stands before a path token in the source's address.
	path []byte
	// profile says how the source's platform writes bodies, whatever a request says of its own; it may be nil.
	profile *source.Profile
}

// minMasked is the length below which a secret would blot out ordinary text.
const minMasked = 4

// newMask is the mask for a request, which may be nil.
func newMask(s *source.Source, req *source.Request) mask {
	var texts []string
	add := func(text string) {
		if len(text) >= minMasked {
			texts = append(texts, text)
		}
	}
	add(s.PathToken.Expose())
	for _, secret := range s.Secrets {
		text := secret.Expose()
		add(text)
		if _, password, found := strings.Cut(text, ":"); found { // basic's, written user:password
			add(password)
		}
	}
	for _, secret := range s.Vars {
		add(secret.Expose())
	}
	if req != nil {
		for _, text := range s.Given(req) {
			add(text)
		}
	}
	return mask{cutter: redact.New(texts...), places: s.Places(), path: []byte("/in/" + s.Name + "/"), profile: s.Profile}
}

// text is a text that is kept whole, without secrets. What is given is not changed.
func (m mask) text(text string) string { return m.cutter.Text(text) }

// query is the part of an address behind its question mark.
func (m mask) query(b []byte) []byte {
	return redact.Form(m.cutter.Cut(b, false), m.inQuery, hidden)
}

func (m mask) inQuery(name string) bool { return m.places.Query[name] || telling(name) }

// header is the value of a header. One that holds an address, as Referer does, may repeat the source's own.
func (m mask) header(name string, value []byte) string {
	if telling(name) || m.places.Headers[strings.ToLower(name)] {
		return hidden
	}
	p := head(value, maxValue)
	b := redact.Address(m.cutter.Cut(p.bytes, p.cut), m.inQuery, hidden)
	if at := bytes.Index(b, m.path); at >= 0 {
		token := b[at+len(m.path):]
		if end := bytes.IndexAny(token, "/?# \t,"); end >= 0 {
			token = token[:end]
		}
		if len(token) > 0 {
			from := at + len(m.path)
			b = append(append(append([]byte(nil), b[:from]...), hidden...), b[from+len(token):]...)
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// body is a body without secrets, whatever it is: JSON, a form, or neither of them, whole or cut off.
func (m mask) body(p part, contentType []byte) part { return m.hide(p, contentType, telling) }

// exact is a body of which only what is known to be secret is taken out, and nothing for its name alone.
func (m mask) exact(p part, contentType []byte) part { return m.hide(p, contentType, never) }

func (m mask) hide(p part, contentType []byte, names redact.Hide) part {
	b := m.cutter.Cut(p.bytes, p.cut)
	inFields := func(name string) bool { return m.places.Fields[name] || names(name) }
	kind, _, _ := mime.ParseMediaType(string(contentType))
	isJSON := kind == "application/json"
	var decoder source.Decoder
	if m.profile != nil {
		decoder = m.profile.DecoderOf(p.bytes)
	}
	switch {
	case kind == "multipart/form-data", decoder == source.DecodeMultipart && !isJSON:
		b = redact.Multipart(b, source.Boundary(string(contentType), p.bytes), inFields, hidden)
	case kind == "application/x-www-form-urlencoded", decoder == source.DecodeForm && !isJSON:
		b = redact.Form(b, inFields, hidden)
	}
	// Whatever a request says of its body: it may be JSON, or hold some.
	b = redact.JSON(b, func(name string) bool { return m.places.Members[name] }, names, hidden)
	return part{b, p.cut}
}
