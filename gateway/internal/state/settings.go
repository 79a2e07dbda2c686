package state

import (
	"context"
	"fmt"
	"slices"
	"strconv"
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
	// WriteAll writes settings and items of lists together, for the cost of one write: all or nothing, also if the process is killed. It
	// returns the new version of each write, in their order; 0 where nothing is there after it, or nothing was written. Watchers are
	// notified once of each setting. ErrConflict: a setting has another version, and nothing was written.
	WriteAll(ctx context.Context, b *Batch) (versions []uint64, err error)
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

// Batch is what is written together, of one tenant or several. It names no setting twice.
type Batch struct {
	Writes []Write
	Items  []Item
}

// Write writes one setting of a batch.
type Write struct {
	Tenant, Kind, Name string
	Verb               Verb
	Value              []byte
	// Version is the one that is kept; 0: there is no value yet.
	Version uint64
}

// Verb is what a write does.
type Verb uint8

const (
	// Replace writes the value if the version is the one that is kept, as Put does.
	Replace Verb = iota
	// Remove removes the value if the version is the one that is kept, and does nothing if there is no value.
	Remove
	// Ensure writes the value if there is none, and does nothing otherwise.
	Ensure
)

// Item is added to a list as by Keep, with the bounds Max and TTL.
type Item struct {
	Tenant, List string
	// Head is the item. If Of is not 0, the new version of the write of that number, which counts from 1, stands behind it in decimal,
	// and then Tail.
	Head, Tail []byte
	Of         int
	Max        int
	TTL        time.Duration
}

// Check returns ErrInvalid if the batch names a setting twice, or in an item a write that it does not have.
func (b *Batch) Check() error {
	type place struct{ tenant, kind, name string }
	seen := make(map[place]bool, len(b.Writes))
	for i := range b.Writes {
		w := &b.Writes[i]
		at := place{w.Tenant, w.Kind, w.Name}
		if seen[at] {
			return fmt.Errorf("%w: a batch writes %s %s twice", ErrInvalid, w.Kind, w.Name)
		}
		seen[at] = true
	}
	for i := range b.Items {
		if of := b.Items[i].Of; of < 0 || of > len(b.Writes) {
			return fmt.Errorf("%w: a batch has no write %d", ErrInvalid, of)
		}
	}
	return nil
}

// With returns the item with the version of its write.
func (i *Item) With(versions []uint64) []byte {
	if i.Of == 0 {
		return i.Head
	}
	return append(strconv.AppendUint(slices.Clip(i.Head), versions[i.Of-1], 10), i.Tail...)
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
