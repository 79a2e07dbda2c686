package access

import (
	"cmp"
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

	// Deleted is when it was deleted: the record notes that alone. Former is when a tenant of the name was deleted before.
	Deleted time.Time `json:"deleted,omitzero"`
	Former  time.Time `json:"former,omitzero"`

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

// Record returns the record of a tenant, which must not be changed; nil if it has none, or was deleted.
func (t *Tenants) Record(id string) *Tenant {
	if record, _ := t.records.get(id); record != nil && record.Deleted.IsZero() {
		return record
	}
	return nil
}

// Exists reports whether there is a tenant: the default one, one that a file or a document names, one with a record, or one with
// events or deliveries in the store. Only the last question asks the store.
func (t *Tenants) Exists(ctx context.Context, id string) (bool, error) {
	if id == DefaultTenant || t.Record(id) != nil || t.Named(id) != "" {
		return true, nil
	}
	return t.keeps(ctx, id)
}

// IDs returns the tenants that have a record or are named, sorted, and the default one.
func (t *Tenants) IDs() []string {
	all := map[string]bool{DefaultTenant: true}
	for _, id := range t.Names() {
		if id != AnyTenant {
			all[id] = true
		}
	}
	t.records.each(func(r *Tenant) bool {
		if r.Deleted.IsZero() {
			all[r.ID] = true
		}
		return true
	})
	return slices.Sorted(maps.Keys(all))
}

// Allowed returns the limits of a tenant: its own, or the operator's. A nil limit is none.
func (t *Tenants) Allowed(tenant string) Limits { return t.AllowedBy(t.Record(tenant)) }

// AllowedBy returns the limits of a tenant with a record; nil: it has none.
func (t *Tenants) AllowedBy(record *Tenant) Limits {
	own := &Limits{}
	if record != nil {
		own = &record.Limits
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

// How is who changes the record of a tenant, and how.
type How struct {
	By string
	At time.Time
	// Restore makes a tenant that was deleted again for the same customer, who gets what is kept of it.
	Restore bool
	// DryRun changes nothing: the record is what it would be, with version 0 if it is not what it was.
	DryRun bool
}

// Change replaces the record of a tenant by what change makes of it: it is called with a copy, or with a new record if there is
// none, and may be called again. It returns the record, and the one before; nil: there was none. An equal record is not written: both
// are the same then.
//
// One that was deleted is made again if nothing of it is kept, else a DeletedError is returned; see How.Restore.
func (t *Tenants) Change(ctx context.Context, id string, how How, change func(record *Tenant) error) (now, before *Tenant, err error) {
	for {
		noted, _ := t.records.get(id) // also of a deletion
		was := t.Record(id)
		next := &Tenant{ID: id, Created: how.At, CreatedBy: how.By}
		switch {
		case was != nil:
			*next = *was
			next.Metadata = maps.Clone(was.Metadata)
		case noted != nil && !how.Restore:
			if err := t.mayBegin(ctx, noted); err != nil && t.Named(id) != InFile {
				return nil, nil, err
			}
			next.Former = noted.Deleted
		}
		if err := change(next); err != nil {
			return nil, nil, err
		}
		if noted == nil && t.records.len() >= MaxTenants {
			if err := t.forget(ctx, how.At); err != nil || t.records.len() >= MaxTenants {
				return nil, nil, cmp.Or(err, ErrTooManyTenants)
			}
		}
		if was != nil && was.same(next) {
			return was, was, nil
		}
		next.Updated, next.UpdatedBy = how.At, how.By
		if how.DryRun {
			next.Version = 0
			return next, was, nil
		}
		value, err := json.Marshal(next)
		if err != nil {
			return nil, nil, fmt.Errorf("write a tenant: %w", err)
		}
		record, err := t.records.put(ctx, id, value, noted.version())
		if errors.Is(err, state.ErrConflict) { // this process did not know of a change yet
			if err = t.records.sweep(ctx); err == nil {
				if now, _ := t.records.get(id); now.version() == noted.version() {
					err = state.ErrConflict
				}
			}
			if err == nil {
				continue
			}
		}
		return record, was, err
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
