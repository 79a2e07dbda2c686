package web

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

const (
	adminToken     = "admi-0123456789-0123456789-012345"
	acmeAdminToken = "acad-0123456789-0123456789-012345"
	operatorToken  = "oper-0123456789-0123456789-012345"
)

// does asks, and fails the test if the answer has another status or lacks a part.
func (r *rig) does(t testing.TB, a ask, status int, parts ...string) told {
	t.Helper()
	got := r.ask(t, a)
	if got.status != status {
		t.Fatalf("%s %s: %d, not %d: %s", a.method, a.path, got.status, status, got.body)
	}
	for _, part := range parts {
		if !strings.Contains(got.body, part) {
			t.Errorf("%s %s lacks %s: %s", a.method, a.path, part, got.body)
		}
	}
	return got
}

func decoded[T any](t testing.TB, got told) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(got.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// makeToken makes a token by API, and returns its secret.
func (r *rig) makeToken(t testing.TB, by, tenant, body string) string {
	t.Helper()
	path := "/v1/tokens"
	if tenant != "" {
		path += "?tenant=" + tenant
	}
	return decoded[view.MadeToken](t, r.does(t, ask{method: "POST", path: path, token: by, body: body}, 201)).Secret
}

func TestTenantIsMadeChangedAndDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const path = "/v1/tenants/globex"
	do := func(method, body, match string, want int, parts ...string) told {
		t.Helper()
		a := ask{method: method, path: path, token: operatorToken, body: body}
		if match != "" {
			a.header = map[string]string{"If-Match": match}
		}
		return r.does(t, a, want, parts...)
	}
	do("GET", "", "", 404, "no such tenant")
	do("PATCH", `{"title":"x"}`, "", 404)
	dry := func(method, body string, want int, parts ...string) {
		t.Helper()
		got := r.does(t, ask{method: method, path: path + "?dry_run=true", token: operatorToken, body: body}, want, parts...)
		if tag := got.header.Get("ETag"); tag != "" {
			t.Errorf("a dry run answers the version %s", tag)
		}
	}
	dry("PUT", `{"title":"Globex","limits":{"webhooks":1}}`, 200, `"would":"create"`, `"title":"Globex"`, `"allowed":{"webhooks":1,`)
	dry("PUT", `{"title":"Globex","limits":{"webhooks":-1}}`, 422, `"loc":["limits","webhooks"]`)
	dry("PATCH", `{"title":"x"}`, 404)
	do("GET", "", "", 404)
	do("PUT", `{"title":"Globex","limits":{"webhooks":1,"events_per_minute":5},"metadata":{"plan":"team"}}`, `"3"`, 412)
	first := do("PUT", `{"title":"Globex","limits":{"webhooks":1,"events_per_minute":5},"metadata":{"plan":"team"}}`, "", 201,
		`"id":"globex"`, `"provenance":"api"`, `"limits":{"webhooks":1,"events_per_minute":5}`, `"metadata":{"plan":"team"}`, `"rules":100`, `"by":"token:platform-admin"`).header.Get("ETag")
	if again := do("PUT", `{"title":"Globex","limits":{"webhooks":1,"events_per_minute":5},"metadata":{"plan":"team"}}`, "", 200).header.Get("ETag"); again != first {
		t.Errorf("an equal record got version %s, not %s", again, first)
	}
	dry("PUT", `{"title":"Globex","limits":{"webhooks":1,"events_per_minute":5},"metadata":{"plan":"team"}}`, 200, `"would":"nothing"`)
	dry("PATCH", `{"title":"Other","limits":{"rules":3}}`, 200, `"would":"update"`, `"title":"Other"`, `"rules":3`)
	if tag := do("GET", "", "", 200, `"title":"Globex"`).header.Get("ETag"); tag != first {
		t.Errorf("a dry run made version %s of %s", tag, first)
	}
	second := do("PATCH", `{"title":null,"limits":{"webhooks":null,"rules":0},"metadata":{"plan":"large","x":"y"}}`, first, 200,
		`"title":""`, `"limits":{"rules":0,"events_per_minute":5}`, `"metadata":{"plan":"large","x":"y"}`).header.Get("ETag")
	do("PATCH", `{"title":"x"}`, first, 412, `"type":"conflict"`, "was written by token:platform-admin at 12:00:00")
	for none, want := range map[string]int{"*": 412, second: 422} {
		r.does(t, ask{method: "PUT", path: path, token: operatorToken, header: map[string]string{"If-None-Match": none}, body: `{"title":"x"}`}, want, `"loc":["If-None-Match"]`)
	}
	r.does(t, ask{method: "PATCH", path: path, token: operatorToken, body: `{"title":1e999}`}, 422, `"loc":["title"]`)
	do("GET", "", "", 200, `"uses":{"webhooks":0`)
	r.does(t, ask{path: "/v1/tenants", token: operatorToken}, 200, `"id":"acme"`, `"id":"default"`, `"id":"globex"`, `"provenance":"file"`)

	// It owns things now.
	r.does(t, ask{method: "PUT", path: "/v1/webhooks/hook?tenant=globex", token: operatorToken, body: `{"url":"https://hook.example.com/in","signature":"none"}`}, 201)
	r.does(t, ask{method: "PUT", path: "/v1/rules/r?tenant=globex", token: operatorToken, body: `{"send":["hook"]}`}, 403, `"type":"plan_restriction","loc":["limits","rules"]`, "this plan has 0 rules")
	r.makeToken(t, operatorToken, "globex", `{"name":"ci","scopes":["read"]}`)
	do("GET", "", "", 200, `"webhooks":1`, `"tokens":1`)
	do("DELETE", "", "", 409, "it still owns 1 webhook, 1 token")
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/ci?tenant=globex", token: operatorToken}, 204)
	r.does(t, ask{method: "DELETE", path: "/v1/webhooks/hook?tenant=globex", token: operatorToken}, 200)
	do("DELETE", "", first, 412)
	do("DELETE", "", second, 204)
	r.await(func(p *decide.Plan) bool { return !p.HasTenant("globex") })
	do("GET", "", "", 404)

	lines, err := (&audit.Log{Store: r.store, Clock: r.clock}).Lines(t.Context(), "globex", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, l := range lines {
		did = append(did, l.Did)
	}
	if got := strings.Join(did, " "); got != "tenant.delete webhook.delete token.delete token.create webhook.create tenant.update tenant.create" {
		t.Errorf("the audit says %s", got)
	}
}

func TestTenantRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		method, path, token, body string
		status                    int
		want                      string
	}{
		{"PUT", "/v1/tenants/Globex", operatorToken, `{}`, 422, "beginning with a letter or digit"},
		{"PUT", "/v1/tenants/*", operatorToken, `{}`, 422, ""},
		{"PUT", "/v1/tenants/globex?tenant=acme", operatorToken, `{}`, 422, "this is not a parameter of this path, which takes restore"},
		{"PUT", "/v1/tenants/globex", operatorToken, `{"limits":{"webhooks":-1}}`, 422, `"loc":["limits","webhooks"]`},
		{"PUT", "/v1/tenants/globex", operatorToken, `{"limits":{"hooks":1}}`, 422, `"loc":["limits","hooks"]`},
		{"PUT", "/v1/tenants/globex", operatorToken, `{"metadata":{"a":1}}`, 422, `metadata`},
		{"PUT", "/v1/tenants/globex", operatorToken, `{"title":"a\nb"}`, 422, `"loc":["title"]`},
		{"PUT", "/v1/tenants/globex", operatorToken, `[]`, 422, "JSON object"},
		{"PUT", "/v1/tenants/globex", operatorToken, `{`, 400, "not JSON"},
		{"PUT", "/v1/tenants/acme", acmeAdminToken, `{}`, 403, "only a token for every tenant"},
		{"PATCH", "/v1/tenants/acme", acmeAdminToken, `{"limits":{"webhooks":100000}}`, 403, "only a token for every tenant"},
		{"GET", "/v1/tenants", acmeAdminToken, "", 403, "only a token for every tenant"},
		{"GET", "/v1/tenants/default", acmeAdminToken, "", 403, "does not reach that tenant"},
		{"GET", "/v1/tenants/acme", acmeAdminToken, "", 200, `"id":"acme"`},
		{"PUT", "/v1/tenants/globex", platformWide, `{}`, 403, "lacks the scope `admin`"},
		{"DELETE", "/v1/tenants/acme", operatorToken, "", 403, "defined_in_file"},
		{"DELETE", "/v1/tenants/default", operatorToken, "", 409, "default"},
	} {
		r.does(t, ask{method: c.method, path: c.path, token: c.token, body: c.body}, c.status, c.want)
	}
}

// A tenant that does not exist is 404 for who may ask every tenant; it exists as soon as anything names it.
func TestUnknownTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/v1/events", "/v1/webhooks", "/v1/tokens", "/v1/destinations", "/v1/stats?of=destination:x"} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		r.does(t, ask{path: path + sep + "tenant=acmee", token: operatorToken}, 404, "no such tenant `acmee`; did you mean `acme`?")
		r.does(t, ask{path: path + sep + "tenant=ACME", token: operatorToken}, 404, "no such tenant")
		r.does(t, ask{path: path + sep + "tenant=acme&tenant=globex", token: operatorToken}, 422, "this parameter is given twice")
		r.does(t, ask{path: path + sep + "tenant=acmee", socket: true}, 404)
	}
	r.does(t, ask{method: "PUT", path: "/v1/webhooks/h?tenant=acmee", token: operatorToken, body: `{"url":"https://h.example.com/","signature":"none"}`}, 404)
	r.does(t, ask{method: "POST", path: "/v1/events?tenant=initech", token: operatorToken, body: `{"type":"response.completed","id":"r1"}`}, 200)
	r.does(t, ask{path: "/v1/events?tenant=initech", token: operatorToken}, 200, `"data":[{`)
	r.does(t, ask{method: "GET", path: "/v1/tenants/initech", token: operatorToken}, 200, `"provenance":"store"`)
	r.does(t, ask{path: "/v1/events?tenant=default", token: operatorToken}, 200)
	r.does(t, ask{path: "/v1/events?tenant=*", token: operatorToken}, 403)
}

func TestTokenIsMadeUsedAndDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.does(t, ask{method: "POST", path: "/v1/tokens", token: adminToken, body: `{"name":"ci","scopes":["publish","read"],"expires":"90d"}`}, 201,
		`"name":"ci"`, `"scopes":["read","publish"]`, `"sources":["api"]`, `"expires":"2026-04-02T12:00:00.000Z"`, `"secret":"sg_`)
	secret := decoded[view.MadeToken](t, got).Secret
	r.does(t, ask{path: "/v1/events", token: secret}, 200)
	r.does(t, ask{method: "POST", path: "/v1/destinations/alarms/pause", token: secret}, 403, "lacks the scope `write`")
	r.does(t, ask{path: "/v1/events?tenant=acme", token: secret}, 403)
	r.until(t, "its use is written down", func() bool {
		return strings.Contains(r.ask(t, ask{path: "/v1/tokens/ci", token: adminToken}).body, `"last_used":"2026-01-02"`)
	})
	list := r.does(t, ask{path: "/v1/tokens", token: readToken}, 200, `"name":"ci","tenant":"default"`, `"provenance":"api"`, `"by":"token:admin"`, `"name":"every"`)
	if strings.Contains(list.body, secret) || strings.Contains(list.body, secret[3:]) {
		t.Error("the list shows the secret")
	}
	kept, err := r.store.List(t.Context(), "*", "token")
	if err != nil || len(kept) != 1 || strings.Contains(string(kept[0].Value), secret[3:]) {
		t.Errorf("kept: %v, %v", kept, err)
	}
	r.does(t, ask{method: "POST", path: "/v1/tokens", token: adminToken, body: `{"name":"ci","scopes":["read"]}`}, 409)
	r.does(t, ask{method: "POST", path: "/v1/tokens", token: adminToken, body: `{"name":"every","scopes":["read"]}`}, 409)
	r.does(t, ask{path: "/v1/tokens/ci", token: acmeAdminToken}, 404)
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/ci", token: acmeAdminToken}, 404)
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/every", token: adminToken}, 403, "defined_in_file", "surveygate.yaml:")

	r.clock.Advance(90 * 24 * time.Hour)
	r.does(t, ask{path: "/v1/events", token: secret}, 401)
	r.does(t, ask{path: "/v1/tokens/ci", token: adminToken}, 200, `"expired":true`)
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/ci", token: adminToken}, 204)
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/ci", token: adminToken}, 404)
	if used, err := r.store.List(t.Context(), "default", "token-used"); err != nil || len(used) > 0 {
		t.Errorf("its use is kept still: %v, %v", len(used), err)
	}
}

// Nobody gives what they do not have.
func TestTokenGivesNoMoreThanItsMaker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	narrow := r.makeToken(t, adminToken, "", `{"name":"narrow","scopes":["admin","read","publish"],"expires":"1d"}`)
	for _, c := range []struct {
		token, path, body string
		status            int
		want              string
	}{
		{narrow, "/v1/tokens", `{"name":"x","scopes":["read","write"]}`, 403, "cannot give the scope `write`"},
		{narrow, "/v1/tokens", `{"name":"x","scopes":["publish"],"sources":["pollqr"]}`, 403, "cannot give the source `pollqr`"},
		{narrow, "/v1/tokens", `{"name":"x","scopes":["publish"],"sources":["*"]}`, 403, "cannot give the source `*`"},
		{narrow, "/v1/tokens", `{"name":"x","scopes":["read"],"expires":"2d"}`, 403, "cannot make one that ends later"},
		{narrow, "/v1/tokens?tenant=acme", `{"name":"x","scopes":["read"]}`, 403, "does not reach that tenant"},
		{narrow, "/v1/tokens?tenant=*", `{"name":"x","scopes":["read"]}`, 403, "does not reach that tenant"},
		{acmeAdminToken, "/v1/tokens", `{"name":"x","scopes":["publish"]}`, 403, "cannot give the scope `publish`"},
		{readToken, "/v1/tokens", `{"name":"x","scopes":["read"]}`, 403, "lacks the scope `admin`"},
		{adminToken, "/v1/tokens", `{"name":"x","scopes":["root"]}`, 422, "is no scope"},
		{adminToken, "/v1/tokens", `{"name":"x","scopes":[]}`, 422, `"loc":["scopes"]`},
		{adminToken, "/v1/tokens", `{"name":"X","scopes":["read"]}`, 422, `"loc":["name"]`},
		{adminToken, "/v1/tokens", `{"name":"x","scopes":["read"],"sources":["api"]}`, 422, `"loc":["sources"]`},
		{adminToken, "/v1/tokens", `{"name":"x","scopes":["read"],"expires":"soon"}`, 422, `"loc":["expires"]`},
		{adminToken, "/v1/tokens", `{"name":"x","scopes":["read"],"expires":"2020-01-01T00:00:00Z"}`, 422, "over already"},
		{adminToken, "/v1/tokens", `{"name":"x","scopes":["read"],"tenant":"acme"}`, 422, `"loc":["tenant"]`},
	} {
		r.does(t, ask{method: "POST", path: c.path, token: c.token, body: c.body}, c.status, c.want)
	}
	r.does(t, ask{method: "POST", path: "/v1/tokens", token: narrow, body: `{"name":"heir","scopes":["read"]}`}, 201, `"expires":"2026-01-03T12:00:00.000Z"`)
	wide := r.makeToken(t, operatorToken, "*", `{"name":"platform","scopes":["read"]}`)
	r.does(t, ask{path: "/v1/events?tenant=acme", token: wide}, 200)
	r.does(t, ask{path: "/v1/tokens?tenant=*", token: wide}, 200, `"name":"acme-admin","tenant":"acme"`, `"name":"platform","tenant":"*"`, `"name":"narrow","tenant":"default"`)
	r.does(t, ask{path: "/v1/tokens?tenant=*", token: adminToken}, 403)
	if list := r.does(t, ask{path: "/v1/tokens", token: adminToken}, 200); strings.Contains(list.body, `"platform"`) || strings.Contains(list.body, `"acme"`) {
		t.Errorf("a tenant sees tokens of others: %s", list.body)
	}
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/platform?tenant=*", token: operatorToken}, 204)
	r.does(t, ask{path: "/v1/events?tenant=acme", token: wide}, 401)
}

func TestTokensHaveALimit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.does(t, ask{method: "PUT", path: "/v1/tenants/acme", token: operatorToken, body: `{"limits":{"tokens":2}}`}, 201)
	for i := range 2 {
		r.makeToken(t, acmeAdminToken, "", fmt.Sprintf(`{"name":"t%d","scopes":["read"]}`, i))
	}
	r.does(t, ask{method: "POST", path: "/v1/tokens", token: acmeAdminToken, body: `{"name":"t3","scopes":["read"]}`}, 403, `"type":"plan_restriction","loc":["limits","tokens"]`, "this plan has 2 tokens, and 2 are there")
}

// Another process on the same store knows a new token, a deleted one and a tenant, without a message of the store as well.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.does(t, ask{method: "PUT", path: "/v1/tenants/globex", token: operatorToken, body: `{"limits":{"events_per_minute":7}}`}, 201)
	secret := r.makeToken(t, operatorToken, "globex", `{"name":"ci","scopes":["read"]}`)
	other := &access.Access{Stored: access.NewTokens(r.store, r.clock, slog.New(slog.DiscardHandler))}
	register := &access.Register{Tokens: other.Stored, Tenants: NewTenants(r.store, r.plan.Load, other.Stored), Store: r.store, Clock: r.clock, Log: slog.New(slog.DiscardHandler)}
	if err := register.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := other.Grant([]byte(secret)); g == nil || g.Tenant != "globex" || register.Tenants.EventsPerMinute("globex") != 7 {
		t.Fatalf("the other process knows %+v", g)
	}
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/ci?tenant=globex", token: operatorToken}, 204)
	if err := register.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if other.Grant([]byte(secret)) != nil {
		t.Error("the other process takes a deleted token")
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	r := (&rig{rates: route.Rates{Reads: route.Rate{Burst: 3, Per: 0.001}, Writes: route.Rate{Burst: 2, Per: 0.001}, Tests: route.Rate{Burst: 1, Per: 0.001}}}).open(t)
	for i := range 3 {
		got := r.does(t, ask{path: "/v1/rules", token: readToken}, 200)
		if left := got.header.Get("RateLimit-Remaining"); left != fmt.Sprint(2-i) {
			t.Errorf("%s left", left)
		}
	}
	got := r.does(t, ask{path: "/v1/rules", token: readToken}, 429, `"type":"rate_limited"`)
	if got.header.Get("Retry-After") == "" || got.header.Get("RateLimit-Remaining") != "0" {
		t.Errorf("%v", got.header)
	}
	r.does(t, ask{path: "/v1/rules", token: everyToken}, 200)
	for range 2 {
		r.does(t, ask{method: "POST", path: "/v1/destinations/alarms/pause", token: everyToken}, 200)
	}
	r.does(t, ask{method: "POST", path: "/v1/destinations/alarms/pause", token: everyToken}, 429)
	for i := range 10 { // publishing is not slowed, nor is the control socket
		r.does(t, ask{method: "POST", path: "/v1/events", token: everyToken, body: fmt.Sprintf(`{"type":"response.completed","id":"r%d"}`, i)}, 200)
		r.does(t, ask{path: "/v1/rules", socket: true}, 200)
		r.does(t, ask{method: "POST", path: "/v1/destinations/alarms/resume", socket: true}, 200)
	}
}

// session logs in, and returns the cookie.
func (r *rig) session(t testing.TB, token string) string {
	t.Helper()
	got := r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"` + token + `"}`}, 200)
	return cookieOf(t, got)
}

func cookieOf(t testing.TB, got told) string {
	t.Helper()
	cookie, _, _ := strings.Cut(got.header.Get("Set-Cookie"), ";")
	if cookie == "" {
		t.Fatal("no cookie")
	}
	return cookie
}

func withCookie(cookie string, more ...string) map[string]string {
	h := map[string]string{"Cookie": cookie}
	for i := 0; i+1 < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

func TestSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := r.makeToken(t, adminToken, "", `{"name":"person","scopes":["read","write","settings"]}`)
	got := r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"` + secret + `"}`}, 200, `"token":"person"`, `"expires":"2026-01-03T00:00:00.000Z"`)
	set := got.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-sg=k1:", "HttpOnly", "secure", "SameSite=Lax", "path=/", "max-age=43200"} {
		if !strings.Contains(strings.ToLower(set), strings.ToLower(part)) {
			t.Errorf("the cookie lacks %s: %s", part, set)
		}
	}
	if strings.Contains(set, secret) {
		t.Error("the cookie holds the token")
	}
	cookie := cookieOf(t, got)
	r.does(t, ask{path: "/v1/events", header: withCookie(cookie)}, 200)
	r.does(t, ask{path: "/v1/events?tenant=acme", header: withCookie(cookie)}, 403)
	const path = "/v1/destinations/alarms/pause"
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 403},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://gateway"}, 403},
		{[]string{"Sec-Fetch-Site", "none"}, 403},
		{[]string{"Origin", "https://gateway"}, 200},
		{[]string{"Origin", "http://gateway"}, 403},
		{[]string{"Origin", "https://gateway.example.com"}, 403},
		{[]string{"Origin", "null"}, 403},
	} {
		r.does(t, ask{method: "POST", path: path, header: withCookie(cookie, c.header...)}, c.status)
	}
	// A body is read by cookie too.
	r.does(t, ask{method: "PUT", path: "/v1/rules/happy", header: withCookie(cookie, "Sec-Fetch-Site", "same-origin"), body: `{"send":["alarms"]}`}, 201)
	// A bearer token alone counts where there is one.
	r.does(t, ask{path: "/v1/events", token: "wrong", header: withCookie(cookie)}, 401)
	r.does(t, ask{path: "/v1/events", header: withCookie(cookie[:len(cookie)-2])}, 401)
	r.does(t, ask{path: "/v1/events", header: withCookie("sg=" + strings.TrimPrefix(cookie, "__Host-sg="))}, 401)

	out := r.does(t, ask{method: "POST", path: "/console/logout", header: withCookie(cookie, "Sec-Fetch-Site", "same-origin")}, 204)
	if set := out.header.Get("Set-Cookie"); !strings.Contains(set, "__Host-sg=;") || !strings.Contains(set, "expires=") {
		t.Errorf("logout sets %s", set)
	}
	// The token is revoked while the session is in use.
	r.does(t, ask{method: "DELETE", path: "/v1/tokens/person", token: adminToken}, 204)
	r.does(t, ask{path: "/v1/events", header: withCookie(cookie)}, 401)

	cookie = r.session(t, everyToken)
	r.clock.Advance(12*time.Hour - time.Second)
	r.does(t, ask{path: "/v1/events", header: withCookie(cookie)}, 200)
	r.clock.Advance(time.Second)
	r.does(t, ask{path: "/v1/events", header: withCookie(cookie)}, 401)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	r := (&rig{rates: route.Rates{Logins: route.Rate{Burst: 3, Per: 0.001}}}).open(t)
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	if got := r.does(t, ask{method: "POST", path: "/console/login", header: form, body: "token=" + everyToken}, 303); got.header.Get("Location") != "/console/" {
		t.Errorf("it leads to %s", got.header.Get("Location"))
	}
	r.does(t, ask{method: "POST", path: "/console/login", header: map[string]string{"Sec-Fetch-Site": "cross-site"}, body: `{"token":"` + everyToken + `"}`}, 403)
	// curl calls everything a form.
	r.does(t, ask{method: "POST", path: "/console/login", header: form, body: ` {"token":"` + everyToken + `"}`}, 200)
	r.does(t, ask{method: "POST", path: "/console/login", body: `{}`}, 422)
	for range 3 {
		r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"nonsense"}`}, 401)
	}
	got := r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"` + everyToken + `"}`}, 429)
	if got.header.Get("Retry-After") == "" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("%v", got.header)
	}
}

// On the machine of the browser, without TLS, the cookie has another name and is not Secure.
func TestSessionOnLoopback(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	post := func(host, cookie string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://gateway/console/login", strings.NewReader(`{"token":"`+everyToken+`"}`))
		if err != nil {
			return nil, err
		}
		if cookie != "" {
			req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/v1/events", nil)
			if err != nil {
				return nil, err
			}
			req.Header.Set("Cookie", cookie)
		}
		req.Host = host
		res, err := r.tcp.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		return res, err
	}
	for _, host := range []string{"localhost:8080", "127.0.0.1:8080", "[::1]:8080"} {
		res, err := post(host, "")
		if err != nil {
			t.Fatal(err)
		}
		set := res.Header.Get("Set-Cookie")
		if !strings.HasPrefix(set, "sg=") || strings.Contains(strings.ToLower(set), "secure") {
			t.Errorf("%s: %s", host, set)
		}
		cookie, _, _ := strings.Cut(set, ";")
		for at, want := range map[string]int{host: 200, "hooks.example.com": 401} {
			if res, err = post(at, cookie); err != nil || res.StatusCode != want {
				t.Errorf("%s: %v, %v", at, res.StatusCode, err)
			}
		}
	}
}

func TestLoginWithoutAKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	*r.app.options.Vault = *vault.New(vault.Options{Store: r.store})
	r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"` + everyToken + `"}`}, 503, "set SURVEYGATE_KEY")
}

func TestPortalLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := r.does(t, ask{
		method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken,
		body: `{"actor":"jo@acme.example","capabilities":["webhooks","deliveries"],"session":"1h","at":"/webhooks","refresh_url":"https://app.example.com/again?x=1"}`,
	}, 201, `"expires":"2026-01-02T12:05:00.000Z"`)
	link := decoded[view.MadePortalLink](t, got)
	_, key, _ := strings.Cut(link.URL, "?k=")
	if !strings.HasPrefix(link.URL, "https://gateway/portal/open?k=acme.pl_") {
		t.Fatal(link.URL)
	}
	if list := r.does(t, ask{path: "/v1/tenants/acme/portal-links", token: acmeAdminToken}, 200, link.ID); strings.Contains(list.body, key) {
		t.Error("the list shows the secret")
	}
	r.does(t, ask{path: "/v1/tenants/acme/portal-links", token: adminToken}, 403)
	opened := r.does(t, ask{path: "/portal/open?k=" + key}, 303)
	if to := opened.header.Get("Location"); !strings.HasPrefix(to, "/portal/webhooks?opened=") || opened.header.Get("Referrer-Policy") != "no-referrer" || opened.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", opened.header)
	}
	cookie := cookieOf(t, opened)
	if !strings.Contains(opened.header.Get("Set-Cookie"), "SameSite=Lax") {
		t.Error(opened.header.Get("Set-Cookie"))
	}
	// Opened twice: by the same browser it leads on, by another one away.
	r.does(t, ask{path: "/portal/open?k=" + key, header: withCookie(cookie)}, 303)
	if again := r.does(t, ask{path: "/portal/open?k=" + key}, 303); again.header.Get("Location") != "https://app.example.com/again?tenant=acme&x=1" || again.header.Get("Set-Cookie") != "" {
		t.Errorf("%v", again.header)
	}
	r.does(t, ask{path: "/portal/open?k=" + key + "x"}, 410, "This link has ended")
	r.does(t, ask{path: "/portal/open"}, 410)

	mine := withCookie(cookie, "Sec-Fetch-Site", "same-origin")
	r.does(t, ask{path: "/v1/webhooks", header: mine}, 200)
	r.does(t, ask{method: "PUT", path: "/v1/webhooks/mine", header: mine, body: `{"url":"https://hook.example.com/in","signature":"none"}`}, 201, `"by":"portal:jo@acme.example"`)
	r.does(t, ask{method: "PUT", path: "/v1/webhooks/mine", header: withCookie(cookie), body: `{}`}, 403)
	r.does(t, ask{path: "/v1/deliveries", header: mine}, 200)
	r.does(t, ask{path: "/v1/webhooks?tenant=default", header: mine}, 403)
	for _, a := range []ask{
		{path: "/v1/tokens"},
		{path: "/v1/events"},
		{path: "/v1/sources"},
		{method: "PUT", path: "/v1/connections/x"},
		{method: "POST", path: "/v1/tokens"},
		{path: "/v1/tenants/acme"},
		{method: "POST", path: "/v1/tenants/acme/portal-links"},
		{method: "POST", path: "/v1/events"},
		{method: "POST", path: "/v1/deliveries/x/retry"},
	} {
		a.header = mine
		r.does(t, a, 403, "this portal link does not allow that")
	}
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/acme/portal-links/" + link.ID, token: acmeAdminToken}, 204)
	r.does(t, ask{path: "/v1/webhooks", header: mine}, 401)
	r.does(t, ask{method: "DELETE", path: "/v1/tenants/acme/portal-links/" + link.ID, token: acmeAdminToken}, 404)
}

// The token of the first start is not deleted by API; the answer says how it ends.
func TestFirstTokenEndsByFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, err := access.OpenFirst(t.Context(), r.store)
	if err != nil {
		t.Fatal(err)
	}
	load := func(tokens []*config.Token) {
		t.Helper()
		if err := r.app.options.Access.Load(tokens, first); err != nil {
			t.Fatal(err)
		}
	}
	load(nil)
	deletes := ask{method: "DELETE", path: "/v1/tokens/first", token: first.Text}
	r.does(t, deletes, 403, `"type":"defined_in_file"`, "as long as no file of the configuration has `tokens`")
	load(r.plan.Load().Config.Tokens)
	r.does(t, deletes, 401)
	deletes.token = adminToken
	r.does(t, deletes, 404)
}

// A portal link that somebody opens begins a session beside that of their token, and does not take its place; nor does it once that has
// ended. A page asks for the link's session by a header.
func TestPortalLinkLeavesTheSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.makeToken(t, operatorToken, "default", `{"name":"jo","scopes":["read"]}`)
	login := cookieOf(t, r.does(t, ask{method: "POST", path: "/console/login", body: `{"token":"` + token + `"}`}, 200))
	made := decoded[view.MadePortalLink](t, r.does(t, ask{
		method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken, body: `{"capabilities":["deliveries"]}`,
	}, 201))
	_, key, _ := strings.Cut(made.URL, "?k=")
	opened := r.does(t, ask{path: "/portal/open?k=" + key, header: withCookie(login)}, 303)
	portal := cookieOf(t, opened)
	name := func(cookie string) string { name, _, _ := strings.Cut(cookie, "="); return name }
	if name(portal) == name(login) {
		t.Fatalf("the link's cookie is %s, as the login's", name(login))
	}
	both := login + "; " + portal
	r.does(t, ask{path: "/portal/open?k=" + key, header: withCookie(both)}, 303)
	r.does(t, ask{path: "/v1/deliveries?tenant=default", header: withCookie(both)}, 200)
	r.does(t, ask{path: "/v1/deliveries?tenant=acme", header: withCookie(both)}, 403)
	asPortal := withCookie(both, route.SessionHeader, "portal")
	r.does(t, ask{path: "/v1/deliveries?tenant=acme", header: asPortal}, 200)
	r.does(t, ask{path: "/v1/deliveries?tenant=default", header: asPortal}, 403)
	r.does(t, ask{path: "/v1/deliveries?tenant=acme", header: withCookie(portal)}, 200)

	// A cookie counts under its own name alone.
	_, value, _ := strings.Cut(portal, "=")
	r.does(t, ask{path: "/v1/deliveries", header: withCookie(name(login) + "=" + value)}, 401)
	_, value, _ = strings.Cut(login, "=")
	r.does(t, ask{path: "/v1/deliveries", header: withCookie(name(portal) + "=" + value)}, 401)

	r.does(t, ask{method: "DELETE", path: "/v1/tokens/jo", token: operatorToken}, 204)
	r.does(t, ask{path: "/v1/deliveries", header: withCookie(both)}, 401)
	r.does(t, ask{path: "/v1/deliveries", header: asPortal}, 200)

	out := r.does(t, ask{method: "POST", path: "/console/logout", header: withCookie(both, "Sec-Fetch-Site", "same-origin")}, 204)
	if set := strings.Join(out.header.Values("Set-Cookie"), "\n"); !strings.Contains(set, name(login)+"=;") || !strings.Contains(set, name(portal)+"=;") {
		t.Errorf("a logout forgets: %s", set)
	}
}

func TestPortalLinkEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	link := func(body string) (key string) {
		made := decoded[view.MadePortalLink](t, r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: operatorToken, body: body}, 201))
		_, key, _ = strings.Cut(made.URL, "?k=")
		return key
	}
	late, soon := link(`{"capabilities":["deliveries"]}`), link(`{"capabilities":["deliveries"],"session":"1h"}`)
	cookie := cookieOf(t, r.does(t, ask{path: "/portal/open?k=" + soon}, 303))
	r.clock.Advance(5 * time.Minute)
	r.does(t, ask{path: "/portal/open?k=" + late}, 410)
	r.clock.Advance(54 * time.Minute)
	r.does(t, ask{path: "/v1/deliveries", header: withCookie(cookie)}, 200)
	r.clock.Advance(time.Minute)
	r.does(t, ask{path: "/v1/deliveries", header: withCookie(cookie)}, 401)
	r.does(t, ask{path: "/v1/tenants/acme/portal-links", token: operatorToken}, 200, `"data":[]`)
	if left, err := r.store.List(t.Context(), "acme", access.KindLink); err != nil || len(left) > 0 {
		t.Errorf("links that have ended are kept: %v, %v", left, err)
	}
}

// A link and its session end when the token does that made the link.
func TestPortalLinkEndsWithItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	short := r.makeToken(t, acmeAdminToken, "", `{"name":"short","scopes":["admin","read","write","settings"],"expires":"1h"}`)
	const path = "/v1/tenants/acme/portal-links"
	r.does(t, ask{method: "POST", path: path, token: short, body: `{"capabilities":["deliveries"],"opens_within":"2h"}`}, 403, "cannot make a link that opens later", `"loc":["opens_within"]`)
	r.does(t, ask{method: "POST", path: path, token: short, body: `{"capabilities":["deliveries"],"opens_within":"1h"}`}, 201)
	made := decoded[view.MadePortalLink](t, r.does(t, ask{method: "POST", path: path, token: short, body: `{"capabilities":["deliveries"],"session":"24h"}`}, 201))
	_, key, _ := strings.Cut(made.URL, "?k=")
	cookie := cookieOf(t, r.does(t, ask{path: "/portal/open?k=" + key}, 303))
	r.clock.Advance(time.Hour - time.Second)
	r.does(t, ask{path: "/v1/deliveries", header: withCookie(cookie)}, 200)
	r.clock.Advance(time.Second)
	r.does(t, ask{path: "/v1/deliveries", header: withCookie(cookie)}, 401)
	r.does(t, ask{path: path, token: acmeAdminToken}, 200, `"data":[]`)
}

func TestPortalLinkRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`{}`, 422, `"loc":["capabilities"]`},
		{`{"capabilities":["all"]}`, 422, "is no capability"},
		{`{"capabilities":["deliveries"],"origin":"https://evil.example"}`, 422, "portal.origins"},
		{`{"capabilities":["deliveries"],"refresh_url":"http://app.example.com/"}`, 422, `"loc":["refresh_url"]`},
		{`{"capabilities":["deliveries"],"refresh_url":"javascript:alert(1)"}`, 422, `"loc":["refresh_url"]`},
		{`{"capabilities":["deliveries"],"refresh_url":"https://user@app.example.com/"}`, 422, `"loc":["refresh_url"]`},
		{`{"capabilities":["deliveries"],"at":"//evil.example"}`, 422, `"loc":["at"]`},
		{`{"capabilities":["deliveries"],"at":"/../console"}`, 422, `"loc":["at"]`},
		{`{"capabilities":["deliveries"],"session":"30d"}`, 422, `"loc":["session"]`},
		{`{"capabilities":["deliveries"],"opens_within":"2d"}`, 422, `"loc":["opens_within"]`},
		{`{"capabilities":["deliveries"],"accent":"red"}`, 422, `"loc":["accent"]`},
		{`{"capabilities":["deliveries"],"theme":"pink"}`, 422, `"loc":["theme"]`},
	} {
		r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: acmeAdminToken, body: c.body}, c.status, c.want)
	}
	only := r.makeToken(t, acmeAdminToken, "", `{"name":"links","scopes":["admin","read"]}`)
	r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", token: only, body: `{"capabilities":["webhooks"]}`}, 403, "needs the scope `write settings`")
	r.does(t, ask{method: "POST", path: "/v1/tenants/acme/portal-links", socket: true, body: `{"capabilities":["webhooks"]}`}, 422, "set `public_url`")
}

// In a frame, browsers keep the cookie apart for each site that shows the portal.
func TestPortalLinkInAFrame(t *testing.T) {
	t.Parallel()
	r := &rig{}
	r.plan.Store(load(t, "public_url: https://hooks.example.com\nportal: {origins: [\"https://app.example.com\"]}\n"+someSettings))
	r.open(t)
	made := decoded[view.MadePortalLink](t, r.does(t, ask{
		method: "POST", path: "/v1/tenants/acme/portal-links", socket: true,
		body: `{"capabilities":["webhooks"],"origin":"https://app.example.com"}`,
	}, 201, `"url":"https://hooks.example.com/portal/open?k=`))
	_, key, _ := strings.Cut(made.URL, "?k=")
	set := r.does(t, ask{path: "/portal/open?k=" + key}, 303).header.Get("Set-Cookie")
	for _, part := range []string{"__Host-sg-portal=", "SameSite=None", "secure", "Partitioned", "HttpOnly"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie lacks %s: %s", part, set)
		}
	}
}

// Write allows to act on what is owed, and nothing else: no route that changes settings or access is reached with it.
func TestScopesOfRoutes(t *testing.T) {
	t.Parallel()
	for _, each := range Routes() {
		name := each.Method + " " + each.Path
		if each.Method == http.MethodGet && each.Scope != access.Read && each.Scope != access.Admin && !each.Anyone {
			t.Errorf("%s reads, with the scope %s", name, each.Scope)
		}
		if each.Anyone != (each.Scope == 0) || each.Anyone && each.Method != http.MethodGet {
			t.Errorf("%s needs no scope, and is not for anyone; or it changes something", name)
		}
		parts := strings.Split(each.Path, "/")
		switch parts[2] {
		case "tenants", "tokens", "audit", "settings":
			if each.Method != http.MethodGet && each.Scope != access.Admin {
				t.Errorf("%s needs the scope admin, not %s", name, each.Scope)
			}
		case "webhooks", "connections", "sources", "rules":
			if m := each.Method; (m == http.MethodPut || m == http.MethodPatch || m == http.MethodDelete) && each.Scope&(access.Settings|access.Secrets) == 0 {
				t.Errorf("%s needs the scope settings, not %s", name, each.Scope)
			}
		}
		if each.AllTenants && each.Method == http.MethodGet && (strings.Contains(each.Path, "/events") || strings.Contains(each.Path, "/captured") || strings.Contains(each.Path, "/rejected")) {
			t.Errorf("%s shows what respondents wrote, for all tenants", name)
		}
	}
}

// What a portal link allows is a list of routes that there are; none of them is the operator's.
func TestPortalRoutesExist(t *testing.T) {
	t.Parallel()
	all := map[string]route.Route{}
	for _, each := range Routes() {
		all[each.Method+" "+each.Path] = each
	}
	for _, name := range route.PortalRoutes() {
		each, ok := all[name]
		if !ok {
			t.Errorf("there is no route %s", name)
			continue
		}
		if each.Operator || each.TenantIn != "" || each.Scope&(access.Admin|access.Secrets|access.Publish) != 0 {
			t.Errorf("%s is not for a portal", name)
		}
		if needs, ok := access.ScopeFor(each.Capability()); !ok || needs&each.Scope != each.Scope {
			t.Errorf("%s: who gives %s need not have the scope %s", name, each.Capability(), each.Scope)
		}
	}
}

// A plan bounds what is published by API, and nothing of other tenants in the same body.
func TestEventsPerMinute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.does(t, ask{method: "PUT", path: "/v1/tenants/acme", token: operatorToken, body: `{"limits":{"events_per_minute":3}}`}, 201)
	event := func(id, tenant string) string {
		return `{"type":"response.completed","id":"` + id + `","tenant":"` + tenant + `"}`
	}
	r.does(t, ask{method: "POST", path: "/v1/events", token: operatorToken, body: "[" + event("1", "acme") + "," + event("2", "acme") + "]"}, 200, `"accepted"`)
	got := r.does(t, ask{method: "POST", path: "/v1/events", token: operatorToken, body: "[" + event("3", "acme") + "," + event("4", "default") + "," + event("5", "acme") + "]"}, 200,
		`"type":"rate_limited"`, "at most 3 events a minute")
	if n := strings.Count(got.body, `"accepted"`); n != 1 {
		t.Errorf("%d accepted: %s", n, got.body)
	}
	r.does(t, ask{method: "POST", path: "/v1/events", token: acmeToken, body: event("6", "acme")}, 200)
	got = r.does(t, ask{method: "POST", path: "/v1/events", token: acmeToken, body: event("7", "acme")}, 429, `"loc":["limits","events_per_minute"]`)
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// A platform's own requests are never refused by a plan.
	body := pollqr("r1", 3)
	r.does(t, ask{method: "POST", path: "/t/acme/in/branch", header: map[string]string{"Content-Type": "application/json", "X-PollQR-Signature": sign("acme-"+pollqrSecret, body)}, body: body}, 200)
}
