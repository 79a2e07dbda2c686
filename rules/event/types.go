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

// GatewayPrefix begins the types of the gateway's own notices.
const GatewayPrefix = "gateway."

// TypeEntry is an entry of a stream that no event can be made of: a dead letter from the start, whose raw bytes are
// the entry and whose first warning says why. Nobody can publish one.
const TypeEntry = GatewayPrefix + "entry"

// TestSource is the source of test deliveries that somebody asked for; OrigID of such an event says of which destination. It
// is no name of a source, so that nobody can publish one. No rule and no webhook hears it.
const TestSource = GatewayPrefix + "test"

// Types are the canonical types, those of the gateway's own notices aside.
var Types = []string{
	TypeResponseStarted, TypeResponsePartial, TypeResponseCompleted, TypeResponseUpdated, TypeResponseReviewed,
	TypeResponseDisqualified, TypeResponseOverquota, TypeResponseDeleted, TypeAnswerUpserted,
	TypeSurveyClosed, TypeSurveyStatusChanged, TypeSurveyCreated, TypeSurveyUpdated, TypeSurveyDeleted,
	TypeCollectorCreated, TypeCollectorUpdated, TypeCollectorDeleted,
	TypeRewardRedeemed, TypeUnsubscribed, TypeEntityUpdated, TypeTest, TypeUnknown,
}

// IsCanonical says whether a type is one of ours: one of Types, or gateway. and a name.
func IsCanonical(name string) bool {
	if rest, ok := strings.CutPrefix(name, GatewayPrefix); ok {
		return rest != "" && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz_.") == ""
	}
	return slices.Contains(Types, name)
}
