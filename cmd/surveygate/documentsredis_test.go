package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// On a Cluster, what is set on one gateway takes effect on both, and a tenant is deleted with all that it owns, and nothing of another.
func TestSettingsOnACluster(t *testing.T) {
	t.Parallel()
	url, _ := redistest.StartCluster(t, redistest.Durable...)
	p := newPairOn(t, url)
	for _, c := range p.round() {
		c.change(p.a)
		if !c.shared && !p.a.late.Load() && !c.took(p.a) {
			t.Errorf("%s, and the gateway that answered does not use it", c.what)
		}
		until(t, c.what+", and the other uses it", func() bool { return c.tookOn(p.b) })
	}
	var token, other struct{ Secret string }
	for tenant, made := range map[string]any{"acme": &token, "other": &other} {
		of := "?tenant=" + tenant
		p.a.must("PUT", "/v1/tenants/"+tenant, "{}")
		p.a.must("PUT", "/v1/webhooks/h"+of, `{"url": "https://hook.example.com/"}`)
		p.a.must("PUT", "/v1/rules/r"+of, `{"send": ["h"]}`)
		// Either gateway may decide the event.
		until(t, "the other uses the rule", func() bool {
			status, text := p.b.call("GET", "/v1/rules/r"+of, "", "") // it may not have heard of the tenant yet
			return status == 200 && strings.Contains(text, `"state":"active"`)
		})
		p.a.into(made, p.a.must("POST", "/v1/tokens"+of, `{"name": "t", "scopes": ["read", "publish"]}`))
		p.a.must("POST", "/v1/destinations/h/pause"+of, "") // nothing is sent
		p.a.must("POST", "/v1/events"+of, body("e-1"))
		until(t, "its delivery waits", func() bool {
			return strings.Contains(p.b.must("GET", "/v1/deliveries?state=waiting&tenant="+tenant, ""), `"waiting"`)
		})
	}
	var job struct{ ID, State string }
	p.b.into(&job, p.b.must("DELETE", "/v1/tenants/acme?cascade=true", ""))
	until(t, "the deletion ends", func() bool {
		p.a.into(&job, p.a.must("GET", "/v1/jobs/"+job.ID, ""))
		return job.State != "queued" && job.State != "running"
	})
	if job.State != "done" {
		t.Fatalf("%+v", job)
	}
	for _, c := range []*caller{p.a, p.b} {
		until(t, "the tenant's token ends", func() bool { status, _ := c.call("GET", "/v1/webhooks", "", token.Secret); return status == 401 })
		if status, text := c.call("GET", "/v1/webhooks", "", other.Secret); status != 200 || !strings.Contains(text, `"h"`) {
			t.Errorf("another tenant: %d %s", status, text)
		}
		if text := c.must("GET", "/v1/deliveries?state=waiting&tenant=other", ""); !strings.Contains(text, `"waiting"`) {
			t.Errorf("another tenant's deliveries: %s", text)
		}
	}
}

// A Redis is emptied while two gateways run: documents, tokens and tenants stay in use and are written back, readiness says what happened,
// nothing goes to another tenant, and what is set from then on is used as before.
func TestEmptiedRedisAndSettings(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.EverySecond...)
	receiver := newPublicSink(t, "hook.example.com")
	config := fmt.Sprintf("redis: %q\noutbound: {proxy: %q}\ntokens: [{name: load, secret: %q, scopes: [read]}]\n", server.URL(), receiver.proxy, testToken)
	p := &pair{t: t, server: server}
	for _, c := range []**caller{&p.a, &p.b} {
		*c = newCaller(start(t, t.TempDir(), config, vaultKey, receiver.env))
	}
	tenants := []string{"acme", "other"}
	secrets := map[string]string{}
	for _, tenant := range tenants {
		var made struct{ Secret string }
		p.a.must("PUT", "/v1/tenants/"+tenant, `{"title": "Kept", "limits": {"webhooks": 2}}`)
		p.a.must("PUT", "/v1/webhooks/h?tenant="+tenant, fmt.Sprintf(`{"url": "https://hook.example.com/%s", "events": ["response.completed"]}`, tenant))
		p.a.into(&made, p.a.must("POST", "/v1/tokens?tenant="+tenant, `{"name": "t", "scopes": ["read", "publish"]}`))
		secrets[tenant] = made.Secret
		until(t, "both use it", func() bool {
			status, _ := p.b.call("GET", "/v1/destinations/h", "", made.Secret)
			return status == 200
		})
	}
	server.Do("FLUSHALL")
	for _, c := range []*caller{p.a, p.b} {
		until(t, "readiness says it", func() bool {
			_, text := c.call("GET", "/readyz", "", "")
			return strings.Contains(text, "was found empty")
		})
	}
	for n, c := range []*caller{p.a, p.b} {
		for _, tenant := range tenants {
			until(t, "an event is accepted", func() bool {
				status, _ := c.call("POST", "/v1/events", body(fmt.Sprint("e-", n)), secrets[tenant])
				return status == 200
			})
			if r := <-receiver.came; r.URL.Path != "/"+tenant || r.Header.Get("webhook-tenant") != tenant {
				t.Errorf("an event of %s went to %s as %s's", tenant, r.URL.Path, r.Header.Get("webhook-tenant"))
			}
			until(t, "its settings are written back", func() bool {
				status, text := c.call("GET", "/v1/webhooks/h", "", secrets[tenant])
				record := c.must("GET", "/v1/tenants/"+tenant, "")
				return status == 200 && strings.Contains(text, `"state":"active"`) && strings.Contains(record, `"title":"Kept"`)
			})
		}
	}
	for _, c := range p.round() {
		if !c.shared {
			c.change(p.a)
			until(t, c.what+" after the loss", func() bool { return c.took(p.b) })
		}
	}
	p.b.must("DELETE", "/v1/webhooks/h?tenant=acme", "")
	until(t, "a deletion stays one", func() bool {
		status, _ := p.a.call("GET", "/v1/destinations/h?tenant=acme", "", "")
		return status == 404
	})
	if n := len(receiver.came); n != 0 {
		t.Errorf("%d requests too many", n)
	}
}
