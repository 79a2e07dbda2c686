package source

import (
	"encoding/base64"
	"strings"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Places are where a source's `verify` looks for secrets: what stands there in a request is kept nowhere, whatever it
// is. A wrong one may be a live secret that was mistyped, or the one before. A signature is no secret.
type Places struct {
	// Headers are in lower case; Members are the last names of paths into a JSON body.
	Headers, Query, Fields, Members map[string]bool
}

// Places are those of the source's own `verify`, else of its profile's, whether it has secrets or not.
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

// Given are the secrets that a request brought, right or wrong: what stands in the places, and the token of its path.
// They are hidden wherever else the request repeats them. What no platform makes, and what would take long to look for
// because it is made of escapes, is left out: whoever sends that is a stranger, and chose it.
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
