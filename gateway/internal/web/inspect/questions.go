package inspect

import (
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Bounds of the questions of a survey: how many of its newest events are looked at, and how many questions are shown.
const (
	questionEvents = 50
	maxQuestions   = 200
)

// questions answers with the questions of a survey. Events of a survey have no index: the search for them has the budget of every list.
func (i *Inspection) questions(c *route.Call) error {
	s, err := i.source(c)
	if err != nil {
		return err
	}
	survey := c.Asked("survey")
	if survey == "" {
		return answer.Invalid("say which survey: the platform's id of it", "survey")
	}
	page, err := i.Store.Events(c.Base, c.Tenant, state.EventQuery{Source: s.Name, Survey: survey, Limit: questionEvents})
	if err != nil {
		return err
	}
	v := view.Questions{Source: s.Name, Survey: survey, Events: len(page.Items), SearchedBackTo: view.Time{Time: page.SearchedBackTo}, Data: []view.Question{}}
	at := map[string]int{}
	for _, record := range page.Items {
		data := record.Event.Data()
		for j := range data.Response.Answers {
			a := &data.Response.Answers[j]
			key := a.QuestionID
			if key == "" {
				key = a.Question
			}
			n, known := at[key]
			if !known {
				if len(v.Data) == maxQuestions {
					v.More = true
					continue
				}
				n = len(v.Data)
				at[key] = n
				v.Data = append(v.Data, view.Question{ID: a.QuestionID, Question: a.Question, Type: a.Type, Roles: s.Receiver.RolesOf(survey, a)})
				if q := &v.Data[n]; len(q.Roles) == 0 {
					q.Roles, q.Missing = []string{}, roleLine(survey, key)
					v.Unread++
				}
			}
			v.Data[n].Answers++
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

// roleLine returns the setting of a source that is missing for a question to be read, as YAML.
func roleLine(survey, key string) string {
	return "surveys: {" + quoted(survey) + ": {roles: {" + quoted(key) + ": FIELD}}}"
}

// quoted writes a text as YAML does between double quotes, where every escape of Go that printable text needs means the same.
func quoted(text string) string {
	return strconv.Quote(strings.ToValidUTF8(text, "\uFFFD"))
}
