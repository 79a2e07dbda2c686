package view

import (
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
)

// Survey is what was counted of a survey in the last 28 days, which are 4 weeks of whole days, today among them.
type Survey struct {
	// Name is SOURCE/SURVEY, as in `/v1/stats?of=survey:NAME`.
	Name   string `json:"name"`
	Source string `json:"source"`
	Survey string `json:"survey"`
	// Title is the survey's; absent where it is not known.
	Title string `json:"title,omitempty"`
	// LastSeen is the day of its last completed response; null if there was none within 56 days.
	LastSeen *Time `json:"last_seen"`
	// Responses are the completed ones of 28 days, ResponsesWeekly those of each week, oldest first.
	Responses       int64     `json:"responses"`
	ResponsesWeekly []int64   `json:"responses_weekly"`
	NPS             SurveyNPS `json:"nps"`
}

// SurveyNPS is the net promoter score of the N scores of 28 days. Those of fewer than 20 responses say more about chance than about the
// survey: they are Few, and there is no score.
type SurveyNPS struct {
	Score *float64 `json:"score"`
	N     int64    `json:"n"`
	Few   bool     `json:"few,omitempty"`
	// Weekly is the score of each week, oldest first; null where there are few.
	Weekly []*float64 `json:"weekly"`
	// Change is how much the score is above that of the 28 days before; null where there are few in either.
	Change *float64 `json:"change"`
}

// The days of a survey's figures: surveyWeeks weeks, and as many before them.
const (
	surveyWeeks = 4
	weekDays    = 7
	surveyDays  = surveyWeeks * weekDays
)

// SurveysFrom returns the start of the first day that figures of surveys are made of: they are compared with as many days before.
func SurveysFrom(now time.Time) time.Time {
	return state.ByDay.Start(now).AddDate(0, 0, 1-2*surveyDays)
}

// NewSurvey makes the view of what was counted of a survey by day, oldest first. from is what SurveysFrom returned.
func NewSurvey(name string, days []state.Count, from time.Time) Survey {
	v := Survey{Name: name, ResponsesWeekly: make([]int64, surveyWeeks)}
	v.Source, v.Survey, _ = strings.Cut(name, "/")
	var before, sum state.Count
	var weeks [surveyWeeks]state.Count
	for i := range days {
		c := &days[i]
		if c.Counts[state.Responses] > 0 {
			v.LastSeen = &Time{c.At}
		}
		day := int(c.At.Sub(from) / (24 * time.Hour))
		switch {
		case day < 0:
		case day < surveyDays:
			before.Add(c)
		case day < 2*surveyDays:
			sum.Add(c)
			weeks[(day-surveyDays)/weekDays].Add(c)
		}
	}
	v.Responses = sum.Counts[state.Responses]
	v.NPS = SurveyNPS{N: stats.NPSScores(&sum), Score: npsOf(&sum), Weekly: make([]*float64, surveyWeeks)}
	v.NPS.Few = v.NPS.N < stats.FewBelow
	for i := range weeks {
		v.ResponsesWeekly[i], v.NPS.Weekly[i] = weeks[i].Counts[state.Responses], npsOf(&weeks[i])
	}
	if last := npsOf(&before); last != nil && v.NPS.Score != nil {
		change := *v.NPS.Score - *last
		v.NPS.Change = rounded(&change, 1)
	}
	return v
}

// npsOf returns a net promoter score; nil where there are few.
func npsOf(c *state.Count) *float64 {
	if stats.NPSScores(c) < stats.FewBelow {
		return nil
	}
	return rounded(stats.NPS(c), 1)
}
