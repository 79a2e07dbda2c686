package event

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// cloudEvent reads CloudEvents in structured form: attributes, and our spelling under `data`. Attributes that
// we have no use for are ignored, as CloudEvents demands of those it does not name.
func (p *parser) cloudEvent() error {
	p.cloud, p.kind, p.at = true, "application/cloudevents+json", "data."
	var data jsonpath.Result
	var err error
	seen := 0 // a bit for each of attributes
	p.event.Each(func(key []byte, v jsonpath.Result) bool {
		name := string(key)
		i := attributeIndex(name)
		if i < 0 || !attributes[i].once {
			return true
		}
		if seen&(1<<i) != 0 {
			err = &FieldError{Path: name, Problem: "stands twice"}
			return false
		}
		seen |= 1 << i
		switch name {
		case "specversion":
			if v.Kind() != jsonpath.String {
				err = wrong(name, "text", v)
			} else if v.Text() != specVersion {
				err = wrongSpecVersion()
			}
		case "data":
			data = v
		case "data_base64":
			err = &FieldError{Path: name, Problem: "is not taken: an event's data is JSON"}
		default:
			switch at := slices.Index(headKeys, name); {
			case at >= 0:
				err = p.attribute(at, v)
			case v.Kind() == jsonpath.String: // ours
				if !v.IsText() {
					err = NotTextError(name)
				}
				p.keepOurs(&attributes[i], v.Text())
			}
		}
		return err == nil
	})
	if err == nil {
		p.required()
		err = p.foreign()
	}
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

// ParseStructured is ParseOne for a body with the content type of a CloudEvent: a body that is not a CloudEvent is an error.
func ParseStructured(body []byte, d Defaults) (*Event, error) {
	if err := check(body); err != nil {
		return nil, err
	}
	if err := declared(jsonpath.Parse(body)); err != nil {
		return nil, err
	}
	return parse(body, d)
}

// ParseBatch parses a JSON array of CloudEvents and returns one result per event. The error concerns the whole body.
func ParseBatch(body []byte, d Defaults) ([]Parsed, error) {
	if err := checkTo(body, maxArrayDepth); err != nil {
		return nil, err
	}
	whole := jsonpath.Parse(body)
	if whole.Kind() != jsonpath.Array {
		return nil, wrong("body", "an array of CloudEvents", whole)
	}
	return parseArray(whole, d, ParseStructured)
}

// declared refuses an object that is not a CloudEvent. A value that is not an object is refused later.
func declared(v jsonpath.Result) error {
	if v.Kind() == jsonpath.Object && !jsonpath.Read(v.Raw(), "specversion").Exists() {
		return &FieldError{Path: "specversion", Problem: "is missing, which every CloudEvent has"}
	}
	return nil
}

// ParseBinary is ParseOne for a CloudEvent in binary form. attribute returns the value of a `ce-` header by its name without the
// prefix; ParseBinary decodes it. The body is the data; an empty body is an event without data.
func ParseBinary(attribute func(name string) string, body []byte, d Defaults) (*Event, error) {
	if len(body) == 0 {
		body = []byte("{}")
	}
	if err := check(body); err != nil {
		return nil, err
	}
	p := parser{event: jsonpath.Parse(body), kind: "application/json", cloud: true}
	if attribute("specversion") != specVersion {
		return nil, wrongSpecVersion()
	}
	for i, name := range headKeys {
		if value := headerText(attribute(name)); !utf8.ValidString(value) {
			return nil, NotTextError(name)
		} else if value != "" {
			if err := p.attribute(i, jsonpath.Parse(appendText(nil, value))); err != nil {
				return nil, err
			}
		}
	}
	for i := range attributes {
		a := &attributes[i]
		if !a.ours {
			continue
		}
		switch value := headerText(attribute(a.name)); {
		case !utf8.ValidString(value):
			return nil, NotTextError(a.name)
		case value != "":
			p.keepOurs(a, value)
		}
	}
	p.required()
	if err := p.foreign(); err != nil {
		return nil, err
	}
	if p.event.Kind() != jsonpath.Object {
		return nil, wrong("data", "an object", p.event)
	}
	if err := p.object("", schema, p.event); err != nil {
		return nil, err
	}
	return p.finish(body, d)
}

func wrongSpecVersion() error {
	return &FieldError{Path: "specversion", Problem: "must be " + specVersion}
}

// required records the first missing attribute of those that every CloudEvent must have. Without an id, the hash of the data
// would replace it, so equal answers of two respondents would be one event; without a source, the ids of two senders could
// collide.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes
func (p *parser) required() {
	for _, i := range [...]int{givenID, givenSource, givenType} {
		if p.head[i] == "" {
			p.bare = headKeys[i]
			return
		}
	}
}

// foreign returns the error for a type that is not canonical. It is checked before the data, because it is the more helpful
// error.
func (p *parser) foreign() error {
	if p.head[givenType] == "" {
		return nil // a missing type is reported later
	}
	return checkType(p.head[givenType])
}

// headerText decodes the value of a CloudEvents header: it removes quotes around the value, and then decodes %XX once. An invalid
// encoding stays unchanged.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values
func headerText(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		quoted := value[1 : n-1]
		plain := make([]byte, 0, len(quoted))
		for i := 0; i < len(quoted); i++ {
			if quoted[i] == '\\' && i+1 < len(quoted) {
				i++
			}
			plain = append(plain, quoted[i])
		}
		value = string(plain)
	}
	if !strings.Contains(value, "%") {
		return value
	}
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '%' && i+2 < len(value) {
			if b, err := hex.DecodeString(value[i+1 : i+3]); err == nil {
				out = append(out, b[0])
				i += 2
				continue
			}
		}
		out = append(out, value[i])
	}
	return string(out)
}

func (p *parser) keepOurs(a *attribute, value string) {
	if p.own == nil {
		p.own = new(Header)
	}
	*a.field(p.own) = value
}

// isOurs reports whether a CloudEvent is one of ours: its id is made of its tenant, source and dedupe key. Published again
// it keeps its dedupe key, here and at a gateway behind ours; so one that is sent to its own gateway ends there, as a
// duplicate.
func (p *parser) isOurs(h *Header) bool {
	return p.own != nil && p.own.DedupeKey != "" && slices.Contains(IDs(h.Tenant, h.Source, p.own.DedupeKey), h.OrigID)
}

// cloudKey returns the dedupe key of a CloudEvent whose source is a URI: SOURCE#ID. A source that contains # itself is preceded
// by its length, so that no other source and id have the same key.
func cloudKey(source, id string) string {
	if strings.Contains(source, "#") {
		return "#" + strconv.Itoa(len(source)) + ":" + source + "#" + id
	}
	return source + "#" + id
}

// maxKeys bounds the result of PublishedKeys.
const maxKeys = 16

// PublishedKeys returns the dedupe keys that a published event may have if its publisher knows it by this text: the text itself,
// and if it contains # more than once, the keys of all ways to read it as SOURCE#ID of a CloudEvent.
func PublishedKeys(text string) []string {
	keys := []string{text}
	first := strings.IndexByte(text, '#')
	for at := first + 1; first >= 0 && len(keys) < maxKeys; {
		next := strings.IndexByte(text[at:], '#')
		if next < 0 {
			break
		}
		at += next
		keys = append(keys, cloudKey(text[:at], text[at+1:]))
		at++
	}
	return keys
}
