package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// sickable returns a node of a Cluster that has shards but not the keys of meta, so that the others continue without it.
func sickable(t *testing.T) (s *store, node *server, sick map[int]bool) {
	t.Helper()
	url, nodes := startCluster(t, "--cluster-require-full-coverage", "no")
	s = gate(t, url+"&timeout=3s")
	for _, n := range nodes {
		if n.try("EXISTS", s.meta+"layout") != nil { // elsewhere it is MOVED
			continue
		}
		sick = map[int]bool{}
		for _, sh := range s.shards {
			if n.try("EXISTS", sh.base+"events") != nil {
				sick[sh.n] = true
			}
		}
		if len(sick) > 0 {
			return s, n, sick
		}
	}
	t.Fatal("no node has a shard and not what all share")
	return nil, nil, nil
}

// A node of a Cluster is killed and no replica takes its place: due deliveries of the other shards are still leased.
func TestClaimDueWhereOneShardIsSick(t *testing.T) {
	t.Parallel()
	s, node, sick := sickable(t)
	var keys []string
	for i := 0; len(keys) < 12; i++ {
		key := fmt.Sprint("e", i)
		if !sick[shardOf(acme, made(t, key).ResponseID, len(s.shards))] {
			keys = append(keys, key)
		}
	}
	accept(t, s, keys...)
	for _, c := range hold(t, s, len(keys)) {
		d := owing(c, state.Waiting, time.Now())
		d.Reason = "retry"
		commit(t, s, decided(c, d))
	}
	node.kill()
	var came []state.Due
	until(t, "all that is due in the others was leased", func() bool {
		due, _, _ := s.ClaimDue(t.Context(), state.ClaimDue{Max: 100, Lease: time.Minute})
		came = append(came, due...)
		return len(came) == len(keys)
	})
	// And what came of it is kept: else each would be made again whenever its lease ends.
	ended := make([]state.Settled, len(came))
	for i, d := range came {
		d.Delivery.State, d.Delivery.Leased = state.Delivered, false
		ended[i] = state.Settled{Delivery: d.Delivery, Lease: d.Lease}
	}
	done, err := s.Commit(t.Context(), &state.Commit{Due: ended})
	if err != nil {
		t.Fatalf("what became of deliveries in the other shards is not kept: %v", err)
	}
	for i, held := range done.Due {
		if !held {
			t.Errorf("%s: its fence was lost", ended[i].Delivery.ID)
		}
	}
}
