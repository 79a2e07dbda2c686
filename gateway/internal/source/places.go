package source

import (
	"encoding/base64"
	"strings"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Places are the places of a request in which a source's `verify` expects secrets. Values there are never kept, valid or not: an
// invalid one may be a mistyped secret, or a former one. Signatures are not secrets.
type Places struct {
	// Headers are in lower case; Members are the last keys of paths into a JSON body.
	Headers, Query, Fields, Members map[string]bool
}

// Places returns the places of the source's own `verify`, else of its profile's, whether or not the source has secrets.
func (s *Source) Places() Places {
	p := Places{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, scheme := range s.schemes() {
		switch {
		case scheme.Kind == KindBasic:
			p.Headers["authorization"] = true
		case scheme.Kind != KindToken:
		case scheme.Header != "":
			p.Headers[strings.ToLower(scheme.Header)] = true
		case scheme.Query != "":
			p.Query[scheme.Query] = true
		case scheme.Field != "":
			p.Fields[scheme.Field] = true
		case jsonpath.IsPlain(scheme.Path):
			p.Members[scheme.Path[strings.LastIndexByte(scheme.Path, '.')+1:]] = true
		}
	}
	return p
}

// Given returns the secrets that a request carries, valid or not: the values in its Places and its path token. They are masked
// wherever else the request repeats them. It omits values that are too long, or that consist of many escapes and would be slow to
// search for: platforms do not send such values, so they come from a stranger.
func (s *Source) Given(req *Request) []string {
	var all []string
	add := func(text string) {
		escapes := strings.Count(text, `\`) + strings.Count(text, "%") + strings.Count(text, "&")
		if text != "" && len(text) <= maxGiven && escapes <= 8 {
			all = append(all, text)
		}
	}
	add(req.Token)
	look := &facts{req: req, source: s}
	for _, scheme := range s.schemes() {
		text := ""
		switch {
		case scheme.Kind == KindBasic:
			_, encoded, _ := strings.Cut(look.Header("Authorization"), " ")
			if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded)); err == nil {
				_, text, _ = strings.Cut(string(plain), ":")
			}
		case scheme.Kind != KindToken:
		case scheme.Header != "":
			text = look.Header(scheme.Header)
		case scheme.Query != "":
			text = look.Query(scheme.Query)
		case scheme.Field != "":
			text, _ = look.Field(scheme.Field)
		default:
			text, _ = look.At(scheme.Path)
		}
		add(strings.TrimPrefix(text, scheme.Prefix))
	}
	return all
}
