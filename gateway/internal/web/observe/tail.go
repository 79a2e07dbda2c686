package observe

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/tail"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// tail streams what happens in a tenant. A client that connects again continues behind the line that it had last (Last-Event-ID), as far
// as lines are kept.
func (o *Observer) tail(c *route.Call) error {
	f := tail.Filter{
		Rule: strings.Clone(c.Asked("rule")), Destination: strings.Clone(c.Asked("destination")), Source: strings.Clone(c.Asked("source")),
	}
	var err error
	if f.Failed, err = c.Flag("failed"); err != nil {
		return err
	}
	if err := o.known(c.Tenant, &f); err != nil {
		return err
	}
	after, _ := strconv.ParseUint(c.Get("Last-Event-ID"), 10, 64) // anything else begins now
	tenant, still := strings.Clone(c.Tenant), c.Still()
	return o.Streams().Serve(c.Ctx, c.Grant.Tenant+"/"+c.Grant.By()+"/tail", func(ctx context.Context) (<-chan sse.Event, error) {
		w := o.Tail.Watch(tenant, f, after)
		events := make(chan sse.Event)
		go o.passOn(ctx, w, events, still)
		return events, nil
	})
}

// known refuses a filter with a name that nothing has now: its stream would be silent for ever. Events name any source.
func (o *Observer) known(tenant string, f *tail.Filter) error {
	var names []string
	if f.Rule != "" {
		for _, r := range o.Plan().Rules(tenant) {
			names = append(names, r.Name)
		}
		if !slices.Contains(names, f.Rule) {
			return answer.NoSuch("rule", f.Rule, names)
		}
	}
	if f.Destination != "" && o.Plan().Destination(tenant, f.Destination) == nil {
		names = nil
		for _, d := range o.Plan().DestinationsOf(tenant) {
			names = append(names, d.Name)
		}
		return answer.NoSuch("destination", f.Destination, names)
	}
	return nil
}

// passOn writes the lines of a watcher to a stream until ctx ends, or until the caller may no longer read them.
func (o *Observer) passOn(ctx context.Context, w *tail.Watcher, events chan<- sse.Event, still func(ctx context.Context) bool) {
	defer close(events)
	defer w.Close()
	select {
	case events <- sse.Event{ID: strconv.FormatUint(w.From, 10)}: // so that a client that had no line yet can continue as well
	case <-ctx.Done():
		return
	}
	for {
		changed := o.TokensChanged()
		if !still(ctx) {
			return
		}
		after, stop := wall.After(lookEvery)
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				stop()
				return
			case line := <-w.Lines:
				e, ok := eventOf(line)
				if !ok {
					continue
				}
				select {
				case events <- e:
				case <-ctx.Done():
					stop()
					return
				}
			case <-changed:
				waiting = false
			case <-after:
				waiting = false
			}
		}
		stop()
	}
}

func eventOf(line *view.TailLine) (sse.Event, bool) {
	text, err := json.Marshal(line)
	return sse.Event{ID: strconv.FormatUint(line.N, 10), Data: text}, err == nil
}
