package view

import (
	"encoding/json"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Explanation is why one event arrived where it did, and why not elsewhere.
type Explanation struct {
	Event ExplainedEvent `json:"event"`
	// State is pending (no decision yet), decided, dead (the event itself is a dead letter) or dry (never stored:
	// it says what would happen).
	State string `json:"state"`
	// Summary is the answer in one sentence.
	Summary string `json:"summary"`
	// Same are this event as it came with other proofs.
	Same []SameEvent `json:"same_event,omitempty"`
	// Position orders the events that are kept.
	Position uint64 `json:"position,omitempty"`
	// Dead is why the event is a dead letter.
	Dead      string    `json:"dead,omitempty"`
	Claims    int       `json:"claims,omitempty"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	// Generation is the configuration that decided. Unknown: it is no longer kept, so only rules that matched are here.
	Generation string          `json:"generation,omitempty"`
	Unknown    bool            `json:"generation_unknown,omitempty"`
	Rules      []ExplainedRule `json:"rules"`
	// Changed are rules that today's configuration would answer differently.
	Changed []RuleChange `json:"changed,omitempty"`
	// Former are the revisions before the newest, oldest first.
	Former []ExplainedRevision `json:"former,omitempty"`
	// Today is how the raw body would be normalised today, where that differs.
	Today *Reading `json:"today,omitempty"`
	// At is when it was explained; waits count from it.
	At time.Time `json:"at"`
}

// ExplainedEvent is the event of an explanation.
type ExplainedEvent struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Tenant     string    `json:"tenant"`
	Source     string    `json:"source"`
	SourceKind string    `json:"sourcekind,omitempty"`
	OrigType   string    `json:"origtype,omitempty"`
	SurveyID   string    `json:"survey_id,omitempty"`
	Survey     string    `json:"survey,omitempty"`
	ResponseID string    `json:"response_id,omitempty"`
	Time       time.Time `json:"time"`
	Received   time.Time `json:"received"`
	Verified   string    `json:"verified,omitempty"`
	// Revision counts how often the raw body was normalised again.
	Revision int `json:"revision,omitempty"`
	// Erased is when the content was erased: only rules that matched are known.
	Erased   time.Time `json:"erased,omitzero"`
	Warnings []string  `json:"warnings,omitempty"`
	// Unread are paths of the body whose values are not in the event.
	Unread []string `json:"unread,omitempty"`
	// Stream and Entry are the stream entry that no event could be made of, of a dead letter that is one.
	Stream string `json:"redis_stream,omitempty"`
	Entry  string `json:"entry,omitempty"`
}

// ExplainedRule is one rule or webhook of the event's tenant.
type ExplainedRule struct {
	Kind    state.OriginKind `json:"kind"`
	Name    string           `json:"name"`
	Matched bool             `json:"matched"`
	// Why is a sentence without a full stop.
	Why string `json:"why"`
	// When is its condition as written.
	When string `json:"when,omitempty"`
	// Missing are absent fields that left the condition unknown; Faults values whose type did not fit.
	Missing []string `json:"missing,omitempty"`
	Faults  []string `json:"faults,omitempty"`
	Error   string   `json:"error,omitempty"`
	// Parts are the condition's parts with their values.
	Parts []ConditionPart `json:"parts,omitempty"`
	// Whole is the response that the rule is asked of, of one with `settle` or `incomplete_delay`.
	Whole *ExplainedWhole `json:"response,omitempty"`
	// Steps are those that owe a delivery.
	Steps []ExplainedStep `json:"steps,omitempty"`
}

// ExplainedWhole is a response as it stood when a rule was asked of it, or as it stands if it was not asked yet.
type ExplainedWhole struct {
	// Asked is when the rule was asked; zero: it was not.
	Asked   time.Time `json:"asked,omitzero"`
	Status  string    `json:"status,omitempty"`
	Version int       `json:"version"`
	Events  int       `json:"events"`
	// More: it has older events, which are not looked at.
	More bool `json:"more,omitempty"`
	// Envelope is the whole as an event.
	Envelope json.RawMessage `json:"event,omitempty"`
}

// ConditionPart is a part of a condition and its value; Depth 0 is the whole.
type ConditionPart struct {
	Text  string `json:"text"`
	Value string `json:"value"`
	Depth int    `json:"depth"`
	// Decided marks the parts that the condition's result comes from: of a false `and`, the first part that is false.
	Decided bool `json:"decided,omitempty"`
	// NotAsked marks parts that the decision did not evaluate, because parts before them decided.
	NotAsked bool `json:"not_asked,omitempty"`
	// Operand marks what a comparison or a function reads: no condition of its own.
	Operand bool `json:"operand,omitempty"`
}

// ExplainedStep is one step of a rule.
type ExplainedStep struct {
	Name        string `json:"step"`
	Destination string `json:"destination"`
	Connector   string `json:"connector"`
	// Note says why there is no delivery, or what would become of it.
	Note string `json:"note,omitempty"`
	// Request is what would be sent now, without secrets; of explanations that are dry.
	Request  string             `json:"request,omitempty"`
	Delivery *ExplainedDelivery `json:"delivery,omitempty"`
	// Hold is why its destination is on hold.
	Hold *ExplainedHold `json:"hold,omitempty"`
}

// ExplainedDelivery is what a Delivery adds to the step that owes it. Times here are exact, where those of a Delivery are
// in milliseconds.
type ExplainedDelivery struct {
	ID       string              `json:"id"`
	State    state.DeliveryState `json:"state"`
	Reason   string              `json:"reason,omitempty"`
	Attempts int                 `json:"attempts"`
	Updated  time.Time           `json:"updated"`
	Due      time.Time           `json:"due,omitzero"`
	// Hint is what a person can do about a dead letter, or about the failed attempts of a waiting delivery.
	Hint string `json:"hint,omitempty"`
	// Revision is that of the event which owes it.
	Revision int `json:"revision,omitempty"`
	// Now says that it is being attempted at this moment.
	Now bool               `json:"now,omitempty"`
	Log []ExplainedAttempt `json:"log,omitempty"`
}

// ExplainedAttempt is an Attempt without its request and its response.
type ExplainedAttempt struct {
	N       int       `json:"n"`
	At      time.Time `json:"at"`
	TookMS  float64   `json:"took_ms"`
	Verdict string    `json:"verdict"`
	Status  int       `json:"status,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Repeat  bool      `json:"repeat,omitempty"`
}

// ExplainedHold is why a destination is on hold.
type ExplainedHold struct {
	Kind   state.HoldKind `json:"kind"`
	Reason string         `json:"reason,omitempty"`
	Since  time.Time      `json:"since,omitzero"`
	Until  time.Time      `json:"until,omitzero"`
	// Hint is what lifts it.
	Hint string `json:"hint,omitempty"`
}

// RuleChange is a rule that today's configuration would answer differently.
type RuleChange struct {
	Kind state.OriginKind `json:"kind"`
	Name string           `json:"name"`
	Why  string           `json:"why"`
}

// ExplainedRevision is a revision of the event that is no longer the newest: how its raw body was normalised, and the decision.
type ExplainedRevision struct {
	Revision   int       `json:"revision"`
	DecidedAt  time.Time `json:"decided_at,omitzero"`
	Generation string    `json:"generation,omitempty"`
	// Matched are the rules and webhooks that matched it.
	Matched []string `json:"matched"`
	// Differences are the fields that the next revision reads differently.
	Differences []string `json:"differences"`
	Dead        string   `json:"dead,omitempty"`
}

// Reading is how the raw body would be normalised today, where that differs.
type Reading struct {
	// Differences are the fields that read differently.
	Differences []string `json:"differences"`
	// Command normalises it again.
	Command string `json:"command"`
}
