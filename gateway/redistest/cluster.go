package redistest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// StartCluster starts a Cluster of three masters with a third of the slots each, and returns its address.
func StartCluster(t testing.TB, args ...string) (url string, nodes []*Server) {
	t.Helper()
	var hosts []string
	for i, slots := range [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}} {
		n := Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes", "--cluster-node-timeout", "2000"}, args...)...)
		n.Do("CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1])
		n.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		nodes = append(nodes, n)
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", n.port))
	}
	for _, n := range nodes[1:] {
		nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", n.port)
	}
	for _, n := range nodes {
		n.awaitCluster()
	}
	for _, n := range nodes { // the short timeout was for finding each other; with this one, a slow node is not taken for dead
		n.Do("CONFIG", "SET", "cluster-node-timeout", 15000)
	}
	return "redis://" + strings.Join(hosts, ",") + "?cluster=true", nodes
}

// awaitCluster waits until a node knows the whole Cluster.
func (s *Server) awaitCluster() {
	s.t.Helper()
	said := ""
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		said = fmt.Sprint(s.Do("CLUSTER", "INFO"))
		if strings.Contains(said, "cluster_state:ok") && strings.Contains(said, "cluster_known_nodes:3") &&
			strings.Contains(said, "cluster_slots_ok:16384") { // without full coverage the state is ok earlier
			return
		}
		time.Sleep(5 * time.Millisecond) // between looks at another process
	}
	s.t.Fatalf("the Cluster is not complete:\n%s", said)
}
