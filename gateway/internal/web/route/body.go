package route

// The values of In and Out that are not types of package view.
type (
	// OneOf is a body that has one of several forms: that of one of its values.
	OneOf []any

	// Optional is a body that may be absent.
	Optional struct{ Body any }

	// Media are the forms of a body by its Content-Type, where it is not application/json alone.
	Media map[string]any

	// Text is a body that is not JSON, in Media, with what it is in a few words.
	Text string

	// Events are events as they are published in JSON: one or several, and the data of a CloudEvent in binary form.
	Events struct{}

	// CloudEvent is an event in the structured form of CloudEvents, CloudEventList several of them.
	CloudEvent     struct{}
	CloudEventList []CloudEvent

	// Document is the document of a settings resource, by its kind: webhook, connection, source or rule. It has the form that
	// configuration files have, without its name.
	Document string

	// Patch is a merge patch (RFC 7396) of such a document, or of the record of a tenant.
	Patch string
)

// TenantPatch is the patch of a tenant's record.
const TenantPatch Patch = "tenant"
