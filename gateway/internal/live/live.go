// Package live checks connections with harmless requests to their products: for `check --live` and for the API.
package live

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// Standing is the result of checking a connection.
type Standing string

// The standings. Missing and Unreachable are faults; Unproved means that only sending an event would show whether it works.
const (
	Proved      Standing = "proved"
	Unproved    Standing = "unproved"
	Missing     Standing = "missing"
	Unreachable Standing = "unreachable"
)

// Connection is the result of checking one connection.
type Connection struct {
	Tenant   string   `json:"tenant"`
	Name     string   `json:"name"`
	Product  string   `json:"product"`
	Standing Standing `json:"standing"`
	// Missing lists causes for which events will fail.
	Missing []Lack `json:"missing,omitempty"`
	// Unproved lists what harmless requests cannot check.
	Unproved []string `json:"unproved,omitempty"`
	// Notes list what the product says that helps to write the settings.
	Notes []string `json:"notes,omitempty"`
	// Reason is why the product, or its token endpoint, could not be asked.
	Reason string `json:"reason,omitempty"`
	// OnlyGateway reports that only the running gateway can check the connection.
	OnlyGateway bool `json:"-"`
}

// Lack is one missing prerequisite, with the steps that need it; without steps, the whole connection needs it.
type Lack struct {
	What  string   `json:"what"`
	Steps []string `json:"steps,omitempty"`
}

const (
	// atOnce is how many connections are checked concurrently.
	atOnce = 8
	// keep limits the bytes of an answer; lists of everything in a product are long.
	keep = 8 << 20
	// maxReplaced is how many access tokens one check replaces that were kept from before and are refused: this process's own, and
	// the store's.
	maxReplaced = 2
)

// onlyTheGateway is what an Offline checker says of a connection whose token is fetched with a refresh token.
const onlyTheGateway = "anything: only the running gateway may use the refresh token, which the product may replace each time; " +
	"`check --live` asks the gateway, if it is running (in the folder of --data, or at --server)"

// Checker checks connections of a plan.
type Checker struct {
	Plan   *decide.Plan
	Sender *outbound.Sender
	// Offline: refresh tokens are not used, because they belong to the running gateway.
	Offline bool
}

// Check checks connections with harmless requests, several at once, and returns the results in their order.
func (c *Checker) Check(ctx context.Context, connections ...*config.Destination) []Connection {
	found := make([]Connection, len(connections))
	slots := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, d := range connections {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p := &proof{Checker: c, destination: d, answers: map[string]outbound.Result{}}
			found[i] = p.check(ctx)
		})
	}
	group.Wait()
	return found
}

// proof is the state while one connection is checked.
type proof struct {
	*Checker
	destination *config.Destination
	answers     map[string]outbound.Result
	found       Connection
	asked       bool
	replaced    int // access tokens
}

// check checks the connection without a step, and then every step that has its own settings.
func (p *proof) check(ctx context.Context) Connection {
	d := p.destination
	p.found = Connection{Tenant: d.Tenant, Name: d.Name, Product: d.Product, Standing: Proved}
	if d.Broken {
		p.found.Standing, p.found.Reason = Unreachable, "its settings have a fault"
		return p.found
	}
	p.ask(ctx, d.Alone, "")
	for _, rule := range p.Plan.Rules(d.Tenant) {
		for _, step := range rule.Steps {
			if step.Destination != d.Name || p.found.Reason != "" {
				continue
			}
			if _, build, _ := p.Plan.Target(d.Tenant, step); build != nil && build != d.Alone {
				p.ask(ctx, build, decide.OriginOf(rule).Name+": "+step.Name)
			}
		}
	}
	switch {
	case p.found.Reason != "" && len(p.found.Missing) == 0:
		p.found.Standing = Unreachable
	case len(p.found.Missing) > 0:
		p.found.Standing = Missing
	case !p.asked:
		p.found.Unproved = append(p.found.Unproved, "anything: it cannot be checked without sending an event")
		fallthrough
	case len(p.found.Unproved) > 0:
		p.found.Standing = Unproved
	}
	return p.found
}

// ask checks one connector; step is empty for the connection itself.
func (p *proof) ask(ctx context.Context, c connectors.Connector, step string) {
	checker, ok := c.(connectors.Checker)
	if !ok {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			p.unproved("its check: the connector panicked")
		}
	}()
	for _, req := range checker.Check() {
		p.asked = true
		auth, fetched := req.Auth.(connectors.OAuth2)
		if p.Offline && fetched && auth.Grant == connectors.GrantRefreshToken {
			p.found.OnlyGateway = true
			p.unproved(onlyTheGateway)
			return
		}
		res := p.send(ctx, req)
		if res.Kind == outbound.Credentials {
			what := "credentials that can be sent"
			if fetched {
				what = "credentials that an access token is issued for"
			}
			p.lacks(what+" ("+res.Err.Error()+")", step)
			return
		}
		if res.Err != nil || res.Response == nil {
			p.found.Reason = "no answer"
			if res.Err != nil {
				p.found.Reason = res.Err.Error()
			}
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				p.found.Reason = "the check took too long"
			}
			return
		}
		answer := *res.Response
		answer.To = req
		if v := connectors.ByStatus(&answer); v.Kind == connectors.Retry {
			p.found.Reason = "answered " + v.Reason
			return
		}
		shown := checker.JudgeCheck(&answer)
		secrets := outbound.Secrets(req)
		for _, what := range shown.Missing {
			p.lacks(string(outbound.Cut([]byte(what), secrets)), step)
		}
		for _, what := range shown.Unproved {
			p.unproved(string(outbound.Cut([]byte(what), secrets)))
		}
		for _, note := range shown.Notes {
			p.note(string(outbound.Cut([]byte(note), secrets)))
		}
	}
}

// send sends each request once, even if several steps need it.
func (p *proof) send(ctx context.Context, req *connectors.Request) outbound.Result {
	key := string(req.Transcript())
	if res, ok := p.answers[key]; ok {
		return res
	}
	d := p.destination
	attempt := outbound.Attempt{
		DeliveryID: "check", Timeout: min(d.Timeout, outbound.DefaultTimeout), Transport: d.Transport, Trusted: d.Trusted, TLS: d.TLS,
		Tenant: d.Tenant, Destination: d.Name, MaxConns: 1, Keep: keep,
	}
	res := p.Sender.Send(ctx, req, attempt)
	for p.replaced < maxReplaced && res.TokenKept && res.Response != nil && res.Response.Status == http.StatusUnauthorized {
		p.replaced++
		attempt.RefusedToken = res.Token // it may have been withdrawn early
		res = p.Sender.Send(ctx, req, attempt)
	}
	p.answers[key] = res
	return res
}

func (p *proof) lacks(what, step string) {
	at := slices.IndexFunc(p.found.Missing, func(l Lack) bool { return l.What == what })
	switch {
	case at < 0 && step == "":
		p.found.Missing = append(p.found.Missing, Lack{What: what})
	case at < 0:
		p.found.Missing = append(p.found.Missing, Lack{What: what, Steps: []string{step}})
	case len(p.found.Missing[at].Steps) > 0 && !slices.Contains(p.found.Missing[at].Steps, step):
		p.found.Missing[at].Steps = append(p.found.Missing[at].Steps, step)
	}
}

func (p *proof) note(text string) {
	if !slices.Contains(p.found.Notes, text) {
		p.found.Notes = append(p.found.Notes, text)
	}
}

func (p *proof) unproved(what string) {
	if !slices.Contains(p.found.Unproved, what) {
		p.found.Unproved = append(p.found.Unproved, what)
	}
}
