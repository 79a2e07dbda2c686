package observe

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// titlesFrom is how many of a tenant's newest events are looked at for titles of surveys, maxTitles how many titles are remembered.
const (
	titlesFrom = 50
	maxTitles  = 10_000
)

// titles remembers the titles of surveys, which are in their events alone.
type titles struct {
	mu    sync.Mutex
	known map[surveyKey]string
}

// surveyKey is a survey of a tenant. A later tenant of the same name has another since.
type surveyKey struct {
	tenant string
	since  time.Time
	name   string
}

func (t *titles) of(key surveyKey) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[key]
}

func (t *titles) put(key surveyKey, title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxTitles {
		t.known = map[surveyKey]string{}
	}
	t.known[key] = title
}

// addTitles adds the titles of surveys: those that a source's settings give them, else those of events. Where one is not known yet, the
// tenant's newest events are looked at.
func (o *Observer) addTitles(ctx context.Context, tenant string, surveys []view.Survey) error {
	plan, since := o.Plan(), o.Since(tenant)
	missing := 0
	for i := range surveys {
		v := &surveys[i]
		if s := plan.Source(tenant, v.Source); s != nil {
			v.Title = s.Receiver.Surveys[v.Survey].Name
		}
		if v.Title == "" {
			v.Title = o.titles.of(surveyKey{tenant, since, v.Name})
		}
		if v.Title == "" {
			missing++
		}
	}
	if missing == 0 {
		return nil
	}
	page, err := o.Store.Events(ctx, tenant, state.EventQuery{Limit: titlesFrom})
	if err != nil {
		return err
	}
	for _, record := range slices.Backward(page.Items) { // the newest title counts
		ev := record.Event
		if title := ev.Data().Survey.Title; ev.SurveyID != "" && title != "" {
			o.titles.put(surveyKey{tenant, since, ev.Source + "/" + ev.SurveyID}, title)
		}
	}
	for i := range surveys {
		if v := &surveys[i]; v.Title == "" {
			v.Title = o.titles.of(surveyKey{tenant, since, v.Name})
		}
	}
	return nil
}
