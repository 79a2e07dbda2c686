package main

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// Killed within an import of many tenants, the gateway has each tenant's documents as they were or as the import wants them, all of them.
// The same import again makes the others, and changes nothing twice.
func TestCrashWithinAnImport(t *testing.T) {
	t.Parallel()
	const tenants = 24
	// What a tenant has at first, and what the import makes of it: a goes, b stays as it is, c changes, d and the rule are new.
	hook := func(name, path string, tenant int) string {
		return fmt.Sprintf("  - {name: %s, tenant: t%d, url: \"https://receiver.example.com/%s\", signature: none, events: [response.completed], headers: {X-Key: secret-of-%s}}\n", name, tenant, path, path)
	}
	first, wanted := "webhooks:\n", "webhooks:\n"
	rules := "rules:\n"
	for i := range tenants {
		first += hook("a", "a", i) + hook("b", "b", i) + hook("c", "c", i)
		wanted += hook("b", "b", i) + hook("c", "changed", i) + hook("d", "d", i)
		rules += fmt.Sprintf("  - {name: r, tenant: t%d, when: nps_score <= 6, send: [c, d]}\n", i)
	}
	wanted += rules
	const before, after = "a a, b b, c c", "b b, c changed, d d, r"
	for _, engine := range []string{"embedded", "redis"} {
		// Between two tenants, and while a tenant is written and others are compiled.
		for _, point := range []string{"document-checked:9", "document-read:9"} {
			t.Run(point+"/"+engine, func(t *testing.T) {
				t.Parallel()
				program, err := mortal()
				if err != nil {
					t.Fatal(err)
				}
				config, dir := "", t.TempDir()
				if engine == "redis" {
					config = fmt.Sprintf("redis: %q\n", redistest.Start(t, redistest.Durable...).URL())
				}
				const key = "SURVEYGATE_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
				p := startWith(t, []string{program}, dir, config, key)
				var c *client.Client
				dial := func() {
					if c, err = client.Dial(client.Options{Data: filepath.Join(dir, "data")}); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(c.Close)
				}
				do := func(call client.Call) {
					t.Helper()
					if err := c.Do(t.Context(), call); err != nil {
						t.Fatal(err)
					}
				}
				imported := func(text string) (done client.Import, err error) {
					return done, c.Do(t.Context(), client.Call{
						Method: http.MethodPost, Path: "/v1/settings/import", Query: url.Values{"owner": {"ci"}, "mode": {"replace"}},
						Body: []byte(text), ContentType: "application/yaml", Into: &done,
					})
				}
				dial()
				for i := range tenants {
					do(client.Call{Method: http.MethodPut, Path: fmt.Sprint("/v1/tenants/t", i), Body: []byte("{}"), ContentType: "application/json"})
				}
				if done, err := imported(first); err != nil || done.Plan != "+72 ~0 -0" {
					t.Fatalf("%+v, %v", done, err)
				}
				p.stop()
				p = startWith(t, []string{program}, dir, config, key, "SURVEYGATE_CRASH_AT="+point)
				dial()
				if _, err := imported(wanted); err == nil && strings.HasPrefix(point, "document-checked") {
					t.Error("it was to die within the import, which is answered")
				}
				select {
				case <-p.ended:
				case <-time.After(patience):
					t.Fatalf("it passed the point and lives:\n%s", p.said())
				}

				startWith(t, []string{program}, dir, config, key)
				dial()
				// of returns the documents of a tenant, and the versions of those that have one.
				of := func(tenant int) (documents string, versions map[string]uint64) {
					query := url.Values{"tenant": {fmt.Sprint("t", tenant)}}
					type setting struct {
						Name, State, Owner, URL string
						Version                 uint64
					}
					var hooks, rules struct{ Data []setting }
					do(client.Call{Path: "/v1/webhooks", Query: query, Into: &hooks})
					do(client.Call{Path: "/v1/rules", Query: query, Into: &rules})
					versions = map[string]uint64{}
					var all []string
					for _, w := range hooks.Data {
						all = append(all, w.Name+" "+strings.TrimPrefix(w.URL, "https://receiver.example.com/"))
						versions["webhook/"+w.Name] = w.Version
						if w.State != "active" || w.Owner != "ci" {
							t.Errorf("webhook %s of t%d: %s of %q", w.Name, tenant, w.State, w.Owner)
						}
					}
					for _, r := range rules.Data {
						all = append(all, r.Name)
						versions["rule/"+r.Name] = r.Version
					}
					slices.Sort(all)
					return strings.Join(all, ", "), versions
				}
				done := 0
				for i := range tenants {
					switch documents, _ := of(i); documents {
					case after:
						done++
					case before:
					default:
						t.Errorf("half of t%d is done: %s", i, documents)
					}
				}
				if strings.HasPrefix(point, "document-checked") && done != 8 {
					t.Errorf("%d tenants are done", done)
				}
				again, err := imported(wanted)
				if err != nil || again.Nothing != tenants+3*done {
					t.Errorf("%d are done, then %s, %d unchanged, %v", done, again.Plan, again.Nothing, err)
				}
				if repeated, err := imported(wanted); err != nil || repeated.Plan != "+0 ~0 -0" {
					t.Errorf("repeated: %s, %v", repeated.Plan, err)
				}
				for i := range tenants {
					documents, versions := of(i)
					if documents != after {
						t.Errorf("t%d has %s", i, documents)
					}
					// Each change is in the audit once, the newest with the version that the document has.
					var audit struct{ Data []client.AuditLine }
					do(client.Call{Path: "/v1/audit", Query: url.Values{"tenant": {fmt.Sprint("t", i)}}, Into: &audit})
					var lines []string
					for _, line := range audit.Data {
						if kind, _, _ := strings.Cut(line.Did, "."); kind != "webhook" && kind != "rule" {
							continue
						}
						lines = append(lines, line.Did+" "+line.Of)
						if version, ok := versions[line.Of]; ok && line.Version != version {
							t.Errorf("t%d: %s %s has version %d, and the document %d", i, line.Did, line.Of, line.Version, version)
						}
						delete(versions, line.Of)
					}
					slices.Sort(lines)
					want := "rule.create rule/r, webhook.create webhook/a, webhook.create webhook/b, webhook.create webhook/c, webhook.create webhook/d, webhook.delete webhook/a, webhook.update webhook/c"
					if got := strings.Join(lines, ", "); got != want || len(versions) > 0 {
						t.Errorf("the audit of t%d: %s; without a line: %v", i, got, versions)
					}
				}
			})
		}
	}
}
