package view

import "encoding/json"

// Backtest asks what rules would have done with stored events, had they been live. Nothing is sent, stored or changed.
type Backtest struct {
	// Rules are the names of one to ten rules or webhooks: of the draft, or without one of what runs. Absent: all rules of the draft.
	Rules []string `json:"rules,omitempty"`
	// Draft are documents as they would be written: the rules that are asked, and connections and webhooks that these send to. What a
	// file of the running configuration defines, or a document that is locked, stands before a connection, webhook or source of its name, but
	// not before a rule that is asked.
	Draft *Draft `json:"draft,omitempty"`
	// Variables: ${NAME} in the draft stands for a value that is not known, as in a file; what depends on it is not checked. Otherwise it
	// is a fault.
	Variables bool `json:"variables,omitempty"`
	// Since and Until are times, or how long ago, as in 24h or 30d, of the receipt of the events. Since is 30d where it is absent.
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
	// Source, Survey and Type narrow the events: names of a source and of a type, the id of a survey.
	Source string `json:"source,omitempty"`
	Survey string `json:"survey,omitempty"`
	Type   string `json:"type,omitempty"`
	// Limit is how many events are asked about, newest first: 100000 where it is absent, at most 1000000.
	Limit int `json:"limit,omitempty"`
}

// BacktestKind is the Kind of a Backtested.
const BacktestKind = "backtest"

// Backtested is the answer to a Backtest. It is kept nowhere.
type Backtested struct {
	// Kind is backtest, by which a saved answer is known.
	Kind string `json:"kind"`
	// At is when it was asked.
	At Time `json:"at"`
	// Since and Until are the times that the request means; Source, Survey and Type are those of the request.
	Since  Time   `json:"since"`
	Until  Time   `json:"until"`
	Source string `json:"source,omitempty"`
	Survey string `json:"survey,omitempty"`
	Type   string `json:"type,omitempty"`
	// Asked is how many events were asked about, of any type.
	Asked int `json:"asked"`
	// BackTo is when the oldest of them was received; all that were received since then were asked about.
	BackTo Time `json:"back_to,omitzero"`
	// Stopped is why not all of them were asked about: events (the limit) or time; absent where all were.
	Stopped string `json:"stopped,omitempty"`
	// Rules are the results, in the order of the request.
	Rules []BacktestedRule `json:"rules"`
	// Notes say in what the result differs from what would have happened.
	Notes []string `json:"notes,omitempty"`
}

// BacktestedRule is what one rule or webhook would have done.
type BacktestedRule struct {
	Rule string `json:"rule"`
	// Kind is rule or webhook.
	Kind string `json:"kind"`
	// Live: what runs has it as it was asked, and it is enabled.
	Live bool `json:"live,omitempty"`
	// Whole: it is asked of responses as a whole, so that responses are counted in place of their events. See `settle` and
	// `incomplete_delay`.
	Whole bool `json:"whole,omitempty"`
	// Asked is how many of the events have a type that it applies to. Whole counts responses.
	Asked int `json:"asked"`
	// Matched are those for which its condition is true, Unknown those for which it is unknown, because a field that it reads is absent.
	// Failed are those for which it could not be evaluated.
	Matched int           `json:"matched"`
	Unknown int           `json:"unknown"`
	Failed  []ReasonCount `json:"failed,omitempty"`
	// Steps are the deliveries that it would owe.
	Steps []BacktestedStep `json:"steps"`
	// Skipped, Rejected and Waiting are the reasons of those that would not be sent, most frequent first, at most 20 and `other reasons`.
	// Rejected would not be built, Waiting would wait for their destination.
	Skipped  []ReasonCount `json:"skipped,omitempty"`
	Rejected []ReasonCount `json:"rejected,omitempty"`
	Waiting  []ReasonCount `json:"waiting,omitempty"`
	// Clipped are the fields of requests whose text is cut to a limit of the product.
	Clipped []ReasonCount `json:"clipped,omitempty"`
	// Timezone is that of the days and of the hour: the rule's, or UTC.
	Timezone string `json:"timezone"`
	// Days count Matched by the day of receipt, oldest first, without empty ones: at most 400. Earlier are those before them.
	Days    []DayCount `json:"days"`
	Earlier int        `json:"earlier,omitempty"`
	// Busiest is the hour with most of Matched; absent without any.
	Busiest *HourCount `json:"busiest,omitempty"`
	// Sources and Surveys count Matched, most frequent first, at most 100 and `other`.
	Sources []NameCount `json:"sources"`
	Surveys []NameCount `json:"surveys"`
	// Samples are the newest three of each result.
	Samples []BacktestSample `json:"samples"`
}

// BacktestedStep counts the deliveries of one step.
type BacktestedStep struct {
	Step        string `json:"step"`
	Destination string `json:"destination"`
	Connector   string `json:"connector"`
	// Sent, Skipped, Rejected and Waiting are all deliveries. Clipped are those of Sent of which a text is cut.
	Sent     int `json:"sent"`
	Skipped  int `json:"skipped"`
	Rejected int `json:"rejected"`
	Waiting  int `json:"waiting"`
	Clipped  int `json:"clipped"`
}

// DayCount is how many there are on one day.
type DayCount struct {
	// Day is a date, as 2026-01-02.
	Day   string `json:"day"`
	Count int    `json:"count"`
}

// HourCount is how many there are in one hour.
type HourCount struct {
	// From is when the hour begins, as 2026-01-02T14:00, in the time zone beside it.
	From  string `json:"from"`
	Count int    `json:"count"`
}

// NameCount is how many there are of a source or a survey.
type NameCount struct {
	// Name is that of a source, or the id of a survey; empty for events without one.
	Name string `json:"name"`
	// Title is that of a survey.
	Title string `json:"title,omitempty"`
	Count int    `json:"count"`
	// Other: these are all that have no entry of their own.
	Other bool `json:"other,omitempty"`
}

// BacktestSample is one delivery that would be owed.
type BacktestSample struct {
	// Result is sent, clipped, skipped, rejected or waiting.
	Result   string `json:"result"`
	Event    string `json:"event"`
	Received Time   `json:"received"`
	Step     string `json:"step"`
	// Note is what would become of it, and of one that is not sent, why.
	Note string `json:"note"`
	// Why is why the rule matches, Parts are the parts of its condition with their values.
	Why   string          `json:"why"`
	Parts []ConditionPart `json:"parts,omitempty"`
	// Text is the request without secrets. Cut: it is longer than this.
	Text string `json:"text,omitempty"`
	Cut  bool   `json:"cut,omitempty"`
}

// Results of a BacktestSample.
const (
	BacktestSent     = "sent"
	BacktestClipped  = "clipped"
	BacktestSkipped  = "skipped"
	BacktestRejected = "rejected"
	BacktestWaiting  = "waiting"
)

// BacktestProgress is how far a backtest has come.
type BacktestProgress struct {
	Asked int `json:"asked"`
	// BackTo: all events since then were asked about; absent at the beginning.
	BackTo Time `json:"back_to,omitzero"`
	// Since and Until are the span that it works through, from its end, and Limit how many events it asks about at most.
	Since Time `json:"since"`
	Until Time `json:"until"`
	Limit int  `json:"limit"`
}

// ReadBacktested reads a saved answer; ok is false for anything else.
func ReadBacktested(text []byte) (b *Backtested, ok bool) {
	b = &Backtested{}
	if json.Unmarshal(text, b) != nil || b.Kind != BacktestKind {
		return nil, false
	}
	return b, true
}
