package console

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountDeliveries() {
	c.get("/deliveries", c.deliveries)
	c.post("/deliveries/act", c.actOnDeliveries)
	c.get("/deliveries/replay", c.countReplay)
	c.post("/deliveries/replay", c.beginReplay)
	c.get("/deliveries/drop", c.countDrop)
	c.post("/deliveries/drop", c.beginDrop)
	c.get("/deliveries/:id", c.delivery)
	c.post("/deliveries/:id/retry", c.retryDelivery)
	c.post("/deliveries/:id/replay", c.replayDelivery)
	c.get("/deliveries/:id/drop", c.confirmDrop)
	c.post("/deliveries/:id/drop", c.dropDelivery)
}

// deliveryFilters are the parameters of the list, those that the page has fields for first.
var deliveryFilters = []string{"q", "state", "destination", "status", "rule", "type", "since", "until", "verdict", "source", "event", "failed"}

// lesserFilters are those without a field of their own: links of other pages set them.
var lesserFilters = []string{"until", "verdict", "source", "event", "failed"}

// since is a choice of how far back a list reaches.
type since struct{ Value, Name string }

var sinces = []since{{"1h", "last hour"}, {"24h", "last 24 hours"}, {"7d", "last 7 days"}, {"30d", "last 30 days"}}

// otherSince returns a span that is none of the choices.
func otherSince(value string) string {
	if slices.ContainsFunc(sinces, func(s since) bool { return s.Value == value }) {
		return ""
	}
	return value
}

// foundAs says what the text of a search was found as.
var foundAs = map[string]string{
	"delivery": "found as the id of a delivery", "event": "found as the id of an event", "response": "found as the id of a response",
	"respondent": "found as a person",
}

// deliveriesAtOnce is how many rows a page has.
const deliveriesAtOnce = 50

// deliveries is a page of the list.
type deliveries struct {
	List   view.Page[view.Delivery]
	Filter map[string]string
	// Since is a span of the address that is none of the choices.
	Since string
	// Found is what the text of a search was found as.
	Found string
	// Here is the page's address without the cursor, up to where that is added; Query are its filters.
	Here, Query string
	// Replay is the address of the page that replays what the filters select; empty where they select nothing that can be replayed.
	Replay string
	// Retry: they select what a retry can be of, so that a replay of the same deliveries is one. Drop is then the address of the page that
	// drops them.
	Retry bool
	Drop  string
	// Newer is the address of the line that tells of newer rows; empty where the page does not begin with the newest.
	Newer    string
	MayWrite bool
	Problem  *page.Problem
}

// filtersOf returns the filters in an address or a form.
func filtersOf(get func(string) string) url.Values {
	q := url.Values{}
	for _, name := range deliveryFilters {
		if value := get(name); value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// listOf returns the path, behind that of the tenant, of the list that the filters narrow.
func listOf(filter url.Values) string {
	if len(filter) == 0 {
		return "/deliveries"
	}
	return "/deliveries?" + filter.Encode()
}

// asked returns the question to the API for a page of deliveries.
func asked(filter url.Values, more ...string) url.Values {
	q := url.Values{"include": {"event"}, "limit": {fmt.Sprint(deliveriesAtOnce)}}
	maps.Copy(q, filter)
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q
}

func (c *Console) deliveries(r *page.Request) error {
	filter := filtersOf(r.Query)
	if r.Wants("newer") {
		return c.newer(r, filter)
	}
	d := deliveries{Filter: map[string]string{}, Query: filter.Encode(), MayWrite: r.May(access.Write), Since: otherSince(filter.Get("since"))}
	for name := range filter {
		d.Filter[name] = filter.Get(name)
	}
	cursor := r.Query("cursor")
	if err := r.Read("/v1/deliveries", asked(filter, "cursor", cursor), &d.List); err != nil {
		if d.Problem = r.Refusal(err); d.Problem == nil {
			return err
		}
	}
	d.Found = foundAs[d.List.SearchedBy]
	d.Here = r.Base() + "/deliveries?"
	if len(filter) > 0 {
		d.Here += d.Query + "&"
	}
	if replayable(filter) && d.MayWrite && len(d.List.Data) > 0 {
		d.Replay = r.Base() + "/deliveries/replay?" + d.Query
		if d.Retry = droppable(filter); d.Retry {
			d.Drop = r.Base() + "/deliveries/drop?" + d.Query
		}
	}
	if cursor == "" && d.Problem == nil && !filter.Has("q") {
		d.Newer = d.Here + "part=newer&top=" + url.QueryEscape(top(d.List.Data, placeOfDelivery))
	}
	if r.Wants("rows") {
		return r.Part("deliveries", "rows", d)
	}
	return r.Show("deliveries", d)
}

// replayable reports whether a replay can select what the filters do.
func replayable(filter url.Values) bool {
	return len(filter) > 0 && !filter.Has("q") && !filter.Has("event")
}

// droppable reports whether the filters select what waits, or dead letters: what can be retried or dropped.
func droppable(filter url.Values) bool {
	is := filter.Get("state")
	return replayable(filter) && (is == "waiting" || is == "dead")
}

func placeOfDelivery(d *view.Delivery) (id string, at view.Time) { return d.ID, d.Updated }

// newer counts the rows above the one that the address names.
func (c *Console) newer(r *page.Request, filter url.Values) error {
	var list view.Page[view.Delivery]
	if err := r.Read("/v1/deliveries", asked(filter, "include", ""), &list); err != nil {
		return err
	}
	was := r.Query("top")
	d := newerRows{N: above(list.Data, was, placeOfDelivery), Here: r.Base() + listOf(filter), Again: r.Base() + "/deliveries?"}
	d.More = d.N == len(list.Data) && list.Next != nil
	if len(filter) > 0 {
		d.Again += filter.Encode() + "&"
	}
	d.Again += "part=newer&top=" + url.QueryEscape(was)
	return r.Part("deliveries", "newer", d)
}

type newerRows struct {
	N int
	// More: there are more than N.
	More bool
	// Here is the list with the newest rows, Again the address of this line.
	Here, Again string
}

// Acts on deliveries, by the word of the button.
var deliveryActs = map[string]struct{ path, done string }{
	"retry": {"/retry", "due now"}, "replay": {"/replay", "delivered again"}, "drop": {"/drop", "dropped"},
}

// maxChosen bounds how many deliveries are acted on one by one.
const maxChosen = 200

// chosen is the page that asks before deliveries are dropped.
type chosen struct {
	IDs []string
	// Query are the filters of that list; Back is the page to return to.
	Query, Back string
	// Many: they were chosen from a list.
	Many bool
	// Ended is the state of a single one that cannot be dropped; empty of all others.
	Ended string
}

// actOnDeliveries retries, replays or drops the rows that were chosen.
func (c *Console) actOnDeliveries(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	ids := form["id"]
	filter, _ := url.ParseQuery(form.Get("query"))
	back := listOf(filtersOf(filter.Get))
	act, known := deliveryActs[form.Get("do")]
	switch {
	case !known:
		return answer.NewProblem(fiber.StatusUnprocessableEntity, view.Validation, "say what to do: retry, replay or drop", "do")
	case len(ids) == 0:
		return r.See(back, "No delivery was chosen: tick some rows first.")
	case len(ids) > maxChosen:
		return answer.NewProblem(fiber.StatusUnprocessableEntity, view.Validation, fmt.Sprintf("at most %d deliveries can be chosen; retry, replay or drop by a filter instead", maxChosen), "id")
	case form.Get("do") == "drop" && form.Get("sure") == "":
		return r.Show("drop", chosen{IDs: ids, Query: filtersOf(filter.Get).Encode(), Back: r.Base() + back, Many: true})
	}
	done, refused := 0, map[string]int{}
	for _, id := range ids {
		_, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/deliveries", id) + act.path})
		if err == nil {
			done++
			continue
		}
		if r.Refusal(err) == nil {
			return err
		}
		refused[answer.FromError(err).Detail[0].Msg]++
	}
	r.Status = 0
	return r.See(back, acted(done, act.done, refused))
}

// acted says what became of the chosen rows.
func acted(done int, what string, refused map[string]int) string {
	is := "are "
	if done == 1 {
		is = "is "
	}
	var note strings.Builder
	note.WriteString(plural(int64(done), "delivery ", "deliveries ") + is + what + ".")
	reasons := make([]string, 0, len(refused))
	for reason := range refused {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		_, _ = fmt.Fprintf(&note, " %d not: %s.", refused[reason], strings.TrimSuffix(reason, "."))
	}
	return note.String()
}
