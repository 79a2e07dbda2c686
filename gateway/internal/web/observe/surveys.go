package observe

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// surveysAtOnce is how many surveys one read has: their days stay below state.MaxCountCells.
const surveysAtOnce = 1000

// surveys answers with a page of the tenant's surveys.
func (o *Observer) surveys(c *route.Call) error {
	limit, err := c.Limit()
	if err != nil {
		return err
	}
	from := view.SurveysFrom(o.Clock.Now())
	counts, err := o.surveyCounts(c.Base, c.Tenant, from)
	if err != nil {
		return err
	}
	all := viewSurveys(counts, from)
	if text := strings.ToLower(c.Asked("q")); text != "" {
		if err := o.addTitles(c.Base, c.Tenant, all); err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(v view.Survey) bool {
			return !strings.Contains(strings.ToLower(v.Name), text) && !strings.Contains(strings.ToLower(v.Title), text)
		})
	}
	page, err := route.PageOfOrdered(all, c.Asked("cursor"), cmp.Or(limit, 50), func(v view.Survey) string { return v.Name }, func(some []view.Survey) ([]view.Survey, error) {
		return some, o.addTitles(c.Base, c.Tenant, some)
	})
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, page)
}

// surveyCounts reads what was counted of a tenant's surveys by day.
func (o *Observer) surveyCounts(ctx context.Context, tenant string, since time.Time) (all []state.Count, err error) {
	names, err := o.Store.CountedNames(ctx, tenant, state.SurveyStats, since)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == state.OtherName })
	for some := range slices.Chunk(names, surveysAtOnce) {
		counts, err := o.counts(ctx, tenant, state.CountQuery{Kind: state.SurveyStats, Names: some, Step: state.ByDay, Since: since, Counters: true})
		if err != nil {
			return nil, err
		}
		all = append(all, counts...)
	}
	return all, nil
}

// viewSurveys returns the views of surveys that had a response in their 28 days, those with most of them first.
func viewSurveys(counts []state.Count, from time.Time) []view.Survey {
	all := []view.Survey{}
	for _, days := range byName(counts) {
		if v := view.NewSurvey(days[0].Name, days, from); v.Responses > 0 {
			all = append(all, v)
		}
	}
	slices.SortStableFunc(all, func(a, b view.Survey) int {
		return cmp.Or(cmp.Compare(b.Responses, a.Responses), cmp.Compare(a.Name, b.Name))
	})
	return all
}
