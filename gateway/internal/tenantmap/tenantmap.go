// Package tenantmap holds an immutable map by tenant, of which a changed copy shares nearly everything with the original.
package tenantmap

import (
	"hash/maphash"
	"iter"
	"maps"
)

// shards is how many parts a map has. A change copies the list of parts and one of them: with 10,000 tenants about 40 entries.
const shards = 256

var seed = maphash.MakeSeed()

// Map maps tenants to values. It is immutable and safe for concurrent use. The zero value is empty.
type Map[V any] struct {
	parts *[shards]map[string]V // nil: empty
	n     int
}

// Get returns a tenant's value; the zero value if it has none.
func (m Map[V]) Get(tenant string) (v V) {
	if m.n == 0 {
		return v
	}
	return m.parts[shardOf(tenant)][tenant]
}

// Len returns the number of tenants.
func (m Map[V]) Len() int { return m.n }

// All returns all tenants with their values, in no order.
func (m Map[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		if m.n == 0 {
			return
		}
		for _, part := range m.parts {
			for tenant, v := range part {
				if !yield(tenant, v) {
					return
				}
			}
		}
	}
}

// Change returns a map in which change was applied; its argument sets a tenant's value, or deletes it. m is unchanged.
func (m Map[V]) Change(change func(set func(tenant string, v V), remove func(tenant string))) Map[V] {
	parts, n := new([shards]map[string]V), m.n
	if m.parts != nil {
		*parts = *m.parts
	}
	var own [shards]bool // the parts that this change copied
	part := func(tenant string) map[string]V {
		at := shardOf(tenant)
		if !own[at] {
			own[at] = true
			if parts[at] = maps.Clone(parts[at]); parts[at] == nil {
				parts[at] = map[string]V{}
			}
		}
		return parts[at]
	}
	change(func(tenant string, v V) {
		in := part(tenant)
		if _, had := in[tenant]; !had {
			n++
		}
		in[tenant] = v
	}, func(tenant string) {
		in := part(tenant)
		if _, had := in[tenant]; had {
			n--
		}
		delete(in, tenant)
	})
	return Map[V]{parts, n}
}

func shardOf(tenant string) uint64 { return maphash.String(seed, tenant) % shards }
