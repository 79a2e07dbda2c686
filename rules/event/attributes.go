package event

import (
	"slices"
	"strconv"
	"time"
)

// AttributeHeader stands before an attribute's name in a header of a CloudEvent's binary form.
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#313-metadata-headers
const AttributeHeader = "ce-"

// attribute is one that CloudEvents or we give a meaning.
type attribute struct {
	name string
	// required is set for what every CloudEvent has.
	required bool
	// once is set for those that are read from what others send. Two of one are a fault: a proxy before us may have read the
	// other one.
	once bool
	// ours is set for those that count in an envelope of ours alone, published again (see parser.isOurs).
	ours bool
	// field is the text of the header that the attribute is, for those that are one.
	field func(*Header) *string
	// value is what an event of ours says, for the others; nil for those that have no ce- header. Empty ones are left out.
	value func(*Header) string
}

// attributes are in the order of an envelope.
var attributes = []attribute{
	{name: "specversion", required: true, once: true, value: func(*Header) string { return specVersion }},
	{name: "id", required: true, once: true, field: func(h *Header) *string { return &h.ID }},
	{name: "source", required: true, once: true, value: func(h *Header) string { return sourcePrefix + h.Tenant + sourceMiddle + h.Source }},
	{name: "type", required: true, once: true, field: func(h *Header) *string { return &h.Type }},
	{name: "subject", value: (*Header).Subject},
	{name: "time", once: true, value: func(h *Header) string { return h.Time.UTC().Format(time.RFC3339Nano) }},
	{name: "datacontenttype"}, // in the binary form it is Content-Type
	{name: "dataschema", value: func(*Header) string { return Schema }},
	{name: "tenant", once: true, field: func(h *Header) *string { return &h.Tenant }},
	{name: "sourcekind", once: true, ours: true, field: func(h *Header) *string { return &h.SourceKind }},
	{name: "origtype", once: true, ours: true, field: func(h *Header) *string { return &h.OrigType }},
	{name: "origid", once: true, ours: true, field: func(h *Header) *string { return &h.OrigID }},
	{name: "dedupekey", once: true, ours: true, field: func(h *Header) *string { return &h.DedupeKey }},
	{name: "receivedtime", value: func(h *Header) string { return h.Received.UTC().Format(time.RFC3339Nano) }},
	{name: "verified", field: func(h *Header) *string { return &h.Verified }},
	{name: "revision", value: revisionText},
	{name: "data", once: true},
	{name: "data_base64", once: true},
}

const specVersion = "1.0"

func revisionText(h *Header) string {
	if h.Revision == 0 {
		return ""
	}
	return strconv.Itoa(h.Revision)
}

// attributeIndex returns where an attribute stands in attributes, and -1 for one that has no meaning here.
func attributeIndex(name string) int {
	return slices.IndexFunc(attributes, func(a attribute) bool { return a.name == name })
}

// Attributes yields the names and values of an event's attributes as its binary form has them, in the order of its envelope.
func (h *Header) Attributes(yield func(name, value string) bool) {
	for i := range attributes {
		a := &attributes[i]
		value := ""
		switch {
		case a.field != nil:
			value = *a.field(h)
		case a.value != nil:
			value = a.value(h)
		}
		if value != "" && !yield(a.name, value) {
			return
		}
	}
}

// RequiredHeaders returns the headers of the attributes that every CloudEvent has: one of them tells the binary form.
func RequiredHeaders() (names []string) {
	for _, a := range attributes {
		if a.required {
			names = append(names, AttributeHeader+a.name)
		}
	}
	return names
}
