package view

// Stats are what was counted of one thing, or of all of a tenant's together, step by step. T is DestinationStat, SourceStat, RuleStat
// or SurveyStat.
type Stats[T any] struct {
	// Step is minute, hour or day. Since and Until are the span that was read: from the start of its first step to the end of its last.
	Step  string `json:"step"`
	Since Time   `json:"since"`
	Until Time   `json:"until"`
	// Data are the steps with a count, oldest first.
	Data []T `json:"data"`
	// Total is the sum of them. It has no time.
	Total T `json:"total"`
	// Next is null.
	Next *string `json:"next"`
}

// StatsByName are what was counted of each name.
type StatsByName[T any] struct {
	Step  string `json:"step"`
	Since Time   `json:"since"`
	Until Time   `json:"until"`
	// Data are the names with a count, in their order.
	Data []NamedStats[T] `json:"data"`
	// Total is the sum of all names, also of those on other pages.
	Total T `json:"total"`
	// Next is the `cursor` of the next page; null at the end.
	Next *string `json:"next"`
}

// NamedStats are what was counted of one name, as in Stats.
type NamedStats[T any] struct {
	Name  string `json:"name"`
	Data  []T    `json:"data"`
	Total T      `json:"total"`
}

// DestinationStat counts a destination's attempts and ended deliveries. Rates are null where there is nothing to divide by.
type DestinationStat struct {
	At Time `json:"at,omitzero"`
	// Attempts is the sum of the next four. Timeouts are those of them that failed without an answer.
	Attempts    int64    `json:"attempts"`
	Delivered   int64    `json:"delivered"`
	Retry       int64    `json:"retry"`
	Rejected    int64    `json:"rejected"`
	Revoked     int64    `json:"revoked"`
	Timeouts    int64    `json:"timeouts"`
	SuccessRate *float64 `json:"success_rate"`
	ErrorRate   *float64 `json:"error_rate"`
	TookMS      Spread   `json:"took_ms"`
	// Ended counts deliveries, once each.
	Ended           Ended    `json:"ended"`
	DeliverySuccess *float64 `json:"delivery_success"`
	AgeMS           Spread   `json:"age_ms"`
}

// Ended counts deliveries by how they ended.
type Ended struct {
	Delivered int64 `json:"delivered"`
	Dead      int64 `json:"dead"`
	Skipped   int64 `json:"skipped"`
	Dropped   int64 `json:"dropped"`
}

// Spread are the percentiles of N durations in milliseconds. They are absent where those are Few.
type Spread struct {
	N   int64  `json:"n"`
	Few bool   `json:"few,omitempty"`
	P50 *int64 `json:"p50,omitempty"`
	P95 *int64 `json:"p95,omitempty"`
	P99 *int64 `json:"p99,omitempty"`
}

// SourceStat counts what a source received: events, and requests that were not accepted.
type SourceStat struct {
	At        Time  `json:"at,omitzero"`
	Accepted  int64 `json:"accepted"`
	Duplicate int64 `json:"duplicate"`
	Invalid   int64 `json:"invalid"`
	// Unavailable and Refused count requests, Refused by reason.
	Unavailable int64            `json:"unavailable"`
	Refused     map[string]int64 `json:"refused"`
}

// RuleStat counts the events that a rule was asked about: the sum of all others.
type RuleStat struct {
	At      Time  `json:"at,omitzero"`
	Asked   int64 `json:"asked"`
	Matched int64 `json:"matched"`
	No      int64 `json:"no"`
	Unknown int64 `json:"unknown"`
	Erred   int64 `json:"erred"`
}

// SurveyStat counts the completed responses of a survey.
type SurveyStat struct {
	At        Time  `json:"at,omitzero"`
	Responses int64 `json:"responses"`
	NPS       NPS   `json:"nps"`
	CSAT      CSAT  `json:"csat"`
}

// NPS are the NPS scores of responses. Score is from -100 to 100; null without any.
type NPS struct {
	Score      *float64 `json:"score"`
	Promoters  int64    `json:"promoters"`
	Passives   int64    `json:"passives"`
	Detractors int64    `json:"detractors"`
}

// CSAT are N CSAT scores of responses. Mean is in the survey's own scale; null without any.
type CSAT struct {
	Mean *float64 `json:"mean"`
	N    int64    `json:"n"`
}
