package console

import (
	"html/template"
	"math"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/chart"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountSurveys() {
	c.get("/surveys", c.surveys)
	c.get("/surveys/:source/:survey", c.survey)
}

// surveyRow is a survey in a list.
type surveyRow struct {
	view.Survey
	// Label is its title, or its id where the title is not known; Page its address below that of the tenant's pages.
	Label, Page string
	Spark       template.HTML
	// Change is how much its NPS changed, with its sign; Trend is up, down or empty.
	Change, Trend string
	// Last is the day of its last response.
	Last string
}

func newSurveyRow(s view.Survey) surveyRow {
	row := surveyRow{Survey: s, Label: s.Title, Page: page.Path("/surveys", s.Source, s.Survey)}
	if row.Label == "" {
		row.Label = s.Survey
	}
	if s.LastSeen != nil {
		row.Last = s.LastSeen.Format("2 Jan 2006")
	}
	// A score says more than a count, but one week's score may be of few responses.
	scored := 0
	for _, week := range s.NPS.Weekly {
		if week != nil {
			scored++
		}
	}
	if scored > 1 {
		line := spark("NPS by week, last 4 weeks", chart.Number, optionals(s.NPS.Weekly))
		line.Low = -100
		row.Spark = line.Line()
	} else {
		row.Spark = spark("responses a week, last 4 weeks", chart.Count, floats(s.ResponsesWeekly)).Bars()
	}
	if change := s.NPS.Change; change != nil {
		row.Change = page.Number(*change)
		switch {
		case *change > 0:
			row.Change, row.Trend = "+"+row.Change, "up"
		case *change < 0:
			row.Trend = "down"
		}
	}
	return row
}

type surveys struct {
	Rows []surveyRow
	Next *string
	Q    string
	Here string
}

func (c *Console) surveys(r *page.Request) error {
	s := surveys{Q: r.Query("q"), Here: r.Base() + "/surveys?"}
	var list view.Page[view.Survey]
	if err := r.Read("/v1/surveys", url.Values{"q": {s.Q}, "limit": {"50"}, "cursor": {r.Query("cursor")}}, &list); err != nil {
		return err
	}
	for _, each := range list.Data {
		s.Rows = append(s.Rows, newSurveyRow(each))
	}
	if s.Next = list.Next; s.Q != "" {
		s.Here += url.Values{"q": {s.Q}}.Encode() + "&"
	}
	return r.Show("surveys", s)
}

// surveySpans are how many days a survey's charts can have.
var surveySpans = []int{28, 90, 365}

type survey struct {
	Source, Survey, Label string
	Days                  int
	Spans                 []int
	Total                 view.SurveyStat
	// Scores is how many responses had an NPS score; below fewScores the score says more about chance than about the survey.
	Scores         int64
	Few            bool
	Responses, NPS template.HTML
	// Questions are those of its newest responses, which are searched for when somebody asks; NoQuestions says why they are not known.
	Questions   *view.Questions
	NoQuestions string
}

// fewScores is below how many responses no score is shown, as everywhere in the API.
const fewScores = 20

func (c *Console) survey(r *page.Request) error {
	s := survey{Source: r.Param("source"), Survey: r.Param("survey"), Days: surveySpans[0], Spans: surveySpans}
	for _, days := range surveySpans {
		if r.Query("days") == page.Number(days) {
			s.Days = days
		}
	}
	name := s.Source + "/" + s.Survey
	var stats view.Stats[view.SurveyStat]
	var like view.Page[view.Survey]
	err := r.Together(
		func() error {
			return r.Read("/v1/stats", url.Values{"of": {"survey:" + name}, "step": {"day"}, "since": {page.Number(s.Days-1) + "d"}}, &stats)
		},
		func() error { return r.Read("/v1/surveys", url.Values{"q": {s.Survey}, "limit": {"200"}}, &like) },
		func() error {
			if r.Query("questions") == "" {
				return nil
			}
			return s.readQuestions(r)
		},
	)
	if err != nil {
		return err
	}
	s.Label = s.Survey
	for _, each := range like.Data {
		if each.Name == name && each.Title != "" {
			s.Label = each.Title
		}
	}
	s.Total = stats.Total
	s.Scores = scores(s.Total.NPS)
	s.Few = s.Scores < fewScores
	s.Responses = responsesChart(&stats)
	s.NPS = npsChart(&stats)
	return r.Show("survey", s)
}

// readQuestions asks for the questions. A survey whose source is no longer configured has none that are known.
func (s *survey) readQuestions(r *page.Request) error {
	var questions view.Questions
	err := r.Read(page.Path("/v1/sources", s.Source)+"/questions", url.Values{"survey": {s.Survey}}, &questions)
	if err == nil {
		s.Questions = &questions
		return nil
	}
	if problem := answer.FromError(err); problem.Status == fiber.StatusNotFound {
		s.NoQuestions = "Its source is not configured any more: " + problem.Detail[0].Msg + "."
		return nil
	}
	return err
}

func scores(n view.NPS) int64 { return n.Promoters + n.Passives + n.Detractors }

// responsesChart draws the responses of each day.
func responsesChart(stats *view.Stats[view.SurveyStat]) template.HTML {
	days := chart.StepsOf(stats.Since.Time, stats.Until.Time, 24*time.Hour)
	values := chart.Values(days, stats.Data, 0, func(s view.SurveyStat) (time.Time, float64) { return s.At.Time, float64(s.Responses) })
	c := chart.Chart{
		Title: "Responses a day", Description: "Completed responses, by the day on which they were received.", Unit: chart.Count, Steps: days,
		Series: []chart.Series{{Name: "responses", Class: "responses", Figure: page.Number(stats.Total.Responses), Values: values}},
	}
	return c.Stacked()
}

const week = 7 * 24 * time.Hour

// npsChart draws the NPS of each week that has enough scores. Weeks are counted back from the newest day.
func npsChart(stats *view.Stats[view.SurveyStat]) template.HTML {
	weeks := int(stats.Until.Sub(stats.Since.Time) / week)
	steps := chart.Steps{First: stats.Until.Add(-time.Duration(weeks) * week), Length: week, N: weeks}
	sums := make([]view.NPS, weeks)
	for i := range stats.Data {
		at, n := stats.Data[i].At.Sub(steps.First), &stats.Data[i].NPS
		if at < 0 || int(at/week) >= weeks {
			continue
		}
		sum := &sums[at/week]
		sum.Promoters += n.Promoters
		sum.Passives += n.Passives
		sum.Detractors += n.Detractors
	}
	values := make([]float64, weeks)
	for i := range sums {
		n := scores(sums[i])
		if values[i] = math.NaN(); n >= fewScores {
			values[i] = float64(sums[i].Promoters-sums[i].Detractors) * 100 / float64(n)
		}
	}
	c := chart.Chart{
		Title: "NPS by week", Description: "Of weeks with at least 20 scores. The score is the share of promoters (9 and 10) less that of detractors (0 to 6).",
		Unit: chart.Number, Steps: steps, Absent: "few", Merge: chart.Min,
		Series: []chart.Series{{Name: "NPS", Values: values}},
	}
	return c.Lines()
}
