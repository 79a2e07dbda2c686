package console

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountEvents() {
	c.get("/events", c.events)
	c.get("/events/:id", c.event)
	c.mountEventActs()
}

// eventFilters are the parameters of the list; the form has a field for each.
var eventFilters = []string{"dead", "matched", "rule", "type", "source", "survey", "response", "respondent", "since", "until"}

// maxSearched is how many events each index of a search shows.
const maxSearched = "20"

type events struct {
	List   view.Page[view.Event]
	Types  []string
	Filter map[string]string
	// Q is what was searched for; Found are the events by the index that has them.
	Q     string
	Found []foundEvents
	// Here is the page's address without the cursor, up to where that is added.
	Here string
	// Narrowed: a filter is set.
	Narrowed bool
	// Newest is the top of the list's first page, by which the page finds out what came since.
	Newest  string
	Newer   int
	Problem *page.Problem
}

// foundEvents are the events that a search found by one index.
type foundEvents struct {
	// By is the index, in words; Of its parameter, empty of an id.
	By, Of string
	List   []view.Event
	// More: the index has more of them than are shown.
	More bool
}

func (c *Console) events(r *page.Request) error {
	e := events{Filter: map[string]string{}, Q: strings.TrimSpace(r.Query("q"))}
	here := url.Values{}
	for _, name := range eventFilters {
		if value := strings.TrimSpace(r.Query(name)); value != "" {
			e.Filter[name] = value
			here.Set(name, value)
		}
	}
	e.Narrowed = len(here) > 0
	e.Here = r.Base() + "/events?"
	if len(here) > 0 {
		e.Here += here.Encode() + "&"
	}
	if r.Wants("newer") {
		return c.newerEvents(r, &e, here)
	}
	var types view.EventTypes
	list := func() error { return r.Read("/v1/events", withPage(here, "50", r.Query("cursor")), &e.List) }
	if e.Q != "" {
		list = func() error { return c.search(r, &e) }
	}
	err := r.Together(list, func() error { return r.Read("/v1/event-types", nil, &types) })
	if err != nil {
		if e.Problem = r.Refusal(err); e.Problem == nil {
			return err
		}
	}
	for i := range types.Data {
		e.Types = append(e.Types, types.Data[i].Name)
	}
	if len(e.List.Data) > 0 && r.Query("cursor") == "" {
		e.Newest = top(e.List.Data, placeOfEvent)
	}
	return r.Show("events", e)
}

func placeOfEvent(e *view.Event) (id string, at view.Time) { return e.ID, e.Received }

func withPage(filter url.Values, limit, cursor string) url.Values {
	q := url.Values{"limit": {limit}, "cursor": {cursor}}
	maps.Copy(q, filter)
	return q
}

// newerEvents answers how many events came since the page was shown.
func (c *Console) newerEvents(r *page.Request, e *events, filter url.Values) error {
	var newest view.Page[view.Event]
	if err := r.Read("/v1/events", withPage(filter, "50", ""), &newest); err != nil {
		return err
	}
	e.Newest = r.Query("top")
	e.Newer = above(newest.Data, e.Newest, placeOfEvent)
	return r.Part("events", "newer", e)
}

// search looks for events by their id or that of a delivery, by their response, and by their respondent.
func (c *Console) search(r *page.Request, e *events) error {
	byID := foundEvents{By: "its id"}
	byResponse, byPerson := foundEvents{By: "its response", Of: "response"}, foundEvents{By: "its respondent", Of: "respondent"}
	err := r.Together(
		func() (err error) { byID.List, err = c.eventByID(r, e.Q); return err },
		func() error { return readFound(r, &byResponse, e.Q) },
		func() error { return readFound(r, &byPerson, e.Q) },
	)
	for _, each := range []foundEvents{byID, byResponse, byPerson} {
		if len(each.List) > 0 {
			e.Found = append(e.Found, each)
		}
	}
	return err
}

func readFound(r *page.Request, f *foundEvents, q string) error {
	var p view.Page[view.Event]
	if err := r.Read("/v1/events", url.Values{f.Of: {q}, "limit": {maxSearched}}, &p); err != nil && !isNotThere(err) {
		return err
	}
	f.List, f.More = p.Data, p.Next != nil
	return nil
}

// eventByID returns the event with an id: its own, the one it was published with, or that of one of its deliveries; none if there is
// none. It is an error if several sources have an event that was published with the id.
func (c *Console) eventByID(r *page.Request, id string) ([]view.Event, error) {
	if strings.HasPrefix(id, "dl_") {
		var d view.Delivery
		switch err := r.Read(page.Path("/v1/deliveries", id), nil, &d); {
		case err == nil:
			id = d.Event
		case !isNotThere(err):
			return nil, err
		}
	}
	var record view.Record
	if err := r.Read(page.Path("/v1/events", id), nil, &record); err != nil {
		if isNotThere(err) {
			return nil, nil
		}
		return nil, err
	}
	record.Event.Deliveries = map[string]int{}
	for i := range record.Deliveries {
		record.Event.Deliveries[record.Deliveries[i].State]++
	}
	return []view.Event{record.Event}, nil
}

// isNotThere reports whether the API knows nothing of the kind that was asked for.
func isNotThere(err error) bool {
	status := answer.FromError(err).Status
	return status == http.StatusNotFound || status == http.StatusUnprocessableEntity
}
