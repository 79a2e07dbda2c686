package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// The overlap of a webhook's secrets does not depend on the process that began it: after a kill, requests are signed with both
// secrets until it ends, and with the new one from then on.
func TestSecretEndsAfterARestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Durable...)
	receiver := newPublicSink(t, "hook.example.com")
	config := fmt.Sprintf("redis: %q\noutbound: {proxy: %q}\ntokens: [{name: load, secret: %q, scopes: [read]}]\n", server.URL(), receiver.proxy, testToken)
	dir := t.TempDir()
	restart := func(p *caller) *caller {
		if p != nil {
			p.kill()
		}
		return newCaller(start(t, dir, config, vaultKey, receiver.env))
	}
	p := restart(nil)
	type secrets struct{ Data []struct{ ID, Until string } }
	has := func(name string) (all secrets) {
		p.into(&all, p.must("GET", "/v1/webhooks/"+name+"/secrets", ""))
		return all
	}
	signatures := func(name string) int {
		p.must("POST", "/v1/webhooks/"+name+"/test", "{}")
		select {
		case r := <-receiver.came:
			return len(strings.Fields(r.Header.Get("webhook-signature")))
		default: // the answer came after the attempt
			t.Fatal("nothing was sent")
			return 0
		}
	}
	for name, overlap := range map[string]string{"long": "1h", "short": "1s"} {
		p.must("PUT", "/v1/webhooks/"+name, `{"url": "https://hook.example.com/", "events": ["response.completed"]}`)
		p.must("POST", "/v1/webhooks/"+name+"/secrets", `{"overlap": "`+overlap+`"}`)
	}
	p = restart(p)
	until(t, "the short overlap is over", func() bool { return len(has("short").Data) == 1 })
	if all := has("short"); all.Data[0].Until != "" {
		t.Errorf("%+v", all)
	}
	p = restart(p)
	if all, long, short := has("long"), signatures("long"), signatures("short"); len(all.Data) != 2 || long != 2 || short != 1 {
		t.Errorf("%+v, %d signatures, and %d after the end", all, long, short)
	}
}
