package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Kind is the kind of the settings that hold what tenants were told, under the tenant "*" and the name of the tenant.
const Kind = "notice"

// Condition is what is wrong with a destination or a source; empty: nothing.
type Condition string

// The conditions: of destinations, and of sources.
const (
	Unhealthy Condition = "unhealthy"
	Disabled  Condition = "disabled"
	Silent    Condition = "silent"
	Rejecting Condition = "rejecting"
)

// told is what a tenant was told of a destination or a source last.
type told struct {
	Is Condition `json:"is,omitempty"`
	// Since is when it began, At when it was told.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
}

// record is what one tenant was told last. It is stored after each transition, so that a transition is told once, whichever
// replica sees it and whatever restarts in between.
type record struct {
	Destinations map[string]told `json:"destinations,omitempty"`
	Sources      map[string]told `json:"sources,omitempty"`
	// Looked is since when dead letters and changes are told; older ones were looked for, or are no news.
	Looked time.Time `json:"looked,omitzero"`

	version uint64
}

// records returns the records of all tenants that have one.
func (n *Notifier) records(ctx context.Context) (map[string]*record, error) {
	list, err := n.Store.List(ctx, config.AnyTenant, Kind)
	if err != nil {
		return nil, fmt.Errorf("read what was told: %w", err)
	}
	all := make(map[string]*record, len(list))
	for _, setting := range list {
		r := &record{version: setting.Version}
		if json.Unmarshal(setting.Value, r) != nil {
			r.Destinations, r.Sources = nil, nil // it is told once more
		}
		all[setting.Name] = r
	}
	return all, nil
}

// recordOf returns the record of a tenant, for changing it.
func recordOf(kept map[string]*record, tenant string) *record {
	r := kept[tenant]
	if r == nil {
		r = &record{}
		kept[tenant] = r
	}
	if r.Destinations == nil {
		r.Destinations = map[string]told{}
	}
	if r.Sources == nil {
		r.Sources = map[string]told{}
	}
	return r
}

// keep stores a record. If another replica has stored one meanwhile, that one stays: what it lacks is found again, and told as the
// same event.
func (n *Notifier) keep(ctx context.Context, tenant string, r *record) error {
	now := n.Clock.Now()
	over := func(_ string, t told) bool { return t.Is == "" && now.Sub(t.At) > settle }
	maps.DeleteFunc(r.Destinations, over)
	maps.DeleteFunc(r.Sources, over)
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write what was told: %w", err)
	}
	version, err := n.Store.Put(ctx, config.AnyTenant, Kind, tenant, value, r.version)
	if errors.Is(err, state.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write what was told: %w", err)
	}
	r.version = version
	return nil
}

func ignoreConflict(err error) error {
	if errors.Is(err, state.ErrConflict) {
		return nil
	}
	return err
}
