package console

import (
	"encoding/json"
	"html/template"
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

func (c *Console) mountSources() {
	c.get("/sources", c.sources)
	c.get("/sources/:name", c.source)
	c.get("/sources/:name/questions", c.questions)
	c.get("/sources/:name/suggestions", c.suggestions)
	c.get("/sources/:name/test", c.sourceTest)
	c.post("/sources/:name/test", c.testSource)
	c.post("/sources/:name/capture", c.captureSource)
	c.get("/sources/:name/rejected/:id", c.rejectedRequest)
	c.get("/sources/:name/captured/:id", c.capturedRequest)
}

// sourceRow is a source in a list.
type sourceRow struct {
	view.Source
	Spark template.HTML
}

// sourceOrders are the columns of the list.
var sourceOrders = []order{
	{Name: "Name", Words: "name", By: "name"},
	{Name: "State"},
	{Name: "Proof"},
	{Name: "Last event"},
	{Name: "Events", Words: "most events", By: "-events", Numeric: true},
	{Name: "Rejected", Words: "most rejected", By: "-refused", Numeric: true},
	{Name: "24 h"},
}

// sources is a page of the list.
type sources struct {
	listing
	Rows []sourceRow
	Next *string
	// MaySettings: the visitor may change settings.
	MaySettings bool
}

func (c *Console) sources(r *page.Request) error {
	s := sources{listing: listingOf(r, "/sources", sourceOrders), MaySettings: r.May(access.Settings)}
	var list view.Page[view.Source]
	if err := r.Read("/v1/sources", s.query(r, "seen"), &list); err != nil {
		return err
	}
	s.Next = list.Next
	for i := range list.Data {
		row := sourceRow{Source: list.Data[i]}
		if row.SourceSeen != nil {
			row.Spark = spark("events accepted an hour, last 24 hours", chart.Count, floats(row.Hourly)).Bars()
		}
		s.Rows = append(s.Rows, row)
	}
	if r.Wants("rows") {
		return r.Part("sources", "rows", s)
	}
	return r.Show("sources", s)
}

// sourcePath is the page of the source of a visit, below that of its tenant.
func sourcePath(r *page.Request) string { return page.Path("/sources", r.Param("name")) }

// source is the page of one source.
type source struct {
	view.Source
	Tiles []tile
	Span  string
	Spans []span
	Chart template.HTML

	Rejected view.RejectedPage
	Captured view.CapturedPage
	Surveys  []surveyRow
	// MoreSurveys: its surveys are not all listed.
	MoreSurveys bool
	Roles       []role
	// Secret: its addresses are shown whole.
	Secret bool
	// Lasts is what was typed for how long requests are kept.
	Lasts       string
	MaySecrets  bool
	MaySettings bool
	Problem     *page.Problem
}

// role is what a question is, in all surveys of a source or in one.
type role struct{ Survey, Question, Field string }

func (c *Console) source(r *page.Request) error { return c.showSource(r, &source{}) }

// showSource asks five questions.
func (c *Console) showSource(r *page.Request, s *source) error {
	name, over := r.Param("name"), spanOf(r)
	s.Span, s.Spans, s.MaySecrets, s.MaySettings = over.Name, spans, r.May(access.Secrets), r.May(access.Settings)
	q := url.Values{}
	if s.Secret = r.Query("show") == "token" && s.MaySecrets; s.Secret {
		q.Set("show_secrets", "true")
	}
	var stats view.Stats[view.SourceStat]
	var surveys view.Page[view.Survey]
	one := func() error { return r.Read(page.Path("/v1/sources", name), q, &s.Source) }
	requests := func(which string, into any) func() error {
		return func() error { return r.Read(page.Path("/v1/sources", name)+"/"+which, nil, into) }
	}
	if r.Wants("now") {
		if err := one(); err != nil {
			return err
		}
		s.derive(c.site.Clock.Now())
		return r.Part("source", "now", s)
	}
	if r.Wants("requests") {
		if err := r.Together(one, requests("rejected", &s.Rejected), requests("captured", &s.Captured)); err != nil {
			return err
		}
		return r.Part("source", "requests", s)
	}
	err := r.Together(
		one,
		func() error {
			return r.Read("/v1/stats", url.Values{"of": {"source:" + name}, "step": {over.Step}, "since": {over.Name}}, &stats)
		},
		requests("rejected", &s.Rejected), requests("captured", &s.Captured),
		func() error { return r.Read("/v1/surveys", url.Values{"q": {name}, "limit": {"200"}}, &surveys) },
	)
	if err != nil {
		return err
	}
	s.derive(c.site.Clock.Now())
	s.Chart = sourceChart(&stats, over)
	for _, each := range surveys.Data {
		if each.Source == name {
			s.Surveys = append(s.Surveys, newSurveyRow(each))
		}
	}
	s.MoreSurveys = surveys.Next != nil
	s.Roles = rolesOf(s.Spec)
	return r.Show("source", s)
}

// derive works out what the part of the page shows that is kept current.
func (s *source) derive(now time.Time) {
	seen := s.SourceSeen
	if seen == nil {
		return
	}
	accepted := tile{Name: "Events", Figure: page.Number(seen.Last24h.Accepted), About: "accepted in 24 h", Page: "/events?" + url.Values{"source": {s.Name}}.Encode()}
	accepted.Spark = spark(s.Name+": events accepted an hour, last 24 hours", chart.Count, floats(seen.Hourly)).Bars()
	last := tile{Name: "Last event", Figure: "–", About: "none within 400 days"}
	if seen.LastSeen != nil {
		last.Figure, last.About = page.Ago(now.Sub(seen.LastSeen.Time)), "no usual pace"
		if seen.UsualGapS > 0 {
			last.About = "usually one in " + page.Long(seconds(seen.UsualGapS))
		}
	}
	refused := tile{Name: "Rejected", Figure: page.Number(seen.Refused24h), About: "requests in 24 h"}
	if seen.Refused24h > 0 {
		refused.State = "bad"
	}
	again := tile{Name: "Duplicates", Figure: page.Number(seen.Last24h.Duplicate), About: "of events in 24 h"}
	s.Tiles = []tile{accepted, last, refused, again}
}

// sourceChart draws what a source received.
func sourceChart(stats *view.Stats[view.SourceStat], over span) template.HTML {
	steps := chart.StepsOf(stats.Since.Time, stats.Until.Time, over.Length)
	t := &stats.Total
	refused := func(s *view.SourceStat) (n int64) {
		for _, each := range s.Refused {
			n += each
		}
		return n
	}
	series := func(name, class string, of func(*view.SourceStat) int64) chart.Series {
		values := chart.Values(steps, stats.Data, 0, func(s view.SourceStat) (time.Time, float64) { return s.At.Time, float64(of(&s)) })
		return chart.Series{Name: name, Class: class, Figure: page.Number(of(t)), Values: values}
	}
	c := chart.Chart{
		Title: "Received", Description: "Events, and requests that were not accepted.", Unit: chart.Count, Steps: steps,
		Series: []chart.Series{
			series("accepted", "delivered", func(s *view.SourceStat) int64 { return s.Accepted }),
			series("duplicate", "skipped", func(s *view.SourceStat) int64 { return s.Duplicate }),
			series("rejected", "rejected", refused),
			series("invalid events", "dropped", func(s *view.SourceStat) int64 { return s.Invalid }),
			series("not taken, sent again later", "timeouts", func(s *view.SourceStat) int64 { return s.Unavailable }),
		},
	}
	return c.Stacked()
}

// rolesOf returns what the settings of a source say of questions.
func rolesOf(spec json.RawMessage) []role {
	var settings struct {
		Roles   map[string]string `json:"roles"`
		Surveys map[string]struct {
			Roles map[string]string `json:"roles"`
		} `json:"surveys"`
	}
	if len(spec) == 0 || json.Unmarshal(spec, &settings) != nil {
		return nil
	}
	var all []role
	add := func(survey string, roles map[string]string) {
		for question, field := range roles {
			all = append(all, role{survey, question, field})
		}
	}
	add("", settings.Roles)
	for id, survey := range settings.Surveys {
		add(id, survey.Roles)
	}
	slices.SortFunc(all, func(a, b role) int { return strings.Compare(a.Survey+"\x00"+a.Question, b.Survey+"\x00"+b.Question) })
	return all
}

// captureSource begins or ends that requests are kept.
func (c *Console) captureSource(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	s := &source{Lasts: strings.TrimSpace(form.Get("for"))}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/sources", r.Param("name")) + "/capture", Body: view.CaptureAsk{For: s.Lasts}})
	if err != nil {
		if s.Problem = r.Refusal(err); s.Problem != nil {
			return c.showSource(r, s)
		}
		return err
	}
	var capturing view.Capturing
	if err := a.Decode(&capturing); err != nil {
		return err
	}
	if capturing.CaptureUntil == nil {
		return r.See(sourcePath(r), "No more requests are kept.")
	}
	return r.See(sourcePath(r), "Each request is kept until "+capturing.CaptureUntil.Format("15:04:05")+"Z, accepted or not.")
}

// sourceTesting is the page that reads a pasted body.
type sourceTesting struct {
	view.Source
	// Body and Header are what was pasted.
	Body, Header string
	Tested       *view.SourceTested
	Events       []testedEvent
	Problem      *page.Problem
}

// testedEvent is an event that a body was read as.
type testedEvent struct {
	view.TestedEvent
	// Data is its normalised part, with line breaks.
	Data page.Excerpt
}

func (c *Console) sourceTest(r *page.Request) error { return c.showSourceTest(r, sourceTesting{}) }

func (c *Console) showSourceTest(r *page.Request, t sourceTesting) error {
	if err := r.Read(page.Path("/v1/sources", r.Param("name")), nil, &t.Source); err != nil {
		if t.Tested == nil && t.Problem == nil {
			return err
		}
		t.Name = r.Param("name")
	}
	return r.Show("sourcetest", t)
}

// headersOf reads headers as people paste them: a line each.
func headersOf(text string) (map[string]string, error) {
	headers := map[string]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, answer.Invalid("a header is a name, a colon and a value: `"+line+"`", "headers")
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return headers, nil
}

func (c *Console) testSource(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	t := sourceTesting{Body: form.Get("body"), Header: form.Get("headers")}
	headers, err := headersOf(t.Header)
	var a *page.Answer
	if err == nil {
		var body []byte
		if body, err = json.Marshal(t.Body); err != nil { // as text: its bytes stay as they are, so that a signature fits
			return err
		}
		a, err = r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/sources", r.Param("name")) + "/test", Body: view.SourceTest{Body: body, Headers: headers}})
	}
	if err != nil {
		if t.Problem = r.Refusal(err); t.Problem != nil {
			return c.showSourceTest(r, t)
		}
		return err
	}
	t.Tested = &view.SourceTested{}
	if err := a.Decode(t.Tested); err != nil {
		return err
	}
	for _, ev := range t.Tested.Events {
		t.Events = append(t.Events, testedEvent{ev, dataOf(ev.Envelope)})
	}
	return c.showSourceTest(r, t)
}

// dataOf returns the normalised part of an envelope, without the raw body, which the page has already.
func dataOf(envelope json.RawMessage) page.Excerpt {
	var fields struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(envelope, &fields) != nil || len(fields.Data) == 0 {
		return page.Indent(string(envelope), page.MaxText)
	}
	var data map[string]json.RawMessage
	if json.Unmarshal(fields.Data, &data) != nil {
		return page.Indent(string(fields.Data), page.MaxText)
	}
	delete(data, "raw")
	text, err := json.Marshal(data)
	if err != nil {
		return page.Indent(string(fields.Data), page.MaxText)
	}
	return page.Indent(string(text), page.MaxText)
}

// request is the page of one request that a source refused or captured.
type request struct {
	Source string
	view.Request
	Rejected *view.Rejected
	Captured *view.Captured
}

func (c *Console) rejectedRequest(r *page.Request) error {
	var list view.RejectedPage
	if err := r.Read(page.Path("/v1/sources", r.Param("name"))+"/rejected", nil, &list); err != nil {
		return err
	}
	at := slices.IndexFunc(list.Data, func(each view.Rejected) bool { return each.RequestID == r.Param("id") })
	if at < 0 {
		return answer.NotFound("request")
	}
	return r.Show("request", request{Source: r.Param("name"), Request: list.Data[at].Request, Rejected: &list.Data[at]})
}

func (c *Console) capturedRequest(r *page.Request) error {
	var list view.CapturedPage
	if err := r.Read(page.Path("/v1/sources", r.Param("name"))+"/captured", nil, &list); err != nil {
		return err
	}
	at := slices.IndexFunc(list.Data, func(each view.Captured) bool { return each.RequestID == r.Param("id") })
	if at < 0 {
		return answer.NotFound("request")
	}
	return r.Show("request", request{Source: r.Param("name"), Request: list.Data[at].Request, Captured: &list.Data[at]})
}
