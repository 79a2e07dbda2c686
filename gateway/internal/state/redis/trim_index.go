package redis

import (
	"context"
	"slices"

	goredis "github.com/redis/go-redis/v9"
)

// packSlices is how many slices of an index are compacted in one Trim.
const packSlices = 2

// pack removes the entries of removed events from a shard's indexes, in slices that retention has passed and that still have
// kept events: otherwise a few kept events would keep the entries of all others. Such slices are only ever removed, so
// reading and writing them need not be atomic.
func (t *trimming) pack(sh *shard) error {
	s := t.s
	v, err := s.client.HMGet(t.ctx, sh.base+"meta", "first", "packed").Result()
	if err != nil {
		return s.fault(err)
	}
	first, packed := max(uint64(asInt(v[0])), 1), uint64(asInt(v[1]))
	if packed >= first/sliced {
		return nil
	}
	some, err := s.client.ZRangeByScore(t.ctx, sh.base+"slices", &goredis.ZRangeBy{
		Min: text(packed), Max: "(" + text(first/sliced), Count: packSlices,
	}).Result()
	if err != nil {
		return s.fault(err)
	}
	next := first / sliced
	for _, name := range some {
		slice := number(name)
		if err := t.packSlice(sh, slice); err != nil {
			return err
		}
		next = slice + 1
	}
	if next < first/sliced {
		t.done.More = true
	}
	_, err = setFieldScript.run(t.ctx, s, sh.base, setFieldArgs{"meta", "packed", text(next)})
	return err
}

// packSlice removes the entries of removed events from a slice.
func (t *trimming) packSlice(sh *shard, slice uint64) error {
	s, name := t.s, text(slice)
	// An event moves from its share to the kept ones, never back: read in this order, it is not missed.
	bits, err := s.client.Get(t.ctx, sh.base+"aside:"+name).Result()
	if err != nil && err != goredis.Nil { //nolint:errorlint // go-redis returns it bare
		return s.fault(err)
	}
	kept, err := s.client.ZRangeByScore(t.ctx, sh.base+"kept", &goredis.ZRangeBy{
		Min: text(slice * sliced), Max: "(" + text((slice+1)*sliced),
	}).Result()
	if err != nil {
		return s.fault(err)
	}
	alone := map[uint64]bool{}
	for _, m := range kept {
		alone[number(m)%sliced] = true
	}
	stays := func(offset uint64) bool { return bit(bits, offset) || alone[offset] }
	keys := map[int][]string{2: nil, tagSize + 2: nil}
	for bucket := range uint64(buckets) {
		keys[tagSize+2] = append(keys[tagSize+2], "index:"+name+":"+text(bucket))
	}
	tenants, err := s.client.SMembers(t.ctx, sh.base+"tenants").Result()
	if err != nil {
		return s.fault(err)
	}
	for _, tenant := range tenants {
		keys[2] = append(keys[2], "line:"+tenant+":"+name)
	}
	for size, all := range keys {
		for some := range slices.Chunk(all, 32) {
			if err := s.packKeys(t.ctx, sh, some, size, stays); err != nil {
				return err
			}
		}
	}
	return nil
}

// compactArgs are the arguments of compact.lua.
type compactArgs struct{ Parts []indexPart }

type indexPart struct {
	Name  string
	Value []byte // what is left of it
}

// packKeys removes entries from strings of entries of one size. An entry ends with its event's offset in the slice.
func (s *store) packKeys(ctx context.Context, sh *shard, names []string, size int, stays func(offset uint64) bool) error {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = sh.base + name
	}
	values, err := s.client.MGet(ctx, keys...).Result()
	if err != nil {
		return s.fault(err)
	}
	var args compactArgs
	for i, v := range values {
		all := asText(v)
		var left []byte
		for at := 0; at+size <= len(all); at += size {
			if e := all[at : at+size]; stays(uint64(e[size-2])<<8 | uint64(e[size-1])) {
				left = append(left, e...)
			}
		}
		if len(left) < len(all) {
			args.Parts = append(args.Parts, indexPart{names[i], left})
		}
	}
	if len(args.Parts) == 0 {
		return nil
	}
	_, err = compactScript.run(ctx, s, sh.base, args)
	return err
}
