package console

import (
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// delivery is the page of one delivery.
type delivery struct {
	view.Delivery
	Line []moment
	// MayWrite is whether the visitor may act on it. Retry, Replay and Drop are the acts that its state allows.
	MayWrite            bool
	Retry, Replay, Drop bool
	Problem             *page.Problem
}

// moment is an entry of a time line: an attempt, a wait, or something else that happened.
type moment struct {
	At view.Time
	// Attempt is nil of other things, which have a Text.
	Attempt *shownAttempt
	Text    string
	// Gap: nothing happened for so long.
	Gap bool
	// State gives it its mark.
	State string
}

// shownAttempt is an attempt with what is shown of it.
type shownAttempt struct {
	view.Attempt
	// Open: its texts are shown at once.
	Open bool
	// Curl repeats the request; empty where the request is not kept whole.
	Curl string
	// NoRequest and NoResponse say why there is no text.
	NoRequest, NoResponse string
}

func (c *Console) delivery(r *page.Request) error { return c.showDelivery(r, nil) }

func (c *Console) showDelivery(r *page.Request, problem *page.Problem) error {
	d := delivery{Problem: problem, MayWrite: r.May(access.Write)}
	if err := r.Read(page.Path("/v1/deliveries", r.Param("id")), nil, &d.Delivery); err != nil {
		return err
	}
	open := isOpen(&d.Delivery)
	d.Retry, d.Replay, d.Drop = open, !open, open
	d.Line = timeLine(&d.Delivery)
	if r.Wants("now") {
		return r.Part("delivery", "now", d)
	}
	return r.Show("delivery", d)
}

// isOpen reports whether a delivery waits or is a dead letter: it can be retried and dropped.
func isOpen(d *view.Delivery) bool { return d.State == "waiting" || d.State == "dead" }

// timeLine is what happened to a delivery, in its order.
func timeLine(d *view.Delivery) []moment {
	line := []moment{{At: d.Created, Text: "decided by " + d.Kind + " " + d.Rule, State: "decided"}}
	switch d.Kind {
	case "test":
		line[0].Text = "made as a test"
	case "erasure":
		line[0].Text = "made to erase a person"
	}
	end, last := d.Created.Time, 0
	for i := range d.Log {
		a := &d.Log[i]
		if missing := a.N - last - 1; missing > 0 {
			line = append(line, moment{Gap: true, Text: plural(int64(missing), "attempt is", "attempts are") + " no longer kept"})
		} else if wait := a.At.Sub(end); wait >= time.Second {
			line = append(line, moment{Gap: true, Text: page.Long(wait) + why(d.Log[:i])})
		}
		line = append(line, moment{At: a.At, State: a.Verdict, Attempt: newAttempt(a, i == len(d.Log)-1 && a.Verdict != "delivered")})
		end, last = a.At.Add(time.Duration(a.TookMS*float64(time.Millisecond))), a.N
	}
	switch d.State {
	case "waiting":
		line = append(line, moment{At: d.Due, Text: "next try", State: "waiting"})
	case "dead":
		line = append(line, moment{At: d.Updated, Text: "given up: " + d.Reason, State: "dead"})
	case "dropped":
		line = append(line, moment{At: d.Updated, Text: "dropped", State: "dropped"})
	case "skipped":
		line = append(line, moment{At: d.Updated, Text: "skipped: " + d.Reason, State: "skipped"})
	}
	return line
}

// why says why there was a wait after the last of some attempts, where its answer tells.
func why(before []view.Attempt) string {
	if len(before) > 0 && headerOf(before[len(before)-1].Response, "Retry-After") != "" {
		return ", it asked for that"
	}
	return ""
}

// headerOf returns a header of the text of an answer; empty if it has none.
func headerOf(text, name string) string {
	head, _, _ := strings.Cut(text, "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		if key, value, found := strings.Cut(line, ":"); found && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func newAttempt(a *view.Attempt, open bool) *shownAttempt {
	v := &shownAttempt{Attempt: *a, Open: open, Curl: curl(a.Request)}
	if a.Request == "" {
		v.NoRequest = "It was not kept. Of failures it is, and of successes too where the configuration says `capture: all`."
	}
	switch {
	case a.Response != "":
	case a.Status == 0:
		v.NoResponse = "There was no answer."
	default:
		v.NoResponse = v.NoRequest
	}
	return v
}

// curl writes the command that repeats a request. Each secret is a variable of the shell, as none is kept.
func curl(request string) string {
	head, body, _ := strings.Cut(request, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	method, target, found := strings.Cut(lines[0], " ")
	if !found || page.IsCut(request) {
		return ""
	}
	var b strings.Builder
	b.WriteString("curl -X " + method + " " + quoted(target, "URL"))
	typed := false
	for _, line := range lines[1:] {
		name, _, _ := strings.Cut(line, ":")
		typed = typed || strings.EqualFold(name, fiber.HeaderContentType)
		b.WriteString(" \\\n  -H " + quoted(line, variable(name)))
	}
	if body != "" {
		if !typed { // texts of requests leave out that of JSON
			b.WriteString(" \\\n  -H 'Content-Type: application/json'")
		}
		b.WriteString(" \\\n  --data-raw " + quoted(strings.TrimSuffix(body, "\n"), "SECRET"))
	}
	return b.String()
}

// quoted writes a text for a shell, with a variable in place of each secret.
func quoted(text, variable string) string {
	parts := strings.Split(text, connectors.Hidden)
	for i, part := range parts {
		if part != "" || len(parts) == 1 {
			parts[i] = "'" + strings.ReplaceAll(part, "'", `'\''`) + "'"
		}
	}
	return strings.Join(parts, `"$`+variable+`"`)
}

// variable makes the name of a variable of a header's name.
func variable(header string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, header)
}

// actOnDelivery asks the API for an act on the delivery that the path names, and shows the delivery.
func (c *Console) actOnDelivery(r *page.Request, act string, query url.Values, note string) error {
	id := r.Param("id")
	if _, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/deliveries", id) + act, Query: query}); err != nil {
		if problem := r.Refusal(err); problem != nil && problem.Status != fiber.StatusNotFound {
			return c.showDelivery(r, problem)
		}
		return err
	}
	return r.See("/deliveries/"+url.PathEscape(id), note)
}

func (c *Console) retryDelivery(r *page.Request) error {
	return c.actOnDelivery(r, "/retry", nil, "It is due now.")
}

func (c *Console) replayDelivery(r *page.Request) error {
	return c.actOnDelivery(r, "/replay", nil, "It is delivered again now.")
}

func (c *Console) confirmDrop(r *page.Request) error {
	var d view.Delivery
	if err := r.Read(page.Path("/v1/deliveries", r.Param("id")), nil, &d); err != nil {
		return err
	}
	one := chosen{IDs: []string{d.ID}, Back: r.Base() + page.Path("/deliveries", d.ID)}
	if !isOpen(&d) {
		one.Ended = d.State
	}
	return r.Show("drop", one)
}

func (c *Console) dropDelivery(r *page.Request) error {
	return c.actOnDelivery(r, "/drop", nil, "It was dropped: nobody tries it again.")
}
