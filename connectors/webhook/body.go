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

// Format is the format of a body.
type Format string

// The formats. The empty format means the preset's, or else RawBytes, unless Body.Values is set.
const (
	// RawBytes sends the platform's original bytes with their own content type.
	RawBytes Format = "raw"
	// Envelope sends the normalised event as JSON.
	Envelope Format = "event"
	// CloudEvents sends the same JSON with the content type of a structured CloudEvent.
	CloudEvents Format = "cloudevents"
	// BinaryCloudEvents sends the event's data, and the CloudEvents attributes in headers.
	BinaryCloudEvents Format = "cloudevents-binary"
	// PollarixEnvelope sends the envelope of Pollarix' webhooks, whatever the source is.
	PollarixEnvelope Format = pollarix
)

var formats = []Format{RawBytes, Envelope, CloudEvents, BinaryCloudEvents, PollarixEnvelope}

// Body is the `body` setting: one of the formats, or a mapping of values.
type Body struct {
	Format Format
	Values expression.Values
}

var _ connectors.ValuesUnmarshaler = (*Body)(nil)

// UnmarshalText accepts the name of a format.
func (b *Body) UnmarshalText(text []byte) error {
	for _, format := range formats {
		if string(format) == string(text) {
			*b = Body{Format: format}
			return nil
		}
	}
	return fmt.Errorf("`%s` is no body; one of raw, event, cloudevents, cloudevents-binary, pollarix, or a mapping of values", text)
}

// UnmarshalValues accepts a mapping.
func (b *Body) UnmarshalValues(values expression.Values) error {
	*b = Body{Values: values}
	return nil
}

// IsZero reports whether the setting is absent, which means the preset's body, or else `raw`.
func (b Body) IsZero() bool { return b.Format == "" && b.Values.IsZero() }

// The paths of answers and leads in a normalised event: in its envelope (false), and in its data alone (true).
var (
	answersPath = map[bool]string{false: "data.response.answers", true: "response.answers"}
	leadsPath   = map[bool]string{false: "data.response.leads", true: "response.leads"}
)

// LargeNumbers is the form of whole numbers beyond 2^53 in every body but RawBytes.
type LargeNumbers string

// The forms. An empty setting means AsText for the signature `pollqr`, and AsNumbers for all others.
const (
	// AsNumbers writes all digits. A receiver that parses JSON as JavaScript does rounds them.
	AsNumbers LargeNumbers = "number"
	// AsText writes all digits in quotes.
	AsText LargeNumbers = "text"
	// Rounded writes the number to which JavaScript rounds.
	Rounded LargeNumbers = "rounded"
)

var digits = map[LargeNumbers]event.Digits{AsNumbers: event.KeepDigits, AsText: event.TextDigits, Rounded: event.RoundDigits}

// UnmarshalText accepts the name of a form.
func (l *LargeNumbers) UnmarshalText(text []byte) error {
	if _, ok := digits[LargeNumbers(text)]; !ok {
		return fmt.Errorf("`%s` is no way to write large numbers; one of number, text, rounded", text)
	}
	*l = LargeNumbers(text)
	return nil
}

// digits returns the form of large whole numbers. Receivers that follow PollQR's sample code verify
// JSON.stringify(JSON.parse(body)) instead of the bytes, so a number that JavaScript rounds would break the signature.
func (c *Connector) digits() event.Digits {
	switch {
	case c.LargeNumbers != "":
		return digits[c.LargeNumbers]
	case c.Style().Style == "pollqr":
		return event.TextDigits
	}
	return event.KeepDigits
}

// body returns the body and its content type. A body other than RawBytes is not changed by JSON.stringify(JSON.parse(…)), except
// for whole numbers beyond 2^53, whose form digits decides.
func (c *Connector) body(ev *event.Event) (body []byte, contentType string, err error) {
	if !c.Body.Values.IsZero() {
		values, err := c.Body.Values.Evaluate(ev)
		if err != nil {
			return nil, "", err
		}
		body, err = event.MarshalDigits(values, c.digits())
		return body, "application/json", err
	}
	format := c.format()
	if format == RawBytes && len(ev.Raw.Body) == 0 && strings.HasPrefix(ev.Type, event.GatewayPrefix) {
		format = Envelope // the gateway's own notices have no original bytes
	}
	switch format {
	case PollarixEnvelope:
		body, err = c.pollarix(ev)
		return body, "application/json", err
	case Envelope, CloudEvents:
		contentType = "application/json"
		if format == CloudEvents {
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
		body, err = event.StableJSON(body, c.digits())
	}
	return body, contentType, err
}

// without removes unwanted answers and leads from a normalised event. isData is true for the event's data without its envelope.
func (c *Connector) without(body []byte, isData bool) ([]byte, error) {
	var paths []string
	if !c.SendAnswers {
		paths = append(paths, answersPath[isData])
	}
	if !c.SendLeads {
		paths = append(paths, leadsPath[isData])
	}
	if paths == nil {
		return body, nil
	}
	return jsonpath.Cut(body, paths)
}

// raw returns the original bytes and their content type. Unwanted answers and leads are removed at the paths that the source's
// profile names. A profile without paths belongs to a platform that sends none.
func (c *Connector) raw(ev *event.Event) ([]byte, string, error) {
	if len(ev.Raw.Body) == 0 {
		return nil, "", errors.New("the event has no original bytes")
	}
	contentType := ev.Raw.ContentType
	if contentType == "" || strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r > '~' }) {
		contentType = "application/json"
	}
	paths := c.unwanted(ev)
	if len(paths) == 0 {
		return ev.Raw.Body, contentType, nil
	}
	body, err := jsonpath.Cut(ev.Raw.Body, paths)
	return body, contentType, err
}

// unwanted returns the paths of what must not be sent of an event's original bytes.
func (c *Connector) unwanted(ev *event.Event) (paths []string) {
	if !c.SendAnswers {
		paths = append(paths, ev.Raw.AnswersAt...)
	}
	if !c.SendLeads {
		paths = append(paths, ev.Raw.LeadsAt...)
	}
	return paths
}

// format returns the effective format: the setting, or else the preset's, or else RawBytes.
func (c *Connector) format() Format {
	if c.Body.Format != "" {
		return c.Body.Format
	}
	if preset := Presets[c.Preset]; preset.Body != "" {
		return preset.Body
	}
	return RawBytes
}

// isRaw reports whether the original bytes are sent.
func (c *Connector) isRaw() bool { return c.Body.Values.IsZero() && c.format() == RawBytes }

// appendEventHeaders appends the headers with the facts that raw bytes do not contain. A custom signature with the same header
// name takes precedence.
func appendEventHeaders(fields []connectors.Field, ev *event.Event, style connectors.Signature) []connectors.Field {
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

// attributes returns the ce-* headers of a binary CloudEvent; empty ones are left out.
func attributes(ev *event.Event) []connectors.Field {
	fields := make([]connectors.Field, 0, 15)
	for name, value := range ev.Attributes {
		fields = append(fields, connectors.Field{Name: event.AttributeHeader + name, Value: encode(value)})
	}
	return fields
}

const upperHex = "0123456789ABCDEF"

// encode encodes an attribute for a CloudEvents header: space, `"`, `%` and all bytes that are not visible ASCII become %XX.
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
