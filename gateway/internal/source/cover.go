package source

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// cover is the part of a request that its proof covers. A token, a password or the path token covers the whole request. A
// signature covers only the signed parts: whoever has seen one request can send it again with all other parts changed.
type cover struct {
	whole   bool // no signature is checked, so everything is covered
	body    bool
	compact bool // the signature may be over the body without white space, so white space is not covered
	fields  []string
	headers []string
}

// coverOf returns what several proofs, which must all pass, cover together.
func coverOf(proofs []*signature.Verifier) cover {
	c := cover{whole: true}
	for _, v := range proofs {
		if v.Kind() != KindHMAC {
			continue
		}
		parts := v.Parts()
		c.whole = false
		c.body, c.compact = c.body || parts.Body, c.compact || parts.Compact
		for _, name := range parts.Fields {
			if !slices.Contains(c.fields, name) {
				c.fields = append(c.fields, name)
			}
		}
		c.headers = append(c.headers, parts.Headers...)
		if parts.Timestamp != "" {
			c.headers = append(c.headers, parts.Timestamp)
		}
	}
	return c
}

// partial reports whether only some fields of a form are covered.
func (c *cover) partial() bool { return !c.whole && !c.body }

// header reports whether a header is covered.
func (c *cover) header(name string) bool {
	return c.whole || slices.ContainsFunc(c.headers, func(known string) bool { return strings.EqualFold(known, name) })
}

// proves reports whether a placeholder reads a covered part. A path that does not begin with a key reads only covered fields,
// because a source gives it no others.
func (c *cover) proves(p part) bool {
	switch p.what {
	case fromHeader:
		return c.header(p.name)
	case fromBody:
		first := jsonpath.FirstKey(p.path.text)
		return !c.partial() || p.path.fixed.Exists() || first == "" || slices.Contains(c.fields, first)
	}
	return true
}

// proved returns the covered fields of a form, in the order in which they are signed.
func (c *cover) proved(form []formField) []formField {
	var proved []formField
	for _, name := range c.fields {
		proved = append(proved, fieldsNamed(form, name)...)
	}
	return proved
}

// fieldsNamed returns the fields of a form with this name.
func fieldsNamed(form []formField, name string) []formField {
	var all []formField
	for _, field := range form {
		if field.name == name {
			all = append(all, field)
		}
	}
	return all
}

// words describes the covered parts in words.
func (c *cover) words() string {
	var all []string
	if c.body {
		all = append(all, "the body")
	}
	for _, name := range c.fields {
		all = append(all, "the field `"+name+"`")
	}
	for _, name := range c.headers {
		all = append(all, "the header `"+name+"`")
	}
	return strings.Join(all, " and ")
}
