package source

import (
	"bytes"

	"github.com/surveygate/surveygate/gateway/internal/redact"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// redact removes tokens from the body that is kept: a token inside the body, and the path token if the platform repeats the
// URL in it (Jotform). The hash remains that of the original.
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
		case scheme.Field != "" && beginsAsJSON(req.Body): // whether or not the profile reads JSON
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

// only selects one field.
func only(field string) redact.Hide { return func(name string) bool { return name == field } }

// masked masks the secrets that a part of a body may carry.
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

const minMasked = 4 // masking shorter secrets would mask ordinary text

const masked = "redacted"

// withoutMember removes a token from JSON, also duplicates. A member cannot be removed by a path that computes; then the value
// is masked as text, wherever it occurs.
func withoutMember(body []byte, path string) []byte {
	if jsonpath.IsPlain(path) {
		if cut, err := jsonpath.Cut(body, []string{path}); err == nil {
			return cut
		}
		return body // not JSON, so no token was read from it
	}
	if value := jsonpath.Read(body, path); value.Kind() == jsonpath.String && !empty(value) {
		return bytes.ReplaceAll(body, bytes.Clone(value.Raw()), []byte(`"`+masked+`"`))
	}
	return body
}
