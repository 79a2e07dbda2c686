package source

import (
	"bytes"

	"github.com/surveygate/surveygate/gateway/internal/redact"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// redact takes the token out of a body that carries it, for what is kept: the body's own, and the path token where a
// platform repeats the address it sends to (Jotform). The hash stays that of the original.
func (s *Source) redact(req *Request, raw *event.Raw) {
	decoder := s.Profile.DecoderOf(req.Body)
	for _, scheme := range s.schemes() {
		if scheme.Kind != KindToken {
			continue
		}
		kept := raw.Body
		switch {
		case scheme.Path != "" && s.Profile.Decode == DecodeJSON:
			kept = withoutMember(kept, scheme.Path)
		case scheme.Field != "" && beginsAsJSON(req.Body): // whether that is read or not
			kept = withoutMember(kept, jsonpath.Escape(scheme.Field))
		case scheme.Field != "" && decoder == DecodeForm:
			kept = redact.Form(kept, only(scheme.Field), masked)
		case scheme.Field != "" && decoder == DecodeMultipart:
			kept = redact.Multipart(kept, s.boundary(req), only(scheme.Field), masked)
		}
		if !bytes.Equal(kept, raw.Body) {
			raw.Body, raw.Redacted = kept, true
		}
	}
	if token := s.PathToken.Expose(); token != "" && bytes.Contains(raw.Body, []byte(token)) {
		raw.Body, raw.Redacted = bytes.ReplaceAll(raw.Body, []byte(token), []byte(masked)), true
	}
}

// only hides one field.
func only(field string) redact.Hide { return func(name string) bool { return name == field } }

// masked is a part of a body without the secrets that the whole may carry.
func (s *Source) masked(part []byte) []byte {
	mask := func(secret string) {
		if len(secret) >= minMasked && bytes.Contains(part, []byte(secret)) {
			part = bytes.ReplaceAll(part, []byte(secret), []byte(masked))
		}
	}
	mask(s.PathToken.Expose())
	for _, scheme := range s.schemes() {
		if scheme.Kind != KindToken || scheme.Path == "" && scheme.Field == "" {
			continue
		}
		for _, secret := range s.Secrets {
			mask(secret.Expose())
		}
	}
	return part
}

const minMasked = 4 // a shorter secret would blot out ordinary text

const masked = "redacted"

// withoutMember cuts a token out of JSON, also where it stands twice. A path that computes cannot be cut, so what
// it leads to is cut as text wherever it stands.
func withoutMember(body []byte, path string) []byte {
	if jsonpath.IsPlain(path) {
		if cut, err := jsonpath.Cut(body, []string{path}); err == nil {
			return cut
		}
		return body // not JSON, so nothing was found in it either
	}
	if value := jsonpath.Read(body, path); value.Kind() == jsonpath.String && !empty(value) {
		return bytes.ReplaceAll(body, bytes.Clone(value.Raw()), []byte(`"`+masked+`"`))
	}
	return body
}
