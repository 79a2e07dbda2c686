package web

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/web/intake"
)

// manySources are so many sources of a tenant, which strangers reach.
func manySources(tenant string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  %s%d: {profile: pollqr, secrets: [%s-%s], tenant: %s, capture: 1h}\n", tenant, i, tenant, pollqrSecret, tenant)
	}
	return b.String()
}

// attack lets strangers fail at sources of a tenant, so often each, all at once.
func (r *rig) attack(t testing.TB, tenant string, sources, requests int) {
	t.Helper()
	for i := range sources {
		for range requests {
			if got := r.ask(t, ask{method: "POST", path: fmt.Sprintf("/t/%s/in/%s%d", tenant, tenant, i), body: "no json"}); got.status != 401 {
				t.Fatalf("a stranger was answered %d", got.status)
			}
		}
	}
}

// lists are a source's rejected and captured requests, those that were proved and the others.
func (r *rig) lists(t testing.TB, tenant, name string) (rejected, captured map[bool]int) {
	t.Helper()
	rejected, captured = map[bool]int{}, map[bool]int{}
	kept, err := intake.RejectedOf(context.Background(), r.store, tenant, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kept {
		rejected[k.Proved]++
	}
	all, err := intake.CapturedOf(context.Background(), r.store, tenant, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		captured[k.Proved]++
	}
	return rejected, captured
}

// Strangers keep nobody else's requests from being kept: neither their own source's platform's, nor those of another
// tenant, be it the platform's or a stranger's; and what was not kept is counted and told.
func TestKeepingIsNobodysAlone(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "sources:\n"+manySources("acme", 12)+manySources("globex", 1))
	r.attack(t, "acme", 12, 40)
	bad := func(tenant string) ask {
		return ask{method: "POST", path: "/t/" + tenant + "/in/" + tenant + "0", body: "no json", header: map[string]string{"X-PollQR-Signature": sign(tenant+"-"+pollqrSecret, "no json")}}
	}
	for _, tenant := range []string{"acme", "globex"} {
		for range 3 {
			if got := r.ask(t, bad(tenant)); got.status != 400 {
				t.Fatalf("%s: %d %s", tenant, got.status, got.body)
			}
		}
		rejected, captured := r.lists(t, tenant, tenant+"0")
		if rejected[true] != 3 || captured[true] != 3 {
			t.Errorf("%s: %d of the platform's refusals are kept and %d captured", tenant, rejected[true], captured[true])
		}
	}
	r.attack(t, "globex", 1, 3)
	if rejected, captured := r.lists(t, "globex", "globex0"); rejected[false] != 3 || captured[false] != 3 {
		t.Errorf("another tenant's strangers took its room: %d rejected, %d captured", rejected[false], captured[false])
	}

	total := 0
	for i := range 12 {
		rejected, _ := r.lists(t, "acme", fmt.Sprintf("acme%d", i))
		total += rejected[false]
	}
	if total < 100 || total > 200 {
		t.Errorf("%d of 480 are kept, of a whole of 100 and a share of one tenant", total)
	}
	scrape := r.ask(t, ask{path: "/metrics", socket: true}).body
	for _, line := range []string{
		`surveygate_rejected_total{reason="signature",source="acme/acme11"} 40`, `surveygate_rejected_total{reason="not json",source="acme/acme0"} 3`,
	} {
		if !strings.Contains(scrape, line) {
			t.Error("not every refusal is counted:", line)
		}
	}
	got := r.ask(t, ask{path: "/v1/sources/acme11/rejected?tenant=acme", socket: true})
	if want := `"not_kept":{"proved":0,"unproved":40,"since":"2026-01-02T12:00:00Z"}`; got.status != 200 || !strings.Contains(got.body, want) {
		t.Errorf("%d %s, want %s", got.status, got.body, want)
	}
	if got := r.ask(t, ask{path: "/v1/sources/globex0/rejected?tenant=globex", socket: true}); strings.Contains(got.body, "not_kept") {
		t.Errorf("%s", got.body)
	}

	// It goes on being told after a reload, and for as long as such a request would have been kept.
	r.reload(t, "sources:\n"+manySources("acme", 12)+"  more: {profile: popsee, unverified: true}\n")
	if got := r.ask(t, ask{path: "/v1/sources/acme11/rejected?tenant=acme", socket: true}); !strings.Contains(got.body, `"unproved":40`) {
		t.Errorf("after a reload: %s", got.body)
	}
	r.clock.Advance(25 * time.Hour)
	if got := r.ask(t, ask{path: "/v1/sources/acme11/rejected?tenant=acme", socket: true}); strings.Contains(got.body, "not_kept") {
		t.Errorf("after a day: %s", got.body)
	}
}

// Names that were never configured are looked up so often and not more, for each tenant: those of one are still told
// from sources that are gone while strangers try another one's.
func TestLookupsAreNobodysAlone(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "sources:\n"+manySources("acme", 1)+manySources("globex", 1))
	missing := func(tenant string, i int) int {
		return r.ask(t, ask{method: "POST", path: fmt.Sprintf("/t/%s/in/never%d", tenant, i)}).status
	}
	said := map[int]int{}
	for i := range 300 {
		said[missing("acme", i)]++
		said[missing("nobody"+fmt.Sprint(i), i)]++
	}
	if said[404] == 0 || said[503] == 0 {
		t.Errorf("answers %v", said)
	}
	if got := missing("globex", 1); got != 404 {
		t.Errorf("another tenant's missing source is %d", got)
	}
}

// A body that is too large is the platform's where its proof says so, and then kept among the platform's.
func TestTooLargeIsProved(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "sources:\n"+manySources("acme", 1))
	r.attack(t, "acme", 1, 40)
	body := repeat("x", intake.MaxBody+1)
	if got := r.ask(t, ask{method: "POST", path: "/t/acme/in/acme0", body: body, header: map[string]string{"X-PollQR-Signature": sign("acme-"+pollqrSecret, body)}}); got.status != 413 {
		t.Fatal(got.status)
	}
	if rejected, _ := r.lists(t, "acme", "acme0"); rejected[true] != 1 {
		t.Errorf("kept %v", rejected)
	}
}
