package offline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
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

// Connection is one connection after `check --live`.
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
}

// Lack is one missing prerequisite, with the steps that need it; without steps, the whole connection needs it.
type Lack struct {
	What  string   `json:"what"`
	Steps []string `json:"steps,omitempty"`
}

// UnknownError reports connections that the configuration does not have.
type UnknownError struct{ Names, Known []string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no connection %s; there are: %s", strings.Join(e.Names, ", "), strings.Join(e.Known, ", "))
}

const (
	// liveAtOnce is how many connections are checked concurrently.
	liveAtOnce = 8
	// liveKeep limits the bytes of an answer; lists of everything in a product are long.
	liveKeep = 8 << 20
)

// Live checks connections of a configuration with harmless requests: the named ones, or all. tenant "" is every tenant. Webhooks are
// included only if they are named, and are always Unproved.
func Live(ctx context.Context, o Options, tenant string, names []string) ([]Connection, error) {
	c, err := o.load(false)
	if err != nil {
		return nil, err
	}
	asked, err := chosen(c, tenant, names)
	if err != nil {
		return nil, err
	}
	sender := outbound.New(outbound.Options{Policy: c.Outbound, Clock: clock.System(), Version: o.Version, Tokens: &oauth.Direct{}})
	defer sender.Close()

	found := make([]Connection, len(asked))
	slots := make(chan struct{}, liveAtOnce)
	var group sync.WaitGroup
	for i, d := range asked {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p := &proof{sender: sender, destination: d, answers: map[string]outbound.Result{}}
			found[i] = p.check(ctx, c)
		})
	}
	group.Wait()
	return found, ctx.Err()
}

// chosen returns the destinations to check, in the order of the files.
func chosen(c *config.Config, tenant string, names []string) ([]*config.Destination, error) {
	unknown := slices.Clone(names)
	var asked []*config.Destination
	var known []string
	for _, d := range c.Destinations {
		if tenant != "" && d.Tenant != tenant {
			continue
		}
		known = append(known, d.Name)
		named := slices.Contains(names, d.Name)
		if named {
			unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == d.Name })
		}
		if named || len(names) == 0 && d.Product != "webhook" {
			asked = append(asked, d)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(known)
		return nil, &UnknownError{unknown, slices.Compact(known)}
	}
	return asked, nil
}

// proof is the state while one connection is checked.
type proof struct {
	sender      *outbound.Sender
	destination *config.Destination
	answers     map[string]outbound.Result
	found       Connection
	asked       bool
}

// check checks the connection without a step, and then every step that has its own settings.
func (p *proof) check(ctx context.Context, c *config.Config) Connection {
	d := p.destination
	p.found = Connection{Tenant: d.Tenant, Name: d.Name, Product: d.Product, Standing: Proved}
	p.ask(ctx, d.Alone, "")
	for _, rule := range c.Rules {
		for _, step := range rule.Steps {
			if build := step.Build[d.Tenant]; step.Destination == d.Name && build != nil && build != d.Alone && p.found.Reason == "" {
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
		if fetched && auth.Grant == connectors.GrantRefreshToken {
			p.unproved("anything: only the running gateway may use the refresh token, which the product may replace each time; `surveygate destinations test NAME` sends a test through it")
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
	res := p.sender.Send(ctx, req, outbound.Attempt{
		DeliveryID: "check", Timeout: min(d.Timeout, outbound.DefaultTimeout), Transport: d.Transport, Trusted: d.Trusted, TLS: d.TLS,
		Tenant: d.Tenant, Destination: d.Name, MaxConns: 1, Keep: liveKeep,
	})
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
