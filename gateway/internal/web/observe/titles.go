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
	// noTitleFor is how long a survey without a title in these events counts as one without: many platforms send none.
	noTitleFor = 5 * time.Minute
)

// titles remembers the titles of surveys, which are in their events alone.
type titles struct {
	mu    sync.Mutex
	known map[surveyKey]title
}

// title is what is known of the title of a survey. Text is empty where none was found; it is looked for again at Again.
type title struct {
	Text  string
	Again time.Time
}

// surveyKey is a survey of a tenant. A later tenant of the same name has another since.
type surveyKey struct {
	tenant string
	since  time.Time
	name   string
}

// of returns the title of a survey; empty: it has none. It returns false where events are to be looked at for it.
func (t *titles) of(key surveyKey, now time.Time) (text string, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, is := t.known[key]
	return found.Text, is && (found.Text != "" || now.Before(found.Again))
}

// put notes a title.
func (t *titles) put(key surveyKey, text string) { t.set(key, title{Text: text}) }

// putNone notes that no title was found.
func (t *titles) putNone(key surveyKey, now time.Time) { t.set(key, title{Again: now.Add(noTitleFor)}) }

func (t *titles) set(key surveyKey, to title) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxTitles {
		t.known = map[surveyKey]title{}
	}
	t.known[key] = to
}

// addTitles adds the titles of surveys: those that a source's settings give them, else those of events. Where one is not known yet, the
// tenant's newest events are looked at.
func (o *Observer) addTitles(ctx context.Context, tenant string, surveys []view.Survey) error {
	plan, since, now := o.Plan(), o.Since(tenant), o.Clock.Now()
	missing := 0
	for i := range surveys {
		v := &surveys[i]
		if s := plan.Source(tenant, v.Source); s != nil {
			v.Title = s.Receiver.Surveys[v.Survey].Name
		}
		if v.Title != "" {
			continue
		}
		var known bool
		if v.Title, known = o.titles.of(surveyKey{tenant, since, v.Name}, now); !known {
			missing++
		}
	}
	if missing == 0 {
		return nil
	}
	page, err := o.Store.Events(ctx, tenant, state.EventQuery{Since: since, Limit: titlesFrom})
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
		v := &surveys[i]
		if v.Title != "" {
			continue
		}
		key := surveyKey{tenant, since, v.Name}
		if v.Title, _ = o.titles.of(key, now); v.Title == "" {
			o.titles.putNone(key, now)
		}
	}
	return nil
}
