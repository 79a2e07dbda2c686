package api

import (
	"errors"
	"sort"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// destinationView is a connection or a webhook: what is limited, paused and measured.
type destinationView struct {
	Name        string    `json:"name"`
	Tenant      string    `json:"tenant"`
	Product     string    `json:"product"`
	Enabled     bool      `json:"enabled"`
	Timeout     string    `json:"timeout"`
	Retry       []string  `json:"retry"`
	Concurrency int       `json:"concurrency"`
	Rate        string    `json:"rate,omitempty"`
	Hold        *holdView `json:"hold,omitempty"`
	At          *fileView `json:"defined_in,omitempty"`
}

type holdView struct {
	Kind    state.HoldKind `json:"kind"`
	Reason  string         `json:"reason,omitempty"`
	Since   string         `json:"since,omitempty"`
	Until   string         `json:"until,omitempty"`
	Waiting int            `json:"waiting"`
}

func viewDestination(d *config.Destination, held map[string]state.Held) destinationView {
	v := destinationView{
		Name: d.Name, Tenant: d.Tenant, Product: d.Product, Enabled: d.Enabled, Timeout: d.Timeout.String(),
		Retry: []string{}, Concurrency: d.Concurrency, At: viewFile(d.At),
	}
	for _, wait := range d.Retry.Waits {
		v.Retry = append(v.Retry, wait.String())
	}
	if d.Rate.Events > 0 {
		v.Rate = rateText(d.Rate)
	}
	if h, ok := held[d.Name]; ok {
		v.Hold = &holdView{Kind: h.Hold.Kind, Reason: h.Hold.Reason, Since: stamp(h.Hold.Since), Until: stamp(h.Hold.Until), Waiting: h.Waiting}
	}
	return v
}

// held are a tenant's holds by destination.
func (a *API) held(c *call) (map[string]state.Held, error) {
	list, err := a.Store.Holds(c.ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]state.Held, len(list))
	for _, h := range list {
		byName[h.Destination] = h
	}
	return byName, nil
}

func (a *API) destinations(c *call) error {
	held, err := a.held(c)
	if err != nil {
		return err
	}
	var all []destinationView
	for _, d := range a.Plan().Config.Destinations {
		if d.Tenant == c.tenant {
			all = append(all, viewDestination(d, held))
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return pageOf(c, all, func(d destinationView) string { return d.Name })
}

func (a *API) destination(c *call) error {
	d := a.Plan().Destination(c.tenant, param(c.Ctx, "name"))
	if d == nil {
		return noSuch("destination", param(c.Ctx, "name"), a.destinationNames(c.tenant))
	}
	held, err := a.held(c)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, viewDestination(d, held))
}

// pause keeps a destination from being served until somebody resumes it; what is owed to it waits.
func (a *API) pause(c *call) error {
	reason := query(c.Ctx, "reason")
	if reason == "" {
		reason = "paused by hand"
	}
	if len(reason) > 200 {
		return answer.Invalid("a reason has at most 200 bytes", "reason")
	}
	return a.hold(c, state.Hold{Kind: state.HoldPaused, Reason: reason, Since: a.Clock.Now()})
}

// resume lifts whatever hold there is, also one that the gateway put on.
func (a *API) resume(c *call) error { return a.hold(c, state.Hold{}) }

func (a *API) hold(c *call, h state.Hold) error {
	name := param(c.Ctx, "name")
	if a.Plan().Destination(c.tenant, name) == nil {
		return noSuch("destination", name, a.destinationNames(c.tenant))
	}
	if err := a.Store.Hold(c.ctx, c.tenant, name, h, nil); err != nil {
		return err
	}
	return a.destination(c)
}

// statView is one minute of one destination.
type statView struct {
	Destination string           `json:"destination"`
	Minute      string           `json:"minute"`
	Verdicts    map[string]int64 `json:"verdicts"`
	// LatencyMS counts attempts by the upper bound of their duration in milliseconds.
	LatencyMS map[int64]int64 `json:"latency_ms"`
}

// maxSpan bounds what one request for statistics may read.
const maxSpan = 7 * 24 * time.Hour

func (a *API) stats(c *call) error {
	now := a.Clock.Now()
	since, until, err := c.span(now)
	if err != nil {
		return err
	}
	if until.IsZero() {
		until = now
	}
	if since.IsZero() {
		since = until.Add(-time.Hour)
	}
	if span := until.Sub(since); span < 0 || span > maxSpan {
		return answer.Invalid("statistics are given for up to 7 days at once", "since")
	}
	destination := query(c.Ctx, "destination")
	list, err := a.Store.Stats(c.ctx, c.tenant, destination, since, until)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	if len(list) == 0 {
		if err := a.knownTarget(c, destination, ""); err != nil {
			return err
		}
	}
	out := page[statView]{Data: make([]statView, 0, len(list))}
	for _, s := range list {
		v := statView{Destination: s.Destination, Minute: stamp(s.Minute), Verdicts: s.Verdicts, LatencyMS: map[int64]int64{}}
		for i, n := range s.Latency {
			if n > 0 {
				v.LatencyMS[int64(1)<<i] = n
			}
		}
		out.Data = append(out.Data, v)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, out)
}
