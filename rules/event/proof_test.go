package event

import (
	"slices"
	"testing"
	"time"
)

// proved returns an event with a fixed source and key, and the given proof.
func proved(t *testing.T, source, key, verified string) *Event {
	t.Helper()
	e, err := New(Header{
		Tenant: "acme", Source: source, Type: TypeResponseCompleted, DedupeKey: key, Verified: verified,
		Received: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}, &Data{}, Raw{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestIDsDifferByProof(t *testing.T) {
	t.Parallel()
	strong, vouched, none := proved(t, "pollqr", "k", "hmac"), proved(t, "pollqr", "k", VerifiedAPI), proved(t, "pollqr", "k", "none")
	ids := []string{strong.ID, vouched.ID, none.ID}
	if strong.ID != ID("acme", "pollqr", "k") || !slices.Equal(ids, IDs("acme", "pollqr", "k")) || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 3 {
		t.Fatalf("ids are %q, IDs %q", ids, IDs("acme", "pollqr", "k"))
	}
	for _, verified := range []string{"hmac", "token", "basic", "path"} {
		if e := proved(t, "pollqr", "k", verified); e.ID != strong.ID {
			t.Errorf("%s: a source's own proof has the id %s", verified, e.ID)
		}
	}
	for i, e := range []*Event{strong, vouched, none} {
		if !slices.Equal(e.StrongerIDs(), ids[:i]) || !slices.Equal(e.WeakerIDs(), ids[i+1:]) {
			t.Errorf("%s: better %q, weaker %q", e.Verified, e.StrongerIDs(), e.WeakerIDs())
		}
	}
	if strong.StrongerIDs() != nil {
		t.Error("a proved event asks for better ones")
	}
	// Whatever a weaker one's key holds, it reaches no stronger one's id.
	for _, key := range []string{"\x00api\x00k", "api\x00k", "\x00none\x00k"} {
		if e := proved(t, "pollqr", key, "hmac"); slices.Contains(ids, e.ID) {
			t.Errorf("key %q has an id of key k", key)
		}
	}
	// One that was kept when all proofs shared a key space.
	old := none.Header
	old.ID = strong.ID
	if slices.Contains(old.StrongerIDs(), old.ID) || slices.Contains(old.WeakerIDs(), old.ID) {
		t.Errorf("an event is its own: better %q, weaker %q", old.StrongerIDs(), old.WeakerIDs())
	}
}

func TestPublisherDoesNotProveAnotherSource(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body     string
		defaults Defaults
		want     string
	}{
		"our API":                {`{"type":"test"}`, Defaults{Verified: "token"}, "api token"},
		"our API, named":         {`{"type":"test","source":"api"}`, Defaults{Verified: "token"}, "api token"},
		"a source":               {`{"type":"test","source":"pollqr"}`, Defaults{Verified: "token"}, "pollqr api"},
		"a source of one's own":  {`{"type":"test","source":"shop"}`, Defaults{Source: "shop", Verified: "hmac"}, "shop hmac"},
		"from another source":    {`{"type":"test","source":"pollqr"}`, Defaults{Source: "shop", Verified: "hmac"}, "pollqr api"},
		"our API, from a source": {`{"type":"test","source":"api"}`, Defaults{Source: "shop", Verified: "hmac"}, "api api"},
		"unproved":               {`{"type":"test","source":"api"}`, Defaults{Source: "shop", Verified: "none"}, "api none"},
		"a CloudEvent":           {`{"specversion":"1.0","type":"test","id":"1","source":"pollqr"}`, Defaults{Verified: "token"}, "pollqr api"},
		"an envelope of ours":    {`{"specversion":"1.0","type":"test","id":"1","source":"/tenants/acme/sources/pollqr"}`, Defaults{Verified: "token"}, "pollqr api"},
		"a URI":                  {`{"specversion":"1.0","type":"test","id":"1","source":"https://shop.example.com"}`, Defaults{Verified: "token"}, "api token"},
	} {
		c.defaults.Received = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		e, err := ParseOne([]byte(c.body), c.defaults)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := e.Source + " " + e.Verified; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
