package console

import (
	"cmp"
	"errors"
	"html/template"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/live"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/chart"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// destination is the page of one destination.
type destination struct {
	view.Destination
	Webhook *view.Webhook
	Setting *view.Setting // of the webhook, or of the connection
	// Waits are those between attempts, in words.
	Waits    []string
	Tiles    []tile
	Span     string
	Spans    []span
	Charts   []template.HTML
	Failures []failure
	// Some: there are more failures than were counted.
	Some  bool
	Rules []view.Rule
	// MoreRules: there are rules that were not looked at.
	MoreRules bool
	Secrets   []view.WebhookSecret
	// Made is a secret that was made just now, Overlap what was typed for how long the former one counts.
	Made     *view.WebhookSecret
	Overlap  string
	Checked  *live.Connection
	Resumes  bool // it has a hold that a person can end
	MayWrite bool
	// MaySettings: the visitor may change settings.
	MaySettings bool
	Problem     *page.Problem
	// Unread says why nothing is shown but what was done, or refused.
	Unread *page.Problem
}

// span is how far back charts reach.
type span struct {
	Name, Words, Step string
	Length            time.Duration // of a step
}

var spans = []span{
	{"24h", "24 hours", "hour", time.Hour}, {"7d", "7 days", "hour", time.Hour}, {"30d", "30 days", "day", 24 * time.Hour},
}

// spanOf returns the span that a page's address names; otherwise the first.
func spanOf(r *page.Request) span {
	at := slices.IndexFunc(spans, func(s span) bool { return s.Name == r.Query("span") })
	return spans[max(at, 0)]
}

// failure is what deliveries that failed have in common.
type failure struct {
	State, Reason string
	Count         int
	Newest        view.Delivery
}

func (c *Console) destination(r *page.Request) error { return c.showDestination(r, &destination{}) }

// showDestination asks six questions of a connection, seven of a webhook, and one more for each 200 rules.
func (c *Console) showDestination(r *page.Request, d *destination) error {
	name, over := r.Param("name"), spanOf(r)
	d.MayWrite, d.MaySettings, d.Span, d.Spans = r.May(access.Write), r.May(access.Settings), over.Name, spans
	var stats view.Stats[view.DestinationStat]
	var dead, waiting view.Page[view.Delivery]
	one := func() error {
		return r.Read(page.Path("/v1/destinations", name), url.Values{"include": {"standing,trend"}}, &d.Destination)
	}
	if r.Wants("now") {
		if err := one(); err != nil {
			return err
		}
		d.derive()
		return r.Part("destination", "now", d)
	}
	ended := func(state string, into *view.Page[view.Delivery]) func() error {
		return func() error {
			return r.Read("/v1/deliveries", url.Values{"destination": {name}, "state": {state}, "limit": {"100"}}, into)
		}
	}
	err := r.Together(
		one,
		func() error {
			return r.Read("/v1/stats", url.Values{"of": {"destination:" + name}, "step": {over.Step}, "since": {over.Name}}, &stats)
		},
		ended("dead", &dead), ended("waiting", &waiting),
		func() error { return d.readRules(r, name) },
	)
	if err == nil {
		err = d.readSettings(r, name)
	}
	if err != nil {
		if d.Made == nil && d.Checked == nil && d.Problem == nil {
			return err
		}
		d.Name, d.Unread = name, leftOut(err)
		return r.Show("destination", d)
	}
	d.derive()
	d.Charts = destinationCharts(&stats, over)
	d.Failures = failuresOf(dead.Data, waiting.Data)
	d.Some = dead.Next != nil || waiting.Next != nil
	return r.Show("destination", d)
}

// readRules finds the rules that send to a destination.
func (d *destination) readRules(r *page.Request, name string) error {
	rules, more, err := allRules(r)
	for i := range rules {
		if slices.ContainsFunc(rules[i].Send, func(s view.Step) bool { return s.Destination == name }) {
			d.Rules = append(d.Rules, rules[i])
		}
	}
	d.MoreRules = more
	return err
}

// maxRulePages bounds how many pages of rules are looked through.
const maxRulePages = 10

// allRules returns the rules of the tenant, and whether there are more of them.
func allRules(r *page.Request) (all []view.Rule, more bool, err error) {
	cursor := ""
	for range maxRulePages {
		var rules view.Page[view.Rule]
		if err := r.Read("/v1/rules", url.Values{"limit": {"200"}, "cursor": {cursor}}, &rules); err != nil {
			return nil, false, err
		}
		all = append(all, rules.Data...)
		if rules.Next == nil {
			return all, false, nil
		}
		cursor = *rules.Next
	}
	return all, true, nil
}

// readSettings reads the settings of a webhook, with its secrets, or of a connection.
func (d *destination) readSettings(r *page.Request, name string) error {
	if !isWebhook(&d.Destination) {
		var connection view.Connection
		if err := r.Read(page.Path("/v1/connections", name), nil, &connection); err != nil {
			return err
		}
		d.Setting = &connection.Setting
		return nil
	}
	d.Webhook = &view.Webhook{}
	d.Setting = &d.Webhook.Setting
	var secrets view.Page[view.WebhookSecret]
	err := r.Together(
		func() error { return r.Read(page.Path("/v1/webhooks", name), nil, d.Webhook) },
		func() error {
			err := r.Read(page.Path("/v1/webhooks", name)+"/secrets", nil, &secrets)
			if isOfFile(err) { // it has its secrets there
				return nil
			}
			return err
		},
	)
	d.Secrets = secrets.Data
	return err
}

// isOfFile reports whether the API refused a question because what it asks about is defined in a file.
func isOfFile(err error) bool {
	var refused *answer.Problem
	return errors.As(err, &refused) && slices.ContainsFunc(refused.Detail, func(d view.Detail) bool { return d.Type == view.DefinedInFile })
}

// derive works out what the part of the page shows that is kept current.
func (d *destination) derive() {
	if d.Hold != nil {
		d.Resumes = slices.Contains([]string{"paused", "revoked", "gone", "circuit", "rate"}, d.Hold.Kind)
	}
	for _, text := range d.Retry {
		if wait, err := time.ParseDuration(text); err == nil {
			d.Waits = append(d.Waits, page.Long(wait))
		}
	}
	if t := d.Trend; t != nil {
		rate := tile{Name: "Success", Figure: page.Percent(t.SuccessRate), About: plural(t.Failed, "attempt", "attempts") + " failed", Page: page.Path("/deliveries") + "?" + url.Values{"destination": {d.Name}, "failed": {"true"}, "since": {"24h"}}.Encode()}
		slow := tile{Name: "Response time", Figure: page.Milliseconds(t.P95), About: "p95 in 24 h"}
		if t.P95 == nil {
			slow.About = "too few answers for a p95"
		}
		d.Tiles = append(d.Tiles, tile{
			Name: "Attempts", Figure: page.Number(t.Attempts), About: "in 24 h", Page: page.Path("/deliveries") + "?" + url.Values{"destination": {d.Name}}.Encode(), Spark: failures(*t),
		}, rate, slow)
	}
	if s := d.Standing; s != nil {
		of := func(state string) string {
			return "/deliveries?" + url.Values{"destination": {d.Name}, "state": {state}}.Encode()
		}
		waiting := tile{Name: "Waiting", Figure: page.Number(s.Waiting), About: "nothing waits", Page: of("waiting")}
		if s.Waiting > 0 && s.DeadFrom.IsZero() {
			waiting.About = "none of them expires"
		} else if s.Waiting > 0 {
			waiting.About = "dead from " + s.DeadFrom.Format("2 Jan 15:04") + "Z"
		}
		dead := tile{Name: "Dead letters", Figure: page.Number(s.Dead), About: "nothing was given up", Page: of("dead")}
		if s.Dead > 0 {
			dead.About, dead.State = "recover or drop them", "bad"
		}
		d.Tiles = append(d.Tiles, waiting, dead)
	}
}

// maxFailures is how many reasons are listed.
const maxFailures = 8

// failuresOf groups deliveries that failed by their state and reason, most first.
func failuresOf(lists ...[]view.Delivery) []failure {
	var groups []failure
	for _, list := range lists {
		for i := range list {
			one := &list[i]
			if one.Reason == "" || one.State == "waiting" && one.Attempts == 0 {
				continue
			}
			at := slices.IndexFunc(groups, func(f failure) bool { return f.State == one.State && f.Reason == one.Reason })
			if at < 0 {
				at, groups = len(groups), append(groups, failure{State: one.State, Reason: one.Reason, Newest: *one})
			}
			groups[at].Count++
			if one.Updated.After(groups[at].Newest.Updated.Time) {
				groups[at].Newest = *one
			}
		}
	}
	slices.SortStableFunc(groups, func(a, b failure) int { return cmp.Compare(b.Count, a.Count) })
	return groups[:min(len(groups), maxFailures)]
}

// destinationCharts draws the attempts, how many of them succeeded, and how long they took.
func destinationCharts(stats *view.Stats[view.DestinationStat], over span) []template.HTML {
	steps := chart.StepsOf(stats.Since.Time, stats.Until.Time, over.Length)
	counts := func(of func(*view.DestinationStat) int64) []float64 {
		return chart.Values(steps, stats.Data, 0, func(s view.DestinationStat) (time.Time, float64) { return s.At.Time, float64(of(&s)) })
	}
	levels := func(of func(*view.DestinationStat) float64) []float64 {
		return chart.Values(steps, stats.Data, chart.Optional(nil), func(s view.DestinationStat) (time.Time, float64) { return s.At.Time, of(&s) })
	}
	t := &stats.Total
	attempts := chart.Chart{
		Title: "Attempts", Description: "By what the receiver answered.", Unit: chart.Count, Steps: steps,
		Series: []chart.Series{
			{Name: "delivered", Class: "delivered", Figure: page.Number(t.Delivered), Values: counts(func(s *view.DestinationStat) int64 { return s.Delivered })},
			{Name: "tried again", Class: "retry", Figure: page.Number(t.Retry), Values: counts(func(s *view.DestinationStat) int64 { return s.Retry })},
			{Name: "rejected", Class: "rejected", Figure: page.Number(t.Rejected), Values: counts(func(s *view.DestinationStat) int64 { return s.Rejected })},
			{Name: "credentials refused", Class: "revoked", Figure: page.Number(t.Revoked), Values: counts(func(s *view.DestinationStat) int64 { return s.Revoked })},
		},
	}
	success := chart.Chart{
		Title: "Success", Description: "Share of attempts that were delivered.", Unit: chart.Percent, Steps: steps, Merge: chart.Min,
		Series: []chart.Series{{Name: "success", Class: "delivered", Figure: page.Percent(t.SuccessRate), Values: levels(func(s *view.DestinationStat) float64 { return chart.Optional(s.SuccessRate) })}},
	}
	percentile := func(name string, total *int64, of func(*view.Spread) *int64) chart.Series {
		return chart.Series{Name: name, Figure: page.Milliseconds(total), Values: levels(func(s *view.DestinationStat) float64 {
			if ms := of(&s.TookMS); ms != nil {
				return float64(*ms)
			}
			return chart.Optional(nil)
		})}
	}
	took := chart.Chart{
		Title: "Response time", Description: "Of spans with at least 20 answers.", Unit: chart.Milliseconds, Steps: steps, Merge: chart.Max, Absent: "few",
		Series: []chart.Series{
			percentile("p50", t.TookMS.P50, func(s *view.Spread) *int64 { return s.P50 }),
			percentile("p95", t.TookMS.P95, func(s *view.Spread) *int64 { return s.P95 }),
			percentile("p99", t.TookMS.P99, func(s *view.Spread) *int64 { return s.P99 }),
		},
	}
	return []template.HTML{attempts.Stacked(), success.Lines(), took.Lines()}
}

// testPage is the page of a test delivery.
type testPage struct {
	view.Destination
	Types []view.EventType
	// Type, Email and EventID are what was typed.
	Type, Email, EventID string
	Sent                 *view.Delivery
	// Pending is the id of a test that is not there: its event is not decided yet.
	Pending  string
	MayWrite bool
	Problem  *page.Problem
}

func (c *Console) destinationTest(r *page.Request) error {
	return c.showTest(r, testPage{Type: r.Query("type"), Email: r.Query("email"), EventID: r.Query("event")})
}

func (c *Console) showTest(r *page.Request, t testPage) error {
	t.MayWrite = r.May(access.Write)
	var types view.EventTypes
	err := r.Together(
		func() error { return r.Read(page.Path("/v1/destinations", r.Param("name")), nil, &t.Destination) },
		func() error { return r.Read("/v1/event-types", nil, &types) },
		func() error {
			id := r.Query("delivery")
			if id == "" {
				return nil
			}
			sent := &view.Delivery{}
			switch err := r.Read(page.Path("/v1/deliveries", id), nil, sent); {
			case err == nil:
				t.Sent = sent
			case answer.FromError(err).Status == fiber.StatusNotFound:
				t.Pending = id
			default:
				return err
			}
			return nil
		},
	)
	if err != nil {
		return err
	}
	t.Types = types.Data
	if r.Wants("sent") {
		return r.Part("desttest", "sent", t)
	}
	return r.Show("desttest", t)
}

// sendTest sends a test the way of every other delivery, and leads to what came of it.
func (c *Console) sendTest(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	name := r.Param("name")
	t := testPage{Type: form.Get("type"), Email: strings.TrimSpace(form.Get("email")), EventID: strings.TrimSpace(form.Get("event"))}
	var d view.Destination
	if err := r.Read(page.Path("/v1/destinations", name), nil, &d); err != nil {
		return err
	}
	of := "/v1/connections"
	if isWebhook(&d) {
		of = "/v1/webhooks"
	}
	body := view.Test{Type: t.Type, Email: t.Email, EventID: t.EventID}
	if t.EventID != "" {
		body.Type = "" // it has its own
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path(of, name) + "/test", Body: body})
	if err != nil {
		if t.Problem = r.Refusal(err); t.Problem != nil {
			return c.showTest(r, t)
		}
		return err
	}
	var sent view.Tested
	if err := a.Decode(&sent); err != nil {
		return err
	}
	note := "The test was sent."
	switch {
	case a.Status == fiber.StatusAccepted:
		note = "The test is on its way."
	case sent.Matches != nil && !*sent.Matches:
		note = "The test was sent. The webhook's own filter does not accept this event."
	}
	q := url.Values{"delivery": {sent.ID}}
	for key, value := range map[string]string{"type": t.Type, "email": t.Email, "event": t.EventID} {
		if value != "" {
			q.Set(key, value)
		}
	}
	return r.See(destinationPath(r)+"/test?"+q.Encode(), note)
}

// checkConnection shows what harmless requests to the product say. It is asked again with each post alone.
func (c *Console) checkConnection(r *page.Request) error {
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/connections", r.Param("name")) + "/check"})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showDestination(r, &destination{Problem: problem})
		}
		return err
	}
	d := &destination{Checked: &live.Connection{}}
	if err := a.Decode(d.Checked); err != nil {
		return err
	}
	return c.showDestination(r, d)
}

func (c *Console) addSecret(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	d := &destination{Overlap: strings.TrimSpace(form.Get("overlap"))}
	a, err := r.Ask(page.Ask{
		Method: fiber.MethodPost, Path: page.Path("/v1/webhooks", r.Param("name")) + "/secrets", Body: view.NewWebhookSecret{Overlap: d.Overlap}, Match: form.Get("version"),
	})
	if err != nil {
		if d.Problem = r.Refusal(err); d.Problem != nil {
			return c.showDestination(r, d)
		}
		return err
	}
	d.Made, d.Overlap = &view.WebhookSecret{}, ""
	if err := a.Decode(d.Made); err != nil {
		return err
	}
	return c.showDestination(r, d) // not another page: the secret is shown this once
}

// secretEnd is the page that asks before a secret ends.
type secretEnd struct {
	Name    string
	Secret  view.WebhookSecret
	Problem *page.Problem
}

func (c *Console) confirmSecretEnd(r *page.Request) error { return c.showSecretEnd(r, nil) }

func (c *Console) showSecretEnd(r *page.Request, problem *page.Problem) error {
	s := secretEnd{Name: r.Param("name"), Problem: problem}
	var secrets view.Page[view.WebhookSecret]
	if err := r.Read(page.Path("/v1/webhooks", s.Name)+"/secrets", nil, &secrets); err != nil {
		return err
	}
	at := slices.IndexFunc(secrets.Data, func(each view.WebhookSecret) bool { return each.ID == r.Param("id") })
	if at < 0 {
		return answer.NotFound("secret")
	}
	s.Secret = secrets.Data[at]
	return r.Show("secretend", s)
}

func (c *Console) endSecret(r *page.Request) error {
	_, err := r.Ask(page.Ask{Method: fiber.MethodDelete, Path: page.Path("/v1/webhooks", r.Param("name"), "secrets", r.Param("id"))})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showSecretEnd(r, problem)
		}
		return err
	}
	return r.See(destinationPath(r), "The secret has ended: nothing is signed with it any more.")
}
