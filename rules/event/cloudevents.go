package event

import (
	"net/url"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// cloudEvent reads CloudEvents in structured form: attributes, and our spelling under `data`. Attributes that
// we have no use for are ignored, as CloudEvents demands of those it does not name.
func (p *parser) cloudEvent() error {
	p.cloud, p.kind, p.at = true, "application/cloudevents+json", "data."
	var data jsonpath.Result
	var err error
	p.event.Each(func(key []byte, v jsonpath.Result) bool {
		switch name := string(key); name {
		case "specversion":
			if v.Text() != "1.0" {
				err = &FieldError{Path: name, Problem: "must be 1.0"}
			}
		case "id", "type", "time", "tenant", "source":
			err = p.attribute(slices.Index(headKeys, name), v)
		case "data":
			if !data.Exists() {
				data = v
			}
		case "data_base64":
			err = &FieldError{Path: name, Problem: "is not taken: an event's data is JSON"}
		}
		return err == nil
	})
	switch {
	case err != nil:
		return err
	case !data.Exists() || data.Kind() == jsonpath.Null:
		return nil
	case data.Kind() != jsonpath.Object:
		return wrong("data", "an object", data)
	}
	return p.object("", schema, data)
}

func (p *parser) attribute(i int, v jsonpath.Result) error {
	if i == givenSource && v.Kind() == jsonpath.String {
		// Our own envelope, published again, comes from the source it names.
		if rest, ok := strings.CutPrefix(v.Text(), sourcePrefix); ok {
			if _, source, ok := strings.Cut(rest, sourceMiddle); ok && validName(source) {
				p.head[i], p.given[i] = source, true
				return nil
			}
		}
	}
	return p.header(i, v)
}

// ParseBinary is ParseOne for CloudEvents in binary form: attribute gives the value of a `ce-` header
// by its name without the prefix, as the header holds it: percent-encoding is undone here. The body is the data.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values
func ParseBinary(attribute func(name string) string, body []byte, d Defaults) (*Event, error) {
	if err := check(body); err != nil {
		return nil, err
	}
	p := parser{event: jsonpath.Parse(body), kind: "application/json", cloud: true}
	if attribute("specversion") != "1.0" {
		return nil, &FieldError{Path: "specversion", Problem: "must be 1.0"}
	}
	for i, name := range headKeys {
		if value := attribute(name); value != "" {
			if decoded, err := url.PathUnescape(value); err == nil {
				value = decoded
			}
			if err := p.attribute(i, jsonpath.Parse(appendText(nil, value))); err != nil {
				return nil, err
			}
		}
	}
	if p.event.Kind() != jsonpath.Object {
		return nil, wrong("data", "an object", p.event)
	}
	if err := p.object("", schema, p.event); err != nil {
		return nil, err
	}
	return p.finish(body, d)
}
