package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/redistest"
	"github.com/surveygate/surveygate/rules/event"
)

// startCluster starts three nodes with a third of the slots each.
func startCluster(t testing.TB, args ...string) (url string, nodes []*server) {
	t.Helper()
	var hosts []string
	for i, slots := range [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}} {
		n := start(t, append([]string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes", "--cluster-node-timeout", "2000"}, args...)...)
		n.do("CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1])
		n.do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		nodes = append(nodes, n)
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", n.port))
	}
	for _, n := range nodes[1:] {
		nodes[0].do("CLUSTER", "MEET", "127.0.0.1", n.port)
	}
	for _, n := range nodes {
		until(t, "the cluster is whole", func() bool {
			text := asText(n.do("CLUSTER", "INFO"))
			return strings.Contains(text, "cluster_state:ok") && strings.Contains(text, "cluster_known_nodes:3") &&
				strings.Contains(text, "cluster_slots_ok:16384") // without full coverage the state is ok before
		})
	}
	for _, n := range nodes { // the short timeout was for finding each other; with this one, a slow node is not taken for dead
		n.config("cluster-node-timeout", "15000")
	}
	return "redis://" + strings.Join(hosts, ",") + "?cluster=true", nodes
}

func TestClusterConformance(t *testing.T) {
	t.Parallel()
	url, nodes := startCluster(t)
	// One shard is what TestConformance has, and a Cluster what TestShardsConformance has.
	conformAsUser(t, url, 1, nodes, oneShard...)
}

// oneShard are the groups of the suite in which one shard differs from several.
var oneShard = []string{"intake", "claim", "commit", "due", "restart"}

func TestShardsConformance(t *testing.T) {
	t.Parallel()
	url, nodes := startCluster(t)
	conformAsUser(t, url, 4, nodes)
}

func TestClusterHasFourShards(t *testing.T) {
	t.Parallel()
	url, _ := startCluster(t)
	s := gate(t, url)
	if len(s.shards) != 4 {
		t.Fatalf("%d shards", len(s.shards))
	}
	keys := make([]string, 200)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
	}
	accept(t, s, keys...)
	for _, c := range hold(t, s, 200) {
		commit(t, s, decided(c))
	}
	seen := map[string]bool{}
	for _, sh := range s.shards {
		n, err := s.client.XLen(t.Context(), sh.base+"events").Result()
		if err != nil || n == 0 {
			t.Errorf("shard %d has %d events, %v", sh.n, n, err)
		}
		slot, err := s.client.ClusterKeySlot(t.Context(), sh.base).Result()
		if err != nil {
			t.Fatal(err)
		}
		seen[fmt.Sprint(slot/5461)] = true
	}
	if len(seen) != 3 {
		t.Errorf("the shards are on %d of three nodes", len(seen))
	}
	if h := s.Health(t.Context()); h.Err != nil || h.Events != 200 || h.Pending != 0 {
		t.Errorf("health %+v", h)
	}
}

// Redis refuses a script that uses two shards, so the suite on a Cluster proves that none does.
func TestTwoShardsInOneScriptAreRefused(t *testing.T) {
	t.Parallel()
	url, _ := startCluster(t)
	s := gate(t, url)
	err := s.client.Eval(t.Context(), "#!lua\nreturn redis.call('GET', ARGV[1])", []string{s.shards[0].base + "x"}, s.shards[1].base+"x").Err()
	if err == nil {
		t.Fatal("a script reached into another shard")
	}
	err = s.client.Do(t.Context(), "MGET", s.shards[0].base+"x", s.shards[1].base+"x").Err()
	if err == nil || !strings.Contains(err.Error(), "CROSSSLOT") {
		t.Fatalf("got %v", err)
	}
}

// A node that hangs costs a call its timeout once, not once for each retry of the client.
func TestClusterThatHangs(t *testing.T) {
	t.Parallel()
	url, nodes := startCluster(t)
	s := gate(t, url+"&timeout=2s")
	id := accept(t, s, "a")[0].ID
	send := func(sig os.Signal) {
		for _, n := range nodes {
			if err := n.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(syscall.SIGSTOP)
	t.Cleanup(func() { send(syscall.SIGCONT) }) // before the store is closed, which says goodbye
	_, err := s.Event(t.Context(), acme, id)
	if !errors.Is(err, state.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one command: %v", err)
	}
	_, err = s.Events(t.Context(), acme, state.EventQuery{})
	if !errors.Is(err, state.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pipeline: %v", err)
	}
}

// syncAtOnce makes a master send its data to a new replica at once. By default it waits five seconds for further replicas.
var syncAtOnce = []string{"--repl-diskless-sync-delay", "0"}

// A master of a Cluster is killed under load: its replica takes its place, and the gateway continues by itself. Everything that
// the replica had is there; the newest events may be lost, as Redis replicates asynchronously.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	url, nodes := startCluster(t, syncAtOnce...)
	replica := start(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes", "--cluster-node-timeout", "15000")
	replica.do("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
	master := asText(nodes[0].do("CLUSTER", "MYID"))
	until(t, "the replica replicates", func() bool { return replica.try("CLUSTER", "REPLICATE", master) != nil })
	until(t, "the replica is in step", func() bool { return replica.info("replication", "master_link_status") == "up" })
	for _, n := range nodes {
		until(t, "all know the replica", func() bool { return strings.Contains(asText(n.do("CLUSTER", "NODES")), "slave "+master) })
	}
	s := gate(t, url)
	before := make([]string, 40)
	for i := range before {
		before[i] = fmt.Sprint("before", i)
	}
	accept(t, s, before...)
	until(t, "the replica has all", func() bool {
		return nodes[0].info("replication", "master_repl_offset") == replica.info("replication", "slave_repl_offset")
	})
	for _, n := range []*server{nodes[1], nodes[2], replica} { // so that the failover begins soon
		n.config("cluster-node-timeout", "2000")
	}
	nodes[0].kill()
	began := time.Now()
	n := 0
	until(t, "events of all shards are accepted again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var all []*event.Event
		for i := range 20 {
			all = append(all, made(t, fmt.Sprint("after", i)))
		}
		n = len(all)
		_, err := s.Append(ctx, all)
		return err == nil
	})
	t.Logf("failed over in %v", time.Since(began).Round(time.Millisecond))
	seen := map[string]bool{}
	for _, c := range hold(t, s, len(before)+n) {
		seen[c.Event.DedupeKey] = true
		commit(t, s, decided(c))
	}
	if len(seen) != len(before)+n {
		t.Errorf("%d events came, want %d", len(seen), len(before)+n)
	}
}

// The master of three sentinels is killed: a replica takes its place, and the gateway continues by itself.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := start(t, syncAtOnce...)
	replica := start(t, "--replicaof", fmt.Sprintf("127.0.0.1 %d", master.port))
	until(t, "the replica is in step", func() bool { return replica.info("replication", "master_link_status") == "up" })
	var hosts []string
	var sentinels []*server
	for range 3 {
		n := startSentinel(t, master.port)
		sentinels = append(sentinels, n)
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", n.port))
	}
	s := gate(t, "redis://"+strings.Join(hosts, ",")+"?sentinel=main")
	accept(t, s, "a", "b")
	commit(t, s, decided(hold(t, s, 1)[0]))
	until(t, "the replica has all", func() bool {
		return master.info("replication", "master_repl_offset") == replica.info("replication", "slave_repl_offset")
	})
	for _, n := range sentinels { // so that the failover begins soon; until now, a slow master was not taken for dead
		n.do("SENTINEL", "SET", "main", "down-after-milliseconds", 1000)
	}
	master.kill()
	began := time.Now()
	until(t, "events are accepted by the other", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := s.Append(ctx, []*event.Event{made(t, "c")})
		return err == nil
	})
	t.Logf("failed over in %v", time.Since(began).Round(time.Millisecond))
	same(t, "claimed", keysOf(hold(t, s, 2)), []string{"b", "c"})
}

func startSentinel(t testing.TB, master int) *server {
	t.Helper()
	s := &server{t: t, dir: folder(t)}
	for range 5 {
		s.port = redistest.Port(t)
		path := filepath.Join(s.dir, "sentinel.conf")
		text := fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 2\nsentinel down-after-milliseconds main 60000\n"+
			"sentinel failover-timeout main 5000\n", master)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.first = []string{path, "--sentinel"}
		if s.run() {
			until(t, "the sentinel knows all", func() bool { return len(asList(s.do("SENTINEL", "REPLICAS", "main"))) == 1 })
			return s
		}
	}
	t.Fatalf("the sentinel does not start: %s", s.log())
	return nil
}
