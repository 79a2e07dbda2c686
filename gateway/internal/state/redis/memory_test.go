package redis

import (
	"strconv"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// The default bounds follow maxmemory, also when it is changed while the gateway runs.
func TestSharesOfMaxmemory(t *testing.T) {
	t.Parallel()
	srv := start(t)
	s := gate(t, srv.url())
	for maxmemory, want := range map[int64]int64{0: 1 << 30, 200 << 20: 120 << 20, 10 << 30: 6 << 30} {
		srv.config("maxmemory", strconv.FormatInt(maxmemory, 10))
		got, err := s.Shares(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sum := got.Events + got.Dedupe + got.Waiting; sum > want || sum < want-1000 || got.Events < sum/2 || got.Dedupe == 0 || got.Waiting == 0 {
			t.Errorf("maxmemory %d: %+v is %d, want %d", maxmemory, got, sum, want)
		}
		// What is said stands.
		said := state.Retention{Events: state.Bound{Bytes: 5}}.With(got)
		if said.Events.Bytes != 5 || said.Dedupe.Bytes != got.Dedupe || said.Waiting.Bytes != got.Waiting {
			t.Errorf("got %+v", said)
		}
	}
}

// In a Cluster, the node with the least memory for each of its shards limits all of them.
func TestSharesOfACluster(t *testing.T) {
	t.Parallel()
	url, nodes := startCluster(t)
	s := gate(t, url)
	for _, n := range nodes {
		n.config("maxmemory", strconv.Itoa(300<<20))
	}
	got, err := s.Shares(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Of four shards on three nodes two share one, with 150 MiB for each: 600 MiB for all.
	if sum, want := got.Events+got.Dedupe+got.Waiting, int64(360<<20); sum > want || sum < want-1000 {
		t.Errorf("%+v is %d, want %d", got, sum, want)
	}
}
