package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// secretOf is the secret of a token of the matrix.
func secretOf(name string) string { return (name + "-0123456789-0123456789-0123456789")[:34] }

// matrixTokens are one token of all tenants, one with every scope for each of two tenants, and for each scope one that lacks it.
func matrixTokens() string {
	var b strings.Builder
	add := func(name, tenant string, scopes []string) {
		sources := ""
		if slices.Contains(scopes, "publish") {
			sources = `, sources: ["*"]`
		}
		fmt.Fprintf(&b, "  - {name: %s, secret: %s, tenant: %q, scopes: [%s]%s}\n", name, secretOf(name), tenant, strings.Join(scopes, ", "), sources)
	}
	add("overseer", access.AnyTenant, config.Scopes)
	add("stranger", "acme", config.Scopes)
	add("victims", "victim", config.Scopes)
	for _, scope := range config.Scopes {
		add("no-"+scope, "victim", slices.DeleteFunc(slices.Clone(config.Scopes), func(s string) bool { return s == scope }))
	}
	return b.String()
}

// mark is in all that the victim has, and in no request of a stranger.
const mark = "mark7f3a"

// victim is a tenant with one of everything, which a stranger knows the names of.
type victim struct {
	r     *rig
	names map[string]string // by the collection that a path has before them
}

// owned are the settings of one tenant, by collection: each of these is made for the victim and for the stranger. A text in
// place of MARK is its own.
var owned = []struct{ collection, name, spec string }{
	{"connections", "crm", `{"hubspot":{"token":"pat-MARK","base_url":"https://MARK.example.com"}}`},
	{"webhooks", "hook", `{"url":"https://MARK.example.com/in","events":["response.updated"],"when":"feedback == 'MARK'","headers":{"X-Mark":"MARK"}}`},
	{"sources", "forms", `{"profile":"pollqr","secrets":["MARK-0123456789-0123456789"]}`},
	{"rules", "asks", `{"when":"feedback == 'MARK'","send":["PREFIX-crm"]}`},
}

// newVictim makes a rig with a victim, and a stranger in the tenant acme who has the same under other names.
func newVictim(t *testing.T) *victim {
	t.Helper()
	r := &rig{written: &written{}}
	r.plan.Store(load(t, someSettings+matrixTokens()))
	r.open(t)
	for _, of := range []struct{ tenant, prefix, mark string }{{"victim", "vic", mark}, {"acme", "own", "mine"}} {
		for _, o := range owned {
			spec := strings.NewReplacer("MARK", of.mark, "PREFIX", of.prefix).Replace(o.spec)
			path := "/v1/" + o.collection + "/" + of.prefix + "-" + o.name
			if got := r.ask(t, ask{method: "PUT", path: path + "?tenant=" + of.tenant, token: secretOf("overseer"), body: spec}); got.status != http.StatusCreated {
				t.Fatalf("PUT %s: %d %s", path, got.status, got.body)
			}
		}
		r.await(func(p *decide.Plan) bool {
			return p.Destination(of.tenant, of.prefix+"-crm") != nil && p.Destination(of.tenant, of.prefix+"-hook") != nil
		})
	}
	body := `{"type":"response.completed","id":"r-` + mark + `","feedback":"` + mark + `","email":"` + mark + `@example.com","response":{"id":"vic-answer"}}`
	got := r.ask(t, ask{method: "POST", path: "/v1/events?tenant=victim", token: secretOf("overseer"), body: body})
	if got.status != http.StatusOK {
		t.Fatalf("publish: %d %s", got.status, got.body)
	}
	v := &victim{r: r, names: map[string]string{
		"events": ids.FindString(got.body), "responses": "vic-answer", "connections": "vic-crm", "webhooks": "vic-hook", "webhook": "vic-hook", "destinations": "vic-hook",
		"sources": "vic-forms", "rules": "vic-asks", "tenants": "victim", "department": "victim",
	}}
	o := r.decide(t, state.Dead)
	v.names["deliveries"] = o.Deliveries[0].ID
	got = r.ask(t, ask{method: "POST", path: "/v1/replays?tenant=victim", token: secretOf("overseer"), body: `{"of":{"events":["` + v.names["events"] + `"],"state":"delivered"}}`})
	var job view.Job
	if err := json.Unmarshal([]byte(got.body), &job); err != nil || got.status != http.StatusAccepted {
		t.Fatalf("replay: %d %s", got.status, got.body)
	}
	v.names["replays"], v.names["jobs"] = job.ID, job.ID
	if job = r.ended(t, secretOf("victims"), job.ID); job.State != "done" { // so that it changes no more
		t.Fatalf("%+v", job)
	}
	got = r.ask(t, ask{method: "POST", path: "/v1/drops?tenant=victim", token: secretOf("overseer"), body: `{"of":{"events":["` + v.names["events"] + `"],"state":"waiting","type":"test"}}`})
	decode(t, got.body, &job)
	v.names["drops"] = job.ID
	if job = r.dropEnded(t, secretOf("victims"), job.ID); job.State != "done" || job.Done != 0 {
		t.Fatalf("%+v", job)
	}
	got = r.ask(t, ask{method: "POST", path: "/v1/erasures?tenant=victim", token: secretOf("overseer"), body: `{"respondent":"somebody-else@example.org"}`})
	var erasure view.Erasure
	decode(t, got.body, &erasure)
	v.names["erasures"] = erasure.ID
	if erasure = r.erasureEnded(t, secretOf("overseer"), "victim", erasure.ID); erasure.State != "done" || erasure.Receipt.Events != 0 {
		t.Fatalf("%+v", erasure)
	}
	r.does(t, ask{method: "PUT", path: "/v1/tenants/victim", token: secretOf("overseer"), body: `{"title":"` + mark + `","limits":{"webhooks":7},"metadata":{"plan":"` + mark + `"}}`}, 201)
	r.makeToken(t, secretOf("overseer"), "victim", `{"name":"vic-key","scopes":["read"]}`)
	v.names["tokens"] = "vic-key"
	got = r.does(t, ask{method: "POST", path: "/v1/tenants/victim/portal-links", token: secretOf("overseer"), body: `{"capabilities":["webhooks"],"actor":"` + mark + `@example.com"}`}, 201)
	v.names["portal-links"] = decoded[view.MadePortalLink](t, got).ID
	got = r.does(t, ask{path: "/v1/webhooks/vic-hook/secrets", token: secretOf("victims")}, 200)
	v.names["secrets"] = decoded[view.Page[view.WebhookSecret]](t, got).Data[0].ID
	v.r.does(t, ask{method: "POST", path: "/v1/sources/vic-forms/capture?tenant=victim", token: secretOf("overseer"), body: `{"for":"24h"}`}, 200)
	v.r.does(t, ask{method: "POST", path: "/t/victim/in/vic-forms", body: `{"answer":"` + mark + `"}`}, 401)
	for _, kept := range []string{"captured", "rejected"} {
		v.r.does(t, ask{path: "/v1/sources/vic-forms/" + kept, token: secretOf("victims")}, 200, mark)
	}
	return v
}

// fill fills a route's path with names.
func fill(t *testing.T, r *route.Route, names map[string]string) string {
	t.Helper()
	parts := strings.Split(r.Path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, ":") {
			name := names[parts[i-1]]
			if name == "" {
				t.Fatalf("%s %s: the matrix has no name of one of its %s: make one in newVictim", r.Method, r.Path, parts[i-1])
			}
			parts[i] = name
		}
	}
	return strings.Join(parts, "/")
}

// secrets are what no answer to a stranger may hold who has nothing of these names.
func (v *victim) secrets() []string { return append(v.known(), mark) }

// leaked returns the first secret that an answer holds and its request does not.
func leaked(answer, request string, secrets []string) string {
	for _, text := range secrets {
		if strings.Contains(answer, text) && !strings.Contains(request, text) {
			return text
		}
	}
	return ""
}

// known are the names that the stranger knows, in their order.
func (v *victim) known() []string {
	var all []string
	for _, name := range v.names {
		all = append(all, name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// picture is all that the store holds of the victim.
func (v *victim) picture(t *testing.T) string {
	t.Helper()
	ctx, store := context.Background(), v.r.store
	var all []any
	add := func(part any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part)
	}
	kinds, lists := v.r.written.names()
	for _, kind := range kinds {
		own, err := store.List(ctx, "victim", kind)
		add(len(own), err)
		shared, err := store.List(ctx, access.AnyTenant, kind)
		for _, s := range append(own, slices.DeleteFunc(shared, func(s state.Setting) bool {
			return !slices.ContainsFunc(v.secrets(), func(name string) bool { return strings.Contains(s.Name+string(s.Value), name) })
		})...) {
			add(fmt.Sprintf("%s %s %d %s", kind, s.Name, s.Version, s.Value), err)
		}
	}
	for _, list := range lists {
		lines, err := store.Kept(ctx, "victim", list, 0, -1)
		add(fmt.Sprintf("%s %s", list, lines), err)
	}
	deliveries, err := store.Deliveries(ctx, "victim", state.DeliveryQuery{})
	add(deliveries, err)
	events, err := store.Events(ctx, "victim", state.EventQuery{})
	add(events, err)
	holds, err := store.Holds(ctx, "victim")
	add(holds, err)
	standing, err := store.Standing(ctx, "victim", []string{"vic-hook", "vic-crm"})
	add(standing, err)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range v.secrets() {
		if !strings.Contains(string(text), name) {
			t.Fatalf("the picture of the victim lacks %s: %s", name, text)
		}
	}
	return string(text)
}

// callers are those of the victim that may less than their tokens say.
type callers struct {
	expired, session, ended string
	// without are the cookies of portal links that allow all but one thing, by that; "" allows all.
	without map[access.Capability]string
}

// callers makes them. An hour later it is no longer noon, and a token and its session have ended.
func (v *victim) callers(t *testing.T) *callers {
	t.Helper()
	k := &callers{without: map[access.Capability]string{}}
	k.expired = v.r.makeToken(t, secretOf("overseer"), "victim", `{"name":"ends","scopes":["read","write","settings","admin","secrets"],"expires":"30m"}`)
	k.ended = v.r.session(t, k.expired)
	k.session = v.r.session(t, secretOf("victims"))
	for _, lacks := range append([]string{""}, access.Capabilities()...) {
		allowed := slices.DeleteFunc(access.Capabilities(), func(name string) bool { return name == lacks })
		text, err := json.Marshal(map[string]any{"capabilities": allowed})
		if err != nil {
			t.Fatal(err)
		}
		got := v.r.does(t, ask{method: "POST", path: "/v1/tenants/victim/portal-links", token: secretOf("overseer"), body: string(text)}, 201)
		_, key, _ := strings.Cut(decoded[view.MadePortalLink](t, got).URL, "?k=")
		k.without[access.Capability(lacks)] = cookieOf(t, v.r.does(t, ask{path: "/portal/open?k=" + key}, 303))
	}
	v.r.clock.Advance(time.Hour)
	v.r.does(t, ask{path: "/v1/webhooks", header: withCookie(k.ended)}, 401)
	v.r.does(t, ask{path: "/v1/webhooks", header: withCookie(k.session)}, 200)
	v.r.does(t, ask{path: "/v1/webhooks", header: withCookie(k.without[""])}, 200)
	return k
}

// Every route of the table refuses who has no token, a token that is none or has expired, one without its scope, one of another tenant,
// and one that is not of all tenants where that is needed; a session whose cookie another page sends, and that of a portal link that does
// not allow the route.
func TestEveryRouteIsGuarded(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	of := v.callers(t)
	before := v.picture(t)
	for _, r := range Routes() {
		path := fill(t, &r, v.names)
		refused := func(who string, a ask, want ...int) {
			t.Helper()
			a.method, a.body = r.Method, "{}"
			got := v.r.ask(t, a)
			if !slices.Contains(want, got.status) {
				t.Errorf("%s %s, asked %s: %d, want %v: %.300s", r.Method, a.path, who, got.status, want, got.body)
			}
			if text := leaked(got.body, a.path, v.secrets()); text != "" {
				t.Errorf("%s %s, asked %s, tells %s: %.300s", r.Method, a.path, who, text, got.body)
			}
		}
		refused("without a token", ask{path: path}, 401)
		refused("with a token that is none", ask{path: path, token: secretOf("nobody")}, 401)
		refused("with a token that has expired", ask{path: path, token: of.expired}, 401)
		refused("with a session that has ended", ask{path: path, header: withCookie(of.ended, "Sec-Fetch-Site", "same-origin")}, 401)
		if r.Method != http.MethodGet {
			for _, origin := range [][]string{nil, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
				refused("by another page", ask{path: path, header: withCookie(of.session, origin...)}, 403)
			}
		}
		if !r.Anyone {
			refused("by a portal link without the capability", ask{path: path, header: withCookie(of.without[r.Capability()], "Sec-Fetch-Site", "same-origin")}, 403)
		}
		for _, scope := range r.Scope.Names() {
			refused("without the scope "+scope, ask{path: path, token: secretOf("no-" + scope)}, 403)
		}
		refused("for another tenant", ask{path: path + "?tenant=victim", token: secretOf("stranger")}, 403, 404)
		if r.Operator {
			refused("by one tenant", ask{path: path, token: secretOf("victims")}, 403, 404)
		}
		if !r.AllTenants && !r.Operator {
			refused("for all tenants", ask{path: path + "?tenant=*", token: secretOf("overseer")}, 403, 404, 422)
		}
	}
	if after := v.picture(t); before != after {
		t.Errorf("a refused request changed something:\n%s\n%s", before, after)
	}
}

// Every route, asked by a stranger for what the victim has, by its names: in its path, in each parameter, and in each text of its
// body. No answer holds anything of the victim, and nothing of it changes.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	own := map[string]string{
		"connections": "own-crm", "webhooks": "own-hook", "webhook": "own-hook", "destinations": "own-hook", "sources": "own-forms", "rules": "own-asks",
		"tenants": "acme", "department": "acme", "events": "own-other", "deliveries": "own-other", "replays": "own-other", "drops": "own-other", "erasures": "own-other", "jobs": "own-other",
		"tokens": "own-other", "secrets": "own-other", "portal-links": "own-other", "responses": "own-other",
	}
	before := v.picture(t)
	try := func(r *route.Route, path, body string, secrets ...string) told {
		t.Helper()
		asked := ask{method: r.Method, path: path, token: secretOf("stranger"), body: body}
		got := v.r.ask(t, asked)
		if got.status == http.StatusTooManyRequests || got.status == http.StatusInternalServerError {
			t.Errorf("%s %s with %s: %d %s", r.Method, path, body, got.status, got.body)
		}
		if text := leaked(got.body, path+body, secrets); text != "" {
			t.Errorf("%s %s with %s tells %s of another tenant: %.1000s", r.Method, path, body, text, got.body)
		}
		return got
	}
	unchanged := func(r *route.Route) {
		t.Helper()
		if after := v.picture(t); before != after {
			t.Fatalf("%s %s: a stranger changed something of another tenant:\n%s\n%s", r.Method, r.Path, before, after)
		}
	}
	routes := Routes()
	// The stranger's own stream has no end, and is that of TestLiveIsOfTheTenant; one of another tenant is refused as every answer is.
	streams := func(r *route.Route) bool {
		media, ok := r.Out.(route.Media)
		return ok && media["text/event-stream"] != nil && media["application/json"] == nil
	}
	// In the paths. As long as the stranger makes nothing, no answer holds a name of the victim either.
	for i := range routes {
		r := &routes[i]
		path := fill(t, r, v.names)
		if streams(r) || r.Method == http.MethodPut || r.Method == http.MethodPost && path == r.Path {
			continue // it makes something of the stranger's
		}
		got := try(r, path, baseBody(r), v.secrets()...)
		if path != r.Path && got.status < http.StatusBadRequest {
			t.Errorf("%s %s: a stranger is answered %d for what another tenant has: %.300s", r.Method, path, got.status, got.body)
		}
		unchanged(r)
	}
	// In everything else. From here on the stranger has things with the names of the victim's.
	for i := range routes {
		known := v.known()
		if testing.Short() { // a few of them for each route, in turn
			known = append(known, known...)[i%len(known):][:3]
		}
		r := &routes[i]
		base, path := baseBody(r), fill(t, r, own)
		if !streams(r) {
			try(r, fill(t, r, v.names), base, mark)
		}
		for _, name := range append(slices.Clone(r.Query), "tenant") {
			if streams(r) && name != "tenant" {
				continue // an answer without an end; TestTail has what it holds
			}
			for _, value := range append(slices.Clone(known), "destination:vic-hook", "source:vic-forms", "rule:vic-asks") {
				try(r, path+"?"+name+"="+url.QueryEscape(value), base, mark)
			}
		}
		for _, value := range known {
			if r.In == nil {
				break
			}
			for _, body := range replaced(t, base, value) {
				try(r, path, body, mark)
			}
		}
		unchanged(r)
	}
}

// bodies are bodies that a route accepts, by what it takes, where one made of its schema would be refused for what it says.
var bodies = map[string]string{
	"/v1/connections":     `{"hubspot":{"token":"pat-mine"},"rate":"10/s"}`,
	"/v1/webhooks":        `{"url":"https://mine.example.com/in","events":["response.updated"],"when":"nps_score <= 6","headers":{"X-A":"a"}}`,
	"/v1/sources":         `{"profile":"pollqr","secrets":["mine-0123456789-0123456789"]}`,
	"/v1/rules":           `{"when":"nps_score <= 6","send":["own-crm"]}`,
	"/v1/events":          `{"type":"response.completed","id":"own-1","source":"api","tenant":"acme","feedback":"slow","email":"jo@example.com"}`,
	"/v1/try":             `{"draft":{"rules":{"own-new":{"when":"nps_score <= 6","send":["own-crm"]}}},"events":{"last":5,"type":"response.completed","source":"api","ids":["own-1"]},"show":["explain","requests","difference"]}`,
	"/v1/backtests":       `{"rules":["own-asks"],"draft":{"rules":{"own-asks":{"when":"nps_score <= 6","send":["own-crm"]}}},"since":"30d","until":"0s","source":"api","type":"response.completed","survey":"s1","limit":5}`,
	"/department/webhook": `{"name":"n","url":"https://127.0.0.1:9/x","events":["response.completed"],"headers":{"X-A":"a"}}`,
}

// baseBody returns the body of a route that the stranger begins with.
func baseBody(r *route.Route) string {
	if r.In == nil {
		return "{}"
	}
	var collection []string
	for part := range strings.SplitSeq(r.Path, "/") {
		if !strings.HasPrefix(part, ":") {
			collection = append(collection, part)
		}
	}
	for n := len(collection); n > 1; n-- {
		if body := bodies[strings.Join(collection[:n], "/")]; body != "" && n == len(collection) || body != "" && collection[1] == "department" {
			return body
		}
	}
	d := described()
	content := d.document.Object("paths").Object(openapi.Path(r.Path)).Object(strings.ToLower(r.Method)).Object("requestBody").Object("content")
	if content == nil {
		return "{}"
	}
	text, err := json.Marshal(d.sample(content.Object(content.Names()[0]).Object("schema"), 0))
	if err != nil {
		return "{}"
	}
	return string(text)
}

// sample returns a value of a schema, with every property.
func (d *description) sample(schema *openapi.Object, depth int) any {
	if name, ok := strings.CutPrefix(schema.Text("$ref"), "#/components/schemas/"); ok {
		schema = d.document.Object("components").Object("schemas").Object(name)
	}
	if forms := schema.List("anyOf"); len(forms) > 0 {
		return d.sample(forms[0].(*openapi.Object), depth+1)
	}
	if words := schema.List("enum"); len(words) > 0 {
		return words[0]
	}
	kind := schema.Text("type")
	if kinds := schema.List("type"); len(kinds) > 0 {
		kind = fmt.Sprint(kinds[0])
	}
	switch kind {
	case "object":
		o := map[string]any{}
		if values := schema.Object("additionalProperties"); values != nil && depth < 5 {
			o["x"] = d.sample(values, depth+1)
		}
		for _, name := range schema.Object("properties").Names() {
			if depth < 5 {
				o[name] = d.sample(schema.Object("properties").Object(name), depth+1)
			}
		}
		return o
	case "array":
		return []any{d.sample(schema.Object("items"), depth+1)}
	case "integer", "number":
		return 1
	case "boolean":
		return true
	default:
		return "x"
	}
}

// replaced returns a body with each of its texts, and each of its names, replaced by a value, and one with all texts replaced.
func replaced(t *testing.T, body, value string) []string {
	t.Helper()
	n := 0
	var walk func(v any, at int) any
	walk = func(v any, at int) any {
		hit := func() bool { n++; return at < 0 || n-1 == at }
		switch v := v.(type) {
		case string:
			if hit() {
				return value
			}
			return v
		case []any:
			out := make([]any, len(v))
			for i := range v {
				out[i] = walk(v[i], at)
			}
			return out
		case map[string]any:
			out := map[string]any{}
			names := make([]string, 0, len(v))
			for name := range v {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				inner := walk(v[name], at)
				if hit() && at >= 0 {
					name = value
				}
				out[name] = inner
			}
			return out
		default:
			return v
		}
	}
	var parsed any
	if err := json.Unmarshal([]byte(body), &parsed); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var all []string
	add := func(at int) {
		n = 0
		text, err := json.Marshal(walk(parsed, at))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	add(-1)
	for at, count := 0, n; at < count; at++ {
		add(at)
	}
	return all
}

// Every path that the server answers is in the table of routes, which the matrix is made of, or is one of these, which ask for no token
// or have proofs of their own.
func TestEveryPathIsInTheTable(t *testing.T) {
	t.Parallel()
	apart := []string{
		"/in/:source/:token?", "/t/:tenant/in/:source/:token?", // platforms
		"/openapi.json", "/docs", "/docs/:page", "/docs/style.css", "/healthz", "/readyz", "/metrics",
	}
	declared := map[string]bool{}
	for _, r := range Routes() {
		declared[r.Method+" "+r.Path] = true
	}
	r := newRig(t)
	for _, socket := range []bool{false, true} { // both serve
		r.does(t, ask{path: "/healthz", socket: socket}, 200)
	}
	for _, front := range []*front{r.app.tcp, r.app.socket} {
		answered := map[string]bool{}
		for _, each := range front.fiber.GetRoutes(true) {
			method := each.Method
			if method == http.MethodHead {
				method = http.MethodGet
			}
			answered[method+" "+each.Path] = true
			page := each.Path == "/" || strings.HasPrefix(each.Path, "/console/") || strings.HasPrefix(each.Path, "/portal/") // see pages_test.go
			if !declared[method+" "+each.Path] && !slices.Contains(apart, each.Path) && !page {
				t.Errorf("%s %s is answered, and is in no table of routes", each.Method, each.Path)
			}
		}
		for name := range declared {
			if !answered[name] {
				t.Errorf("%s is declared, and is not answered", name)
			}
		}
	}
}
