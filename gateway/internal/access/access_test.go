package access

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

func token(name, secret, tenant string, scopes ...string) *config.Token {
	return &config.Token{Name: name, Secret: connectors.NewSecret(secret), Tenant: tenant, Scopes: scopes}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	var a Access
	if g := a.Grant([]byte("anything")); g != nil {
		t.Fatalf("nobody gave out a token, and it grants %v", g)
	}
	const ci, ops = "ci-0123456789012345678901234567890", "ops-0123456789012345678901234567890"
	if err := a.Load([]*config.Token{
		token("ci", ci, "acme", "publish"),
		token("ops", ops, "*", config.Scopes...),
	}, nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		want  *Grant
	}{
		"one tenant, one scope": {ci, &Grant{Name: "ci", Tenant: "acme", Scopes: Publish}},
		"every tenant":          {ops, &Grant{Name: "ops", Tenant: "*", Scopes: Every}},
		"cut off":               {ci[:len(ci)-1], nil},
		"longer":                {ci + "0", nil},
		"other case":            {strings.ToUpper(ci), nil},
		"empty":                 {"", nil},
	} {
		if diff := cmp.Diff(c.want, a.Grant([]byte(c.token))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if err := a.Load(nil, nil); err != nil {
		t.Fatal(err)
	}
	if g := a.Grant([]byte(ci)); g != nil {
		t.Error("a token that was taken out of the configuration still grants", g)
	}
	if err := a.Load([]*config.Token{token("odd", ci, "acme", "root")}, nil); err == nil {
		t.Error("an unknown scope was taken")
	}
}

func TestTenantFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of, asked, want string
		ok              bool
	}{
		{"acme", "", "acme", true},
		{"acme", "acme", "acme", true},
		{"acme", "other", "acme", false},
		{"*", "", "default", true},
		{"*", "acme", "acme", true},
		{"*", "*", "*", false},
		{"*", "../x", "../x", false},
	} {
		got, ok := (&Grant{Tenant: c.of}).TenantFor(c.asked)
		if got != c.want && ok || ok != c.ok {
			t.Errorf("token of %s asks for %q: %q, %v", c.of, c.asked, got, ok)
		}
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER  abc": "abc",
		"Bearer": "", "Bearer ": "", "Basic abc": "", "": "", "abc": "", "Bearerabc": "",
	} {
		if got := string(Bearer([]byte(header))); got != want {
			t.Errorf("%q carries %q, want %q", header, got, want)
		}
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "acme-2_x": true, "9": true, strings.Repeat("a", 128): true,
		"": false, "-a": false, "_a": false, "A": false, "a.b": false, "a/b": false, "é": false, strings.Repeat("a", 129): false,
	} {
		if ValidName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// settings are a store's settings in memory, enough for one token and for two gateways that start at once.
type settings struct {
	state.Settings
	mu     sync.Mutex
	values map[string][]byte
	fail   error
}

func (s *settings) Get(_ context.Context, tenant, kind, name string) (state.Setting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[tenant+"/"+kind+"/"+name]
	if !ok {
		return state.Setting{}, state.ErrNotFound
	}
	return state.Setting{Kind: kind, Name: name, Value: v, Version: 1}, nil
}

func (s *settings) Put(_ context.Context, tenant, kind, name string, value []byte, version uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	if _, there := s.values[tenant+"/"+kind+"/"+name]; there && version == 0 {
		return 0, state.ErrConflict
	}
	s.values[tenant+"/"+kind+"/"+name] = value
	return 1, nil
}

func TestOpenFirst(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	store := &settings{values: map[string][]byte{}}

	const starts = 8
	found := make([]*First, starts)
	var all sync.WaitGroup
	for i := range starts {
		all.Go(func() {
			var err error
			if found[i], err = OpenFirst(ctx, store); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text := ""
	for _, first := range found {
		if first.Text == "" {
			continue
		}
		if text != "" {
			t.Fatal("two starts at once made two tokens")
		}
		text = first.Text
	}
	if len(text) < 32 {
		t.Fatalf("the token is too short: %d", len(text))
	}
	for _, first := range found {
		var a Access
		if err := a.Load(nil, first); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Grant{Name: "first", Tenant: "default", Scopes: Every}, a.Grant([]byte(text))); diff != "" {
			t.Fatal(diff)
		}
	}
	for _, value := range store.values {
		if strings.Contains(string(value), text) || strings.Contains(string(value), text[3:]) {
			t.Error("the store holds the token itself")
		}
	}

	var a Access
	if err := a.Load([]*config.Token{token("mine", strings.Repeat("x", 32), "default", "read")}, found[0]); err != nil {
		t.Fatal(err)
	}
	if a.Grant([]byte(text)) != nil {
		t.Error("the first token counts beside those of the configuration")
	}
}

// The former token opens on, also where the store that lost it is found emptied twice.
func TestReplacing(t *testing.T) {
	t.Parallel()
	var made [2]*First
	for i := range made {
		var err error
		if made[i], err = OpenFirst(t.Context(), &settings{values: map[string][]byte{}}); err != nil {
			t.Fatal(err)
		}
	}
	former, anew := made[0], made[1]
	replaced := anew.Replacing(former)
	for times, first := range []*First{replaced, anew.Replacing(replaced)} {
		var a Access
		if err := a.Load(nil, first); err != nil {
			t.Fatal(err)
		}
		for _, token := range made {
			if a.Grant([]byte(token.Text)) == nil {
				t.Errorf("replaced %d times, it does not open", times+1)
			}
		}
	}
}

func TestOpenFirstFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, store := range map[string]*settings{
		"store down":   {values: map[string][]byte{}, fail: state.ErrUnavailable},
		"no JSON":      {values: map[string][]byte{"default/token/first": []byte("x")}},
		"no hash":      {values: map[string][]byte{"default/token/first": []byte(`{"sha256":"00"}`)}},
		"unknown word": {values: map[string][]byte{"default/token/first": []byte(`{"sha256":"` + strings.Repeat("00", 32) + `","scopes":["all"]}`)}},
	} {
		if _, err := OpenFirst(ctx, store); err == nil {
			t.Errorf("%s: no error", name)
		} else if store.fail != nil && !errors.Is(err, store.fail) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMayPublishAs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sources []string
		as      string
		refused string
	}{
		{nil, "api", ""},
		{nil, "pollqr", "the token `ci` may publish as `api` only, not as `pollqr`: set `sources: [api, pollqr]` on a token under `tokens` in the configuration"},
		{[]string{"shop"}, "shop", ""},
		{[]string{"shop"}, "api", "may publish as `shop` only, not as `api`: set `sources: [shop, api]`"},
		{[]string{"api", "shop"}, "pollqr", "may publish as `api`, `shop` only, not as `pollqr`"},
		{[]string{"*"}, "pollqr", ""},
		{Socket.Sources, "pollqr", ""},
	} {
		err := (&Grant{Name: "ci", Sources: c.sources}).MayPublishAs(c.as)
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("sources %v, as %s: %v", c.sources, c.as, err)
		}
	}
}
