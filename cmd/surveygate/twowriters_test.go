package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// both asks both gateways at once, and returns the sorted statuses of their answers.
func (p *pair) both(method, path string, body func(n int) string, headers ...string) []int {
	p.t.Helper()
	statuses := make([]int, 2)
	var asking sync.WaitGroup
	for i, c := range []*caller{p.a, p.b} {
		asking.Go(func() { statuses[i], _ = c.call(method, path, body(i), "", headers...) })
	}
	asking.Wait()
	slices.Sort(statuses)
	return statuses
}

// Two gateways write the same document at once. With If-Match, one of them is refused; without, the last one wins, and each write is
// in the audit. Of what both make, the tenant has no more than its plan allows.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	hook := func(round int) func(int) string {
		return func(n int) string {
			return fmt.Sprintf(`{"url": "https://hook.example.com/", "signature": "none", "title": "%d of %d"}`, n, round)
		}
	}
	p.a.must("PUT", "/v1/webhooks/h", hook(-1)(0))
	const rounds = 10
	var e struct {
		Version uint64
		Spec    struct{ Title string }
	}
	for round := range rounds {
		p.a.into(&e, p.a.must("GET", "/v1/webhooks/h", ""))
		before := e.Version
		if got := p.both("PUT", "/v1/webhooks/h", hook(round), "If-Match", fmt.Sprintf(`"%d"`, e.Version)); !slices.Equal(got, []int{200, 412}) {
			t.Errorf("with If-Match: %d", got)
		}
		if p.b.into(&e, p.b.must("GET", "/v1/webhooks/h", "")); e.Version <= before || !strings.HasSuffix(e.Spec.Title, fmt.Sprint(" of ", round)) {
			t.Errorf("%+v after version %d", e, before)
		}
		if got := p.both("PUT", "/v1/webhooks/h", hook(rounds+round)); !slices.Equal(got, []int{200, 200}) {
			t.Errorf("without If-Match: %d", got)
		}
	}
	if got := p.both("POST", "/v1/tokens", func(int) string { return `{"name": "t", "scopes": ["read"]}` }); !slices.Equal(got, []int{201, 409}) {
		t.Errorf("two tokens of one name: %d", got)
	}
	var audit struct {
		Data []struct{ Did, Of string }
	}
	p.a.into(&audit, p.a.must("GET", "/v1/audit?of=webhook:h&limit=200", ""))
	if len(audit.Data) != 1+rounds*3 {
		t.Errorf("%d lines in the audit of %d writes", len(audit.Data), 1+rounds*3)
	}

	const most = 4
	p.a.must("PUT", "/v1/tenants/acme", fmt.Sprintf(`{"limits": {"webhooks": %d, "sources": %d, "tokens": %d}}`, most, most, most))
	until(t, "the other knows the plan", func() bool {
		status, text := p.b.call("GET", "/v1/tenants/acme", "", "")
		return status == 200 && strings.Contains(text, fmt.Sprintf(`"webhooks":%d`, most))
	})
	var mu sync.Mutex
	made := map[string]map[int]int{}
	var making sync.WaitGroup
	for i, c := range []*caller{p.a, p.b} {
		for n := range most {
			for collection, spec := range map[string]string{
				"webhooks": `{"url": "https://hook.example.com/", "signature": "none"}`, "sources": `{"profile": "pollqr", "secrets": ["pollqr-secret-0123456789"]}`,
				"tokens": fmt.Sprintf(`{"name": "t%d-%d", "scopes": ["read"]}`, i, n),
			} {
				making.Go(func() {
					method, path := "PUT", fmt.Sprintf("/v1/%s/n%d-%d?tenant=acme", collection, i, n)
					if collection == "tokens" {
						method, path = "POST", "/v1/tokens?tenant=acme"
					}
					status, _ := c.call(method, path, spec, "")
					mu.Lock()
					defer mu.Unlock()
					if made[collection] == nil {
						made[collection] = map[int]int{}
					}
					made[collection][status]++
				})
			}
		}
	}
	making.Wait()
	for collection, statuses := range made {
		if statuses[201] != most || statuses[403] != most {
			t.Errorf("%s: %v", collection, statuses)
		}
		var list struct{ Data []struct{ Name string } }
		if p.b.into(&list, p.b.must("GET", "/v1/"+collection+"?tenant=acme", "")); collection != "tokens" && len(list.Data) != most {
			t.Errorf("%d %s", len(list.Data), collection)
		}
	}
}
