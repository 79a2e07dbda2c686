package webhook

import (
	"errors"
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Word is a kind of body that is named by one word.
type Word string

// The words. The empty word is RawBytes, unless there are values.
const (
	// RawBytes are the platform's original bytes with their own content type.
	RawBytes Word = "raw"
	// Envelope is the normalised event.
	Envelope Word = "event"
	// CloudEvents is the same as a structured CloudEvent.
	CloudEvents Word = "cloudevents"
	// BinaryCloudEvents is the event's data, with the attributes in headers.
	BinaryCloudEvents Word = "cloudevents-binary"
)

var words = []Word{RawBytes, Envelope, CloudEvents, BinaryCloudEvents}

// Body is what a webhook sends: one of the words, or a mapping of values.
type Body struct {
	Word   Word
	Values expression.Values
}

var _ connectors.ValuesUnmarshaler = (*Body)(nil)

// UnmarshalText takes one of the words.
func (b *Body) UnmarshalText(text []byte) error {
	for _, word := range words {
		if string(word) == string(text) {
			*b = Body{Word: word}
			return nil
		}
	}
	return fmt.Errorf("`%s` is no body; one of raw, event, cloudevents, cloudevents-binary, or a mapping of values", text)
}

// UnmarshalValues takes a mapping.
func (b *Body) UnmarshalValues(values expression.Values) error {
	*b = Body{Values: values}
	return nil
}

// IsZero says that nothing was written, which stands for `raw`.
func (b Body) IsZero() bool { return b.Word == "" && b.Values.IsZero() }

// What the answers and leads are called in the bodies that we write.
var (
	answersOf = map[bool]string{false: "data.response.answers", true: "response.answers"}
	leadsOf   = map[bool]string{false: "data.response.leads", true: "response.leads"}
)

// LargeNumbers is how whole numbers beyond 2^53 stand in a body that we write.
type LargeNumbers string

// The ways. Empty is AsText for the signature `pollqr`, else AsNumbers.
const (
	// AsNumbers keeps their digits; what reads JSON as JavaScript does rounds them.
	AsNumbers LargeNumbers = "number"
	// AsText keeps their digits in quotes.
	AsText LargeNumbers = "text"
	// Rounded is what JavaScript makes of them.
	Rounded LargeNumbers = "rounded"
)

var digits = map[LargeNumbers]event.Digits{AsNumbers: event.KeepDigits, AsText: event.TextDigits, Rounded: event.RoundDigits}

// UnmarshalText takes one of the ways.
func (l *LargeNumbers) UnmarshalText(text []byte) error {
	if _, ok := digits[LargeNumbers(text)]; !ok {
		return fmt.Errorf("`%s` is no way to write large numbers; one of number, text, rounded", text)
	}
	*l = LargeNumbers(text)
	return nil
}

// digits are how large whole numbers are written. Receivers built from PollQR's sample verify
// JSON.stringify(JSON.parse(body)) instead of the bytes, so that a number JavaScript rounds would break the signature.
func (c *Connector) digits() event.Digits {
	switch {
	case c.LargeNumbers != "":
		return digits[c.LargeNumbers]
	case c.Style().Style == "pollqr":
		return event.TextDigits
	}
	return event.KeepDigits
}

// body is the bytes and their content type. Those that we write are stable under JSON.stringify(JSON.parse(…)), but for
// whole numbers beyond 2^53, of which digits decides.
func (c *Connector) body(ev *event.Event) (body []byte, contentType string, err error) {
	if !c.Body.Values.IsZero() {
		values, err := c.Body.Values.Of(ev)
		if err != nil {
			return nil, "", err
		}
		body, err = event.MarshalDigits(values, c.digits())
		return body, "application/json", err
	}
	switch c.Body.Word {
	case Envelope, CloudEvents:
		contentType = "application/json"
		if c.Body.Word == CloudEvents {
			contentType = "application/cloudevents+json; charset=utf-8"
		}
		body, err = c.without(ev.Envelope(), false)
	case BinaryCloudEvents:
		contentType = "application/json"
		body, err = c.without(ev.DataJSON(), true)
	default:
		return c.raw(ev)
	}
	if err == nil {
		body, err = event.Stable(body, c.digits())
	}
	return body, contentType, err
}

// without cuts answers and leads out of a body of ours; data says that it is the event's data alone.
func (c *Connector) without(body []byte, data bool) ([]byte, error) {
	var paths []string
	if !c.SendAnswers {
		paths = append(paths, answersOf[data])
	}
	if !c.SendLeads {
		paths = append(paths, leadsOf[data])
	}
	if paths == nil {
		return body, nil
	}
	return jsonpath.Cut(body, paths)
}

// raw is the original bytes. What is not wanted is cut at the paths the profile names; where it names none, the
// platform sends none.
func (c *Connector) raw(ev *event.Event) ([]byte, string, error) {
	if len(ev.Raw.Body) == 0 {
		return nil, "", errors.New("the event has no original bytes")
	}
	contentType := ev.Raw.ContentType
	if contentType == "" || strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r > '~' }) {
		contentType = "application/json"
	}
	var paths []string
	if !c.SendAnswers {
		paths = append(paths, ev.Raw.AnswersAt...)
	}
	if !c.SendLeads {
		paths = append(paths, ev.Raw.LeadsAt...)
	}
	if len(paths) == 0 {
		return ev.Raw.Body, contentType, nil
	}
	body, err := jsonpath.Cut(ev.Raw.Body, paths)
	return body, contentType, err
}

// isRaw reports whether the original bytes are sent.
func (c *Connector) isRaw() bool {
	return c.Body.Values.IsZero() && (c.Body.Word == "" || c.Body.Word == RawBytes)
}

// about appends the headers that say of raw bytes what they do not say themselves. A header that a signature of one's own is
// called by is left to it.
func about(fields []connectors.Field, ev *event.Event, style connectors.Signature) []connectors.Field {
	for _, f := range [...]connectors.Field{
		{Name: "webhook-event", Value: ev.Type}, {Name: "webhook-source", Value: ev.Source}, {Name: "webhook-tenant", Value: ev.Tenant},
	} {
		if f.Value == "" || style.Style == "" && strings.EqualFold(style.Header, f.Name) {
			continue
		}
		f.Value = encode(f.Value)
		fields = append(fields, f)
	}
	return fields
}

// attributes are the headers of the binary form.
func attributes(ev *event.Event) []connectors.Field {
	fields := make([]connectors.Field, 0, 15)
	for name, value := range ev.Attributes {
		fields = append(fields, connectors.Field{Name: event.AttributeHeader + name, Value: encode(value)})
	}
	return fields
}

const upperHex = "0123456789ABCDEF"

// encode writes an attribute as CloudEvents wants it in a header: space, `"`, `%` and whatever is not visible
// ASCII as %XX.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#3132-http-header-values
func encode(value string) string {
	plain := true
	for i := range len(value) {
		plain = plain && visible(value[i])
	}
	if plain {
		return value
	}
	b := make([]byte, 0, len(value)+16)
	for i := range len(value) {
		if c := value[i]; visible(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

func visible(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' }
