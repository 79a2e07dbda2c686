package run

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// deaf is a store whose messages about changes are lost.
type deaf struct{ state.Settings }

func (deaf) Watch(ctx context.Context, _ string) (<-chan state.Change, error) {
	c := make(chan state.Change)
	context.AfterFunc(ctx, func() { close(c) })
	return c, nil
}

// Every replica knows the tokens and tenants that another one made, also one that hears no messages; a deleted token ends on all of
// them; and an emptied Redis ends none, and brings no deleted one back.
func TestTokensOfReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var all []*gateway
	sites := []*site{newSite(t), newSite(t)}
	for _, s := range sites {
		s.options.Redis, s.options.Config = server.URL(), sites[0].options.Config
		s.withKeys(keyOne)
		g, _ := s.run()
		all = append(all, g)
	}
	do := func(method, path, body string, into any) {
		t.Helper()
		call := client.Call{Method: method, Path: path, Into: into}
		if body != "" {
			call.Body, call.ContentType = json.RawMessage(body), "application/json"
		}
		if err := sites[0].client.Do(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	tokens := access.NewTokens(all[1].store, all[1].clock, all[1].log)
	unheard := &access.Register{
		Tokens: tokens, Tenants: web.NewTenants(all[1].store, all[1].plan.Load, tokens), Store: deaf{all[1].store}, Clock: all[1].clock, Log: all[1].log,
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); unheard.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })

	var tenant view.Tenant
	do("PUT", "/v1/tenants/globex", `{"title":"Globex","limits":{"webhooks":3}}`, &tenant)
	var kept, deleted view.MadeToken
	do("POST", "/v1/tokens?tenant=globex", `{"name":"kept","scopes":["read"],"expires":"90d"}`, &kept)
	do("POST", "/v1/tokens?tenant=globex", `{"name":"deleted","scopes":["read"]}`, &deleted)
	opens := []func(secret string) bool{
		func(secret string) bool { return all[0].access.Grant([]byte(secret)) != nil },
		func(secret string) bool { return all[1].access.Grant([]byte(secret)) != nil },
		func(secret string) bool { return (&access.Access{Stored: tokens}).Grant([]byte(secret)) != nil },
	}
	everywhere := func(secret string, want bool) func() bool {
		return func() bool {
			for _, open := range opens {
				if open(secret) != want {
					return false
				}
			}
			return true
		}
	}
	began := time.Now()
	sites[0].until("all know the tokens", func() bool { return everywhere(kept.Secret, true)() && everywhere(deleted.Secret, true)() })
	t.Logf("all knew new tokens after %s", time.Since(began))
	sites[0].until("all know the tenant", func() bool {
		most, err := all[1].register.Tenants.Limit(t.Context(), "globex", "webhook")
		return err == nil && most == 3 && unheard.Tenants.Record("globex") != nil
	})
	older := settingsOf(server)
	do("DELETE", "/v1/tokens/deleted?tenant=globex", "", nil)
	began = time.Now()
	sites[0].until("the deleted token ends everywhere", everywhere(deleted.Secret, false))
	t.Logf("a deleted token had ended everywhere after %s", time.Since(began))

	var late view.MadeToken
	do("POST", "/v1/tokens?tenant=globex", `{"name":"late","scopes":["read"]}`, &late)
	do("PUT", "/v1/tenants/globex", `{"title":"Globex Corporation","limits":{"webhooks":3}}`, &tenant)
	sites[0].until("all know the late token", everywhere(late.Secret, true))
	sites[0].until("all know the title", func() bool {
		return all[1].register.Tenants.Record("globex").Title == tenant.Title && unheard.Tenants.Record("globex").Title == tenant.Title
	})
	older()
	sites[0].until("the store has what was known before it went back", func() bool {
		if !everywhere(deleted.Secret, false)() || !everywhere(late.Secret, true)() {
			t.Fatal("an older state of the store brought a deleted token back, or ended one")
		}
		list, err := all[0].store.List(t.Context(), "*", "token")
		record, failed := all[0].store.Get(t.Context(), "*", access.KindTenant, "globex")
		return err == nil && failed == nil && len(list) == 2 && strings.Contains(string(record.Value), tenant.Title)
	})
	sites[0].until("one of them says that the store went back", func() bool {
		return !all[0].register.WentBack().IsZero() || !all[1].register.WentBack().IsZero() || !unheard.WentBack().IsZero()
	})
	do("DELETE", "/v1/tokens/late?tenant=globex", "", nil)
	sites[0].until("the late token ends everywhere", everywhere(late.Secret, false))

	server.Do("FLUSHALL")
	back := func() bool {
		list, err := all[0].store.List(t.Context(), "*", "token")
		records, failed := all[0].store.List(t.Context(), "*", access.KindTenant)
		return err == nil && failed == nil && len(list) == 1 && len(records) == 1
	}
	sites[0].until("the token and the tenant are written back", func() bool {
		if !everywhere(kept.Secret, true)() || !everywhere(deleted.Secret, false)() {
			t.Fatal("an emptied Redis ended a token, or brought one back")
		}
		return back()
	})
	do("DELETE", "/v1/tokens/kept?tenant=globex", "", nil)
	sites[0].until("it ends on all replicas, for good", everywhere(kept.Secret, false))
	if err := all[1].register.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := all[0].store.List(t.Context(), "*", "token"); err != nil || len(list) != 0 {
		t.Errorf("a replica wrote a deleted token back: %d, %v", len(list), err)
	}
}

// settingsOf copies the settings in Redis, and returns what brings this state back, as a failover to a replica that lags does.
func settingsOf(server *redistest.Server) (bring func()) {
	const aside = "aside:"
	var names []any
	for _, pattern := range []string{"surveygate:*set:*", "surveygate:*last:*", "surveygate:*changed", "surveygate:*version"} {
		for _, key := range server.Do("KEYS", pattern).([]any) {
			names = append(names, key)
			server.Do("COPY", key, aside+fmt.Sprint(key), "REPLACE")
		}
	}
	return func() {
		args := []any{"EVAL", "for _, key in ipairs(KEYS) do redis.call('COPY', '" + aside + "' .. key, key, 'REPLACE') end", len(names)}
		server.Do(append(args, names...)...)
	}
}
