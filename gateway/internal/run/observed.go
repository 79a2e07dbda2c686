package run

import (
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/tail"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
)

// observed counts what the delivery loop does, and tells those who watch.
type observed struct {
	*stats.Stats
	tail *tail.Hub
}

// Decided is deliver.Observer's.
func (o observed) Decided(ev *event.Event, sets []*rules.Set, outcomes []state.RuleOutcome, unknown []string, at time.Time) {
	o.Stats.Decided(ev, sets, outcomes, unknown, at)
	o.tail.Decided(ev, outcomes, unknown, at)
}

// Ended is deliver.Observer's.
func (o observed) Ended(d *state.Delivery, received time.Time) {
	o.Stats.Ended(d, received)
	o.tail.Ended(d)
}
