package renormalise

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// Query selects events of a tenant; zero fields do not restrict the selection.
type Query struct {
	Source       string
	Since, Until time.Time // of Received
	// Cursor continues after a page.
	Cursor string
	How
}

// Limits of one page, so that a request ends soon and memory stays small.
const (
	lookMost   = 2000
	reviseMost = 100
)

// cursorKind is the first byte of the place in a cursor.
const cursorKind = 'm'

var errFull = errors.New("the page is full")

// Many reads a page of events again. A dry run counts what a response is told once as often as there are pages with events of
// it. Each event is a step of its own: what was done stays done if the gateway dies, and
// asked for again it does nothing a second time.
func (n *Normaliser) Many(ctx context.Context, tenant string, q Query) (*view.NormalisedPage, error) {
	var from uint64
	if q.Cursor != "" {
		place, err := state.DecodeCursor(q.Cursor, cursorKind)
		if err != nil || len(place) != 8 {
			return nil, state.ErrCursor
		}
		from = binary.BigEndian.Uint64(place)
	}
	p := &view.NormalisedPage{Results: []view.NormalisedBrief{}}
	looked, told := 0, supposed{}
	err := n.Store.Range(ctx, tenant, from, func(r *state.Record) error {
		if looked == lookMost || len(p.Results) == reviseMost {
			p.Next = state.EncodeCursor(binary.BigEndian.AppendUint64([]byte{cursorKind}, r.Position))
			return errFull
		}
		looked++
		p.Reached = r.Event.Received
		if !q.selects(r.Event) {
			return nil
		}
		res, err := n.one(ctx, r, q.How, told)
		if err != nil {
			return err
		}
		count(p, res)
		return nil
	})
	if err != nil && !errors.Is(err, errFull) {
		return nil, fmt.Errorf("read again: %w", err)
	}
	return p, nil
}

func (q *Query) selects(ev *event.Event) bool {
	return (q.Source == "" || ev.Source == q.Source) &&
		(q.Since.IsZero() || !ev.Received.Before(q.Since)) && (q.Until.IsZero() || ev.Received.Before(q.Until))
}

// count adds the result of one event to a page.
func count(p *view.NormalisedPage, res *view.Normalised) {
	p.Events++
	switch res.Status {
	case view.Unchanged:
		p.Unchanged++
		return
	case view.Revised:
		p.Revised++
	case view.Left:
		p.Left++
	}
	p.Deliveries += len(res.Deliveries)
	p.Superseded += len(res.Superseded)
	p.Kept += len(res.Kept)
	if res.Reason == source.ErrOwnForm.Error() {
		p.OwnForm++
		return
	}
	p.Results = append(p.Results, view.NormalisedBrief{
		Event: res.Event, Status: res.Status, Reason: res.Reason, Revision: res.Revision, Differences: res.Differences,
		Deliveries: len(res.Deliveries),
	})
}
