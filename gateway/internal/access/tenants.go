package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Tenant is the record of a tenant: what its operator says of it.
type Tenant struct {
	ID       string            `json:"-"`
	Title    string            `json:"title,omitempty"`
	Limits   Limits            `json:"limits,omitzero"`
	Metadata map[string]string `json:"metadata,omitempty"`

	Created   time.Time `json:"created,omitzero"`
	CreatedBy string    `json:"created_by,omitempty"`
	Updated   time.Time `json:"updated,omitzero"`
	UpdatedBy string    `json:"updated_by,omitempty"`

	Version uint64 `json:"-"`
}

// KindTenant is the kind of the settings that hold the records of tenants, under the tenant "*".
const KindTenant = "tenant"

// Where a tenant comes from.
const (
	InFile = "file"
	ByAPI  = "api"
)

// MaxTenants bounds the records of tenants, which each process holds in memory.
const MaxTenants = 50_000

// TenantsOptions are the dependencies of Tenants; all are required.
type TenantsOptions struct {
	Store state.Store
	// Named returns InFile if a file names a tenant, ByAPI if a document or a token in the store does, and "" if none does.
	Named func(tenant string) string
	// Names returns all tenants that Named knows.
	Names func() []string
	// Ceilings returns the operator's limits, for tenants without their own.
	Ceilings func() *config.Limits
}

// Tenants knows which tenants there are, and their limits. Make it with NewTenants; it is safe for concurrent use.
type Tenants struct {
	TenantsOptions
	records *mirror[*Tenant]
}

// NewTenants returns Tenants that know no record yet: see Register.
func NewTenants(o TenantsOptions) *Tenants {
	return &Tenants{TenantsOptions: o, records: newMirror(o.Store, KindTenant, parseTenant)}
}

func parseTenant(s state.Setting) (*Tenant, error) {
	t := &Tenant{}
	if err := json.Unmarshal(s.Value, t); err != nil {
		return nil, fmt.Errorf("read a tenant: %w", err)
	}
	t.ID, t.Version = s.Name, s.Version
	return t, nil
}

// Record returns the record of a tenant, which must not be changed; nil if it has none.
func (t *Tenants) Record(id string) *Tenant {
	record, _ := t.records.get(id)
	return record
}

// Exists reports whether there is a tenant: the default one, one that a file or a document names, one with a record, or one with
// events or deliveries in the store. Only the last question asks the store.
func (t *Tenants) Exists(ctx context.Context, id string) (bool, error) {
	if id == DefaultTenant || t.Record(id) != nil || t.Named(id) != "" {
		return true, nil
	}
	events, err := t.Store.Events(ctx, id, state.EventQuery{Limit: 1})
	if err != nil || len(events.Items) > 0 {
		return err == nil, err
	}
	deliveries, err := t.Store.Deliveries(ctx, id, state.DeliveryQuery{Limit: 1})
	if err != nil {
		return false, err
	}
	return len(deliveries.Items) > 0, nil
}

// IDs returns the tenants that have a record or are named, sorted, and the default one.
func (t *Tenants) IDs() []string {
	all := map[string]bool{DefaultTenant: true}
	for _, id := range t.Names() {
		if id != AnyTenant {
			all[id] = true
		}
	}
	t.records.each(func(r *Tenant) bool { all[r.ID] = true; return true })
	return slices.Sorted(maps.Keys(all))
}

// Allowed returns the limits of a tenant: its own, or the operator's. A nil limit is none.
func (t *Tenants) Allowed(tenant string) Limits {
	own := &Limits{}
	if r := t.Record(tenant); r != nil {
		own = &r.Limits
	}
	return own.over(ceilings(t.Ceilings()))
}

// Limit returns how many things of a kind, such as webhook or token, a tenant may have; less than 0: no limit.
func (t *Tenants) Limit(_ context.Context, tenant, kind string) (int, error) {
	allowed := t.Allowed(tenant)
	if most := allowed.All()[limited[kind]]; most != nil {
		return *most, nil
	}
	return Unlimited, nil
}

// EventsPerMinute returns how many events a tenant may publish in a minute; less than 0: no limit.
func (t *Tenants) EventsPerMinute(tenant string) int {
	if r := t.Record(tenant); r != nil && r.Limits.EventsPerMinute != nil {
		return *r.Limits.EventsPerMinute
	}
	if most := t.Ceilings().EventsPerMinute; most > 0 {
		return most
	}
	return Unlimited
}

// ErrTooManyTenants means that there is no room for the record of another tenant.
var ErrTooManyTenants = fmt.Errorf("there are %d tenants already", MaxTenants)

// Change replaces the record of a tenant by what change makes of it: it is called with a copy, or with a new record if there is
// none, and may be called again. It returns the record, and whether it is new. An equal record is not written.
func (t *Tenants) Change(ctx context.Context, id, by string, now time.Time, change func(record *Tenant, is bool) error) (*Tenant, bool, error) {
	for {
		was := t.Record(id)
		next := &Tenant{ID: id, Created: now, CreatedBy: by}
		if was != nil {
			*next = *was
			next.Metadata = maps.Clone(was.Metadata)
		}
		if err := change(next, was != nil); err != nil {
			return nil, false, err
		}
		if was == nil && t.records.len() >= MaxTenants {
			return nil, false, ErrTooManyTenants
		}
		if was != nil && was.same(next) {
			return was, false, nil
		}
		next.Updated, next.UpdatedBy = now, by
		value, err := json.Marshal(next)
		if err != nil {
			return nil, false, fmt.Errorf("write a tenant: %w", err)
		}
		record, err := t.records.put(ctx, id, value, next.Version)
		if errors.Is(err, state.ErrConflict) { // this process did not know of a change yet
			if err = t.records.sweep(ctx); err == nil && t.Record(id).version() == was.version() {
				err = state.ErrConflict
			}
			if err == nil {
				continue
			}
		}
		return record, was == nil, err
	}
}

// version is that of a record that may be nil.
func (t *Tenant) version() uint64 {
	if t == nil {
		return 0
	}
	return t.Version
}

// same reports whether two records say the same.
func (t *Tenant) same(other *Tenant) bool {
	a, errA := json.Marshal(t)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && string(a) == string(b)
}

// Delete removes the record of a tenant. state.ErrNotFound: it has none.
func (t *Tenants) Delete(ctx context.Context, id string) error {
	record := t.Record(id)
	if record == nil {
		return state.ErrNotFound
	}
	err := t.records.remove(ctx, id, record.Version)
	if !errors.Is(err, state.ErrConflict) {
		return err
	}
	// It may have been written back into a store that had lost it.
	if err := t.records.sweep(ctx); err != nil {
		return err
	}
	if now := t.Record(id); now != nil && now.same(record) {
		return t.records.remove(ctx, id, now.Version)
	}
	return state.ErrConflict
}
