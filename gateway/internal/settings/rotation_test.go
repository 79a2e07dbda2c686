package settings

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// stopping is a store whose writes fail after some, as when a process is killed.
type stopping struct {
	state.Settings
	left atomic.Int64
}

func (s *stopping) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	if s.left.Add(-1) < 0 {
		return 0, state.ErrUnavailable
	}
	return s.Settings.Put(ctx, tenant, kind, name, value, version)
}

func (s *stopping) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	if s.left.Add(-1) < 0 {
		return state.ErrUnavailable
	}
	return s.Settings.Delete(ctx, tenant, kind, name, version)
}

// While documents are written all the time, first also by a replica that still seals with the old key, the key is rotated, stopped
// after each number of writes, and repeated. In the end the old key is taken out: every document opens, and has what was written last.
func TestRotationWithDocuments(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var store state.Store = local(t)
			if engine == "redis" {
				opened, err := redis.Open(redis.Options{URL: redistest.Start(t).URL(), Prefix: "surveygate", Holder: "test", Clock: clock.System()})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = opened.Close() })
				store = opened
			}
			const tenants, hooks = 3, 4
			old, both, only := one+","+two, two+","+one, two
			var last [tenants]atomic.Int64 // what was written last
			write := func(b *Book, tenant int) error {
				n := last[tenant].Load() + 1
				var changes []Change
				for i := range hooks {
					changes = append(changes, Change{Name: fmt.Sprint("webhook/h", i), Spec: fmt.Appendf(nil,
						`{"url": "https://a.example.com/", "signature": "none", "headers": {"X-Key": "key %d", "X-Fixed": "fixed"}}`, n)})
				}
				_, err := b.Apply(t.Context(), fmt.Sprint("t", tenant), changes, byTest)
				if err == nil {
					last[tenant].Store(n)
				}
				return err
			}
			book := func(keys string) *Book {
				b := newBook(t, store)
				b.Writer.Vault, b.Limits = newVault(t, store, keys), nil
				return b
			}
			first := book(old)
			if err := first.Writer.Vault.Prove(t.Context()); err != nil {
				t.Fatal(err)
			}
			for tenant := range tenants {
				if err := write(first, tenant); err != nil {
					t.Fatal(err)
				}
			}
			// traffic writes until it is stopped.
			traffic := func(b *Book) (stop func()) {
				ended := make(chan struct{})
				var writing sync.WaitGroup
				for tenant := range tenants {
					writing.Go(func() {
						for {
							select {
							case <-ended:
								return
							default:
							}
							if err := write(b, tenant); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				return func() { close(ended); writing.Wait() }
			}
			rotate := func(most int64) bool {
				s := &stopping{Settings: store}
				s.left.Store(most)
				_, err := newVault(t, s, both).Reseal(t.Context())
				if err != nil && !errors.Is(err, state.ErrUnavailable) {
					t.Error(err)
				}
				return err == nil
			}
			opens := func(keys string) {
				t.Helper()
				b := book(keys)
				for tenant := range tenants {
					all, err := b.documents(t.Context(), fmt.Sprint("t", tenant))
					if err != nil || len(all) != hooks {
						t.Fatalf("%d documents, %v", len(all), err)
					}
					for name, r := range all {
						if got, want := r.Secrets["headers.X-Key"].Expose(), fmt.Sprint("key ", last[tenant].Load()); got != want || len(r.Faults) > 0 || r.Secrets["headers.X-Fixed"].Expose() != "fixed" {
							t.Errorf("%s of t%d has %q, not %q: %v", name, tenant, got, want, r.Faults)
						}
					}
				}
			}
			stop := traffic(first)
			for n := range int64(4) {
				rotate(n * 3)
			}
			stop()
			opens(both)
			if err := newVault(t, store, only).Prove(t.Context()); err == nil {
				t.Error("the old key counts as not needed, and documents are sealed with it")
			}
			stop = traffic(book(both))
			for n := int64(0); n < 20 && !rotate(n); n++ {
			}
			rotate(1 << 40)
			stop()
			if !rotate(1 << 40) {
				t.Error("the rotation does not end")
			}
			if err := newVault(t, store, only).Prove(t.Context()); err != nil {
				t.Errorf("without the old key: %v", err)
			}
			opens(only)
		})
	}
}
