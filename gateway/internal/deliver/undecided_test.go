package deliver

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// costly is a tenant whose rules never come to an end, beside one that has a single cheap one.
func costly(t *testing.T, n int) *config.Config {
	t.Helper()
	c := destinations(destination("crm"))
	c.Rules[0].Steps[0].Build["default"] = &product{}
	for i := range n {
		when, err := expression.CompileCondition(fmt.Sprintf(`any(response.answers, any(response.answers, any(response.answers, .value == "x%d")))`, i))
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("endless%d", i)
		c.Rules = append(c.Rules, &config.Rule{
			Item:  config.Item{Tenant: "costly", Name: name},
			Match: &rules.Rule{Kind: rules.RuleKind, Tenant: "costly", Name: name, Events: []string{event.TypeResponseCompleted}, When: when},
		})
	}
	return c
}

// acceptCostly appends events of the costly tenant, with so many answers each.
func (b *bench) acceptCostly(n, answers int) []string {
	b.t.Helper()
	all := make([]string, answers)
	for i := range all {
		all[i] = fmt.Sprintf(`{"question_id":"q%d","value":"answer %d"}`, i, i%7)
	}
	list := strings.Join(all, ",")
	events, ids := make([]*event.Event, n), make([]string, n)
	for i := range events {
		body := fmt.Sprintf(`{"type":"response.completed","id":"c%d","response":{"id":"r%d","answers":[%s]}}`, i, i, list)
		ev, err := event.ParseOne([]byte(body), event.Defaults{Tenant: "costly", Source: "api", Received: b.clock.Now(), Verified: "token"})
		if err != nil {
			b.t.Fatal(err)
		}
		events[i], ids[i] = ev, ev.ID
	}
	if _, err := b.store.Append(b.t.Context(), events); err != nil {
		b.t.Fatal(err)
	}
	return ids
}

// A tenant whose rules never come to an end, and whose events stand before those of another, does not make the other
// wait for all of them. A stop does not wait for them either: what is not decided is given back, and not counted.
func TestCostlyTenantHurtsNoOther(t *testing.T) {
	t.Parallel()
	b := prepare(t, costly(t, 400), nil)
	b.make()
	ids := b.acceptCostly(200, 1900)
	id := b.accept(1)[0]
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.untilState(id, "crm", state.Delivered)
	if waiting := b.loop.undecided.len(); waiting == 0 {
		t.Error("the other tenant's event was delivered after all costly ones")
	}
	b.until("a costly one is decided", func() bool {
		r, err := b.store.Event(t.Context(), "costly", ids[0])
		return err == nil && r.Outcome != nil
	})
	r, err := b.store.Event(t.Context(), "costly", ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Outcome.Rules); n != 400 || !strings.HasPrefix(r.Outcome.Rules[399].Err, "it takes more work than an event may; ") {
		t.Errorf("%d rules are recorded, the last as %+v", n, r.Outcome.Rules[n-1])
	}
	b.close()

	store, err := embedded.Open(embedded.Options{Dir: b.dir, Clock: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	left, err := store.Claim(t.Context(), 1000, 8<<20)
	if err != nil || len(left) == 0 {
		t.Fatalf("%d events were left undecided, %v", len(left), err)
	}
	for _, c := range left {
		if c.Claims != 1 {
			t.Fatalf("event %s was counted: claim %d", c.Event.ID, c.Claims)
		}
	}
}

// Events of one tenant are decided in the order of their claim, however many turns and goroutines there are.
func TestTurnsKeepTheOrder(t *testing.T) {
	t.Parallel()
	var turns undecided
	turns.init()
	const tenants, each = 5, 300
	tenant := func(i int) string { return fmt.Sprintf("t%d", i%tenants) }
	seen := make(chan state.Claimed, tenants*each)
	ended := make(chan struct{})
	for range 4 {
		go func() {
			for {
				q, events, ok := turns.next()
				if !ok {
					ended <- struct{}{}
					return
				}
				n := min(7, len(events))
				for _, c := range events[:n] {
					if c.Event.Tenant != q.tenant {
						t.Errorf("an event of %s in the turn of %s", c.Event.Tenant, q.tenant)
					}
					seen <- c
				}
				turns.done(q, n, events[n:])
			}
		}()
	}
	for from := 0; from < tenants*each; from += 100 {
		batch := make([]state.Claimed, 100)
		for i := range batch {
			batch[i] = state.Claimed{Position: uint64(from + i), Event: &event.Event{Header: event.Header{Tenant: tenant((from + i) / 3)}}}
		}
		turns.add(batch, tenantOfClaimed)
	}
	last := map[string]uint64{}
	for range tenants * each {
		c := <-seen
		if before, ok := last[c.Event.Tenant]; ok && c.Position <= before {
			t.Fatalf("%s: %d came after %d", c.Event.Tenant, c.Position, before)
		}
		last[c.Event.Tenant] = c.Position
	}
	turns.close()
	for range 4 {
		<-ended
	}
	if n := turns.len() + len(turns.takeAll()); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// A tenant with cheap events has a turn after each costly one of another, and one after the other each of the others.
func TestTurnsGoRound(t *testing.T) {
	t.Parallel()
	b := prepare(t, costly(t, 20), nil)
	b.make()
	b.acceptCostly(3, 1900)
	claimed, err := b.store.Claim(t.Context(), 3, 8<<20)
	if err != nil || len(claimed) != 3 {
		t.Fatal(len(claimed), err)
	}
	if n := b.loop.decideTurn(t.Context(), claimed); n != 1 {
		t.Errorf("a turn decides %d costly events", n)
	}
	b.accept(300)
	cheap, err := b.store.Claim(t.Context(), 300, 8<<20)
	if err != nil || len(cheap) != 300 {
		t.Fatal(len(cheap), err)
	}
	if n := b.loop.decideTurn(t.Context(), cheap); n != claimEvents {
		t.Errorf("a turn decides %d cheap events", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := b.loop.decideTurn(ctx, cheap[claimEvents:]); n != 0 {
		t.Errorf("%d are decided after the end", n)
	}
	b.loop.lanes.stop()
	b.loop.running.Wait()
}
