package view

import (
	"math"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
)

// NewDestinationStat makes the view of a count of destinations.
func NewDestinationStat(c *state.Count) DestinationStat {
	n := &c.Counts
	return DestinationStat{
		At: Time{Time: c.At}, Attempts: stats.Attempts(c), Delivered: n[state.AttemptsDelivered], Retry: n[state.AttemptsRetry],
		Rejected: n[state.AttemptsRejected], Revoked: n[state.AttemptsRevoked], Timeouts: n[state.AttemptsTimeout],
		SuccessRate: rounded(stats.SuccessRate(c), 4), ErrorRate: rounded(stats.ErrorRate(c), 4), TookMS: spread(c.Took),
		Ended: Ended{
			Delivered: n[state.EndedDelivered], Dead: n[state.EndedDead], Skipped: n[state.EndedSkipped], Dropped: n[state.EndedDropped],
		},
		DeliverySuccess: rounded(stats.DeliverySuccess(c), 4), AgeMS: spread(c.Age),
	}
}

// NewSourceStat makes the view of a count of sources.
func NewSourceStat(c *state.Count) SourceStat {
	n := &c.Counts
	v := SourceStat{
		At: Time{Time: c.At}, Accepted: n[state.EventsAccepted], Duplicate: n[state.EventsDuplicate], Invalid: n[state.EventsInvalid],
		Unavailable: n[state.RequestsUnavailable], Refused: map[string]int64{},
	}
	for i, reason := range state.RefusalReasons {
		if refused := n[state.RequestsRefused+i]; refused > 0 {
			v.Refused[reason] = refused
		}
	}
	return v
}

// NewRuleStat makes the view of a count of rules.
func NewRuleStat(c *state.Count) RuleStat {
	n := &c.Counts
	return RuleStat{
		At: Time{Time: c.At}, Asked: stats.Asked(c), Matched: n[state.RuleMatched], No: n[state.RuleNo],
		Unknown: n[state.RuleUnknown], Erred: n[state.RuleErred],
	}
}

// NewRuleSeen makes the view of what was counted of a rule in 24 hours; last is when it last matched.
func NewRuleSeen(c *state.Count, last *Time) *RuleSeen {
	return &RuleSeen{Hits24h: c.Counts[state.RuleMatched], Errors24h: c.Counts[state.RuleErred], Asked24h: stats.Asked(c), LastMatch: last}
}

// NewSurveyStat makes the view of a count of surveys.
func NewSurveyStat(c *state.Count) SurveyStat {
	n := &c.Counts
	return SurveyStat{
		At: Time{Time: c.At}, Responses: n[state.Responses],
		NPS: NPS{
			Score: rounded(stats.NPS(c), 1), Promoters: n[state.NPSPromoters], Passives: n[state.NPSPassives], Detractors: n[state.NPSDetractors],
		},
		CSAT: CSAT{Mean: rounded(stats.CSAT(c), 2), N: n[state.CSATCount]},
	}
}

func spread(l state.Latencies) Spread {
	p := stats.PercentilesOf(l)
	v := Spread{N: p.N, Few: p.Few}
	if p.Few {
		return v
	}
	ms := func(d time.Duration) *int64 {
		n := d.Round(time.Millisecond).Milliseconds()
		return &n
	}
	v.P50, v.P95, v.P99 = ms(p.P50), ms(p.P95), ms(p.P99)
	return v
}

// rounded rounds a figure to so many places; nil stays nil.
func rounded(v *float64, places int) *float64 {
	if v == nil {
		return nil
	}
	unit := math.Pow10(places)
	r := math.Round(*v*unit) / unit
	return &r
}
