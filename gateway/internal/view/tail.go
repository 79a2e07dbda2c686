package view

// TailKind is what a TailLine tells of.
type TailKind string

// The kinds. TailEvent: an event was decided. TailAttempt: a delivery was attempted. TailEnded: a delivery ended without an attempt, or as a
// dead letter. TailMissed: lines were left out because they were read too slowly; Missed is how many, 0: nobody knows.
const (
	TailEvent   TailKind = "event"
	TailAttempt TailKind = "attempt"
	TailEnded   TailKind = "ended"
	TailMissed  TailKind = "missed"
)

// TailLine is something that happened.
type TailLine struct {
	// N numbers the lines of a tenant.
	N    uint64   `json:"n"`
	Kind TailKind `json:"kind"`
	At   Time     `json:"at"`
	// Event is the id of the event; Type, Source and Survey are its own.
	Event  string `json:"event,omitempty"`
	Type   string `json:"type,omitempty"`
	Source string `json:"source,omitempty"`
	Survey string `json:"survey,omitempty"`
	// Matched are the rules and webhooks that matched the event, Unknown those whose condition is unknown, and Faulty those whose condition
	// could not be evaluated. Each names at most 50.
	Matched []TailRule `json:"matched,omitempty"`
	Unknown []TailRule `json:"unknown,omitempty"`
	Faulty  []TailRule `json:"faulty,omitempty"`

	// Delivery is the id of the delivery, and what follows is as in a delivery. Attempt counts its attempts.
	Delivery    string `json:"delivery,omitempty"`
	RuleKind    string `json:"rule_kind,omitempty"`
	Rule        string `json:"rule,omitempty"`
	Step        string `json:"step,omitempty"`
	Destination string `json:"destination,omitempty"`
	Connector   string `json:"connector,omitempty"`
	State       string `json:"state,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Attempt     int    `json:"attempt,omitempty"`
	// Verdict is what was made of the answer, Status its HTTP status (0: there was none), TookMS how long it took in milliseconds. Due is
	// when a delivery that waits is tried next.
	Verdict string `json:"verdict,omitempty"`
	Status  int    `json:"status,omitempty"`
	TookMS  int64  `json:"took_ms,omitempty"`
	Due     Time   `json:"due,omitzero"`
	// Missed is how many lines were left out.
	Missed int `json:"missed,omitempty"`
}

// TailRule is a rule or webhook. Fault is why its condition could not be evaluated.
type TailRule struct {
	Kind  string `json:"kind,omitempty"`
	Rule  string `json:"rule"`
	Fault string `json:"fault,omitempty"`
}

// Failed reports whether a line tells of something that went wrong.
func (l *TailLine) Failed() bool {
	switch l.Kind {
	case TailEvent:
		return len(l.Faulty) > 0
	case TailAttempt:
		return l.Verdict != "delivered" && l.Verdict != "skipped"
	case TailEnded:
		return l.State == "dead"
	}
	return true
}
