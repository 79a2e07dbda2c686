package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
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

// TestLifetimes: an expires_in in another form than a whole number costs neither the access token nor the refresh token.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	for form, lasts := range map[string]bool{
		`3600`: true, `3600.0`: true, `3.6e3`: true, `"3600"`: true, `1e12`: true, `1000000000000`: true,
		`0`: false, `-5`: false, `"soon"`: false, `null`: false, `"NaN"`: false, `[]`: false,
	} {
		i, c := newIssuer(t, "first"), clock.NewManual(noon)
		first := true
		i.before = func(w http.ResponseWriter, values url.Values) bool {
			if !first {
				return false
			}
			first = false
			i.mu.Lock()
			defer i.mu.Unlock()
			i.access, i.current, i.former = "access", "rotated", "rotated"
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"access_token": "access", "refresh_token": "rotated", "token_type": "Bearer", "instance_url": %q, "expires_in": %s}`, i.address, form)
			return true
		}
		r := newReplica(t, oauth.Options{Store: openStore(t, c), Clock: c})
		r.delivers(t, i.refreshing())
		c.Advance(30 * time.Minute)
		r.delivers(t, i.refreshing())
		if n := i.fetches(); n != 1 {
			t.Errorf("%s: %d fetches", form, n)
		}
		if c.Advance(100 * 365 * 24 * time.Hour); !lasts {
			r.delivers(t, i.refreshing())
			if n := i.fetches(); n != 1 {
				t.Errorf("%s: %d fetches after a century", form, n)
			}
			continue
		}
		r.delivers(t, i.refreshing())
		if n := i.fetches(); n != 2 {
			t.Errorf("%s: %d fetches after a century", form, n)
		}
	}
}

// TestStoreIsEmptied: a refresh token that the store has lost, but a running gateway knows, is used and stored again.
func TestStoreIsEmptied(t *testing.T) {
	t.Parallel()
	i, store := newIssuer(t, "first"), openStore(t, nil)
	r := newReplica(t, oauth.Options{Store: store})
	first := r.delivers(t, i.refreshing())
	i.revoke()
	second := r.send(t.Context(), i.refreshing(), first.Token) // uses up the first refresh token, which is configured
	i.mu.Lock()
	i.former = ""
	i.mu.Unlock()
	i.revoke()
	kept, err := store.List(t.Context(), "acme", "token-fetched")
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d records, %v", len(kept), err)
	}
	if err := store.Delete(t.Context(), "acme", "token-fetched", kept[0].Name, kept[0].Version); err != nil {
		t.Fatal(err)
	}
	if res := r.send(t.Context(), i.refreshing(), second.Token); res.Err != nil || res.Response.Status != http.StatusOK {
		t.Fatalf("%s %v: %+v", res.Kind, res.Err, res.Response)
	}
	newReplica(t, oauth.Options{Store: store}).delivers(t, i.refreshing())
	if n := i.fetches(); n != 3 {
		t.Errorf("%d fetches", n)
	}
}

// TestReplicaLacksTheKey: in a rotation, a replica without the new key leaves the delivery to the others, which have it.
func TestReplicaLacksTheKey(t *testing.T) {
	t.Parallel()
	i, store := newIssuer(t, "first"), openStore(t, nil)
	lacking := box{fail: fmt.Errorf("%w: the value is sealed with k2", vault.ErrNoKey)}
	newReplica(t, oauth.Options{Store: store}).delivers(t, i.refreshing())
	res := newReplica(t, oauth.Options{Store: store, Vault: lacking}).send(t.Context(), i.refreshing(), connectors.Secret{})
	if res.Kind != outbound.Busy || res.Err.Error() != "this replica cannot read the refresh token: the key is missing: the value is sealed with k2" {
		t.Errorf("%s %v", res.Kind, res.Err)
	}
}

// leasing is a store whose leases have all ended.
type leasing struct{ state.Store }

func (leasing) Lease(context.Context, string, string, time.Duration) (uint64, error) {
	return 1 << 20, nil
}

// TestStoreComesBackLate: a replica that uses a refresh token whose successor another one could not store waits for it.
func TestStoreComesBackLate(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, "first")
	store := &failing{Store: openStore(t, nil), failed: make(chan struct{}, 1)}
	a, b := newReplica(t, oauth.Options{Store: store}), newReplica(t, oauth.Options{Store: leasing{store.Store}})
	a.delivers(t, i.refreshing())
	used := i.newest()
	i.revoke()
	store.mu.Lock()
	store.puts = 1 << 30
	store.mu.Unlock()
	done := make(chan outbound.Result, 1)
	go func() { done <- a.send(t.Context(), i.refreshing(), used) }()
	<-store.failed
	i.mu.Lock()
	i.former = "" // refused from now on
	i.before = func(http.ResponseWriter, url.Values) bool {
		store.mu.Lock()
		defer store.mu.Unlock()
		store.puts = 0
		return false
	}
	i.mu.Unlock()
	res := b.send(t.Context(), i.refreshing(), used)
	if res.Err != nil || res.Response.Status != http.StatusOK || i.fetches() != 3 {
		t.Errorf("%s %v: %+v after %d fetches", res.Kind, res.Err, res.Response, i.fetches())
	}
	<-done
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
