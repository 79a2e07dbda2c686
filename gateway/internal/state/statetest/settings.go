package statetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

var settings = []test{
	{name: "are written by compare and set", run: func(s *suite) {
		st := s.store()
		v1, err := st.Put(s.ctx, acme, "webhook", "hook", []byte("one"), 0)
		s.ok(err)
		if _, err := st.Put(s.ctx, acme, "webhook", "hook", []byte("x"), 0); !errors.Is(err, state.ErrConflict) {
			s.Fatalf("made twice: %v", err)
		}
		v2, err := s.h.Second().Put(s.ctx, acme, "webhook", "hook", []byte("two"), v1)
		s.ok(err)
		if _, err := st.Put(s.ctx, acme, "webhook", "hook", []byte("x"), v1); !errors.Is(err, state.ErrConflict) {
			s.Fatalf("written over a newer one: %v", err)
		}
		got, err := st.Get(s.ctx, acme, "webhook", "hook")
		s.ok(err)
		s.same("setting", got, state.Setting{Kind: "webhook", Name: "hook", Value: []byte("two"), Version: v2})
		if err := st.Delete(s.ctx, acme, "webhook", "hook", v1); !errors.Is(err, state.ErrConflict) {
			s.Fatalf("deleted by an old version: %v", err)
		}
		s.ok(st.Delete(s.ctx, acme, "webhook", "hook", v2))
		for what, err := range map[string]error{
			"get":    func() error { _, err := st.Get(s.ctx, acme, "webhook", "hook"); return err }(),
			"delete": st.Delete(s.ctx, acme, "webhook", "hook", v2),
		} {
			if !errors.Is(err, state.ErrNotFound) {
				s.Errorf("%s: %v", what, err)
			}
		}
		v3, err := st.Put(s.ctx, acme, "webhook", "hook", []byte("three"), 0)
		s.ok(err)
		if v3 == v1 || v3 == v2 {
			s.Fatal("a setting made again has a version it had before")
		}
	}},
	{name: "are written together, all or nothing", run: func(s *suite) {
		const zeta = "zeta"
		st := s.store()
		changes, err := s.h.Second().Watch(s.ctx, "*")
		s.ok(err)
		kept, err := st.Put(s.ctx, acme, "rule", "kept", []byte("one"), 0)
		s.ok(err)
		gone, err := st.Put(s.ctx, acme, "rule", "gone", []byte("one"), 0)
		s.ok(err)
		s.sees(changes, state.Change{Tenant: acme, Kind: "rule", Name: "gone"})
		batch := func() *state.Batch {
			return &state.Batch{
				Writes: []state.Write{
					{Tenant: acme, Kind: "rule", Name: "new", Value: []byte("one")},
					{Tenant: acme, Kind: "rule", Name: "kept", Value: []byte("two"), Version: kept},
					{Tenant: acme, Kind: "rule", Name: "gone", Verb: state.Remove, Version: gone},
					{Tenant: acme, Kind: "rule", Name: "never", Verb: state.Remove, Version: 17},
					{Tenant: zeta, Kind: "mark", Name: "made", Value: []byte("made"), Verb: state.Ensure},
				},
				Items: []state.Item{
					{Tenant: acme, List: "audit", Head: []byte("first "), Tail: []byte("."), Of: 1, Max: 10, TTL: time.Hour},
					{Tenant: acme, List: "audit", Head: []byte("second "), Tail: []byte("."), Of: 2, Max: 10, TTL: time.Hour},
					{Tenant: zeta, List: "audit", Head: []byte("third"), Max: 10, TTL: time.Hour},
				},
			}
		}
		items := func(tenant string) []string {
			list, err := s.store().Kept(s.ctx, tenant, "audit", 0, -1)
			s.ok(err)
			all := []string{}
			for _, item := range list {
				all = append(all, string(item))
			}
			return all
		}
		// One setting that has another version refuses all, wherever it stands.
		for i, wrong := range map[int]uint64{0: 17, 1: kept + 1, 2: gone + 1} {
			b := batch()
			b.Writes[i].Version = wrong
			if _, err := st.WriteAll(s.ctx, b); !errors.Is(err, state.ErrConflict) {
				s.Errorf("write %d has another version: %v", i, err)
			}
			all, err := st.List(s.ctx, acme, "rule")
			s.ok(err)
			s.same("settings after a refusal", all, []state.Setting{
				{Kind: "rule", Name: "gone", Value: []byte("one"), Version: gone}, {Kind: "rule", Name: "kept", Value: []byte("one"), Version: kept},
			})
			_, err = st.Get(s.ctx, zeta, "mark", "made")
			s.same("a mark after a refusal", errors.Is(err, state.ErrNotFound), true)
			s.same("items after a refusal", append(items(acme), items(zeta)...), []string{})
		}
		for what, wrong := range map[string]func(*state.Batch){
			"a name twice":          func(b *state.Batch) { b.Writes[0].Name = "kept" },
			"an item of no write":   func(b *state.Batch) { b.Items[0].Of = 6 },
			"an item of a write -1": func(b *state.Batch) { b.Items[0].Of = -1 },
		} {
			b := batch()
			wrong(b)
			if _, err := st.WriteAll(s.ctx, b); !errors.Is(err, state.ErrInvalid) {
				s.Errorf("%s: %v", what, err)
			}
		}
		before, err := st.Put(s.ctx, acme, "other", "x", nil, 0)
		s.ok(err)
		versions, err := st.WriteAll(s.ctx, batch())
		s.ok(err)
		if len(versions) != 5 || versions[0] <= before || versions[1] <= versions[0] || versions[2] != 0 || versions[3] != 0 || versions[4] <= versions[1] {
			s.Fatalf("the versions are %v, after %d", versions, before)
		}
		for _, c := range []state.Change{{Tenant: acme, Kind: "rule", Name: "new"}, {Tenant: acme, Kind: "rule", Name: "gone"}, {Tenant: zeta, Kind: "mark", Name: "made"}} {
			s.sees(changes, c)
		}
		written := func() {
			s.Helper()
			all, err := s.store().List(s.ctx, acme, "rule")
			s.ok(err)
			s.same("settings", all, []state.Setting{
				{Kind: "rule", Name: "kept", Value: []byte("two"), Version: versions[1]}, {Kind: "rule", Name: "new", Value: []byte("one"), Version: versions[0]},
			})
			made, err := s.store().Get(s.ctx, zeta, "mark", "made")
			s.ok(err)
			s.same("a setting of another tenant", made, state.Setting{Kind: "mark", Name: "made", Value: []byte("made"), Version: versions[4]})
			s.same("items", append(items(acme), items(zeta)...), []string{fmt.Sprintf("second %d.", versions[1]), fmt.Sprintf("first %d.", versions[0]), "third"})
		}
		written()
		last, err := st.LastChanges(s.ctx, "rule")
		s.ok(err)
		if len(last) != 1 || last[0].Tenant != acme || last[0].Version <= versions[1] { // the deletion is the last
			s.Errorf("the last changes are %v, after %v", last, versions)
		}
		s.h.Crash()
		written()
		next, err := s.store().Put(s.ctx, acme, "rule", "next", nil, 0)
		s.ok(err)
		if next <= last[0].Version {
			s.Errorf("the version %d of a put after %d", next, last[0].Version)
		}
		// What is ensured is not written over, and does not change its version.
		again, err := s.store().WriteAll(s.ctx, &state.Batch{Writes: []state.Write{
			{Tenant: zeta, Kind: "mark", Name: "made", Value: []byte("again"), Verb: state.Ensure},
			{Tenant: acme, Kind: "rule", Name: "next", Value: []byte("one"), Version: next},
		}})
		s.ok(err)
		if len(again) != 2 || again[0] != 0 || again[1] <= next {
			s.Errorf("the versions are %v, after %d", again, next)
		}
		made, err := s.store().Get(s.ctx, zeta, "mark", "made")
		s.ok(err)
		s.same("what was ensured", string(made.Value), "made")
		versions, err = s.store().WriteAll(s.ctx, &state.Batch{})
		s.ok(err)
		s.same("an empty batch", len(versions), 0)
	}},
	{name: "as many as a tenant has are written together", run: func(s *suite) {
		const n = 1000
		b := &state.Batch{}
		for i := range n {
			b.Writes = append(b.Writes, state.Write{Tenant: acme, Kind: "setting", Name: fmt.Sprintf("n%04d", i), Value: make([]byte, 4<<10)})
			b.Items = append(b.Items, state.Item{Tenant: acme, List: "audit", Head: []byte(fmt.Sprint(i, " ")), Of: i + 1, Max: n, TTL: time.Hour})
		}
		versions, err := s.store().WriteAll(s.ctx, b)
		s.ok(err)
		all, err := s.store().List(s.ctx, acme, "setting")
		s.ok(err)
		s.same("how many", []int{len(all), len(versions)}, []int{n, n})
		items, err := s.store().Kept(s.ctx, acme, "audit", 0, -1)
		s.ok(err)
		for i := range all {
			s.same("a version", all[i].Version, versions[i])
			s.same("an item", string(items[n-1-i]), fmt.Sprint(i, " ", versions[i]))
		}
	}},
	{name: "are listed by kind, and kept", run: func(s *suite) {
		for _, n := range []string{"b", "a", "a/b", "ü", "c"} {
			_, err := s.store().Put(s.ctx, acme, "rule", n, []byte("v "+n), 0)
			s.ok(err)
		}
		_, err := s.store().Put(s.ctx, acme, "rules", "other", nil, 0)
		s.ok(err)
		s.h.Reopen()
		all, err := s.store().List(s.ctx, acme, "rule")
		s.ok(err)
		var names []string
		for _, x := range all {
			names = append(names, x.Name)
			s.same("value", string(x.Value), "v "+x.Name)
		}
		s.same("names", names, []string{"a", "a/b", "b", "c", "ü"})
		got, err := s.store().Get(s.ctx, acme, "rules", "other")
		s.ok(err)
		s.same("an empty value", len(got.Value), 0)
	}},
	{name: "names cannot overlap with others", run: func(s *suite) {
		st := s.store()
		_, err := st.Put(s.ctx, acme, "kind\x00name", "x", []byte("1"), 0)
		s.ok(err)
		if _, err := st.Get(s.ctx, acme, "kind", "name\x00x"); !errors.Is(err, state.ErrNotFound) {
			s.Errorf("got %v", err)
		}
		if _, err := st.Get(s.ctx, acme+"\x00kind", "name", "x"); !errors.Is(err, state.ErrNotFound) {
			s.Errorf("got %v", err)
		}
	}},
	{name: "changes are watched", run: func(s *suite) {
		ctx, cancel := context.WithCancel(s.ctx)
		mine, err := s.store().Watch(ctx, acme)
		s.ok(err)
		all, err := s.h.Second().Watch(ctx, "*")
		s.ok(err)
		v, err := s.store().Put(s.ctx, acme, "rule", "a", nil, 0)
		s.ok(err)
		s.ok(s.store().Delete(s.ctx, acme, "rule", "a", v))
		_, err = s.store().Put(s.ctx, "zeta", "rule", "z", nil, 0)
		s.ok(err)
		s.sees(mine, state.Change{Tenant: acme, Kind: "rule", Name: "a"})
		s.sees(all, state.Change{Tenant: acme, Kind: "rule", Name: "a"})
		s.sees(all, state.Change{Tenant: "zeta", Kind: "rule", Name: "z"})
		cancel()
		for range mine {
		}
		for range all {
		}
	}},
	{name: "a slow watcher is notified after the last change", run: func(s *suite) {
		changes, err := s.store().Watch(s.ctx, acme)
		s.ok(err)
		last := map[string]uint64{}
		for i := range 300 {
			name := fmt.Sprint("n", i%5)
			v, err := s.store().Put(s.ctx, acme, "rule", name, []byte(fmt.Sprint(i)), last[name])
			s.ok(err)
			last[name] = v
		}
		seen := map[string]uint64{}
		for !same(seen, last) {
			select {
			case c := <-changes:
				got, err := s.store().Get(s.ctx, c.Tenant, c.Kind, c.Name)
				s.ok(err)
				seen[c.Name] = got.Version
			case <-s.ctx.Done():
				s.Fatalf("saw %v of %v", seen, last)
			}
		}
	}},
	{name: "lists are read from the newest item on, as many as are asked for", run: func(s *suite) {
		for i := range 300 {
			ttl := 2 * time.Hour
			if i%3 == 1 {
				ttl = time.Hour // these expire between others
			}
			s.ok(s.store().Keep(s.ctx, acme, "audit", fmt.Append(nil, i), 1000, ttl))
		}
		var want []string
		read := func(skip, n int) {
			items, err := s.store().Kept(s.ctx, acme, "audit", skip, n)
			s.ok(err)
			var got []string
			for _, i := range items {
				got = append(got, string(i))
			}
			from, to := min(skip, len(want)), len(want)
			if n >= 0 {
				to = min(from+n, to)
			}
			s.same(fmt.Sprint(n, " items from ", skip), got, want[from:to])
		}
		all := func() {
			for _, skip := range []int{0, 1, 7, 127, 128, 129, 199, 200, 299, 300, 1000} {
				for _, n := range []int{-1, 0, 1, 5, 128, 1000} {
					read(skip, n)
				}
			}
		}
		for i := 299; i >= 0; i-- {
			want = append(want, fmt.Sprint(i))
		}
		all()
		s.h.Advance(90 * time.Minute)
		want = nil
		for i := 299; i >= 0; i-- {
			if i%3 != 1 {
				want = append(want, fmt.Sprint(i))
			}
		}
		all()
		s.trim(state.Retention{})
		all()
		s.h.Advance(time.Hour)
		want = nil
		read(0, 10)
	}},
	{name: "the last change of each tenant is known by kind", run: func(s *suite) {
		last := func(kind string) map[string]uint64 {
			s.Helper()
			all, err := s.store().LastChanges(s.ctx, kind)
			s.ok(err)
			by := map[string]uint64{}
			for _, l := range all {
				by[l.Tenant] = l.Version
			}
			if len(by) != len(all) || !slices.IsSortedFunc(all, func(a, b state.LastChange) int { return cmp.Compare(a.Tenant, b.Tenant) }) {
				s.Errorf("the tenants are not in order: %v", all)
			}
			return by
		}
		s.same("none", last("setting"), map[string]uint64{})
		const odd = "o:d/{d}\x00"
		v1, err := s.store().Put(s.ctx, acme, "setting", "a", nil, 0)
		s.ok(err)
		v2, err := s.h.Second().Put(s.ctx, odd, "setting", "a", nil, 0)
		s.ok(err)
		other, err := s.store().Put(s.ctx, acme, "settings", "a", nil, 0)
		s.ok(err)
		s.same("after a put each", last("setting"), map[string]uint64{acme: v1, odd: v2})
		s.same("of another kind", last("settings"), map[string]uint64{acme: other})
		// A change that was refused is none.
		if _, err := s.store().Put(s.ctx, acme, "setting", "a", nil, 0); !errors.Is(err, state.ErrConflict) {
			s.Fatal(err)
		}
		if err := s.store().Delete(s.ctx, acme, "setting", "none", 0); !errors.Is(err, state.ErrNotFound) {
			s.Fatal(err)
		}
		s.same("after refused changes", last("setting"), map[string]uint64{acme: v1, odd: v2})
		s.ok(s.store().Delete(s.ctx, acme, "setting", "a", v1))
		deleted := last("setting")
		if deleted[acme] <= other || deleted[odd] != v2 || len(deleted) != 2 {
			s.Fatalf("after a delete: %v, before it versions reached %d", deleted, other)
		}
		s.h.Crash()
		s.same("after a crash", last("setting"), deleted)
		v3, err := s.store().Put(s.ctx, acme, "setting", "a", nil, 0)
		s.ok(err)
		if v3 <= deleted[acme] {
			s.Errorf("the version %d of a put after %d", v3, deleted[acme])
		}
		s.same("after another put", last("setting"), map[string]uint64{acme: v3, odd: v2})
	}},
	{name: "lists are capped, and items expire", run: func(s *suite) {
		st := s.store()
		keep := func(item string, ttl time.Duration) {
			s.ok(st.Keep(s.ctx, acme, "rejected/app", []byte(item), 3, ttl))
		}
		kept := func() []string {
			items, err := s.store().Kept(s.ctx, acme, "rejected/app", 0, -1)
			s.ok(err)
			var all []string
			for _, i := range items {
				all = append(all, string(i))
			}
			return all
		}
		s.same("empty", kept(), []string{})
		for _, i := range []string{"1", "2", "3", "4"} {
			keep(i, time.Hour)
		}
		s.same("newest first", kept(), []string{"4", "3", "2"})
		s.h.Advance(59 * time.Minute)
		keep("5", time.Hour)
		s.h.Advance(2 * time.Minute)
		s.same("in time", kept(), []string{"5"})
		s.trim(state.Retention{})
		s.h.Reopen()
		s.same("kept", kept(), []string{"5"})
		other, err := s.store().Kept(s.ctx, "zeta", "rejected/app", 0, -1)
		s.ok(err)
		s.same("another tenant's", other, [][]byte{})
	}},
}

func same(a, b map[string]uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// sees waits for a change; other changes may come before it.
func (s *suite) sees(changes <-chan state.Change, want state.Change) {
	s.Helper()
	for {
		select {
		case c, ok := <-changes:
			if !ok {
				s.Fatalf("the watch ended before %v", want)
			}
			if c == want {
				return
			}
		case <-s.ctx.Done():
			s.Fatalf("no change %v", want)
		}
	}
}
