package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// contended is a store that says when somebody does not get a lease.
type contended struct {
	state.Store
	refused chan struct{}
}

func (s *contended) Lease(ctx context.Context, name, holder string, ttl time.Duration) (uint64, error) {
	fence, err := s.Store.Lease(ctx, name, holder, ttl)
	if errors.Is(err, state.ErrConflict) {
		select {
		case s.refused <- struct{}{}:
		default:
		}
	}
	return fence, err
}

// TestClientSecretChangesDuringARenewal: a replica with the configuration from before and one with the new one do not use a refresh
// token at the same time. A product that notices a second use withdraws all tokens.
func TestClientSecretChangesDuringARenewal(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	store := &contended{openStore(t, nil), make(chan struct{}, 1)}
	before, after := newReplica(t, oauth.Options{Store: store}), newReplica(t, oauth.Options{Store: store})
	asked, release := make(chan struct{}, 2), make(chan struct{})
	i.before = func(http.ResponseWriter, url.Values) bool { asked <- struct{}{}; <-release; return false }
	var group sync.WaitGroup
	send := func(r *replica, secret string) {
		auth := i.refreshing()
		auth.ClientSecret = connectors.NewSecret(secret)
		group.Go(func() {
			if res := r.send(t.Context(), auth, connectors.Secret{}); res.Err != nil || res.Response.Status != http.StatusOK {
				t.Errorf("%s: %s %v: %+v", secret, res.Kind, res.Err, res.Response)
			}
		})
	}
	send(before, "old")
	<-asked
	send(after, "new")
	select {
	case <-store.refused:
	case <-asked:
		t.Error("the refresh token is used twice at the same time")
	}
	close(release)
	group.Wait()
	if n := i.fetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// TestStoreComesBack: a refresh token that the store did not take is stored when it can be, although no request asks for it, so that the
// next replica does not use the one before. Until then every request fails, and none waits.
func TestStoreComesBack(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	store := &failing{Store: openStore(t, nil), failed: make(chan struct{}, 1)}
	a, b := newReplica(t, oauth.Options{Store: store}), newReplica(t, oauth.Options{Store: store.Store})
	a.delivers(t, i.refreshing())
	used := i.newest()
	i.revoke()
	store.mu.Lock()
	store.puts = 1 << 30
	store.mu.Unlock()
	for range 2 {
		if res := a.send(t.Context(), i.refreshing(), used); res.Kind != outbound.Busy {
			t.Fatalf("%s %v", res.Kind, res.Err)
		}
	}
	i.mu.Lock()
	i.former = "" // refused from now on
	i.mu.Unlock()
	store.mu.Lock()
	store.puts = 0
	store.mu.Unlock()
	res := b.send(t.Context(), i.refreshing(), used) // waits for a's lease or record
	if res.Err != nil || res.Response.Status != http.StatusOK || i.fetches() != 2 {
		t.Errorf("%s %v: %+v after %d fetches", res.Kind, res.Err, res.Response, i.fetches())
	}
}

// TestTokenIsSetDuringARefusal: a refresh token that a person stores while the product refuses the one before is used at once,
// because nothing would end a hold that begins after it was stored.
func TestTokenIsSetDuringARefusal(t *testing.T) {
	t.Parallel()
	i, store := newIssuer(t, "first"), openStore(t, nil)
	r := newReplica(t, oauth.Options{Store: store})
	r.delivers(t, i.refreshing())
	used := i.newest()
	i.revoke()
	i.current, i.former = "planted", "planted"
	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	i.before = func(http.ResponseWriter, url.Values) bool {
		once.Do(func() { close(asked); <-release })
		return false
	}
	done := make(chan outbound.Result, 1)
	go func() { done <- r.send(t.Context(), i.refreshing(), used) }()
	<-asked
	plant(t, store, "planted", noon)
	close(release)
	if res := <-done; res.Err != nil || res.Response.Status != http.StatusOK {
		t.Errorf("%s %v: %+v", res.Kind, res.Err, res.Response)
	}
}
