package api

import (
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// destinationView is a connection or a webhook: what is limited, paused and measured.
type destinationView struct {
	Name    string `json:"name"`
	Tenant  string `json:"tenant"`
	Product string `json:"product"`
	// State is serving, disabled, or the kind of its hold.
	State       string   `json:"state"`
	Enabled     bool     `json:"enabled"`
	Timeout     string   `json:"timeout"`
	Retry       []string `json:"retry"`
	Concurrency int      `json:"concurrency"`
	Rate        string   `json:"rate,omitempty"`
	// Waiting is how much is owed and not finished, OldestWaiting since when the oldest of it.
	Waiting       int       `json:"waiting"`
	OldestWaiting string    `json:"oldest_waiting,omitempty"`
	Hold          *holdView `json:"hold,omitempty"`
	At            *fileView `json:"defined_in,omitempty"`
}

// The states of destinations that no hold is put on.
const (
	serving  = "serving"
	disabled = "disabled"
)

// heldView is why a destination is sent nothing now.
type heldView struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason,omitempty"`
	Since  string `json:"since,omitempty"`
	Until  string `json:"until,omitempty"`
	// Hint is what lifts it.
	Hint string `json:"hint,omitempty"`
}

type holdView struct {
	heldView
	Waiting int `json:"waiting"`
}

func viewDestination(d *config.Destination, held map[string]state.DestinationOnHold, waits state.Backlog) destinationView {
	v := destinationView{
		Name: d.Name, Tenant: d.Tenant, Product: d.Product, State: serving, Enabled: d.Enabled, Timeout: d.Timeout.String(),
		Retry: []string{}, Concurrency: d.Concurrency, At: viewFile(d.At),
		Waiting: waits.Waiting, OldestWaiting: stamp(waits.Oldest),
	}
	for _, wait := range d.Retry.Waits {
		v.Retry = append(v.Retry, wait.String())
	}
	if d.Rate.Events > 0 {
		v.Rate = rateText(d.Rate)
	}
	if h, ok := held[d.Name]; ok {
		v.State = string(h.Hold.Kind)
		v.Hold = &holdView{heldView: viewHold(&h.Hold, d), Waiting: h.Waiting}
	}
	if !d.Enabled {
		v.State = disabled
	}
	return v
}

func viewHold(h *state.Hold, d *config.Destination) heldView {
	v := heldView{
		Kind: string(h.Kind), Reason: h.Reason, Since: stamp(h.Since), Until: stamp(h.Until), Hint: explain.HoldHint(h, d.Name, d.Product),
	}
	if !d.Enabled {
		v.Hint += " And it is switched off: take `enabled: false` out of " + definedIn(d) + " and reload."
	}
	return v
}

// definedIn names the place of a destination in the configuration.
func definedIn(d *config.Destination) string {
	if d.At.File == "" {
		return "the configuration"
	}
	return fmt.Sprintf("%s:%d", d.At.File, d.At.Line)
}

// held are a tenant's holds by destination.
func (a *API) held(c *call) (map[string]state.DestinationOnHold, error) {
	list, err := a.Store.Holds(c.ctx, c.tenant)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]state.DestinationOnHold, len(list))
	for _, h := range list {
		byName[h.Destination] = h
	}
	return byName, nil
}

// heldUp says what keeps a destination from being served now; nil where nothing does.
func (a *API) heldUp(c *call, destination string) (*heldView, error) {
	d := a.Plan().Destination(c.tenant, destination)
	if d == nil {
		return nil, nil //nolint:nilnil // nothing is known of it
	}
	if !d.Enabled {
		where := definedIn(d)
		return &heldView{Kind: disabled, Reason: "`enabled: false` in " + where, Hint: "Take `enabled: false` out of " + where + " and reload."}, nil
	}
	held, err := a.held(c)
	if err != nil {
		return nil, err
	}
	h, ok := held[destination]
	if !ok {
		return nil, nil //nolint:nilnil // nothing holds it
	}
	v := viewHold(&h.Hold, d)
	return &v, nil
}

// noteHold notes what holds a destination, once.
func (a *API) noteHold(c *call, destination string, held *map[string]*heldView) error {
	if _, noted := (*held)[destination]; noted {
		return nil
	}
	h, err := a.heldUp(c, destination)
	if err != nil || h == nil {
		return err
	}
	if *held == nil {
		*held = map[string]*heldView{}
	}
	(*held)[destination] = h
	return nil
}

func (a *API) destinations(c *call) error {
	held, err := a.held(c)
	if err != nil {
		return err
	}
	var mine []*config.Destination
	for _, d := range a.Plan().Config.Destinations {
		if d.Tenant == c.tenant {
			mine = append(mine, d)
		}
	}
	sort.Slice(mine, func(i, j int) bool { return mine[i].Name < mine[j].Name })
	return pageOfViews(c, mine, func(d *config.Destination) string { return d.Name }, func(mine []*config.Destination) ([]destinationView, error) {
		waits, err := a.backlogs(c, mine)
		if err != nil {
			return nil, err
		}
		all := make([]destinationView, len(mine))
		for i, d := range mine {
			all[i] = viewDestination(d, held, waits[i])
		}
		return all, nil
	})
}

func (a *API) backlogs(c *call, of []*config.Destination) ([]state.Backlog, error) {
	names := make([]string, len(of))
	for i, d := range of {
		names[i] = d.Name
	}
	return a.Store.Backlogs(c.ctx, c.tenant, names)
}

func (a *API) destination(c *call) error {
	d, err := a.named(c)
	if err != nil {
		return err
	}
	held, err := a.held(c)
	if err != nil {
		return err
	}
	waits, err := a.backlogs(c, []*config.Destination{d})
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, viewDestination(d, held, waits[0]))
}

// named is the destination that the path names.
func (a *API) named(c *call) (*config.Destination, error) {
	name := param(c.Ctx, "name")
	d := a.Plan().Destination(c.tenant, name)
	if d == nil {
		return nil, noSuch("destination", name, a.destinationNames(c.tenant))
	}
	return d, nil
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
	d, err := a.named(c)
	if err != nil {
		return err
	}
	if err := a.Store.Hold(c.ctx, c.tenant, d.Name, h, nil); err != nil {
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
