package event

// The types of the gateway's own notices. Each is about one tenant, and is an event of that tenant.
const (
	TypeDestinationUnhealthy = GatewayPrefix + "destination.unhealthy"
	TypeDestinationDisabled  = GatewayPrefix + "destination.disabled"
	TypeDestinationRecovered = GatewayPrefix + "destination.recovered"
	TypeDeliveryDead         = GatewayPrefix + "delivery.dead"
	TypeSourceSilent         = GatewayPrefix + "source.silent"
	TypeSourceRejecting      = GatewayPrefix + "source.rejecting"
	TypeSettingsChanged      = GatewayPrefix + "settings.changed"
)

// NoticeTypes are the types of the gateway's own notices.
var NoticeTypes = []string{
	TypeDestinationUnhealthy, TypeDestinationDisabled, TypeDestinationRecovered, TypeDeliveryDead,
	TypeSourceSilent, TypeSourceRejecting, TypeSettingsChanged,
}

// NoticeSource is the source of the gateway's own notices. It is not a valid source name, so publishers cannot use it, and cannot
// take the id of a notice.
const NoticeSource = GatewayPrefix + "notice"

// Notice is the content of one of the gateway's own notices. It holds no secret, and nothing that a respondent wrote.
type Notice struct {
	// Summary is the notice as one sentence.
	Summary     string `json:"summary,omitempty"`
	Destination string `json:"destination,omitempty"`
	Source      string `json:"source,omitempty"`
	// Setting is what was changed, KIND/NAME; Act how, KIND.VERB; By who did it.
	Setting string `json:"setting,omitempty"`
	Act     string `json:"act,omitempty"`
	By      string `json:"by,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Count is how many deliveries, requests or changes it is about.
	Count *float64 `json:"count,omitempty"`
	// Since is when it began, in RFC 3339, UTC.
	Since string `json:"since,omitempty"`
}

// pathNotice is the group that only the gateway fills.
const pathNotice = "notice"
