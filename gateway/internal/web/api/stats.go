package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

// maxPoints bounds the steps of one answer, of all of its names together.
const maxPoints = 1500

// statKinds are what statistics can be asked of.
var statKinds = []state.StatKind{state.DestinationStats, state.SourceStats, state.RuleStats, state.SurveyStats}

// defaultSpans are how far back statistics reach where `since` is not given.
var defaultSpans = map[state.StatStep]time.Duration{state.ByMinute: time.Hour, state.ByHour: 24 * time.Hour, state.ByDay: 30 * 24 * time.Hour}

// statsAsk is a request for statistics.
type statsAsk struct {
	kind         state.StatKind
	name         string // empty: all of the tenant's
	byName       bool
	step         state.StatStep
	since, until time.Time
	first, last  time.Time // starts of the first and of the last step that is read
	points       int       // how many steps those are; of each name
}

// stats answers with what was counted. Its work and its memory are bounded by maxPoints.
func (a *API) stats(c *route.Call) error {
	ask, err := a.statsAsk(c)
	if err != nil {
		return err
	}
	switch ask.kind {
	case state.DestinationStats:
		return answerStats(a, c, ask, view.NewDestinationStat)
	case state.SourceStats:
		return answerStats(a, c, ask, view.NewSourceStat)
	case state.RuleStats:
		return answerStats(a, c, ask, view.NewRuleStat)
	default:
		return answerStats(a, c, ask, view.NewSurveyStat)
	}
}

// statsAsk reads the parameters.
func (a *API) statsAsk(c *route.Call) (*statsAsk, error) {
	const whatOf = "this is `destination:NAME`, `source:NAME`, `rule:NAME` or `survey:SOURCE/SURVEY`; without a name it is all of the tenant's together"
	of := c.Asked("of")
	kind, name, found := strings.Cut(of, ":")
	ask := &statsAsk{kind: state.StatKind(kind), name: name, step: state.StatStep(c.Asked("step"))}
	if !found || !slices.Contains(statKinds, ask.kind) {
		return nil, answer.Invalid(whatOf, "of")
	}
	switch by := c.Asked("by"); {
	case by == "name" && name != "":
		return nil, answer.Invalid("`by=name` gives one series for each name: it goes with `of="+kind+":`, without a name", "by")
	case by == "name":
		ask.byName = true
	case by != "" && by != "none":
		return nil, answer.Invalid("this is `none` or `name`", "by")
	}
	if !ask.byName && (c.Asked("cursor") != "" || c.Asked("limit") != "") {
		return nil, answer.Invalid("`limit` and `cursor` page through names: they go with `by=name`", "by")
	}
	if ask.step == "" {
		ask.step = state.ByHour
	}
	if ask.step.Kept() == 0 {
		return nil, answer.Invalid("this is `minute`, `hour` or `day`", "step")
	}
	now := a.Clock.Now()
	var err error
	if ask.since, ask.until, err = c.Span(now); err != nil {
		return nil, err
	}
	if ask.until.IsZero() || ask.until.After(now) {
		ask.until = now
	}
	if ask.since.IsZero() {
		ask.since = ask.until.Add(-defaultSpans[ask.step])
	}
	if own := a.Tenants.Since(c.Tenant); !own.IsZero() { // what is before is of a former tenant of the name
		if own = own.Truncate(ask.step.Length()).Add(ask.step.Length()); own.After(ask.since) {
			ask.since = own
		}
		if ask.until.Before(ask.since) {
			ask.until = ask.since
		}
	}
	return ask, ask.bound(now)
}

// bound works out which steps are read, and refuses too many of them, and those that are no longer kept.
func (s *statsAsk) bound(now time.Time) error {
	if s.since.After(s.until) {
		return answer.Invalid("`since` is later than `until`", "since")
	}
	if n := s.steps(s.step); n > maxPoints {
		return answer.Invalid(fmt.Sprintf("these are %d points, and one answer has at most %d: %s", n, maxPoints, s.instead(now)), "step")
	}
	if !s.until.After(now.Add(-s.step.Kept())) {
		return answer.Invalid(fmt.Sprintf("each %s is kept for %s: %s", s.step, keptFor(s.step), s.instead(now)), "step")
	}
	ask := s.query()
	var err error
	if s.first, s.last, err = ask.Span(now); err != nil {
		return fmt.Errorf("span of statistics: %w", err)
	}
	s.points = max(int(s.last.Sub(s.first)/s.step.Length())+1, 0)
	return nil
}

// steps returns how many steps of a length begin in the span, or one more.
func (s *statsAsk) steps(step state.StatStep) int64 {
	return int64(s.until.Sub(s.since) / step.Length())
}

// instead says what to ask for.
func (s *statsAsk) instead(now time.Time) string {
	for _, step := range state.StatSteps {
		n := s.steps(step)
		if step.Length() > s.step.Length() && n <= maxPoints && s.until.After(now.Add(-step.Kept())) {
			return fmt.Sprintf("ask for `step=%s`", step)
		}
	}
	return fmt.Sprintf("ask for a shorter span, within the last %s", keptFor(state.ByDay))
}

func keptFor(step state.StatStep) string {
	if days := step.Kept() / (24 * time.Hour); days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	return "24 hours"
}

// query selects names; without any, all of the tenant's together.
func (s *statsAsk) query(names ...string) state.CountQuery {
	if len(names) == 0 {
		names = []string{""}
	}
	return state.CountQuery{Kind: s.kind, Names: names, Step: s.step, Since: s.since, Until: s.until}
}

// answerStats answers with the view of each count.
func answerStats[T any](a *API, c *route.Call, ask *statsAsk, see func(*state.Count) T) error {
	if ask.byName {
		return answerStatsByName(a, c, ask, see)
	}
	counts, err := a.counts(c, ask, ask.name)
	if err != nil {
		return err
	}
	if len(counts) == 0 {
		if err := a.knownStat(c, ask); err != nil {
			return err
		}
	}
	data, total := series(counts, see)
	return answer.JSON(c.Ctx, fiber.StatusOK, view.Stats[T]{
		Step: string(ask.step), Since: view.Time{Time: ask.first}, Until: view.Time{Time: ask.end()}, Data: data, Total: see(&total),
	})
}

// answerStatsByName answers with a page of names: as many as fit into maxPoints.
func answerStatsByName[T any](a *API, c *route.Call, ask *statsAsk, see func(*state.Count) T) error {
	limit, err := c.Limit()
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = 50
	}
	limit = min(limit, maxPoints/max(ask.points, 1))
	names, err := a.Store.CountedNames(c.Base, c.Tenant, ask.kind, ask.first)
	if err != nil {
		return err
	}
	after, err := route.After(c.Asked("cursor"), func(name string) bool { return slices.Contains(names, name) })
	if err != nil {
		return err
	}
	if after != "" {
		at, found := slices.BinarySearch(names, after)
		if found {
			at++
		}
		names = names[at:]
	}
	out := view.StatsByName[T]{
		Step: string(ask.step), Since: view.Time{Time: ask.first}, Until: view.Time{Time: ask.end()}, Data: []view.NamedStats[T]{},
	}
	if len(names) > limit {
		next := route.Next(names[limit-1])
		out.Next, names = &next, names[:limit]
	}
	sum, err := a.counts(c, ask, "")
	if err != nil {
		return err
	}
	_, total := series(sum, see)
	out.Total = see(&total)
	if len(names) > 0 {
		counts, err := a.counts(c, ask, names...)
		if err != nil {
			return err
		}
		for len(counts) > 0 {
			name := counts[0].Name
			n := slices.IndexFunc(counts, func(each state.Count) bool { return each.Name != name })
			if n < 0 {
				n = len(counts)
			}
			data, total := series(counts[:n], see)
			out.Data = append(out.Data, view.NamedStats[T]{Name: name, Data: data, Total: see(&total)})
			counts = counts[n:]
		}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, out)
}

// counts reads names, by name and then by time.
func (a *API) counts(c *route.Call, ask *statsAsk, names ...string) ([]state.Count, error) {
	if ask.points == 0 {
		return nil, nil
	}
	counts, err := a.Store.Counts(c.Base, c.Tenant, ask.query(names...))
	if err != nil {
		return nil, fmt.Errorf("read statistics: %w", err)
	}
	return counts, nil
}

// end returns the end of the last step.
func (s *statsAsk) end() time.Time {
	if s.points == 0 {
		return s.first
	}
	return s.last.Add(s.step.Length())
}

// series returns the views of counts and their sum.
func series[T any](counts []state.Count, see func(*state.Count) T) (data []T, total state.Count) {
	data = make([]T, len(counts))
	for i := range counts {
		data[i] = see(&counts[i])
		total.Add(&counts[i])
	}
	return data, total
}

// knownStat refuses a name that is not configured. Surveys are in no configuration.
func (a *API) knownStat(c *route.Call, ask *statsAsk) error {
	if ask.name == "" || ask.name == state.OtherName {
		return nil
	}
	switch ask.kind {
	case state.DestinationStats:
		return a.knownTarget(c, ask.name, "")
	case state.RuleStats:
		return a.knownTarget(c, "", ask.name)
	case state.SourceStats:
		if ask.name == event.DefaultSource {
			return nil
		}
		return a.knownSource(c, ask.name)
	default:
		return nil
	}
}
