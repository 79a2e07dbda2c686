package console

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// typedAbove is how many deliveries or events can be replayed, or deliveries dropped, without typing their number.
const typedAbove = 100

// replaying is the page that counts what filters select before it is replayed.
type replaying struct {
	Would view.ReplayCount
	// Counted: the filters can be used, and Would is what they select.
	Counted bool
	// Words are the filters; Query is them in an address, and List the address of the list that they narrow.
	Words       [][2]string
	Query, List string
	// Retry: as the same deliveries, it retries what waits or is a dead letter.
	Retry bool
	// As, Rate, Reason and Typed are what was entered. Type: the number has to be typed.
	As, Rate, Reason, Typed string
	Type                    bool
	// Posted: it was asked to begin, and Query is what was posted.
	Posted  bool
	Problem *page.Problem
}

func (c *Console) countReplay(r *page.Request) error {
	return c.showReplay(r, filtersOf(r.Query), replaying{}, nil)
}

// showReplay shows how many deliveries the filters select; nil filters cannot be read.
func (c *Console) showReplay(r *page.Request, filter url.Values, d replaying, problem *page.Problem) error {
	d.Problem, d.Retry = problem, droppable(filter)
	d.Words, d.List = wordsOf(filter), r.Base()+listOf(filter)
	if !d.Posted {
		d.Query = filter.Encode()
	}
	if filter != nil {
		var err error
		if d.Would, err = wouldReplay(r, filter); err != nil {
			if err = refusedToo(r, &d.Problem, err); err != nil {
				return err
			}
		} else {
			d.Counted = true
		}
	}
	d.Type = d.Would.Deliveries > typedAbove
	return r.Show("replaying", d)
}

// refusedToo puts a refusal on a page that has none yet. It returns an error that is not the visitor's to mend.
func refusedToo(r *page.Request, problem **page.Problem, err error) error {
	status := r.Status
	refusal := r.Refusal(err)
	switch {
	case refusal == nil:
		return err
	case *problem == nil:
		*problem = refusal
	default:
		r.Status = status
	}
	return nil
}

// wordsOf returns the filters with their values, in the order of the page.
func wordsOf(filter url.Values) (words [][2]string) {
	for _, name := range deliveryFilters {
		if value := filter.Get(name); value != "" {
			words = append(words, [2]string{name, value})
		}
	}
	return words
}

// wrongNumber refuses what concerns more deliveries or events than can be confirmed without typing their number.
func wrongNumber(n int, typed, does string) error {
	if n <= typedAbove || strings.ReplaceAll(strings.TrimSpace(typed), ",", "") == strconv.Itoa(n) {
		return nil
	}
	msg := fmt.Sprintf("these are %d now: type that number, so that nobody %s many by mistake", n, does)
	return answer.NewProblem(fiber.StatusUnprocessableEntity, view.Validation, msg, "typed")
}

// replayOf returns what filters select. It refuses a filter that cannot be read, in the words of the list: without it, they would select more.
func replayOf(get func(string) string) (view.ReplayOf, error) {
	failed, err := route.ReadFlag(get("failed"), "failed")
	if err != nil {
		return view.ReplayOf{}, err
	}
	missing, err := route.ReadFlag(get("missing"), "missing")
	return view.ReplayOf{
		Destination: get("destination"), State: get("state"), Verdict: get("verdict"), Status: get("status"), Failed: failed, Missing: missing,
		Rule: get("rule"), Type: get("type"), Source: get("source"), Since: get("since"), Until: get("until"),
	}, err
}

// postedFilters are the filters that a form posts as a query. It refuses a query that cannot be read: a part of it would select more.
func postedFilters(query string) (url.Values, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, answer.Invalid("the filters cannot be read: begin again at the list", "query")
	}
	return filtersOf(values.Get), nil
}

func wouldReplay(r *page.Request, filter url.Values) (count view.ReplayCount, err error) {
	if !replayable(filter) {
		return count, answer.NewProblem(fiber.StatusUnprocessableEntity, view.Validation, "choose what is replayed by a filter of the list first, such as a state and a destination")
	}
	of, err := replayOf(filter.Get)
	if err != nil {
		return count, err
	}
	return countOf(r, view.ReplayRequest{Of: of})
}

// countOf counts what a replay selects.
func countOf(r *page.Request, replay view.ReplayRequest) (count view.ReplayCount, err error) {
	replay.DryRun = true
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/replays", Body: replay, DryRun: true})
	if err != nil {
		return count, err
	}
	var would view.WouldReplay
	err = a.Decode(&would)
	return would.Would, err
}

// begin begins a replay of n deliveries or events, as they were counted now. More than typedAbove are replayed only if that number was
// typed. It leads to the page of the replay.
func begin(r *page.Request, replay view.ReplayRequest, n int, typed string) error {
	if err := wrongNumber(n, typed, "replays"); err != nil {
		return err
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/replays", Body: replay})
	if err != nil {
		return err
	}
	var job view.Job
	if err := a.Decode(&job); err != nil {
		return err
	}
	return r.See(page.Path("/replays", job.ID), "The replay has begun.")
}

func (c *Console) beginReplay(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	d := replaying{Query: form.Get("query"), Posted: true, As: form.Get("as"), Rate: form.Get("rate"), Reason: form.Get("reason"), Typed: form.Get("typed")}
	filter, err := postedFilters(d.Query)
	var count view.ReplayCount
	if err == nil {
		count, err = wouldReplay(r, filter)
	}
	if err == nil {
		of, _ := replayOf(filter.Get) // they were counted
		err = begin(r, view.ReplayRequest{Of: of, As: d.As, Rate: d.Rate, Reason: d.Reason}, count.Deliveries, d.Typed)
	}
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showReplay(r, filter, d, problem)
		}
	}
	return err
}
