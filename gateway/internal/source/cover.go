package source

import (
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// cover is what of a request its proof vouches for. A token, a password and the path token are the sender's word for all
// of it. A signature vouches for what is signed and for nothing beside that: whoever saw one request can send it again
// with everything else changed.
type cover struct {
	whole   bool // no signature is checked
	body    bool
	compact bool // the signature may be over the body without its white space, so white space says nothing
	fields  []string
	headers []string
}

// coverOf is what proofs vouch for that must all pass.
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

// partial says that of a form only some fields are proved.
func (c *cover) partial() bool { return !c.whole && !c.body }

// header says whether a header is proved.
func (c *cover) header(name string) bool {
	return c.whole || slices.ContainsFunc(c.headers, func(known string) bool { return strings.EqualFold(known, name) })
}

// proves says whether a placeholder reads what is proved. A path that begins with more than a key reads the proved
// fields only, since a source shows it no others.
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

// of is the proved fields of a form, in the order in which they are signed.
func (c *cover) of(form []formField) []formField {
	var proved []formField
	for _, name := range c.fields {
		proved = append(proved, fieldsNamed(form, name)...)
	}
	return proved
}

// fieldsNamed are the fields of a form that have a name.
func fieldsNamed(form []formField, name string) []formField {
	var all []formField
	for _, field := range form {
		if field.name == name {
			all = append(all, field)
		}
	}
	return all
}

// words says what is proved as people read it.
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
