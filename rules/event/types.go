package event

import (
	"slices"
	"strings"
)

// The canonical types.
const (
	TypeResponseStarted      = "response.started"
	TypeResponsePartial      = "response.partial"
	TypeResponseCompleted    = "response.completed"
	TypeResponseUpdated      = "response.updated"
	TypeResponseReviewed     = "response.reviewed"
	TypeResponseDisqualified = "response.disqualified"
	TypeResponseOverquota    = "response.overquota"
	TypeResponseDeleted      = "response.deleted"
	TypeAnswerUpserted       = "answer.upserted"
	TypeSurveyClosed         = "survey.closed"
	TypeSurveyStatusChanged  = "survey.status_changed"
	TypeSurveyCreated        = "survey.created"
	TypeSurveyUpdated        = "survey.updated"
	TypeSurveyDeleted        = "survey.deleted"
	TypeCollectorCreated     = "collector.created"
	TypeCollectorUpdated     = "collector.updated"
	TypeCollectorDeleted     = "collector.deleted"
	TypeRewardRedeemed       = "reward.redeemed"
	TypeUnsubscribed         = "respondent.unsubscribed"
	TypeEntityUpdated        = "entity.updated"
	TypeTest                 = "test"
	TypeUnknown              = "unknown"
)

// GatewayPrefix is the prefix of the types of the gateway's own notices.
const GatewayPrefix = "gateway."

// TypeEntry is the type of a stream entry that cannot be parsed as an event. It is a dead letter from the start; its raw bytes
// are the entry, and its first warning is the reason. Publishers cannot use this type.
const TypeEntry = GatewayPrefix + "entry"

// TestSource is the source of test deliveries to a destination, which OrigID names. It is not a valid source name, so publishers
// cannot use it. Rules and webhooks do not get these events.
const TestSource = GatewayPrefix + "test"

// ErasureSource is the source of the events by which products are asked to erase a person: OrigID names the destination, and the
// respondent is the person. TypeErasure is their type. They are erased themselves when that is done.
const (
	ErasureSource = GatewayPrefix + "erasure"
	TypeErasure   = GatewayPrefix + "erasure"
)

// IsAlone reports whether events of a source owe one delivery, to the destination that they name, and no rule is asked about them.
func IsAlone(source string) bool { return source == TestSource || source == ErasureSource }

// Types are the canonical types, without those of the gateway's own notices. They are the names in Catalogue, in its order.
var Types = func() []string {
	names := make([]string, len(catalogue))
	for i := range catalogue {
		names[i] = catalogue[i].Name
	}
	return names
}()

// IsCanonical reports whether a type is canonical: one of Types, or GatewayPrefix followed by a name.
func IsCanonical(name string) bool {
	if rest, ok := strings.CutPrefix(name, GatewayPrefix); ok {
		return rest != "" && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz_.") == ""
	}
	return slices.Contains(Types, name)
}
