package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/chart"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountOverview() {
	c.get("/", c.overview)
	c.post("/resume", c.resumeFromOverview)
	c.get("/sample", c.sample)
	c.post("/sample", c.sendSample)
}

// attentionAtOnce is how many things that need attention are shown at once: the numbers below them stay in view.
const attentionAtOnce = 6

// overview is how a tenant stands.
type overview struct {
	view.Overview
	// All: everything that needs attention is shown.
	All  bool
	Todo []todo
	// More is how many others need attention.
	More  int
	Tiles []tile
	// Destinations and Surveys are those of the answer, with their spark lines.
	Destinations []destinationRow
	Surveys      []surveyRow
	// Start is how to begin, of a tenant that has received nothing yet.
	Start   *start
	Problem *page.Problem
	// MayWrite and MayPublish are what the visitor may do.
	MayWrite, MayPublish bool
}

// todo is something that needs attention.
type todo struct {
	view.Attention
	// What is its kind of thing in words, Name its name.
	What, Name string
	// State has the look of the mark, Word is its text.
	State, Word string
	// Page is the address where it can be seen, below that of the tenant's pages; empty: there is none. Replay is the page that
	// replays dead letters.
	Page, Replay string
}

// tile is a figure.
type tile struct {
	Name, Figure, About, Page string
	Spark                     template.HTML
	// State gives the figure its colour; empty: that of text.
	State string
}

type destinationRow struct {
	view.OverviewDestination
	Spark template.HTML
}

// overview leads a session that may not read to a page that works for it.
func (c *Console) overview(r *page.Request) error {
	if !r.May(access.Read) && !r.Wants("now") {
		return r.See(settingsPath, "")
	}
	return c.showOverview(r, nil)
}

func (c *Console) showOverview(r *page.Request, problem *page.Problem) error {
	o := overview{Problem: problem, All: r.Query("all") != "", MayWrite: r.May(access.Write), MayPublish: r.May(access.Publish)}
	if err := r.Read("/v1/overview", nil, &o.Overview); err != nil {
		return err
	}
	o.Todo = todos(o.Attention)
	if !o.All && len(o.Todo) > attentionAtOnce {
		o.Todo = o.Todo[:attentionAtOnce]
	}
	o.More = o.AttentionTotal - len(o.Todo)
	o.Tiles = tiles(&o.Overview)
	for i := range o.Overview.Destinations {
		d := o.Overview.Destinations[i]
		o.Destinations = append(o.Destinations, destinationRow{d, failures(d.Trend)})
	}
	for i := range o.Overview.Surveys {
		o.Surveys = append(o.Surveys, newSurveyRow(o.Overview.Surveys[i]))
	}
	if o.Empty {
		var err error
		if o.Start, err = newStart(r); err != nil {
			return err
		}
	}
	if r.Wants("now") {
		return r.Part("overview", "now", o)
	}
	return r.Show("overview", o)
}

// todos are what needs attention as the page shows it.
func todos(all []view.Attention) []todo {
	list := make([]todo, len(all))
	for i := range all {
		list[i] = newTodo(all[i])
	}
	return list
}

// words are the marks of what needs attention, by kind. A hold has the word of its own kind.
var words = map[string]string{
	view.AttentionDead: "dead", view.AttentionRejects: "refused", view.AttentionSilent: "silent", view.AttentionErrs: "error",
	view.AttentionBroken: "broken", view.AttentionShadowed: "shadowed", view.AttentionWarning: "warning",
}

func newTodo(a view.Attention) todo {
	t := todo{Attention: a, State: a.Severity, Word: cmp.Or(words[a.Kind], a.Code, a.Kind)}
	t.What, t.Name, _ = strings.Cut(a.Of, "/")
	l := a.Link
	if l == nil {
		return t
	}
	switch l.Page {
	case "deliveries":
		q := url.Values{}
		for name, value := range l.Query {
			q.Set(name, value)
		}
		t.Page, t.Replay = "/deliveries?"+q.Encode(), "/deliveries/replay?"+q.Encode()
	case "webhooks", "connections":
		t.Page = page.Path("/destinations", l.Name)
	default:
		t.Page = page.Path("/"+l.Page, l.Name)
	}
	if a.Action == view.ActionEdit {
		t.Page += "/edit"
	}
	return t
}

// tiles are the figures of an overview.
func tiles(o *view.Overview) []tile {
	t := &o.Tiles
	var all []tile
	counted := func(name, at string, n *view.TileCount) {
		if n != nil {
			all = append(all, tile{
				Name: name, Figure: page.Number(n.LastHour), Page: at, About: "last hour · " + page.Number(n.Last24h) + " in 24 h",
				Spark: spark(name+" an hour, last 24 hours", chart.Count, floats(n.Hourly)).Bars(),
			})
		}
	}
	counted("Events in", "/events", t.Events)
	counted("Delivered", "/deliveries?state=delivered", t.Deliveries)
	if rate := t.SuccessRate; rate != nil {
		s := spark("success rate of attempts by hour, last 24 hours", chart.Percent, optionals(rate.Hourly))
		s.Merge, s.Low = chart.Min, lowest(s.Values)
		all = append(all, tile{Name: "Success", Figure: page.Percent(rate.Last24h), About: "of attempts in 24 h", Page: "/deliveries?failed=true&since=24h", Spark: s.Line()})
	}
	if p := t.P95; p != nil {
		one := tile{Name: "Response time", Figure: page.Milliseconds(p.Last24h), About: "p95 of " + plural(p.N, "answer", "answers"), Page: "/destinations"}
		if p.Few {
			one.Figure, one.About = "few", "too few answers for a p95"
			if p.N == 0 {
				one.Figure, one.About = "–", "no answers in 24 h"
			}
		}
		s := spark("p95 of response times by hour, last 24 hours", chart.Milliseconds, optionals(p.Hourly))
		s.Merge = chart.Max
		one.Spark = s.Bars()
		all = append(all, one)
	}
	waiting := tile{Name: "Waiting", Figure: page.Number(t.Waiting.Count), About: "nothing waits", Page: "/deliveries?state=waiting"}
	if t.Waiting.Count > 0 {
		waiting.About = "oldest " + page.Long(seconds(t.Waiting.OldestS))
	}
	dead := tile{Name: "Dead letters", Figure: page.Number(t.Dead), About: "nothing was given up", Page: "/deliveries?state=dead"}
	if t.Dead > 0 {
		dead.About, dead.State = "replay or drop them", "bad"
	}
	return append(all, waiting, dead)
}

// failures draws the attempts of a destination, and the failed ones of them.
func failures(t view.Trend) template.HTML {
	s := spark("attempts an hour, last 24 hours", chart.Count, floats(t.Hourly))
	if t.Failed > 0 {
		s.Part, s.PartName = floats(t.HourlyFailed), "failed"
	}
	return s.Bars()
}

// resumeFromOverview ends the hold of a destination.
func (c *Console) resumeFromOverview(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	name := form.Get("destination")
	if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/destinations", name) + "/resume"}); err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showOverview(r, problem)
		}
		return err
	}
	return r.See("/", name+" is resumed: what waits for it is due now.")
}

// start is how to begin.
type start struct {
	// Address is the gateway's, as the visitor reached it or as the configuration has it.
	Address string
	Tenant  string // empty: the default one
	Sources []startSource
	// MoreSources: there are others.
	MoreSources bool
}

// startSource is a source with the address to enter at its platform.
type startSource struct{ Name, Profile, URL string }

// startSources is how many sources a beginning shows.
const startSources = 5

func newStart(r *page.Request) (*start, error) {
	var me view.Me
	var sources view.Page[view.Source]
	s := &start{}
	err := r.Together(
		func() error { return r.Read("/v1/me", nil, &me) },
		func() error {
			return r.Read("/v1/sources", url.Values{"include": {"seen"}, "limit": {fmt.Sprint(startSources)}}, &sources)
		},
	)
	if err != nil {
		return nil, err
	}
	if r.Tenant != access.DefaultTenant {
		s.Tenant = r.Tenant
	}
	s.Address = strings.TrimSuffix(cmp.Or(me.PublicURL, r.Ctx.BaseURL()+strings.TrimSuffix(r.Root(), Root)), "/")
	for i := range sources.Data {
		if source := &sources.Data[i]; source.SourceSeen != nil && len(source.URLs) > 0 {
			s.Sources = append(s.Sources, startSource{source.Name, source.Profile, source.URLs[0]})
		}
	}
	s.MoreSources = sources.Next != nil
	return s, nil
}

// sample is the page that publishes an example.
type sample struct {
	Types []view.EventType
	// Type is the chosen one, Body what is published.
	Type, Body string
	MayPublish bool
	Problem    *page.Problem
}

func (c *Console) sample(r *page.Request) error {
	return c.showSample(r, sample{Type: r.Query("type")}, nil)
}

func (c *Console) showSample(r *page.Request, s sample, problem *page.Problem) error {
	s.Problem, s.MayPublish = problem, r.May(access.Publish)
	var types view.EventTypes
	if err := r.Read("/v1/event-types", nil, &types); err != nil {
		return err
	}
	for _, t := range types.Data {
		if !strings.HasPrefix(t.Name, "gateway.") { // those come from the gateway alone
			s.Types = append(s.Types, t)
		}
	}
	at := max(slices.IndexFunc(s.Types, func(t view.EventType) bool { return t.Name == cmp.Or(s.Type, "response.completed") }), 0)
	if at < len(s.Types) && s.Body == "" {
		s.Type = s.Types[at].Name
		s.Body = sampleBody(s.Types[at].Example)
	}
	return r.Show("sample", s)
}

// sampleBody returns an example as it can be published: without what the gateway itself gives an event.
func sampleBody(example json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(example, &fields) != nil {
		return string(example)
	}
	var data map[string]json.RawMessage
	if json.Unmarshal(fields["data"], &data) != nil {
		return string(example)
	}
	delete(data, "raw")
	delete(data, "warnings")
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"type": %s`, fields["type"])
	for _, name := range slices.Sorted(maps.Keys(data)) {
		fmt.Fprintf(&b, `, %q: %s`, name, data[name])
	}
	b.WriteString("}")
	var out bytes.Buffer
	if json.Indent(&out, b.Bytes(), "", "  ") != nil {
		return string(example)
	}
	return out.String()
}

func (c *Console) sendSample(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	s := sample{Type: form.Get("type"), Body: form.Get("body")}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/events", Raw: []byte(s.Body), Type: fiber.MIMEApplicationJSON})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showSample(r, s, problem)
		}
		return err
	}
	var results view.Results
	if err := a.Decode(&results); err != nil {
		return err
	}
	if len(results.Results) != 1 { // several events were sent
		return r.See("/events", plural(int64(len(results.Results)), "event was ", "events were ")+"read. Invalid ones were left out.")
	}
	result := &results.Results[0]
	if result.Error != nil {
		err := answer.NewProblem(fiber.StatusUnprocessableEntity, view.Validation, result.Error.Msg, result.Error.Loc...)
		return c.showSample(r, s, r.Refusal(err))
	}
	return r.See("/events/"+url.PathEscape(result.ID), "The event was published. Your rules decide it like any other.")
}

// spark is a spark line of 24 hours.
func spark(title string, unit chart.Unit, values []float64) *chart.Spark {
	return &chart.Spark{Title: title, Unit: unit, Values: values}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// plural writes a number with its noun.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return page.Number(n) + " " + many
}

func floats(counts []int64) []float64 {
	values := make([]float64, len(counts))
	for i, n := range counts {
		values[i] = float64(n)
	}
	return values
}

// optionals returns figures some of which are absent.
func optionals[N int64 | float64](figures []*N) []float64 {
	values := make([]float64, len(figures))
	for i, n := range figures {
		if values[i] = math.NaN(); n != nil {
			values[i] = float64(*n)
		}
	}
	return values
}

// lowest returns where a spark line of rates begins: a little below the lowest, so that small differences can be seen.
func lowest(rates []float64) float64 {
	low := 1.0
	for _, v := range rates {
		if !math.IsNaN(v) {
			low = min(low, v)
		}
	}
	return max(0, low-max(1-low, 0.01))
}
