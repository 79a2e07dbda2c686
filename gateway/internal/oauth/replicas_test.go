package oauth_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// replicaStores are n connections to one Redis, as replicas have.
func replicaStores(t *testing.T, n int) []state.Store {
	t.Helper()
	address := redistest.Start(t, redistest.Durable...).URL()
	stores := make([]state.Store, n)
	for i := range stores {
		s, err := redis.Open(redis.Options{URL: address})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		stores[i] = s
	}
	return stores
}

// TestIdleReplica: a replica that finds in the store another token than its own says so, because that one may be withdrawn as well.
func TestIdleReplica(t *testing.T) {
	t.Parallel()
	i, store := newIssuer(t, "first"), openStore(t, nil)
	i.expiresIn = 0 // Salesforce does not say when a session ends
	idle, busy := newReplica(t, oauth.Options{Store: store}), newReplica(t, oauth.Options{Store: store})
	own := idle.delivers(t, i.credentials())
	i.revoke()
	stored := busy.send(t.Context(), i.credentials(), own.Token)
	i.revoke()
	first := idle.send(t.Context(), i.credentials(), connectors.Secret{})
	second := idle.send(t.Context(), i.credentials(), first.Token)
	third := idle.send(t.Context(), i.credentials(), second.Token)
	if own.TokenKept || stored.TokenKept || first.Token != own.Token || second.Token != stored.Token || !second.TokenKept {
		t.Errorf("own %t, stored %t, first %t, second %t", own.TokenKept, stored.TokenKept, first.TokenKept, second.TokenKept)
	}
	if third.Response == nil || third.Response.Status != http.StatusOK || third.TokenKept {
		t.Errorf("%s %v: %+v", third.Kind, third.Err, third.Response)
	}
}

// TestReplicasFetchOnce: two replicas that need a token at the same time ask for one, also when theirs is refused or a slow token
// endpoint makes one of them wait.
func TestReplicasFetchOnce(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	var replicas []*replica
	for _, store := range replicaStores(t, 2) {
		replicas = append(replicas, newReplica(t, oauth.Options{Store: store}))
	}
	all := func(refused connectors.Secret) {
		t.Helper()
		var group sync.WaitGroup
		for _, r := range replicas {
			for range 4 {
				group.Go(func() {
					res := r.send(t.Context(), i.refreshing(), refused)
					if res.Err != nil || res.Response.Status != http.StatusOK {
						t.Errorf("%s %v: %+v", res.Kind, res.Err, res.Response)
					}
				})
			}
		}
		group.Wait()
	}
	begun, release := make(chan struct{}), make(chan struct{})
	i.before = func(http.ResponseWriter, url.Values) bool { close(begun); <-release; return false }
	var group sync.WaitGroup
	group.Go(func() { all(connectors.Secret{}) })
	<-begun // one replica has the lease
	close(release)
	group.Wait()
	if n := i.fetches(); n != 1 {
		t.Fatalf("%d fetches", n)
	}
	i.before = nil
	for n := 2; n <= 5; n++ {
		used := i.newest()
		i.revoke()
		all(used)
		if got := i.fetches(); got != n {
			t.Fatalf("%d fetches, want %d", got, n)
		}
	}
}
