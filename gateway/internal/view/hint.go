package view

import (
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// DeliveryHint is what a person can do about a dead letter, or about a waiting delivery whose last attempt failed: where its cause
// is mended, and the command that brings a dead letter on its way afterwards. It is empty if there is nothing to do.
func DeliveryHint(d *state.Delivery) string {
	if d.State != state.Dead && d.State != state.Waiting || d.Reason == "" {
		return ""
	}
	cause, known := causeOf(d.Connector, d.Reason)
	switch {
	case d.State == state.Waiting && (!known || cause.Kind == connectors.Revoked || cause.Fix == connectors.FixWait || cause.Fix == connectors.FixNone):
		return "" // of a refusal of credentials, HoldHint says what to do
	case d.State == state.Waiting:
		return cause.Hint + " It is tried again by itself."
	case !known || cause.Fix == connectors.FixWait:
		return "To deliver it after all: surveygate dead replay " + d.ID
	case cause.Fix == connectors.FixNone:
		return cause.Hint + " Delivered again it would be refused again; to give it up: surveygate dead drop " + d.ID
	}
	return cause.Hint + " Then, to deliver it after all: surveygate dead replay " + d.ID
}

// own are the gateway's reasons for dead letters.
var own = []struct {
	begins string
	cause  connectors.Cause
}{
	{"no longer configured", connectors.Cause{Fix: connectors.FixConfiguration, Hint: "Neither a file nor a document has its step any more: put that back first."}},
	{decide.BrokenDestination, connectors.Cause{Fix: connectors.FixConfiguration, Hint: "Correct the document of its destination: what waits is delivered then."}},
	{decide.BrokenRule, connectors.Cause{Fix: connectors.FixConfiguration, Hint: "Correct the document of its rule: what waits is delivered then."}},
	{"cannot be built", connectors.Cause{Fix: connectors.FixConfiguration, Hint: "No request can be made of the event with today's step: correct the rule or the connection first."}},
}

// causeOf is the cause of a reason: one of the gateway's own, or of the product's.
func causeOf(connector, reason string) (connectors.Cause, bool) {
	for _, o := range own {
		if strings.HasPrefix(reason, o.begins) {
			return o.cause, true
		}
	}
	return connectors.CauseOf(connector, reason)
}

// HoldHint is what lifts a destination's hold. Product is the connector that the destination is served with.
// document is the name of the document that defines it; empty: a file does.
func HoldHint(h *state.Hold, destination, product, document string) string {
	changed := "changed and reloaded"
	if document != "" {
		changed = "changed in the tenant's document " + document
	}
	resume := "surveygate destinations resume " + destination
	switch h.Kind {
	case state.HoldPaused:
		return destination + " was paused by hand; it goes on with: " + resume
	case state.HoldCircuit:
		return "Nearly all of " + destination + "'s last answers were failures; it is asked again by itself" + at(h.Until) + "."
	case state.HoldRate:
		return destination + " asked to be left alone; it goes on by itself" + at(h.Until) + "."
	case state.HoldGone:
		return "The receiver asked never to be called again. When `url` is " + changed + ", what waits goes out by itself; to ask the same one again: " + resume
	}
	// A reason without an access token itself says what to do.
	if strings.Contains(h.Reason, "surveygate token set ") {
		return "When the refresh token of " + destination + " is stored, what waits goes out by itself."
	}
	if strings.HasPrefix(h.Reason, "token endpoint: ") {
		return "When the credentials of " + destination + " are " + changed + ", what waits goes out by itself; after a correction in the product: " + resume
	}
	cause, known := causeOf(product, h.Reason)
	if !known {
		cause = connectors.Cause{Fix: connectors.FixCredentials}
	}
	hint := strings.TrimSpace(cause.Hint)
	if hint != "" {
		hint += " "
	}
	if cause.Fix == connectors.FixCredentials || cause.Fix == connectors.FixConfiguration {
		what := "the credentials of " + destination
		if cause.Fix == connectors.FixConfiguration {
			what = "the settings of " + destination
		}
		return hint + "When " + what + " are " + changed + ", what waits goes out by itself."
	}
	return hint + "Then, to let what waits go out: " + resume
}

func at(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return " at " + until.UTC().Format(time.DateTime) + " UTC"
}
