package api

import (
	"errors"
	"slices"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// foundEvents is how many events of a response or of a person one page has the deliveries of, if they are not more than it may have.
const foundEvents = 20

// search returns the deliveries that a text leads to and that a query selects, by the first index that knows the text: it is the id of a
// delivery or of an event, that of a response, or names a person. It searches through nothing.
func (a *API) search(c *route.Call, text string, q *state.DeliveryQuery) (page view.Page[view.Delivery], err error) {
	switch {
	case c.Tenant == access.AnyTenant:
		return page, answer.Invalid("ids and people are of one tenant: ask for one", "q")
	case q.EventID != "":
		return page, answer.Invalid("this takes `q` or `event`, not both", "q")
	}
	limit, err := c.Limit()
	if err != nil {
		return page, err
	}
	limit = state.PageLimit(limit)
	page.Data = []view.Delivery{}
	plan := a.Plan()
	if state.IsDeliveryID(text) {
		of := *q
		of.EventID = state.EventID(text)
		found, err := a.deliveriesOf(c, of)
		for i := range found {
			if found[i].ID == text {
				page.Data, page.SearchedBy = append(page.Data, view.NewListedDelivery(&found[i], plan)), "delivery"
			}
		}
		return page, err
	}
	events, by, err := a.searchEvents(c, text, foundEvents)
	if err != nil || by == "" {
		return page, err
	}
	page.SearchedBy = by
	if by == "event" {
		of := *q
		of.EventID, of.Limit, of.Cursor = events.Items[0].Event.ID, limit, c.Asked("cursor")
		p, err := a.Store.Deliveries(c.Base, c.Tenant, of)
		if err != nil {
			return page, listError(err, of.Cursor)
		}
		found := view.NewPage(p, func(d state.Delivery) view.Delivery { return view.NewListedDelivery(&d, plan) })
		found.SearchedBy = by
		return found, nil
	}
	var rows [][]state.Delivery // by event
	for n := 0; len(rows) < len(events.Items); {
		of := *q
		of.EventID = events.Items[len(rows)].Event.ID
		found, err := a.deliveriesOf(c, of)
		if err != nil {
			return page, err
		}
		if n += len(found); n > limit && len(rows) > 0 { // the next page begins with this event
			if events, _, err = a.searchEvents(c, text, len(rows)); err != nil {
				return page, err
			}
			break
		}
		rows = append(rows, found)
	}
	page.SearchedBackTo, page.RespondentsSince = view.Time{Time: events.SearchedBackTo}, view.Time{Time: events.RespondentsSince}
	if events.Next != "" {
		page.Next = &events.Next
	}
	for _, found := range rows {
		for i := range found {
			page.Data = append(page.Data, view.NewListedDelivery(&found[i], plan))
		}
	}
	slices.SortStableFunc(page.Data, func(x, y view.Delivery) int { return y.Updated.Compare(x.Updated.Time) })
	return page, nil
}

// deliveriesOf returns the deliveries of an event that a query selects.
func (a *API) deliveriesOf(c *route.Call, q state.DeliveryQuery) ([]state.Delivery, error) {
	q.Limit = route.MaxLimit
	p, err := a.Store.Deliveries(c.Base, c.Tenant, q)
	if err != nil {
		return nil, err
	}
	return p.Items, nil
}

// searchEvents returns the events that a text leads to, at most so many, and as what; "": it leads to none. The session of a portal link that may not see
// what people answered finds none by a person.
func (a *API) searchEvents(c *route.Call, text string, most int) (*state.Page[*state.Record], string, error) {
	cursor := c.Asked("cursor")
	switch record, err := a.Store.Event(c.Base, c.Tenant, text); {
	case err == nil:
		return &state.Page[*state.Record]{Items: []*state.Record{record}}, "event", nil
	case !errors.Is(err, state.ErrNotFound):
		return nil, "", err
	}
	if g := c.Grant; g.Capabilities != nil && !slices.Contains(g.Capabilities, access.CanBodies) {
		return nil, "", nil
	}
	for _, by := range []struct {
		name string
		q    state.EventQuery
	}{{"response", state.EventQuery{Response: text}}, {"respondent", state.EventQuery{Respondent: text}}} {
		by.q.Limit = most
		first, err := a.Store.Events(c.Base, c.Tenant, by.q)
		switch {
		case err != nil:
			return nil, "", err
		case len(first.Items) == 0 && first.Next == "":
			continue
		case cursor == "":
			return first, by.name, nil
		}
		by.q.Cursor = cursor
		next, err := a.Store.Events(c.Base, c.Tenant, by.q)
		if err != nil {
			return nil, "", listError(err, cursor)
		}
		return next, by.name, nil
	}
	if cursor != "" {
		return nil, "", route.NoCursor()
	}
	return nil, "", nil
}
