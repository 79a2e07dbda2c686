package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

const maxFields = 2000 // of a form

// content is the body of a request as the profile reads it. If the signature covers only some fields of a form, content has only
// those.
type content struct {
	doc jsonpath.Index
	// hints is an object of the unsigned fields that the profile lists as hints; nil if there are none.
	hints []byte
	// proved is the text to hash for the dedupe key, if it is not the body: the signed fields of a form.
	proved []byte
	// beside are the names of unsigned fields, which are not read.
	beside []string
	// outside are places outside the list that the profile splits.
	outside []string
	// mangled reports that the body contains invalid UTF-8, which was replaced by U+FFFD.
	mangled bool
	warn    warnings
}

// decode converts a body to JSON and indexes it. The body itself is not modified.
func (s *Source) decode(req *Request, c *content) error {
	switch decoder := s.Profile.DecoderOf(req.Body); {
	case s.Profile.Decode == DecodeJSON:
		return c.soundJSON(&c.doc, req.Body)
	case decoder == DecodeJSON:
		return c.jsonForm(s.Profile, req.Body)
	case unexpectedJSON(decoder, req.Body):
		c.warn.add("%s; the body was not read", notAForm(s.Profile))
		return c.doc.Check([]byte("{}"), maxDepth)
	}
	form, err := s.readForm(req)
	if err != nil {
		return err
	}
	if s.cover.partial() {
		if err := c.takeHints(s.Profile, form); err != nil {
			return err
		}
		c.beside = s.beside(form)
		form = s.cover.proved(form)
	}
	text, err := c.formJSON(s.Profile, form)
	if err != nil {
		return err
	}
	if s.cover.partial() && len(form) > 0 {
		c.proved = text
	}
	return c.doc.Check(text, maxDepth)
}

// beside returns the names of unsigned fields with a value, except hints and the signature itself.
func (s *Source) beside(form []formField) (names []string) {
	for _, field := range form {
		switch {
		case field.value == "", slices.Contains(s.cover.fields, field.name), slices.Contains(s.Profile.Hints, field.name), slices.Contains(names, field.name),
			slices.ContainsFunc(s.schemes(), func(scheme signature.Scheme) bool { return scheme.Field == field.name }):
		case len(names) <= maxPlaces && s.Profile.reason(keyName.Replace(field.name)) == "":
			names = append(names, field.name)
		}
	}
	return names
}

// DecoderOf returns the format of a body.
func (p *Profile) DecoderOf(body []byte) Decoder {
	if len(p.Accept) == 0 {
		return p.Decode
	}
	came := DecodeForm
	switch {
	case beginsAsJSON(body):
		came = DecodeJSON
	case boundaryIn(body) != "":
		came = DecodeMultipart
	case bytes.IndexByte(body, '=') < 0:
		return p.Decode
	}
	if slices.Contains(p.Accept, came) {
		return came
	}
	return p.Decode
}

// typeOf returns the format of a body for the content type of a request that has none.
func (p *Profile) typeOf(body []byte) Decoder {
	if decoder := p.DecoderOf(body); !unexpectedJSON(decoder, body) {
		return decoder
	}
	return DecodeJSON
}

func beginsAsJSON(body []byte) bool {
	kind := jsonpath.ParseLazy(body).Kind()
	return kind == jsonpath.Object || kind == jsonpath.Array
}

// unexpectedJSON reports whether a body is JSON instead of a form.
func unexpectedJSON(decoder Decoder, body []byte) bool {
	return decoder != DecodeJSON && beginsAsJSON(body) && jsonpath.Valid(body)
}

// notAForm explains unexpected JSON to whoever configures the sender.
func notAForm(p *Profile) string {
	return fmt.Sprintf("the body is JSON, but %s sends a form: send a form, or give the source your own profile with `decode: json`", orElse(p.Title, p.Name))
}

// jsonForm reads a JSON object whose members are the fields of a form.
func (c *content) jsonForm(p *Profile, body []byte) error {
	var whole jsonpath.Index
	if err := c.soundJSON(&whole, body); err != nil {
		return err
	}
	root := whole.Root()
	if root.Kind() != jsonpath.Object {
		return c.doc.Check(whole.JSON(), maxDepth)
	}
	out := []byte{'{'}
	var err error
	root.Each(func(key []byte, value jsonpath.Result) bool {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(out, quote(string(key))...), ':')
		if value.Kind() == jsonpath.String && p.holdsJSON(string(key)) {
			out, err = c.appendJSONField(out, string(key), value.Text())
		} else {
			out = append(out, value.Raw()...)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return c.doc.Check(append(out, '}'), maxDepth)
}

// appendJSONField appends the JSON that a field contains as text.
func (c *content) appendJSONField(out []byte, name, value string) ([]byte, error) {
	if strings.TrimSpace(value) != "" {
		var inner jsonpath.Index
		err := c.soundJSON(&inner, []byte(value))
		if err == nil {
			return append(out, inner.Root().Raw()...), nil
		}
		if errors.Is(err, jsonpath.ErrTooDeep) {
			return nil, err
		}
		c.warn.add("the field `%s` should contain JSON and does not", shown(name))
	}
	return append(out, quote(value)...), nil
}

// takeHints keeps the fields that the profile lists as hints.
func (c *content) takeHints(p *Profile, form []formField) (err error) {
	var hints []formField
	for _, name := range p.Hints {
		hints = append(hints, fieldsNamed(form, name)...)
	}
	if len(hints) > 0 {
		c.hints, err = c.formJSON(p, hints)
	}
	return err
}

// maxDepth is the maximum depth of a form: one level more than its fields.
const maxDepth = jsonpath.MaxDepth + 1

// soundJSON indexes JSON, checking its depth and replacing invalid UTF-8.
func (c *content) soundJSON(doc *jsonpath.Index, text []byte) error {
	err := doc.Check(text, jsonpath.MaxDepth)
	if err == nil && !utf8.Valid(text) {
		c.mangle()
		err = doc.Check(bytes.ToValidUTF8(text, []byte("\uFFFD")), jsonpath.MaxDepth)
	}
	if err == nil || errors.Is(err, jsonpath.ErrTooDeep) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotJSON, err)
}

func (c *content) mangle() {
	c.mangled = true
	c.warn.add("the body contains invalid UTF-8, which was replaced by \uFFFD")
}

// contents pools contents, so that their indexes are reused.
var contents = sync.Pool{New: func() any { return new(content) }}

func (c *content) release() {
	c.doc.Reset()
	*c = content{doc: c.doc}
	contents.Put(c)
}

type formField struct{ name, value string }

// readForm returns the fields of a form in order. The value of an uploaded file is its name.
func (s *Source) readForm(req *Request) ([]formField, error) {
	switch s.Profile.DecoderOf(req.Body) {
	case DecodeForm:
		return readEncoded(req.Body)
	case DecodeMultipart:
		return readMultipart(req.Body, s.boundary(req))
	}
	return nil, fmt.Errorf("%w: it is not a form", ErrNotJSON)
}

func readEncoded(body []byte) ([]formField, error) {
	var fields []formField
	for rest, more := string(bytes.TrimSpace(jsonpath.TrimBOM(body))), true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%w: the form's encoding is broken", ErrNotJSON)
		}
		if fields = append(fields, formField{name, value}); len(fields) > maxFields {
			return nil, event.ErrTooManyAnswers
		}
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%w: the form is empty", ErrNotJSON)
	}
	return fields, nil
}

func readMultipart(body []byte, boundary string) ([]formField, error) {
	if boundary == "" {
		return nil, fmt.Errorf("%w: the multipart form has no boundary", ErrNotJSON)
	}
	var fields []formField
	for reader := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the multipart form is broken", ErrNotJSON)
		}
		name, value := part.FormName(), part.FileName()
		if value == "" {
			text, err := io.ReadAll(part) // bounded by the body, which is bounded by intake
			if err != nil {
				return nil, fmt.Errorf("%w: the multipart form is broken", ErrNotJSON)
			}
			value = string(text)
		}
		if name == "" {
			continue
		}
		if fields = append(fields, formField{name, value}); len(fields) > maxFields {
			return nil, event.ErrTooManyAnswers
		}
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%w: the form is empty", ErrNotJSON)
	}
	return fields, nil
}

// boundary returns the boundary of a multipart form. Signatures do not cover the content type, in which an attacker could change
// the boundary to get other fields; for a signed body, the boundary is therefore read from the body.
func (s *Source) boundary(req *Request) string {
	if s.cover.whole {
		return Boundary(req.ContentType, req.Body)
	}
	return boundaryIn(req.Body)
}

// Boundary returns the boundary of a multipart form from its content type, or else from the beginning of the body.
func Boundary(contentType string, body []byte) string {
	if _, params, err := mime.ParseMediaType(contentType); err == nil && params["boundary"] != "" {
		return params["boundary"]
	}
	return boundaryIn(body)
}

// boundaryIn returns the boundary at the beginning of a multipart form; empty if there is none.
func boundaryIn(body []byte) string {
	first, _, _ := bytes.Cut(jsonpath.TrimBOM(body), []byte("\n"))
	first = bytes.TrimRight(first, "\r")
	if len(first) > 2 && len(first) <= 72 && bytes.HasPrefix(first, []byte("--")) {
		return string(first[2:])
	}
	return ""
}

// formJSON converts a form to an object: fields in order, a repeated field as an array, and json_fields as the JSON they contain.
func (c *content) formJSON(p *Profile, form []formField) ([]byte, error) {
	places := make(map[string]int, len(form))
	var names []string
	var values [][]string
	for _, field := range form {
		if !utf8.ValidString(field.name) || !utf8.ValidString(field.value) {
			c.mangle()
		}
		i, known := places[field.name]
		if !known {
			i = len(names)
			places[field.name] = i
			names, values = append(names, field.name), append(values, nil)
		}
		values[i] = append(values[i], field.value)
	}
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, quote(name)...), ':')
		if len(values[i]) > 1 {
			out = append(out, '[')
			for j, value := range values[i] {
				if j > 0 {
					out = append(out, ',')
				}
				out = append(out, quote(value)...)
			}
			out = append(out, ']')
			continue
		}
		value := values[i][0]
		if !p.holdsJSON(name) {
			out = append(out, quote(value)...)
			continue
		}
		var err error
		if out, err = c.appendJSONField(out, name, value); err != nil {
			return nil, err
		}
	}
	out = append(out, '}')
	return out, nil
}

func (p *Profile) holdsJSON(field string) bool {
	return slices.Contains(p.JSONFields, field)
}

// quote returns a text as a JSON string.
func quote(text string) []byte {
	quoted, err := event.Marshal(text)
	if err != nil { // cannot happen: a string can always be marshalled
		return []byte(`""`)
	}
	return quoted
}
