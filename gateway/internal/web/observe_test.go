package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/sse"
)

// auditOf returns the acts in a tenant's audit, newest first, as BY DID OF.
func (r *rig) auditOf(t testing.TB, query string) (lines []string, page view.Page[view.AuditLine]) {
	t.Helper()
	got := r.ask(t, ask{path: "/v1/audit?" + query, socket: true})
	if got.status != http.StatusOK {
		t.Fatalf("%s: %d %s", query, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &page); err != nil {
		t.Fatal(err)
	}
	for _, l := range page.Data {
		lines = append(lines, l.By+" "+l.Did+" "+l.Of)
	}
	return lines, page
}

// What a person does by hand is in the audit of the tenant it was done to, once, and what failed or changes nothing is not.
func TestActsAreAudited(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.accept(t, pollqr("r1", 3))
	delivery := r.decide(t, state.Dead).Deliveries[0].ID
	for _, a := range []ask{
		{method: "POST", path: "/v1/destinations/alarms/pause?reason=x", token: everyToken},
		{method: "POST", path: "/v1/destinations/alarms/resume", token: everyToken},
		{method: "POST", path: "/v1/destinations/none/pause", token: everyToken},
		{method: "POST", path: "/v1/deliveries/" + delivery + "/retry", token: everyToken},
		{method: "POST", path: "/v1/events/" + id + "/replay?dry_run=true", token: everyToken},
		{method: "GET", path: "/v1/sources/poltio?show_secrets=true", token: everyToken},
		{method: "GET", path: "/v1/sources/poltio?show_secrets=true", token: readToken},
		{method: "GET", path: "/v1/deliveries", token: everyToken},
		{method: "PUT", path: "/v1/rules/happy", token: settingsToken, body: `{"when": "nps_score >= 9", "send": ["alarms"]}`},
		{method: "PUT", path: "/v1/rules/happy", token: settingsToken, body: `{"when": "nps_score >= 9", "send": ["alarms"]}`},
		{method: "POST", path: "/v1/destinations/crm/pause", token: acmeToken},
	} {
		r.ask(t, a)
	}
	lines, page := r.auditOf(t, "")
	if diff := cmp.Diff([]string{
		"token:settings rule.create rule/happy", "token:every source.reveal source/poltio", "token:every delivery.retry delivery/" + delivery,
		"token:every destination.resume destination/alarms", "token:every destination.pause destination/alarms",
	}, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, l := range page.Data {
		if l.RequestID == "" || l.At.IsZero() {
			t.Errorf("%+v", l)
		}
	}
	if lines, _ := r.auditOf(t, "tenant=acme"); !cmp.Equal(lines, []string{"token:acme destination.pause destination/crm"}) {
		t.Errorf("acme has %q", lines)
	}
	if lines, _ := r.auditOf(t, "of=destination:alarms&by=token:every"); len(lines) != 2 {
		t.Errorf("of alarms: %q", lines)
	}
	if lines, _ := r.auditOf(t, "of=rule"); len(lines) != 1 {
		t.Errorf("of rules: %q", lines)
	}
	if lines, _ := r.auditOf(t, "tenant=*"); len(lines) != 0 {
		t.Errorf("the gateway has %q", lines)
	}
	if got := r.ask(t, ask{path: "/v1/audit", token: everyToken}); got.status != http.StatusForbidden {
		t.Errorf("without the scope admin: %d", got.status)
	}
}

// Each route that changes something is in the audit: by the guard, or by its handler or the book.
func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	for _, r := range Routes() {
		changes := r.Method != http.MethodGet && r.Scope&access.Read == 0 && r.Scope != access.Publish
		byOthers := r.Recorded || r.Scope == access.Settings || r.Scope == access.Admin
		if changes != (r.Act() != "" || byOthers) && !(byOthers && !changes) {
			t.Errorf("%s %s (%s): act %q, recorded by others: %t", r.Method, r.Path, r.Scope, r.Act(), byOthers)
		}
	}
}

// Pages of the audit have each line once, also where lines come in between, and read a bounded number of lines.
func TestAuditPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	add := func(n int, did string) {
		t.Helper()
		line := audit.Line{By: audit.By{Name: "token:ci"}, Did: did, Of: fmt.Sprint("webhook/w", n)}
		if err := r.book.Audit.Add(context.Background(), "default", line); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 25 {
		add(n, "webhook.update")
	}
	seen, cursor := map[string]int{}, ""
	for pages := 0; ; pages++ {
		lines, page := r.auditOf(t, "limit=10&cursor="+cursor)
		for _, l := range lines {
			seen[l]++
		}
		for n := range 3 { // between two pages
			add(100+10*pages+n, "webhook.create")
		}
		if page.Next == nil {
			break
		}
		cursor = *page.Next
	}
	for n := range 25 {
		if got := seen[fmt.Sprint("token:ci webhook.update webhook/w", n)]; got != 1 {
			t.Errorf("line %d was shown %d times", n, got)
		}
	}
	for _, query := range []string{"cursor=x", "limit=0", "since=never"} {
		if got := r.ask(t, ask{path: "/v1/audit?" + query, socket: true}); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", query, got.status)
		}
	}
	for n := range 5200 {
		add(n, "webhook.update")
	}
	lines, page := r.auditOf(t, "by=token:nobody")
	if len(lines) != 0 || page.Next == nil || page.SearchedBackTo.IsZero() {
		t.Fatalf("a search without bound: %+v", page)
	}
	if lines, page = r.auditOf(t, "by=token:nobody&cursor="+*page.Next); len(lines) != 0 || page.Next != nil {
		t.Errorf("the rest: %q, next %v", lines, page.Next)
	}
}

func TestHealthIsOfTheTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Dead)
	if err := r.store.Hold(context.Background(), "acme", "crm", state.Hold{Kind: state.HoldRevoked, Reason: "401", Since: noon}, nil); err != nil {
		t.Fatal(err)
	}
	health := func(query, token string) (h view.Health) {
		t.Helper()
		got := r.ask(t, ask{path: "/v1/health" + query, token: token})
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if err := json.Unmarshal([]byte(got.body), &h); err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := health("", everyToken); h.Tenant != "default" || h.Dead != 1 || h.OnHold != 0 || h.Events24h == nil || h.Warnings != nil {
		t.Errorf("default: %+v", h)
	}
	if h := health("", acmeToken); h.Tenant != "acme" || h.Dead != 0 || h.OnHold != 1 || h.Holds[0].Destination != "crm" || h.Holds[0].Tenant != "" {
		t.Errorf("acme: %+v", h)
	}
	if h := health("?tenant=*", platformWide); h.Dead != 1 || h.OnHold != 1 || h.Holds[0].Tenant != "acme" || h.Events24h != nil {
		t.Errorf("all: %+v", h)
	}
	// Documents of an earlier version may be more than new ones may be.
	asked := func(n int) {
		t.Helper()
		all := []config.Document{{Name: "webhook/hook", Spec: []byte(plainHook)}}
		for i := range n {
			all = append(all, config.Document{Name: fmt.Sprintf("rule/r%03d", i), Spec: []byte(`{"send": ["hook"]}`), Version: uint64(i + 1)})
		}
		p := r.plan.Load()
		r.plan.Store(p.With(config.Overlay(p.Config, "acme", all)))
	}
	asked(settings.MaxAsked)
	if h := health("", acmeToken); h.Warnings != nil {
		t.Errorf("as many as may be: %q", h.Warnings)
	}
	asked(settings.MaxAsked + 2)
	if h := health("", acmeToken); len(h.Warnings) != 1 || !strings.HasPrefix(h.Warnings[0], "202 stored rules and webhooks are asked about each `response.completed`") {
		t.Errorf("more than may be: %q", h.Warnings)
	}
	if h := health("", everyToken); h.Warnings != nil {
		t.Errorf("of another tenant: %q", h.Warnings)
	}
	if got := r.ask(t, ask{path: "/v1/health?tenant=*", token: acmeToken}); got.status != http.StatusForbidden {
		t.Errorf("acme asks for all: %d", got.status)
	}
}

// signalsOf opens the stream of a token; each line of data is sent to the channel as NAME DATA.
func (r *rig) signalsOf(t *testing.T, query, token string) <-chan string {
	t.Helper()
	return r.stream(t, "/v1/live"+query, token, "")
}

// stream returns the messages of a stream, each with its name and its data. after is the id of the last one that was seen.
func (r *rig) stream(t *testing.T, path, token, after string) <-chan string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	res, err := r.tcp.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", path, res.StatusCode)
	}
	lines := make(chan string, 100)
	ended := make(chan struct{})
	t.Cleanup(func() { _ = res.Body.Close(); <-ended })
	go func() {
		defer close(ended)
		defer close(lines)
		name := ""
		for scan := bufio.NewScanner(res.Body); scan.Scan(); {
			if event, ok := strings.CutPrefix(scan.Text(), "event: "); ok {
				name = event
			} else if data, ok := strings.CutPrefix(scan.Text(), "data: "); ok {
				lines <- name + " " + data
			}
		}
	}()
	return lines
}

// next returns the next signal of a name.
func next(t *testing.T, lines <-chan string, name string) string {
	t.Helper()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the stream ended before a signal %s", name)
			}
			if data, ok := strings.CutPrefix(line, name+" "); ok {
				return data
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no signal %s", name)
		}
	}
}

// The bound of streams is of one caller: those of another tenant's token of the same name do not count.
func TestLiveOfTwoTenants(t *testing.T) {
	t.Parallel()
	r := (&rig{streams: sse.Options{MaxPerOwner: 1}}).open(t)
	one := r.makeToken(t, operatorToken, "acme", `{"name":"ci","scopes":["read"]}`)
	other := r.makeToken(t, operatorToken, "default", `{"name":"ci","scopes":["read"]}`)
	first := r.signalsOf(t, "", one)
	second := r.signalsOf(t, "", other)
	next(t, second, "tick")
	r.signalsOf(t, "", one)
	for range first { // it ends
	}
	if n := r.app.streams.Open(); n != 2 {
		t.Errorf("%d streams are open", n)
	}
}

// Signals reach the tenant that they concern, and those who may listen to all.
func TestLiveIsOfTheTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.accept(t, pollqr("r1", 3))
	r.decide(t, state.Dead)
	mine, acme, all := r.signalsOf(t, "", everyToken), r.signalsOf(t, "", acmeToken), r.signalsOf(t, "?tenant=*", platformWide)
	if got := next(t, mine, "tick"); !strings.Contains(got, `"dead":1`) {
		t.Errorf("tick %s", got)
	}
	if got := next(t, acme, "tick"); !strings.Contains(got, `"dead":0`) {
		t.Errorf("tick of acme %s", got)
	}
	next(t, all, "tick")
	if err := r.store.Hold(context.Background(), "acme", "crm", state.Hold{Kind: state.HoldPaused, Since: noon}, nil); err != nil {
		t.Fatal(err)
	}
	if got := next(t, acme, "hold"); got != `{"destination":"crm","kind":"paused"}` {
		t.Errorf("hold %s", got)
	}
	if got := next(t, all, "hold"); got != `{"tenant":"acme","destination":"crm","kind":"paused"}` {
		t.Errorf("hold for all %s", got)
	}
	r.ask(t, ask{method: "PUT", path: "/v1/rules/happy", token: settingsToken, body: `{"when": "nps_score >= 9", "send": ["alarms"]}`})
	if got := next(t, mine, "settings"); !strings.HasPrefix(got, `{"of":"rule/happy","version":`) {
		t.Errorf("settings %s", got)
	}
	next(t, all, "settings")
	for len(mine) > 0 {
		if line := <-mine; strings.Contains(line, "crm") {
			t.Errorf("the stream of default has %s", line)
		}
	}
	for len(acme) > 0 {
		if line := <-acme; strings.Contains(line, "happy") {
			t.Errorf("the stream of acme has %s", line)
		}
	}
	req := ask{path: "/v1/live?tenant=*", token: acmeToken}
	if got := r.ask(t, req); got.status != http.StatusForbidden {
		t.Errorf("acme listens to all: %d", got.status)
	}
}
