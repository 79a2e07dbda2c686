package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// record is a setting as an owner of sealed values keeps it.
type record struct {
	Version int               `json:"v"`
	Refresh string            `json:"refresh"`
	Headers map[string]string `json:"headers,omitempty"`
	At      json.Number       `json:"at"`
}

// keepRecord stores a setting of two sealed values.
func keepRecord(t testing.TB, v *Vault, tenant, name string) {
	t.Helper()
	sealed := func(field string) string {
		text, err := v.Seal(tenant, "token", name, field, []byte(field+" of "+name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	value, err := json.Marshal(record{1, sealed("refresh"), map[string]string{"X-Key": sealed("X-Key")}, "12345678901234567890"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.options.Store.Put(t.Context(), tenant, "token", name, value, 0); err != nil {
		t.Fatal(err)
	}
}

// opens reads a setting that keepRecord stored, and returns the ids of its keys.
func opens(t testing.TB, v *Vault, tenant, name string) []string {
	t.Helper()
	setting, err := v.options.Store.Get(t.Context(), tenant, "token", name)
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(setting.Value, &r); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for field, text := range map[string]string{"refresh": r.Refresh, "X-Key": r.Headers["X-Key"]} {
		plain, err := v.Open(tenant, "token", name, field, text)
		if err != nil || string(plain) != field+" of "+name {
			t.Errorf("%s of %s: %q, %v", field, name, plain, err)
		}
		if id := keyID(text); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if r.At != "12345678901234567890" || r.Version != 1 {
		t.Errorf("the rest of %s changed: %+v", name, r)
	}
	return ids
}

func neededKeys(t testing.TB, store state.Settings) []string {
	t.Helper()
	ids, err := Needed(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// The way of a rotation: the new key in front, everything sealed anew, the old one out.
func TestRotate(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		old := newVault(t, store, "k1:"+one)
		if err := old.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			keepRecord(t, old, "acme", fmt.Sprint("c", i))
		}
		keepRecord(t, old, "zeta", "crm")
		v := newVault(t, store, "k2:"+two+",k1:"+one)
		if err := v.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		keepRecord(t, v, "acme", "new")
		got, err := v.Reseal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Resealed{Current: "k2", Values: 42, Unneeded: []string{"k1"}}, got); diff != "" {
			t.Errorf("the first time (-want +got):\n%s", diff)
		}
		if got, err = v.Reseal(t.Context()); err != nil || got.Values != 0 || len(got.Unneeded) != 0 {
			t.Errorf("the second time: %+v, %v", got, err)
		}
		only := newVault(t, store, "k2:"+two)
		if err := only.Prove(t.Context()); err != nil {
			t.Errorf("without the old key: %v", err)
		}
		for i := range 20 {
			if ids := opens(t, only, "acme", fmt.Sprint("c", i)); !slices.Equal(ids, []string{"k2"}) {
				t.Errorf("sealed with %v", ids)
			}
		}
		opens(t, only, "zeta", "crm")
		if ids := neededKeys(t, store); !slices.Equal(ids, []string{"k2"}) {
			t.Errorf("the store needs %v", ids)
		}
	})
}

// failing is a store whose writes fail after some, as when a process is killed half-way.
type failing struct {
	state.Settings
	mu   sync.Mutex
	left int
}

func (f *failing) fails() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left--
	return f.left < 0
}

func (f *failing) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	if f.fails() {
		return 0, state.ErrUnavailable
	}
	return f.Settings.Put(ctx, tenant, kind, name, value, version)
}

func (f *failing) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	if f.fails() {
		return state.ErrUnavailable
	}
	return f.Settings.Delete(ctx, tenant, kind, name, version)
}

// Wherever a rotation stops, everything opens with both keys, the old key counts as needed while anything is sealed with it,
// and another try completes it.
func TestRotationStoppedAnywhere(t *testing.T) {
	t.Parallel()
	const records = 3
	for stop := 0; ; stop++ {
		store := local(t)
		old := newVault(t, store, "k1:"+one)
		if err := old.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range records {
			keepRecord(t, old, "acme", fmt.Sprint("c", i))
		}
		keepRecord(t, old, "zeta", "crm")
		both := "k2:" + two + ",k1:" + one
		stopped := newVault(t, &failing{Settings: store, left: stop}, both)
		_, err := stopped.Reseal(t.Context())
		ended := err == nil
		if !ended && !errors.Is(err, state.ErrUnavailable) {
			t.Fatal(err)
		}
		v, sealedWithOld := newVault(t, store, both), false
		for i := range records {
			sealedWithOld = slices.Contains(opens(t, v, "acme", fmt.Sprint("c", i)), "k1") || sealedWithOld
		}
		sealedWithOld = slices.Contains(opens(t, v, "zeta", "crm"), "k1") || sealedWithOld
		if sealedWithOld && newVault(t, store, "k2:"+two).Prove(t.Context()) == nil {
			t.Errorf("stopped after %d writes, the old key counts as not needed", stop)
		}
		if _, err := v.Reseal(t.Context()); err != nil {
			t.Errorf("repeated after %d writes: %v", stop, err)
		}
		if err := newVault(t, store, "k2:"+two).Prove(t.Context()); err != nil {
			t.Errorf("repeated after %d writes: %v", stop, err)
		}
		if ended {
			if stop < records {
				t.Errorf("it ended after %d writes", stop)
			}
			return
		}
	}
}

// While values are sealed anew, their owners write them, and no write is lost.
func TestRotationUnderTraffic(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		old := newVault(t, store, "k1:"+one)
		const owners, writes = 4, 30
		for i := range owners {
			keepRecord(t, old, "acme", fmt.Sprint("c", i))
		}
		v := newVault(t, store, "k2:"+two+",k1:"+one)
		var writing sync.WaitGroup
		for i := range owners {
			writing.Go(func() {
				name := fmt.Sprint("c", i)
				for n := range writes {
					text, err := v.Seal("acme", "token", name, "refresh", fmt.Appendf(nil, "write %d", n))
					if err != nil {
						t.Error(err)
						return
					}
					for {
						setting, err := store.Get(t.Context(), "acme", "token", name)
						if err != nil {
							t.Error(err)
							return
						}
						var r record
						if err := json.Unmarshal(setting.Value, &r); err != nil {
							t.Error(err)
							return
						}
						r.Refresh = text
						value, _ := json.Marshal(r)
						if _, err = store.Put(t.Context(), "acme", "token", name, value, setting.Version); err == nil {
							break
						}
						if !errors.Is(err, state.ErrConflict) {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		for range 5 {
			if _, err := v.Reseal(t.Context()); err != nil {
				t.Error(err)
			}
		}
		writing.Wait()
		if _, err := v.Reseal(t.Context()); err != nil {
			t.Error(err)
		}
		only := newVault(t, store, "k2:"+two)
		for i := range owners {
			name := fmt.Sprint("c", i)
			setting, err := store.Get(t.Context(), "acme", "token", name)
			if err != nil {
				t.Fatal(err)
			}
			var r record
			if err := json.Unmarshal(setting.Value, &r); err != nil {
				t.Fatal(err)
			}
			if plain, err := only.Open("acme", "token", name, "refresh", r.Refresh); err != nil || string(plain) != fmt.Sprint("write ", writes-1) {
				t.Errorf("%s: %q, %v", name, plain, err)
			}
			if plain, err := only.Open("acme", "token", name, "X-Key", r.Headers["X-Key"]); err != nil || string(plain) != "X-Key of "+name {
				t.Errorf("%s: %q, %v", name, plain, err)
			}
		}
	})
}

// late is a store in which somebody writes a value with the old key when its mark is deleted.
type late struct {
	state.Settings
	write func()
}

func (l *late) Delete(ctx context.Context, tenant, kind, name string, version uint64) error {
	err := l.Settings.Delete(ctx, tenant, kind, name, version)
	if name == "k1/acme/token" && l.write != nil {
		l.write()
		l.write = nil
	}
	return err
}

// A replica that still seals with the old key keeps it needed.
func TestReplicaWithTheOldKey(t *testing.T) {
	t.Parallel()
	store := local(t)
	old := newVault(t, store, "k1:"+one)
	keepRecord(t, old, "acme", "crm")
	both := "k2:" + two + ",k1:" + one
	text, err := old.Seal("acme", "token", "late", "refresh", []byte("refresh of late"))
	if err != nil {
		t.Fatal(err)
	}
	v := newVault(t, &late{store, func() { // sealed before the mark was deleted, stored after
		if _, err := store.Put(t.Context(), "acme", "token", "late", fmt.Appendf(nil, `{"refresh":%q}`, text), 0); err != nil {
			t.Error(err)
		}
	}}, both)
	got, err := v.Reseal(t.Context())
	if err != nil || !slices.Equal(got.Needed, []string{"k1"}) || got.Unneeded != nil {
		t.Errorf("said %+v, %v", got, err)
	}
	if got, err = v.Reseal(t.Context()); err != nil || !slices.Equal(got.Unneeded, []string{"k1"}) {
		t.Errorf("repeated: %+v, %v", got, err)
	}
	keepRecord(t, old, "acme", "later")
	if ids := neededKeys(t, store); !slices.Contains(ids, "k1") {
		t.Errorf("the store needs %v", ids)
	}
}

// What does not open is left as it is, and counted.
func TestResealLeavesWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	store := local(t)
	old := newVault(t, store, "k1:"+one)
	keepRecord(t, old, "acme", "crm")
	moved, err := store.Get(t.Context(), "acme", "token", "crm")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string][]byte{"moved": moved.Value, "text": []byte("k1 is not JSON"), "empty": nil} {
		if _, err := store.Put(t.Context(), "acme", "token", name, value, 0); err != nil {
			t.Fatal(err)
		}
	}
	got, err := newVault(t, store, "k2:"+two+",k1:"+one).Reseal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Resealed{Current: "k2", Values: 2, Unopened: 2, Needed: []string{"k1"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	after, err := store.Get(t.Context(), "acme", "token", "moved")
	if err != nil || string(after.Value) != string(moved.Value) {
		t.Errorf("it was changed: %v", err)
	}
	// Without the old key nothing of it is touched.
	if got, err = newVault(t, store, "k2:"+two).Reseal(t.Context()); err != nil || got.Unopened != 2 || !slices.Equal(got.Needed, []string{"k1"}) {
		t.Errorf("without the old key: %+v, %v", got, err)
	}
}

// A gateway with other keys than the store's is refused at its start, and told what to do.
func TestProve(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		first := newVault(t, store, one)
		if err := first.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		refused := func(text, want string, differs bool) {
			t.Helper()
			err := newVault(t, store, text).Prove(t.Context())
			lost, ok := errors.AsType[*LostKeyError](err)
			if !ok || lost.ID != "k1" || lost.Differs != differs || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--lost-key k1") {
				t.Errorf("%q: %v", text[:min(len(text), 3)], err)
			}
		}
		refused(two, "k1 is not the one that the store was sealed with", true)
		refused("k2:"+two, "needs the key k1, which this gateway does not have", false)
		refused("", "needs the key k1, which this gateway does not have", false)
		keepRecord(t, first, "acme", "crm")
		refused("k2:"+two, "token of tenant acme", false)
		for _, text := range []string{one, "k2:" + two + ",k1:" + one, "k1:" + one + ",k2:" + two} {
			if err := newVault(t, store, text).Prove(t.Context()); err != nil {
				t.Errorf("%v", err)
			}
		}
	})
}

// The error of a lost key stays short, however many tenants it concerns.
func TestLostKeyOfManyTenants(t *testing.T) {
	t.Parallel()
	store := local(t)
	v := newVault(t, store, one)
	for i := range 50 {
		if _, err := v.Seal(fmt.Sprint("t", i), "token", "crm", "refresh", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := newVault(t, store, "k2:"+two).Prove(t.Context()); err == nil || !strings.Contains(err.Error(), "and 40 more)") {
		t.Errorf("said %v", err)
	}
}

// Of two replicas that start at once with different keys on an empty store, one is refused.
func TestProveAtOnce(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		var proving sync.WaitGroup
		var errs [2]error
		for i, text := range []string{one, two} {
			v := newVault(t, store, text)
			proving.Go(func() { errs[i] = v.Prove(t.Context()) })
		}
		proving.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("%v and %v", errs[0], errs[1])
		}
	})
}

// crowded is a store in which another replica records its key just before the first one does.
type crowded struct {
	state.Settings
	other func() error
}

func (c *crowded) Put(ctx context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	if other := c.other; other != nil {
		c.other = nil
		if err := other(); err != nil {
			return 0, err
		}
	}
	return c.Settings.Put(ctx, tenant, kind, name, value, version)
}

// Also where the ids of their keys differ, and the one that is refused leaves nothing behind.
func TestProveAtOnceWithOtherIDs(t *testing.T) {
	t.Parallel()
	store := local(t)
	first := newVault(t, store, one)
	second := newVault(t, &crowded{store, func() error { return first.Prove(t.Context()) }}, "k2:"+two)
	if err := second.Prove(t.Context()); err == nil || !strings.Contains(err.Error(), "needs the key k1") {
		t.Errorf("said %v", err)
	}
	if ids := neededKeys(t, store); !slices.Equal(ids, []string{"k1"}) {
		t.Errorf("the store needs %v", ids)
	}
}

// With a lost key, what was sealed with it is deleted on somebody's word, and nothing else is.
func TestForget(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		old := newVault(t, store, "k1:"+one)
		if err := old.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		keepRecord(t, old, "acme", "lost")
		v := newVault(t, store, "k2:"+two)
		keepRecord(t, v, "acme", "crm")
		if _, err := store.Put(t.Context(), "acme", "token", "plain", []byte(`{"a":1}`), 0); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 0} {
			if deleted, err := Forget(t.Context(), store, keys(t, "k2:"+two), "k1"); err != nil || deleted != want {
				t.Errorf("deleted %d, %v; want %d", deleted, err, want)
			}
		}
		if err := v.Prove(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		opens(t, v, "acme", "crm")
		left, err := store.List(t.Context(), "acme", "token")
		if err != nil || len(left) != 2 {
			t.Errorf("%d are left, %v", len(left), err)
		}
		if deleted, err := Forget(t.Context(), store, keys(t, "k2:"+two), "k2"); err != nil || deleted != 0 {
			t.Errorf("of a key that is there, %d were deleted, %v", deleted, err)
		}
		// Another key of the same id opens nothing.
		if deleted, err := Forget(t.Context(), store, keys(t, "k2:"+three), "k2"); err != nil || deleted != 1 {
			t.Errorf("of a key that differs, %d were deleted, %v", deleted, err)
		}
	})
}

func TestPlant(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		v := newVault(t, store, "k1:"+one)
		if _, err := v.Planted(t.Context(), "acme", "crm"); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("none yet: %v", err)
		}
		for i, token := range []string{"first-token", "second-token"} {
			at := time.Unix(1e9+int64(i), 0)
			if err := v.Plant(t.Context(), "acme", "crm", Planted{[]byte(token), at}); err != nil {
				t.Fatal(err)
			}
			got, err := v.Planted(t.Context(), "acme", "crm")
			if err != nil || string(got.Token) != token || !got.At.Equal(at) {
				t.Errorf("planted %q of %s, %v", got.Token, got.At, err)
			}
		}
		setting, err := store.Get(t.Context(), "acme", KindPlanted, "crm")
		if err != nil || strings.Contains(string(setting.Value), "token") {
			t.Errorf("kept as %s, %v", setting.Value, err)
		}
		rotated := newVault(t, store, "k2:"+two+",k1:"+one)
		if got, err := rotated.Reseal(t.Context()); err != nil || got.Values != 1 {
			t.Errorf("sealed anew: %+v, %v", got, err)
		}
		got, err := newVault(t, store, "k2:"+two).Planted(t.Context(), "acme", "crm")
		if err != nil || string(got.Token) != "second-token" || !got.At.Equal(time.Unix(1e9+1, 0)) {
			t.Errorf("after the rotation %q of %s, %v", got.Token, got.At, err)
		}
	})
}
