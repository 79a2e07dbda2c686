package view

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
)

// Overview is how a tenant stands now, or with `tenant=*` the whole gateway: figures of the last 24 hours, and what needs a person first.
type Overview struct {
	Tenant string `json:"tenant"`
	// At is when it was made; HoursFrom is the start of the first of the 24 hours of all lists by hour. The last one is not over yet.
	At        Time  `json:"at"`
	HoursFrom Time  `json:"hours_from"`
	Tiles     Tiles `json:"tiles"`
	// Attention is what a person should look at, worst first, at most 50; AttentionTotal is how many there are.
	Attention      []Attention `json:"attention"`
	AttentionTotal int         `json:"attention_total"`
	// Destinations are at most 8, those with most failed attempts in 24 hours first, of the 50 with most today and yesterday; Surveys are at most 8, those with most responses in
	// 28 days first. Both are empty for the whole gateway.
	Destinations []OverviewDestination `json:"destinations"`
	Surveys      []Survey              `json:"surveys"`
	// Empty: nothing was received within 30 days and no event is kept, and nothing waits or is dead. It is absent for the whole gateway.
	Empty bool `json:"empty,omitempty"`
}

// Tiles are the figures of an overview. Events, Deliveries, SuccessRate and P95 are absent for the whole gateway.
type Tiles struct {
	// Events are those that sources accepted, Deliveries those that were delivered.
	Events     *TileCount `json:"events,omitempty"`
	Deliveries *TileCount `json:"deliveries,omitempty"`
	// SuccessRate is that of attempts, P95 that of their response times.
	SuccessRate *TileRate   `json:"success_rate,omitempty"`
	P95         *TileP95    `json:"p95_ms,omitempty"`
	Waiting     TileWaiting `json:"waiting"`
	// Dead counts dead letters.
	Dead int64 `json:"dead"`
}

// TileCount is a count of the last 60 minutes, of the last 24 hours, and of each of those hours, oldest first.
type TileCount struct {
	LastHour int64   `json:"last_hour"`
	Last24h  int64   `json:"last_24h"`
	Hourly   []int64 `json:"hourly"`
}

// TileRate is a rate of the last 24 hours, and of each hour, oldest first; null where there is nothing to divide by.
type TileRate struct {
	Last24h *float64   `json:"last_24h"`
	Hourly  []*float64 `json:"hourly"`
}

// TileP95 is a percentile of N durations of the last 24 hours in milliseconds, and of those of each hour, oldest first; null where they
// are few.
type TileP95 struct {
	Last24h *int64   `json:"last_24h"`
	N       int64    `json:"n"`
	Few     bool     `json:"few,omitempty"`
	Hourly  []*int64 `json:"hourly"`
}

// TileWaiting is how many deliveries wait, since when the oldest of them does, and its age in seconds.
type TileWaiting struct {
	Count   int64   `json:"count"`
	Oldest  Time    `json:"oldest,omitzero"`
	OldestS float64 `json:"oldest_s"`
}

// Attention is something that a person should look at. It is derived from what is kept, and gone when its cause is.
type Attention struct {
	// Tenant is there with `tenant=*`.
	Tenant string `json:"tenant,omitempty"`
	// Kind is hold, dead_letters, source_rejects, source_silent, rule_errs, document_broken, document_shadowed or warning.
	Kind string `json:"kind"`
	// Severity is bad or warn.
	Severity string `json:"severity"`
	// Of is what it is about, as `destination/crm`, `source/forms`, `rule/vip`, or a document's name; absent for a warning.
	Of string `json:"of,omitempty"`
	// Code is the kind of a hold, the status that dead letters were answered (0: no answer), or the reason why requests are refused.
	Code string `json:"code,omitempty"`
	// Msg is a sentence without the name in Of.
	Msg string `json:"msg"`
	// Count are deliveries that wait, dead letters, refused requests, or events whose condition could not be evaluated.
	Count int64 `json:"count,omitempty"`
	// Since is when it began, Until when a hold ends by itself, DeadFrom when the oldest delivery that waits becomes a dead letter.
	Since    Time `json:"since,omitzero"`
	Until    Time `json:"until,omitzero"`
	DeadFrom Time `json:"dead_from,omitzero"`
	// Action is what to do: resume (the destination), replay (the dead letters), rejected (look at the requests that the source refused),
	// edit (the document), open (look at it), or none.
	Action string `json:"action"`
	// Link is where that is done; absent where there is no such place.
	Link *AttentionLink `json:"link,omitempty"`
}

// AttentionLink is a collection of /v1, the name of one thing in it or empty, and the parameters that select some of it.
type AttentionLink struct {
	// Page is destinations, deliveries, sources, rules, webhooks or connections.
	Page  string            `json:"page"`
	Name  string            `json:"name,omitempty"`
	Query map[string]string `json:"query,omitempty"`
}

// The kinds of what needs attention.
const (
	AttentionHold     = "hold"
	AttentionDead     = "dead_letters"
	AttentionRejects  = "source_rejects"
	AttentionSilent   = "source_silent"
	AttentionErrs     = "rule_errs"
	AttentionBroken   = "document_broken"
	AttentionShadowed = "document_shadowed"
	AttentionWarning  = "warning"
)

// The severities of what needs attention: something is lost or stands still, or it may be so later.
const (
	SeverityBad  = "bad"
	SeverityWarn = "warn"
)

// The actions that something which needs attention asks for.
const (
	ActionResume   = "resume"
	ActionReplay   = "replay"
	ActionRejected = "rejected"
	ActionEdit     = "edit"
	ActionOpen     = "open"
	ActionNone     = "none"
)

// OverviewDestination is a destination with its attempts of the last 24 hours.
type OverviewDestination struct {
	Name    string `json:"name"`
	Product string `json:"product"`
	// State is that of Destination.
	State string `json:"state"`
	Trend
}

// Trend are the attempts of a destination in the last 24 hours.
type Trend struct {
	Attempts int64 `json:"attempts"`
	// Failed are those that were not delivered.
	Failed      int64    `json:"failed"`
	SuccessRate *float64 `json:"success_rate"`
	// P95 is that of the response times in milliseconds; null where they are few.
	P95 *int64 `json:"p95_ms"`
	// Hourly are the attempts of 24 hours, oldest first, HourlyFailed the failed ones. The last hour is not over yet.
	Hourly       []int64 `json:"hourly"`
	HourlyFailed []int64 `json:"hourly_failed"`
}

// TrendHours is how many hours a trend has, with the one that is not over yet.
const TrendHours = 24

// TrendFrom returns the start of the first hour of a trend.
func TrendFrom(now time.Time) time.Time {
	return state.ByHour.Start(now).Add(-(TrendHours - 1) * time.Hour)
}

// Hourly returns a figure of each hour of a trend that begins at from; counts are by hour.
func Hourly[T any](counts []state.Count, from time.Time, figure func(*state.Count) T) []T {
	by := make([]state.Count, TrendHours)
	for i := range counts {
		if hour := int(counts[i].At.Sub(from) / time.Hour); hour >= 0 && hour < TrendHours {
			by[hour].Add(&counts[i])
		}
	}
	all := make([]T, TrendHours)
	for i := range by {
		all[i] = figure(&by[i])
	}
	return all
}

// NewTrend makes the view of what was counted of a destination by hour; from is the start of the first hour.
func NewTrend(counts []state.Count, from time.Time) Trend {
	sum := Sum(counts)
	return Trend{
		Attempts: stats.Attempts(&sum), Failed: stats.Failed(&sum), SuccessRate: rounded(stats.SuccessRate(&sum), 4), P95: spread(sum.Took).P95,
		Hourly: Hourly(counts, from, stats.Attempts), HourlyFailed: Hourly(counts, from, stats.Failed),
	}
}

// Sum returns the sum of counts.
func Sum(counts []state.Count) (sum state.Count) {
	for i := range counts {
		sum.Add(&counts[i])
	}
	return sum
}

// NewTileCount makes the view of one counter by hour and, of the last 60 minutes, by minute.
func NewTileCount(hours, minutes []state.Count, from time.Time, counter int) *TileCount {
	of := func(c *state.Count) int64 { return c.Counts[counter] }
	day, hour := Sum(hours), Sum(minutes)
	return &TileCount{LastHour: of(&hour), Last24h: of(&day), Hourly: Hourly(hours, from, of)}
}

// NewTileRate makes the view of the success rate of attempts by hour.
func NewTileRate(hours []state.Count, from time.Time) *TileRate {
	rate := func(c *state.Count) *float64 { return rounded(stats.SuccessRate(c), 4) }
	day := Sum(hours)
	return &TileRate{Last24h: rate(&day), Hourly: Hourly(hours, from, rate)}
}

// NewTileP95 makes the view of the response times of attempts by hour.
func NewTileP95(hours []state.Count, from time.Time) *TileP95 {
	day := Sum(hours)
	all := spread(day.Took)
	return &TileP95{
		Last24h: all.P95, N: all.N, Few: all.Few,
		Hourly: Hourly(hours, from, func(c *state.Count) *int64 { return spread(c.Took).P95 }),
	}
}
