package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

func settingKey(tenant, kind string) string { return "set:" + escape(tenant) + ":" + escape(kind) }

func lastKey(kind string) string { return "last:" + escape(kind) }

// Put writes a value if version is its present one.
func (s *store) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	v, err := s.put(ctx, tenant, kind, name, version, "put", value)
	if err != nil {
		return 0, fmt.Errorf("put %s %s: %w", kind, name, err)
	}
	return v, nil
}

// PutBack writes a setting that was lost, unless it was written since then.
func (s *store) PutBack(ctx context.Context, tenant, kind, name string, value []byte) error {
	if _, err := s.put(ctx, tenant, kind, name, 0, "putback", value); err != nil {
		return fmt.Errorf("put %s %s back: %w", kind, name, err)
	}
	return nil
}

// Delete removes a value if version is its present one.
func (s *store) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	if _, err := s.put(ctx, tenant, kind, name, version, "delete", nil); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, name, err)
	}
	return nil
}

// putArgs are the arguments of put.lua.
type putArgs struct {
	Key, Name  string
	Last       string // key of the kind's last changes
	Tenant     string
	Version    uint64
	Change     []byte
	Verb       string
	Value      []byte
	MaxChanges int
}

// writeAllArgs are the arguments of writeall.lua.
type writeAllArgs struct {
	MaxChanges int
	Writes     []writeArgs
	Items      []itemArgs
}

type writeArgs struct {
	Key, Name string
	Last      string // key of the kind's last changes
	Tenant    string
	Version   uint64
	Change    []byte
	Verb      string
	Value     []byte
}

type itemArgs struct {
	List       string
	Head, Tail []byte
	Of         int
	Most       int
	TTL        int64 // microseconds
}

// addToListArgs are the arguments of addtolist.lua.
type addToListArgs struct {
	List string
	Item []byte
	Most int
	TTL  int64 // microseconds
}

// keptArgs are the arguments of kept.lua.
type keptArgs struct {
	List    string
	Skip, N int // items; N < 0: all that follow
}

// leaseNameArgs are the arguments of leasename.lua.
type leaseNameArgs struct {
	Name, Caller string
	TTL          int64 // microseconds
}

func (s *store) put(ctx context.Context, tenant, kind, name string, version uint64, verb string, value []byte) (uint64, error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	got, err := putScript.run(ctx, s, s.meta, putArgs{
		Key: settingKey(tenant, kind), Name: name, Last: lastKey(kind), Tenant: tenant, Version: version, Change: changeOf(tenant, kind, name), Verb: verb, Value: value, MaxChanges: s.recent,
	})
	if err != nil {
		return 0, err
	}
	switch v := asInt(got); v {
	case 0:
		return 0, state.ErrConflict
	case -1:
		return 0, state.ErrNotFound
	default:
		return uint64(v), nil
	}
}

// changeOf is how a change is kept for watchers.
func changeOf(tenant, kind, name string) []byte {
	return state.AppendText(state.AppendText(state.AppendText(nil, tenant), kind), name)
}

var verbs = map[state.Verb]string{state.Replace: "put", state.Remove: "delete", state.Ensure: "ensure"}

// WriteAll writes settings and items of lists together.
func (s *store) WriteAll(ctx context.Context, b *state.Batch) ([]uint64, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := b.Check(); err != nil {
		return nil, err
	}
	args := writeAllArgs{MaxChanges: s.recent, Writes: make([]writeArgs, len(b.Writes)), Items: make([]itemArgs, len(b.Items))}
	for i := range b.Writes {
		w := &b.Writes[i]
		args.Writes[i] = writeArgs{
			Key: settingKey(w.Tenant, w.Kind), Name: w.Name, Last: lastKey(w.Kind), Tenant: w.Tenant, Version: w.Version,
			Change: changeOf(w.Tenant, w.Kind, w.Name), Verb: verbs[w.Verb], Value: w.Value,
		}
	}
	for i := range b.Items {
		item := &b.Items[i]
		args.Items[i] = itemArgs{listKey(item.Tenant, item.List), item.Head, item.Tail, item.Of, max(item.Max, 0), item.TTL.Microseconds()}
	}
	got, err := writeAllScript.run(ctx, s, s.meta, args)
	if err != nil {
		return nil, fmt.Errorf("write %d settings together: %w", len(b.Writes), err)
	}
	list := asList(got)
	if len(list) != len(b.Writes) { // the number of the write that has another version
		if n := int(asInt(got)); n > 0 && n <= len(b.Writes) {
			return nil, fmt.Errorf("%s %s: %w", b.Writes[n-1].Kind, b.Writes[n-1].Name, state.ErrConflict)
		}
		return nil, state.ErrCorrupt
	}
	versions := make([]uint64, len(list))
	for i := range list {
		versions[i] = uint64(asInt(list[i]))
	}
	return versions, nil
}

func setting(kind, name, raw string) (state.Setting, error) {
	r := readerOf(raw)
	v := state.Setting{Kind: kind, Name: name, Version: r.big(8)}
	v.Value = []byte(r.Rest)
	return v, r.Err()
}

// Get returns a value.
func (s *store) Get(ctx context.Context, tenant, kind, name string) (state.Setting, error) {
	if err := s.check(ctx); err != nil {
		return state.Setting{}, err
	}
	raw, err := s.client.HGet(ctx, s.meta+settingKey(tenant, kind), name).Result()
	if errors.Is(err, goredis.Nil) {
		return state.Setting{}, fmt.Errorf("%s %s: %w", kind, name, state.ErrNotFound)
	}
	if err != nil {
		return state.Setting{}, fmt.Errorf("%s %s: %w", kind, name, s.fault(err))
	}
	return setting(kind, name, raw)
}

// List returns a kind's values, sorted by name.
func (s *store) List(ctx context.Context, tenant, kind string) ([]state.Setting, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	kept, err := s.client.HGetAll(ctx, s.meta+settingKey(tenant, kind)).Result()
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, s.fault(err))
	}
	all := make([]state.Setting, 0, len(kept))
	for name, raw := range kept {
		v, err := setting(kind, name, raw)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, name, err)
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b state.Setting) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// LastChanges returns the version of each tenant's last change of a kind.
func (s *store) LastChanges(ctx context.Context, kind string) ([]state.LastChange, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	kept, err := s.client.HGetAll(ctx, s.meta+lastKey(kind)).Result()
	if err != nil {
		return nil, fmt.Errorf("last changes of %s: %w", kind, s.fault(err))
	}
	all := make([]state.LastChange, 0, len(kept))
	for tenant, raw := range kept {
		version, err := strconv.ParseUint(raw, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("last changes of %s: %w", kind, errCorrupt)
		}
		all = append(all, state.LastChange{Tenant: tenant, Version: version})
	}
	slices.SortFunc(all, func(a, b state.LastChange) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return all, nil
}

func listKey(tenant, list string) string { return "list:" + escape(tenant) + ":" + escape(list) }

// Keep adds an item to a capped list.
func (s *store) Keep(ctx context.Context, tenant, list string, item []byte, most int, ttl time.Duration) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if _, err := addToListScript.run(ctx, s, s.meta, addToListArgs{listKey(tenant, list), item, max(most, 0), ttl.Microseconds()}); err != nil {
		return fmt.Errorf("keep in %s: %w", list, err)
	}
	return nil
}

// Kept returns a list's items, newest first.
func (s *store) Kept(ctx context.Context, tenant, list string, skip, n int) ([][]byte, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	got, err := keptScript.run(ctx, s, s.meta, keptArgs{listKey(tenant, list), max(skip, 0), n})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", list, err)
	}
	items := asList(got)
	all := make([][]byte, len(items))
	for i := range items {
		all[i] = []byte(asText(items[i]))
	}
	return all, nil
}

// time returns the present time of scripts on the keys of a base, in microseconds.
func (s *store) time(ctx context.Context, base string) (int64, error) {
	now, err := nowScript.run(ctx, s, base, noArgs{})
	return asInt(now), err
}

// Lease gives a name to one holder.
func (s *store) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	if err := s.check(ctx); err != nil {
		return 0, err
	}
	got, err := leaseNameScript.run(ctx, s, s.meta, leaseNameArgs{"lease:" + escape(name), holder, ttl.Microseconds()})
	if err == nil && asInt(got) == 0 {
		err = state.ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("lease %s: %w", name, err)
	}
	return uint64(asInt(got)), nil
}
