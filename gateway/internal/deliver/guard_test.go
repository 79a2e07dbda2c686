package deliver

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// digesting is a product that can tell of many events in one message.
type digesting struct {
	product

	mu  sync.Mutex
	got []*connectors.Digest
}

func (p *digesting) Digest(d *connectors.Digest) (*connectors.Request, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, d)
	return connectors.Post("https://product.example/digest", map[string]int{"total": d.Total}), nil
}

func guarded(g config.Guard) func() *config.Config {
	return func() *config.Config {
		c := destinations(destination("crm"))
		c.Rules[0].Guard = g
		return c
	}
}

// What exceeds the limit of a period is skipped.
func TestAtMost(t *testing.T) {
	t.Parallel()
	deferredOnEachEngine(t, guarded(config.Guard{AtMost: config.AtMost{Per: 7 * 24 * time.Hour, Count: 3}}), nil, func(t *testing.T, b *bench) {
		ids := b.accept(8)
		counts := map[state.DeliveryState]int{}
		for _, id := range ids {
			var d *state.Delivery
			b.until("it has ended", func() bool { d = b.delivery(id, "crm"); return d != nil && d.State != state.Waiting })
			counts[d.State]++
			if d.State == state.Skipped && !strings.HasPrefix(d.Reason, reasonAtMost) {
				t.Errorf("reason %q", d.Reason)
			}
		}
		if counts[state.Delivered] != 3 || counts[state.Skipped] != 5 {
			t.Errorf("%v", counts)
		}
	})
}

// What exceeds the limit is told in one message when the period ends, also after a restart.
func TestDigest(t *testing.T) {
	t.Parallel()
	const per = 2 * time.Second
	onEachEngine(t, func(t *testing.T, open func(b *bench)) {
		c := guarded(config.Guard{AtMost: config.AtMost{Per: per, Count: 2, Digest: true}})()
		p := &digesting{}
		c.Rules[0].Steps[0].Build["default"] = p
		b := prepare(t, c, nil)
		open(b)
		b.open()
		// All within one period: wait for the beginning of the next one.
		now := time.Now()
		begins := now.Truncate(per).Add(per)
		b.until("a period begins", func() bool { return time.Now().After(begins) })
		ids := b.accept(9)
		var digest string
		b.until("one is the digest, and all others have ended", func() bool {
			waiting := 0
			for _, id := range ids {
				d := b.delivery(id, "crm")
				if d == nil {
					return false
				}
				if d.State == state.Waiting {
					waiting++
					digest = id
				}
			}
			return waiting == 1 && b.delivery(digest, "crm").Reason == decide.DigestWaits || waiting == 0
		})
		b.close()
		b.open()
		delivered, digested := 0, 0
		for _, id := range ids {
			var d *state.Delivery
			b.until("it has ended", func() bool { d = b.delivery(id, "crm"); return d != nil && d.State != state.Waiting })
			switch {
			case d.State == state.Delivered:
				delivered++
			case strings.HasPrefix(d.Reason, "at_most: it is counted in the digest dl_"):
				digested++
			default:
				t.Errorf("%s: %s", d.State, d.Reason)
			}
		}
		total := 0
		for _, d := range p.got {
			if total += d.Total; len(d.Events) != d.Total || d.Rule != "to-crm" || d.To.Sub(d.From) != per {
				t.Errorf("%+v", d)
			}
		}
		// On a machine that is too slow the events fall into several periods. Nothing is lost in any case: each is told alone or counted.
		if told := delivered - len(p.got); told+total != len(ids) || digested != total-len(p.got) {
			t.Errorf("%d delivered, %d digested, digests %d of %d", delivered, digested, len(p.got), total)
		}
	})
}

// A person hears only so often from all rules of a destination that have a cap; what is skipped for another reason does not count.
func TestContactCap(t *testing.T) {
	t.Parallel()
	deferredOnEachEngine(t, func() *config.Config {
		c := guarded(config.Guard{ContactCap: config.ContactCap{Per: time.Hour, Count: 1}})()
		second := ruleTo("crm", &product{})
		second.Name, second.Match.Name, second.Guard = "second", "second", c.Rules[0].Guard
		c.Rules = append(c.Rules, second)
		return c
	}, nil, func(t *testing.T, b *bench) {
		ids := b.tell("api", `{"id":"a","email":"Jo@example.com"}`)
		b.until("both have ended", func() bool {
			page, err := b.store.Deliveries(t.Context(), "default", state.DeliveryQuery{EventID: ids[0]})
			return err == nil && len(page.Items) == 2 && page.Items[0].State != state.Waiting && page.Items[1].State != state.Waiting
		})
		ids = b.tell("api", `{"id":"b","email":"jo@example.com "}`, `{"id":"c","email":"ann@example.com"}`, `{"id":"d"}`)
		for _, id := range ids {
			b.until("it has ended", func() bool { d := b.delivery(id, "crm"); return d != nil && d.State != state.Waiting })
		}
		if d := b.delivery(ids[0], "crm"); d.State != state.Skipped || d.Reason != reasonContact+"1 per 1h for each person" {
			t.Errorf("%s: %s", d.State, d.Reason)
		}
		b.until("all have ended", func() bool {
			page, err := b.store.Deliveries(t.Context(), "default", state.DeliveryQuery{State: state.Waiting})
			return err == nil && len(page.Items) == 0
		})
		// Jo once, Ann once, and nobody twice by both rules.
		if n := b.requests(); n != 4 {
			t.Errorf("%d requests, want 4", n)
		}
	})
}

// In quiet hours everything waits for their end, retries too.
func TestQuiet(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	minute := now.Hour()*60 + now.Minute()
	quiet := config.Quiet{From: (minute + 1439) % 1440, To: (minute + 120) % 1440, Zone: time.UTC}
	c := guarded(config.Guard{Quiet: quiet})()
	b := begin(t, c, func(seen) (int, http.Header) { return 200, nil })
	d := b.untilState(b.accept(1)[0], "crm", state.Waiting)
	if want := quiet.End(now); !d.Due.Equal(want) || !strings.HasPrefix(d.Reason, "quiet hours (") {
		t.Errorf("due %s, want %s: %s", d.Due, want, d.Reason)
	}
	b.reload(guarded(config.Guard{Quiet: config.Quiet{From: (minute + 600) % 1440, To: (minute + 720) % 1440, Zone: time.UTC}})())
	b.untilState(b.accept(1)[0], "crm", state.Delivered)
}

// A delivery takes one place, however often it is looked at, and a place that has become free is found wherever it is.
func TestReserveOne(t *testing.T) {
	t.Parallel()
	b := prepare(t, guarded(config.Guard{})(), nil)
	b.make()
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	reserve := func(id string, keys []string, ttl time.Duration) bool {
		t.Helper()
		ok, err := b.loop.reserveOne(t.Context(), &job{delivery: state.Delivery{ID: id, Tenant: "default"}, atDue: &atDue{}}, keys, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	taken := func() (n int) {
		t.Helper()
		owners, err := b.loop.owners(t.Context(), &job{delivery: state.Delivery{ID: "x", Tenant: "default"}, atDue: &atDue{}}, keys, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, owner := range owners {
			if owner != "" {
				n++
			}
		}
		return n
	}
	for range 3 {
		if !reserve("a", keys, time.Hour) {
			t.Fatal("no place")
		}
	}
	if n := taken(); n != 1 {
		t.Errorf("one delivery has %d places", n)
	}
	for i := range 39 {
		if !reserve(fmt.Sprint("d", i), keys[1:], time.Hour) {
			t.Fatalf("no place for delivery %d", i)
		}
	}
	if reserve("late", keys, time.Hour) || reserve("late", keys, 0) || !reserve("a", keys, 0) {
		t.Error("all places are taken, one of them by a")
	}
}
