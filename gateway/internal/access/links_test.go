package access_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// replicas returns two replicas of the links in one store: with Redis, each has a connection of its own.
func replicas(t *testing.T, engine string, c *clock.Manual) (all [2]*access.Links) {
	t.Helper()
	var stores [2]state.Store
	var err error
	if engine == "embedded" {
		stores[0], err = embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: c})
		stores[1] = stores[0]
	} else {
		url := redistest.Start(t).URL()
		for i := range stores {
			if err == nil {
				stores[i], err = redis.Open(redis.Options{URL: url, Clock: c})
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, store := range stores {
		if i == 0 || store != stores[0] {
			t.Cleanup(func() { _ = store.Close() })
		}
		all[i] = &access.Links{Store: store, Clock: c}
	}
	return all
}

// A link that is opened many times at once, on two replicas, begins one session; one that is deleted meanwhile, with its tenant or alone,
// leaves none. One that has expired begins none.
func TestPortalLinkOpensOnce(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
			c := clock.NewManual(noon)
			replicas := replicas(t, engine, c)
			for round := range 20 {
				deletes := round%2 == 1
				link, key, err := replicas[0].Make(t.Context(), "acme", access.Link{
					Capabilities: []access.Capability{access.CanWebhooks}, Session: 3600, Expires: noon.Add(time.Hour),
				})
				if err != nil {
					t.Fatal(err)
				}
				sessions, deleted := make(chan *access.Session, 16), make(chan error, 1)
				var all sync.WaitGroup
				for i := range cap(sessions) {
					all.Go(func() {
						_, session, err := replicas[i%2].Open(t.Context(), key, nil)
						if err == nil {
							sessions <- session
						} else if !errors.Is(err, access.ErrLinkEnded) {
							t.Error(err)
						}
					})
				}
				if deletes {
					all.Go(func() { deleted <- replicas[1].Delete(t.Context(), "acme", link.ID) })
				}
				all.Wait()
				close(sessions)
				if n := len(sessions); n > 1 || n == 0 && !deletes {
					t.Errorf("%d sessions", n)
				}
				for session := range sessions {
					for _, replica := range replicas {
						if grant, err := replica.Grant(t.Context(), session); err != nil || (grant == nil) != deletes {
							t.Errorf("round %d: %v, %v", round, grant, err)
						}
					}
				}
				if deletes {
					if err := <-deleted; err != nil {
						t.Error(err)
					}
				}
			}
			_, late, err := replicas[0].Make(t.Context(), "acme", access.Link{Session: 3600, Expires: noon.Add(time.Minute)})
			if err != nil {
				t.Fatal(err)
			}
			c.Advance(time.Minute)
			if _, session, err := replicas[1].Open(t.Context(), late, nil); !errors.Is(err, access.ErrLinkEnded) || session != nil {
				t.Errorf("one that has expired: %v, %v", session, err)
			}
		})
	}
}
