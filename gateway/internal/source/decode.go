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

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

const maxFields = 2000 // of a form

// decode makes JSON of a body and indexes it. The body itself stays as it came.
func (s *Source) decode(req *Request, doc *jsonpath.Index, warn *warnings) error {
	if s.Profile.Decode == DecodeJSON {
		return soundJSON(doc, req.Body, warn)
	}
	form, err := readForm(s.Profile.Decode, req)
	if err != nil {
		return err
	}
	text, err := s.formJSON(form, warn)
	if err != nil {
		return err
	}
	return doc.Check(text, maxDepth)
}

// maxDepth is that of a form: it is one level around what its fields hold.
const maxDepth = jsonpath.MaxDepth + 1

// soundJSON indexes text that is JSON of bearable depth, as UTF-8.
func soundJSON(doc *jsonpath.Index, text []byte, warn *warnings) error {
	text = withoutBOM(text)
	err := doc.Check(text, jsonpath.MaxDepth)
	if err == nil && !utf8.Valid(text) {
		warn.add("the body is not UTF-8; what is not reads as \uFFFD")
		err = doc.Check(bytes.ToValidUTF8(text, []byte("\uFFFD")), jsonpath.MaxDepth)
	}
	if err == nil || errors.Is(err, jsonpath.ErrTooDeep) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotJSON, err)
}

// documents are indexes that were used before.
var documents = sync.Pool{New: func() any { return new(jsonpath.Index) }}

func release(doc *jsonpath.Index) {
	doc.Reset()
	documents.Put(doc)
}

// withoutBOM takes off the mark that some senders put before UTF-8.
func withoutBOM(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF")) }

type formField struct{ name, value string }

// readForm is a form's fields in their order. An uploaded file is its name.
func readForm(decoder Decoder, req *Request) ([]formField, error) {
	switch decoder {
	case DecodeForm:
		return readEncoded(req.Body)
	case DecodeMultipart:
		return readMultipart(req)
	}
	return nil, fmt.Errorf("%w: it is no form", ErrNotJSON)
}

func readEncoded(body []byte) ([]formField, error) {
	var fields []formField
	for rest, more := string(bytes.TrimSpace(body)), true; more; {
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

func readMultipart(req *Request) ([]formField, error) {
	boundary := boundaryOf(req)
	if boundary == "" {
		return nil, fmt.Errorf("%w: the multipart form has no boundary", ErrNotJSON)
	}
	var fields []formField
	for reader := multipart.NewReader(bytes.NewReader(req.Body), boundary); ; {
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

func boundaryOf(req *Request) string { return Boundary(req.ContentType, req.Body) }

// Boundary is that of a multipart form: what its content type says, else what the body begins with.
func Boundary(contentType string, body []byte) string {
	if _, params, err := mime.ParseMediaType(contentType); err == nil && params["boundary"] != "" {
		return params["boundary"]
	}
	first, _, _ := bytes.Cut(body, []byte("\n"))
	first = bytes.TrimRight(first, "\r")
	if len(first) > 2 && len(first) <= 72 && bytes.HasPrefix(first, []byte("--")) {
		return string(first[2:])
	}
	return ""
}

// formJSON writes a form as an object: fields in their order, one that stands several times as an array, and
// json_fields as what they hold.
func (s *Source) formJSON(form []formField, warn *warnings) ([]byte, error) {
	places := make(map[string]int, len(form))
	var names []string
	var values [][]string
	for _, field := range form {
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
		if s.Profile.holdsJSON(name) && strings.TrimSpace(value) != "" {
			var held jsonpath.Index
			err := soundJSON(&held, []byte(value), warn)
			if err == nil {
				out = append(out, held.Root().Raw()...)
				continue
			}
			if errors.Is(err, jsonpath.ErrTooDeep) {
				return nil, err
			}
			warn.add("the field `%s` should hold JSON and does not", shown(name))
		}
		out = append(out, quote(value)...)
	}
	out = append(out, '}')
	return out, nil
}

func (p *Profile) holdsJSON(field string) bool {
	return slices.Contains(p.JSONFields, field)
}

// quote is a text as a JSON string.
func quote(text string) []byte {
	quoted, err := event.Marshal(text)
	if err != nil { // cannot be: a string always marshals
		return []byte(`""`)
	}
	return quoted
}
