package state

import (
	"context"
	"time"
)

// Settings are small named values with versions, capped lists, and leases.
type Settings interface {
	// Put writes a value if version is the one kept (0: there is none yet), and returns its new version; else ErrConflict.
	Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error)
	Get(ctx context.Context, tenant, kind, name string) (Setting, error)
	List(ctx context.Context, tenant, kind string) ([]Setting, error)
	Delete(ctx context.Context, tenant, kind, name string, version uint64) error
	// Watch receives the kind and name of every change of a tenant's settings until ctx ends; "*" is all tenants.
	// A slow watcher misses no last value: after a gap it is told of the name again.
	Watch(ctx context.Context, tenant string) (<-chan Change, error)

	// Keep adds an item to a list of at most max items, each for ttl; the oldest leaves first.
	Keep(ctx context.Context, tenant, list string, item []byte, max int, ttl time.Duration) error
	// Kept are a list's items, newest first.
	Kept(ctx context.Context, tenant, list string) ([][]byte, error)

	// Lease gives a name to one holder for ttl, or renews it; fence rises with each new holder. Somebody else's is
	// ErrConflict. A ttl of 0 gives it back. It has no tenant: names belong to the gateway.
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (fence uint64, err error)
}

// Setting is a named value.
type Setting struct {
	Kind, Name string
	Value      []byte
	Version    uint64
}

// Change names a setting that changed.
type Change struct{ Tenant, Kind, Name string }
