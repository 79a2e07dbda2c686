package state

import (
	"context"
	"time"
)

// Settings are small named values with versions, capped lists, and leases.
type Settings interface {
	// Put writes a value if version is the one that is kept (0: there is no value yet), and returns the new version.
	// ErrConflict: it is another version.
	Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error)
	Get(ctx context.Context, tenant, kind, name string) (Setting, error)
	List(ctx context.Context, tenant, kind string) ([]Setting, error)
	Delete(ctx context.Context, tenant, kind, name string, version uint64) error
	// LastChanges returns for each tenant that had a setting of a kind the version of its last Put or Delete, by tenant. It is
	// an index over all tenants: one read tells which tenants to List. Changes by versions before this index are not in it.
	LastChanges(ctx context.Context, kind string) ([]LastChange, error)
	// Watch returns a channel that receives the kind and name of every change of a tenant's settings until ctx ends; "*"
	// means all tenants. Changes of one name may be merged for a slow watcher, but it is always notified after the last one.
	Watch(ctx context.Context, tenant string) (<-chan Change, error)

	// Keep adds an item to a list of at most max items, each kept for ttl. The oldest item is removed first.
	Keep(ctx context.Context, tenant, list string, item []byte, max int, ttl time.Duration) error
	// Kept returns at most n items of a list, newest first, from the skip-th on (0: from the newest); a negative n means all
	// that follow. Both count items that have not expired. It reads skip+n items, and not the list behind them.
	Kept(ctx context.Context, tenant, list string, skip, n int) ([][]byte, error)

	// Lease gives a name to one holder for ttl, or renews the holder's lease; fence rises with each new holder.
	// ErrConflict: another holder has it. A ttl of 0 gives it back. It takes no tenant: names belong to the gateway.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (fence uint64, err error)
}

// KindDocument is the kind of the settings that hold the documents of tenants. Package settings knows their form.
const KindDocument = "setting"

// KindCapture is the kind of the settings that hold until when a source captures requests because somebody asked for it; the name is the
// source's.
const KindCapture = "capture"

// Setting is a named value.
type Setting struct {
	Kind, Name string
	Value      []byte
	Version    uint64
}

// LastChange is the newest change of a tenant's settings of one kind. Versions rise over all settings of a store, and begin
// again only in a store that lost its data.
type LastChange struct {
	Tenant  string
	Version uint64
}

// Change names a setting that changed.
type Change struct{ Tenant, Kind, Name string }
