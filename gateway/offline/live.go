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
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// Standing is what a proof of a connection came to.
type Standing string

// The standings. Missing and Unreachable are faults; Unproved says that nobody can tell without sending an event.
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
	// Missing is what events will fail for.
	Missing []Lack `json:"missing,omitempty"`
	// Unproved is what no harmless request can show.
	Unproved []string `json:"unproved,omitempty"`
	// Reason is why a product could not be asked.
	Reason string `json:"reason,omitempty"`
}

// Lack is one thing that is missing, and the steps it is missing for; none where the whole connection is at fault.
type Lack struct {
	What  string   `json:"what"`
	Steps []string `json:"steps,omitempty"`
}

// UnknownError names connections that a configuration does not have.
type UnknownError struct{ Names, Known []string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("no connection is called %s; there are: %s", strings.Join(e.Names, ", "), strings.Join(e.Known, ", "))
}

const (
	// liveAtOnce is how many connections are proved side by side.
	liveAtOnce = 8
	// liveKeep is how much of an answer is read: lists of all that a product has are long.
	liveKeep = 8 << 20
)

// Live proves the connections of a configuration harmlessly, those named or all of them; tenant "" is every tenant.
// Webhooks are asked only by name, and then it is said that they cannot be.
func Live(ctx context.Context, o Options, tenant string, names []string) ([]Connection, error) {
	c, err := o.load(false)
	if err != nil {
		return nil, err
	}
	asked, err := chosen(c, tenant, names)
	if err != nil {
		return nil, err
	}
	sender := outbound.New(outbound.Options{Policy: c.Outbound, Clock: clock.System(), Version: o.Version})
	defer sender.Close()

	found := make([]Connection, len(asked))
	turns := make(chan struct{}, liveAtOnce)
	var group sync.WaitGroup
	for i, d := range asked {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			p := &proof{sender: sender, destination: d, answers: map[string]outbound.Result{}}
			found[i] = p.of(ctx, c)
		})
	}
	group.Wait()
	return found, ctx.Err()
}

// chosen are the destinations to prove, in the order of the files.
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

// proof is one connection while it is asked.
type proof struct {
	sender      *outbound.Sender
	destination *config.Destination
	answers     map[string]outbound.Result
	found       Connection
	asked       bool
}

// of asks the connection alone, and then every step that writes settings of its own.
func (p *proof) of(ctx context.Context, c *config.Config) Connection {
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
		p.found.Unproved = append(p.found.Unproved, "anything: it can be asked nothing without being sent an event")
		fallthrough
	case len(p.found.Unproved) > 0:
		p.found.Standing = Unproved
	}
	return p.found
}

// ask proves one connector: the connection alone where step is empty.
func (p *proof) ask(ctx context.Context, c connectors.Connector, step string) {
	checker, ok := c.(connectors.Checker)
	if !ok {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			p.unproved("what its check would show: the connector panicked")
		}
	}()
	for _, req := range checker.Check() {
		p.asked = true
		res := p.send(ctx, req)
		if res.Kind == outbound.Credentials {
			p.lacks("credentials that can be sent ("+res.Err.Error()+")", step)
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
		shown := checker.Checked(&answer)
		secrets := outbound.Secrets(req)
		for _, what := range shown.Missing {
			p.lacks(string(outbound.Cut([]byte(what), secrets)), step)
		}
		for _, what := range shown.Unproved {
			p.unproved(string(outbound.Cut([]byte(what), secrets)))
		}
	}
}

// send makes each request once, however many steps ask the same.
func (p *proof) send(ctx context.Context, req *connectors.Request) outbound.Result {
	key := string(req.Transcript())
	if res, ok := p.answers[key]; ok {
		return res
	}
	d := p.destination
	res := p.sender.Send(ctx, req, outbound.Attempt{
		DeliveryID: "check", Timeout: min(d.Timeout, outbound.DefaultTimeout), Transport: d.Transport, Trusted: d.Trusted, TLS: d.TLS,
		Tenant: d.Tenant, Destination: d.Tenant + "/" + d.Name, MaxConns: 1, Keep: liveKeep,
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

func (p *proof) unproved(what string) {
	if !slices.Contains(p.found.Unproved, what) {
		p.found.Unproved = append(p.found.Unproved, what)
	}
}
