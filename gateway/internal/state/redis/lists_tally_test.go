package redis

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// destTally is what there is of one destination in a shard.
type destTally struct {
	Waiting, WaitBytes, Dead, DeadBytes int64
	// Due counts its entries of the due-queue.
	Due int64
}

// countedLists compares the lists of destinations with the records of deliveries, and with what is kept to find them: the set of
// names, the bytes, and the orders.
func countedLists(t testing.TB, s *store, sh *shard) {
	t.Helper()
	ctx := context.Background()
	keys := func(pattern string) (all []string) {
		t.Helper()
		for next := uint64(0); ; {
			some, more, err := s.client.Scan(ctx, next, globbed(sh.base)+pattern, 1000).Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range some {
				all = append(all, strings.TrimPrefix(k, sh.base))
			}
			if next = more; next == 0 {
				return all
			}
		}
	}
	there, listed := map[string]destTally{}, map[string]destTally{}
	for _, k := range keys("owed:*") {
		for _, v := range s.client.HGetAll(ctx, sh.base+k).Val() {
			// The layout of records in lib.lua: state, leased, size, five times, and then texts.
			size := int64(binary.BigEndian.Uint32([]byte(v[2:6])))
			dest := bytes.Split([]byte(v[6+4*7+1+7+2:]), []byte{0})[1]
			of := there[string(dest)]
			switch v[0] {
			case 'W':
				of.Waiting, of.WaitBytes, of.Due = of.Waiting+1, of.WaitBytes+size, of.Due+1
			case 'X':
				of.Dead, of.DeadBytes = of.Dead+1, of.DeadBytes+size
			default:
				continue
			}
			there[string(dest)] = of
		}
	}
	names := map[string]bool{}
	for _, dest := range s.client.SMembers(ctx, sh.base+"dests").Val() {
		names[dest] = true
	}
	for letter, prefix := range listKeys {
		for _, k := range keys(prefix + "*") {
			dest := strings.TrimPrefix(k, prefix)
			if !names[dest] {
				t.Errorf("shard %d: %s has %s, and is not in dests", sh.n, dest, prefix)
			}
			var newest, n int64
			if letter == 'W' || letter == 'X' {
				n = s.client.ZCard(ctx, sh.base+k).Val()
				newest = int64(s.client.ZRevRangeWithScores(ctx, sh.base+k, 0, 0).Val()[0].Score)
			} else if last := s.client.XRevRangeN(ctx, sh.base+k, "+", "-", 1).Val(); len(last) > 0 {
				at, _, _ := strings.Cut(last[0].ID, "-")
				newest = asInt(at)
			}
			tenant, name, _ := strings.Cut(dest, "/")
			if at := int64(s.client.ZScore(ctx, sh.base+"order:"+tenant+":"+string(letter), name).Val()); at < newest {
				t.Errorf("shard %d: the order of %s has %d for %s, its newest entry is of %d", sh.n, prefix, at, dest, newest)
			}
			of := listed[dest]
			switch letter {
			case 'W':
				of.Waiting, of.WaitBytes = n, asInt(s.client.HGet(ctx, sh.base+"waitbytes", dest).Val())
				of.Due = s.client.ZCard(ctx, sh.base+"due:"+dest).Val()
			case 'X':
				of.Dead, of.DeadBytes = n, asInt(s.client.HGet(ctx, sh.base+"deadbytes", dest).Val())
			default:
				continue
			}
			listed[dest] = of
		}
	}
	same(t, fmt.Sprintf("lists of destinations in shard %d", sh.n), listed, there)
	var waiting, dead int64
	for _, of := range there {
		waiting, dead = waiting+of.Waiting, dead+of.Dead
	}
	v := s.client.HMGet(ctx, sh.base+"meta", "waiting", "dead").Val()
	same(t, fmt.Sprintf("waiting and dead in shard %d", sh.n), []int64{asInt(v[0]), asInt(v[1])}, []int64{waiting, dead})
	for _, hash := range []string{"waitbytes", "deadbytes"} {
		for dest := range s.client.HGetAll(ctx, sh.base+hash).Val() {
			if !names[dest] {
				t.Errorf("shard %d: %s has %s, and is not in dests", sh.n, dest, hash)
			}
		}
	}
	for _, k := range keys("order:*") {
		tenant := strings.Split(k, ":")[1]
		for _, name := range s.client.ZRange(ctx, sh.base+k, 0, -1).Val() {
			if !names[tenant+"/"+name] {
				t.Errorf("shard %d: %s has %s/%s, which is not in dests", sh.n, k, tenant, name)
			}
		}
	}
}
