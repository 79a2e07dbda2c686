package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Destination is a connection or a webhook: what is limited, paused and measured.
type Destination struct {
	Name    string `json:"name"`
	Tenant  string `json:"tenant"`
	Product string `json:"product"`
	// State is serving, disabled, broken (its document has a fault), or the kind of its hold: paused, revoked, gone, circuit or rate.
	State   string `json:"state"`
	Enabled bool   `json:"enabled"`
	Timeout string `json:"timeout"`
	// Retry are the waits after failed attempts, in their order.
	Retry       []string `json:"retry"`
	Concurrency int      `json:"concurrency"`
	Rate        string   `json:"rate,omitempty"`
	// Waiting counts its waiting deliveries, OldestWaiting is when the oldest of them was created.
	Waiting       int  `json:"waiting"`
	OldestWaiting Time `json:"oldest_waiting,omitzero"`
	// Hold is why it is on hold; absent where it is not.
	Hold *Hold `json:"hold,omitempty"`
	// Standing is there where it was asked for.
	Standing *Standing `json:"standing,omitempty"`
	// Trend is there where it was asked for.
	Trend *Trend `json:"trend,omitempty"`
	// At is the place in the file that defines it; absent for a document.
	At *FilePlace `json:"defined_in,omitempty"`
}

// Standing is what waits for a destination, what has failed, and what holds it.
type Standing struct {
	// Hold is null where it is not on hold.
	Hold          *Hold `json:"hold"`
	Waiting       int   `json:"waiting"`
	OldestWaiting Time  `json:"oldest_waiting,omitzero"`
	// DeadFrom is when the oldest of them becomes a dead letter, if it is not delivered before; absent where nothing waits.
	DeadFrom Time `json:"dead_from,omitzero"`
	// Dead counts its dead letters.
	Dead int `json:"dead"`
}

// The states of destinations without a hold.
const (
	Serving  = "serving"
	Disabled = "disabled"
	Broken   = "broken"
)

// Hold is why a destination is sent nothing now.
type Hold struct {
	// Kind is paused, revoked, gone, circuit, rate, disabled or broken.
	Kind   string `json:"kind"`
	Reason string `json:"reason,omitempty"`
	Since  Time   `json:"since,omitzero"`
	Until  Time   `json:"until,omitzero"`
	// Hint is what lifts it.
	Hint string `json:"hint,omitempty"`
	// Waiting counts the destination's waiting deliveries, where the destination was asked for.
	Waiting *int `json:"waiting,omitempty"`
}

// FilePlace is a line of a file.
type FilePlace struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

func newFilePlace(at document.Position) *FilePlace {
	if at.File == "" {
		return nil
	}
	return &FilePlace{at.File, at.Line}
}

// NewDestination makes the view of a destination, without Standing.
func NewDestination(d *config.Destination, standing *state.Standing) Destination {
	v := Destination{
		Name: d.Name, Tenant: d.Tenant, Product: d.Product, State: Serving, Enabled: d.Enabled, Timeout: d.Timeout.String(),
		Retry: []string{}, Concurrency: d.Concurrency,
		Waiting: standing.Waiting, OldestWaiting: Time{standing.OldestWaiting},
	}
	if _, isDocument := DocumentOf(d); !isDocument {
		v.At = newFilePlace(d.At)
	}
	for _, wait := range d.Retry.Waits {
		v.Retry = append(v.Retry, wait.String())
	}
	if d.Rate.Events > 0 {
		v.Rate = rateText(d.Rate)
	}
	if hold := &standing.Hold; *hold != (state.Hold{}) {
		v.State = string(hold.Kind)
		v.Hold = newHold(hold, d)
		v.Hold.Waiting = &standing.Waiting
	}
	switch {
	case d.Broken:
		v.State = Broken
		if v.Hold == nil {
			v.Hold = NewHold(d, &state.Hold{})
		}
	case !d.Enabled:
		v.State = Disabled
	}
	return v
}

// NewStanding makes the view of the standing of a destination. What waits longer than age becomes a dead letter; 0: nothing does.
func NewStanding(d *config.Destination, standing *state.Standing, age time.Duration) *Standing {
	v := &Standing{
		Hold: NewHold(d, &standing.Hold), Waiting: standing.Waiting, OldestWaiting: Time{standing.OldestWaiting}, Dead: standing.Dead,
	}
	if age > 0 && !standing.OldestWaiting.IsZero() {
		v.DeadFrom = Time{standing.OldestWaiting.Add(age)}
	}
	return v
}

// NewHold makes the view of why deliveries to a destination wait: it is broken, disabled, or on hold. It is nil where none is so.
func NewHold(d *config.Destination, hold *state.Hold) *Hold {
	switch {
	case d.Broken:
		return &Hold{Kind: Broken, Reason: decide.BrokenDestination, Hint: "Correct " + definedIn(d) + ": what waits is delivered then."}
	case !d.Enabled:
		return &Hold{Kind: Disabled, Reason: "`enabled: false` in " + definedIn(d), Hint: "Take " + enable(d)}
	case *hold == state.Hold{}:
		return nil
	}
	return newHold(hold, d)
}

func newHold(h *state.Hold, d *config.Destination) *Hold {
	document, _ := DocumentOf(d)
	v := &Hold{Kind: string(h.Kind), Reason: h.Reason, Since: Time{h.Since}, Until: Time{h.Until}, Hint: HoldHint(h, d.Name, d.Product, document)}
	if !d.Enabled {
		v.Hint += " And it is switched off: take " + enable(d)
	}
	return v
}

// enable says what to take out of where, so that a destination is switched on.
func enable(d *config.Destination) string {
	hint := "`enabled: false` out of " + definedIn(d)
	if _, ofDocument := DocumentOf(d); ofDocument {
		return hint + "."
	}
	return hint + " and reload."
}

// definedIn names the place of a destination in the configuration.
func definedIn(d *config.Destination) string {
	if document, ok := DocumentOf(d); ok {
		return "the tenant's document " + document
	}
	if d.At.File == "" {
		return "the configuration"
	}
	return fmt.Sprintf("%s:%d", d.At.File, d.At.Line)
}

// DocumentOf returns the name of the document that defines a destination; empty and false for one of a file.
func DocumentOf(d *config.Destination) (string, bool) {
	name, is := strings.CutPrefix(d.At.File, config.StorePrefix)
	if !is {
		return "", false
	}
	return name, true
}

func rateText(r config.Rate) string {
	per := r.Per.String()
	switch r.Per {
	case time.Second:
		per = "s"
	case time.Minute:
		per = "m"
	}
	return strconv.Itoa(r.Events) + "/" + per
}
