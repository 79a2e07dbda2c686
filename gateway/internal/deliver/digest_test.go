package deliver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// digestOf accepts an event that waits as the digest of its period, and returns its id.
func digestOf(b *bench, bodies ...string) string {
	b.t.Helper()
	id := b.tell("api", bodies...)[0]
	b.untilReason(id, "crm", decide.DigestWaits)
	return id
}

// A digest tells of others too: what becomes of its own response meanwhile does not end it.
func TestDigestOfMovedResponse(t *testing.T) {
	t.Parallel()
	deferredOnEachEngine(t, func() *config.Config {
		c := settling(t, 10*time.Millisecond, "", "nps_score <= 6", all()...)
		c.Rules[0].Guard.AtMost = config.AtMost{Per: 3 * time.Second, Count: 1, Digest: true}
		c.Rules[0].Steps[0].Build["default"] = &digesting{}
		return c
	}, nil, func(t *testing.T, b *bench) {
		b.until("a period begins", func() bool { return time.Now().UnixMilli()%3000 < 100 })
		b.untilState(b.tell("api", of("first", partial)...)[0], "crm", state.Delivered)
		digest := digestOf(b, of("r1", partial)...)
		counted := b.tell("api", of("r2", partial)...)[0]
		b.untilState(counted, "crm", state.Skipped)
		b.tell("api", of("r1", updated)...)
		if d := b.untilState(digest, "crm", state.Delivered); d.Reason != decide.Digested+"2 events" {
			t.Errorf("%s", d.Reason)
		}
	})
}

// A digest that waits is told as it was promised, whatever the rule says by then.
func TestDigestOfChangedRule(t *testing.T) {
	t.Parallel()
	for name, guard := range map[string]config.Guard{
		"no guardrails":  {},
		"another one":    {ContactCap: config.ContactCap{Per: time.Hour, Count: 1}},
		"another period": {AtMost: config.AtMost{Per: 7 * time.Second, Count: 1, Digest: true}},
		"skipped":        {AtMost: config.AtMost{Per: 3 * time.Second, Count: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := func(g config.Guard, p *digesting) *config.Config {
				c := guarded(g)()
				c.Rules[0].Steps[0].Build["default"] = p
				return c
			}
			p := &digesting{}
			b := begin(t, with(config.Guard{AtMost: config.AtMost{Per: 3 * time.Second, Count: 1, Digest: true}}, p), nil)
			b.until("a period begins", func() bool { return time.Now().UnixMilli()%3000 < 100 })
			b.untilState(b.accept(1)[0], "crm", state.Delivered)
			digest := digestOf(b, `{"id":"d"}`)
			b.untilState(b.accept(1)[0], "crm", state.Skipped)
			b.reload(with(guard, p))
			if d := b.untilState(digest, "crm", state.Delivered); d.Reason != decide.Digested+"2 events" {
				t.Errorf("%q, %d digests", d.Reason, len(p.got))
			}
		})
	}
}

// What a response reserved and did not use is its own: a newer event of it is told in place of one that failed.
func TestContactCapOfFailed(t *testing.T) {
	t.Parallel()
	deferredOnEachEngine(t, func() *config.Config {
		c := settling(t, 10*time.Millisecond, "", "", all()...)
		c.Destinations[0].Retry.Waits = []time.Duration{time.Second, time.Second}
		c.Rules[0].Guard.ContactCap = config.ContactCap{Per: time.Hour, Count: 1}
		return c
	}, func(s seen) (int, http.Header) {
		return map[bool]int{true: 500, false: 200}[strings.HasSuffix(s.event, "-c")], nil
	}, func(t *testing.T, b *bench) {
		first := b.tell("api", of("r1", complete)...)[0]
		b.until("the first attempt failed", func() bool { d := b.delivery(first, "crm"); return d != nil && d.Attempts == 1 })
		second := b.tell("api", `{"type":"response.updated","id":"r1-u","response":{"id":"r1"},"email":"jo@example.com"}`)[0]
		b.untilState(first, "crm", state.Skipped)
		b.untilState(second, "crm", state.Delivered)
		other := b.tell("api", `{"id":"other","response":{"id":"r2"},"email":"jo@example.com"}`)[0]
		if d := b.untilState(other, "crm", state.Skipped); d.Reason != reasonContact+"1 per 1h for each person" {
			t.Errorf("%q", d.Reason)
		}
		third := b.tell("api", `{"type":"response.updated","id":"r1-v","response":{"id":"r1"},"email":"jo@example.com"}`)[0]
		if d := b.untilState(third, "crm", state.Skipped); d.Reason != reasonContact+"1 per 1h for each person" {
			t.Errorf("%q", d.Reason)
		}
	})
}

// The places of a cap become free in any order: the oldest one may be the only one.
func TestContactCapOldestFree(t *testing.T) {
	t.Parallel()
	b := begin(t, guarded(config.Guard{})(), nil)
	keys := make([]string, 100)
	var taken []state.OnceKey
	for i := range keys {
		if keys[i] = fmt.Sprint("contact", i); i > 0 {
			taken = append(taken, state.OnceKey{Key: keys[i], Owner: "others"})
		}
	}
	if _, err := b.store.Once(t.Context(), "default", taken, time.Hour); err != nil {
		t.Fatal(err)
	}
	j := &job{delivery: state.Delivery{ID: "own", Tenant: "default"}, atDue: &atDue{}}
	for range 2 {
		if free, err := b.loop.reserveOne(t.Context(), j, keys, time.Hour); err != nil || !free {
			t.Errorf("%t, %v", free, err)
		}
	}
}
