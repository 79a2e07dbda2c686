// Package statetest is the conformance suite for engines of package state: each promise of the interface has a test with its
// own name. It uses only the interface. Closing, crashing, a second holder and the time come from the engine's Harness.
package statetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// Options are what a test needs of its engine.
type Options struct {
	// Start is the first time of the engine's clock.
	Start time.Time
	// Small asks for caches so small that everything is read from disk.
	Small bool
	// ShortTrims asks for calls of Trim that end after a few slices, so that a round takes many of them.
	ShortTrims bool
}

// Harness runs and controls one engine with data of its own. It cleans up when the test ends.
type Harness interface {
	// Store is the first holder.
	Store() state.Store
	// Second is another holder of the same data. An engine for a single process returns the first.
	Second() state.Store
	// Reopen closes all holders, and opens the first again.
	Reopen()
	// Crash ends all holders without Close, discards what a power cut would lose, and opens the first again. When it
	// returns, events that were claimed can be claimed again.
	Crash()
	// Advance moves the time of the engine forward.
	Advance(d time.Duration)
	Now() time.Time
	// Step changes the system clock by d while no time passes. When it returns, the engine has noticed.
	Step(d time.Duration)
	// ReopenStepped is Reopen, with the system clock changed by d while the data is closed.
	ReopenStepped(d time.Duration)
	// Work is what the first holder has done for pages of deliveries.
	Work() Work
}

// Begin is the first time of all clocks of the suite: a whole second, so that engines of any resolution agree.
var Begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Few is n, or with -short few: the race detector needs the same calls from as many goroutines, not as many rounds of them.
func Few(n, few int) int {
	if testing.Short() {
		return few
	}
	return n
}

type test struct {
	name string
	run  func(s *suite)
	opts Options
	// ordered gives all events the same response: an engine with several shards keeps the order only within a response. Tests
	// without it expect no order among events that were accepted at the same time.
	ordered bool
}

// Run runs the suite, each test with an engine of its own: all of it, or the groups that are named.
func Run(t *testing.T, open func(t *testing.T, opts Options) Harness, only ...string) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"intake", intake},
		{"identity", identities},
		{"claim", claims},
		{"commit", commits},
		{"once", onces},
		{"due", dues},
		{"lease", leases},
		{"hold", holds},
		{"standing", standings},
		{"forget", forgets},
		{"test deliveries", testDeliveries},
		{"schedule", schedules},
		{"revise", revisions},
		{"erase", erasures},
		{"events", eventLists},
		{"deliveries", deliveryLists},
		{"pages", pages},
		{"settings", settings},
		{"statistics", statistics},
		{"retention", retentions},
		{"shares", shares},
		{"rounds", rounds},
		{"walks", walks},
		{"restart", restarts},
		{"suspects", suspects},
		{"clock", clocks},
		{"tenants", tenants},
	} {
		if len(only) > 0 && !slices.Contains(only, group.name) {
			continue
		}
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, test := range group.tests {
				t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
					t.Parallel()
					test.opts.Start = Begin
					ctx, cancel := context.WithTimeout(t.Context(), lastsAtMost)
					t.Cleanup(cancel)
					test.run(&suite{T: t, h: open(t, test.opts), ctx: ctx, ordered: test.ordered})
				})
			}
		})
	}
}

// suite is one test with its engine.
type suite struct {
	*testing.T
	h       Harness
	ctx     context.Context
	ordered bool
}

func (s *suite) store() state.Store { return s.h.Store() }

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) same(what string, got, want any) {
	s.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		s.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// sameSet compares without regard to order.
func (s *suite) sameSet(what string, got, want []string) {
	s.Helper()
	s.same(what, slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)))
}

const acme = "acme"

// event makes an event; fields that change does not set are derived from its key.
func (s *suite) event(tenant, key string, change ...func(*event.Header, *event.Data)) *event.Event {
	s.Helper()
	now := s.h.Now()
	response := "r-" + key
	if s.ordered {
		response = "r-one"
	}
	h := event.Header{
		ID: event.ID(tenant, "app", key), Tenant: tenant, Source: "app", SourceKind: "api", Type: "response.completed",
		SurveyID: "s1", ResponseID: response, Time: now, Received: now, DedupeKey: key, Verified: "token",
	}
	d := event.Data{Survey: event.Survey{ID: "s1"}, Response: event.Response{ID: response}}
	for _, c := range change {
		c(&h, &d)
	}
	raw := event.Raw{ContentType: "application/json", Body: []byte(`{"key":"` + key + `"}`)}
	e, err := event.New(h, &d, raw)
	s.ok(err)
	return e
}

// acceptInTurn appends events of acme, one for each key, a millisecond apart, so that lists have an order.
func (s *suite) acceptInTurn(keys ...string) {
	s.Helper()
	for _, k := range keys {
		s.accept(k)
		s.h.Advance(time.Millisecond)
	}
}

// accept appends events of acme, one for each key.
func (s *suite) accept(keys ...string) []*event.Event {
	s.Helper()
	var all []*event.Event
	for _, k := range keys {
		all = append(all, s.event(acme, k))
	}
	s.append(all...)
	return all
}

func (s *suite) append(events ...*event.Event) []state.Appended {
	s.Helper()
	results, err := s.store().Append(s.ctx, events)
	s.ok(err)
	if len(results) != len(events) {
		s.Fatalf("%d results of %d events", len(results), len(events))
	}
	return results
}

// numbered returns n keys in ascending order.
func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%05d", i)
	}
	return keys
}

// claim claims exactly n events, in as many calls as necessary.
func (s *suite) claim(n int) []state.Claimed {
	s.Helper()
	var all []state.Claimed
	for len(all) < n {
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		some, err := s.store().Claim(ctx, n-len(all), 0)
		cancel()
		if err != nil {
			s.Fatalf("claimed %d of %d: %v", len(all), n, err)
		}
		all = append(all, some...)
	}
	return all
}

// claimsNothing checks that there is no event to claim.
func (s *suite) claimsNothing(of state.Store) {
	s.Helper()
	// That a call keeps waiting can only be seen by waiting; an event that it must not find is already there.
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Millisecond)
	defer cancel()
	if some, err := of.Claim(ctx, 10, 0); err == nil {
		s.Fatalf("claimed %s, want nothing", some[0].Event.DedupeKey)
	}
}

func keysOf(claimed []state.Claimed) []string {
	var keys []string
	for _, c := range claimed {
		keys = append(keys, c.Event.DedupeKey)
	}
	return keys
}

// outcome makes the outcome of a claimed event, with deliveries.
func outcome(c state.Claimed, deliveries ...state.Delivery) state.Outcome {
	o := state.Outcome{
		Position: c.Position, Tenant: c.Event.Tenant, EventID: c.Event.ID, Generation: "generation-1",
		At: c.Event.Received, Deliveries: deliveries,
	}
	for _, d := range deliveries {
		o.Rules = append(o.Rules, state.RuleOutcome{Origin: d.Origin})
	}
	return o
}

// suffix makes a suffix of 13 characters, as the ids of deliveries have.
func suffix(destination string) string { return (destination + "aaaaaaaaaaaaa")[:13] }

// owe makes a delivery of an event to a destination.
func (s *suite) owe(e *event.Event, destination string, st state.DeliveryState, change ...func(*state.Delivery)) state.Delivery {
	d := state.Delivery{
		ID: id(e, destination), Tenant: e.Tenant, EventID: e.ID,
		Origin: state.Origin{Kind: state.Rule, Name: "rule-" + destination}, Step: destination, Destination: destination,
		Connector: "hubspot", State: st, Created: s.h.Now(),
	}
	if st == state.Waiting {
		d.Reason, d.Due = "delay", s.h.Now()
	}
	for _, c := range change {
		c(&d)
	}
	return d
}

func due(at time.Time) func(*state.Delivery) {
	return func(d *state.Delivery) { d.Due = at }
}

// tried adds an attempt.
func tried(n int, at time.Time, verdict string, status int) func(*state.Delivery) {
	return func(d *state.Delivery) {
		d.Attempts = n
		a := state.Attempt{N: n, At: at, Took: 12 * time.Millisecond, Verdict: verdict, Status: status, Sent: 700, Received: 20}
		if verdict != "delivered" {
			a.Reason, a.Request, a.Response = "answered "+fmt.Sprint(status), []byte("POST [secret]\n\n{}"), []byte("no")
		}
		d.Log = append(d.Log, a)
	}
}

// commit commits outcomes and requires every fence to hold.
func (s *suite) commit(outcomes ...state.Outcome) {
	s.Helper()
	done, err := s.store().Commit(s.ctx, &state.Commit{Events: outcomes})
	s.ok(err)
	for i, held := range done.Events {
		if !held {
			s.Fatalf("the fence of event %s was lost", outcomes[i].EventID)
		}
	}
}

// settle commits results of due deliveries, and returns which fences held.
func (s *suite) settle(settled ...state.Settled) []bool {
	s.Helper()
	done, err := s.store().Commit(s.ctx, &state.Commit{Due: settled})
	s.ok(err)
	return done.Due
}

// waiting appends, claims and commits an event with deliveries that wait for destinations.
func (s *suite) waiting(key string, at time.Time, destinations ...string) *event.Event {
	s.Helper()
	return s.waitingOf(acme, key, at, destinations...)
}

func (s *suite) waitingOf(tenant, key string, at time.Time, destinations ...string) *event.Event {
	s.Helper()
	e := s.event(tenant, key)
	s.append(e)
	c := s.claim(1)[0]
	var owed []state.Delivery
	for _, d := range destinations {
		owed = append(owed, s.owe(e, d, state.Waiting, due(at)))
	}
	s.commit(outcome(c, owed...))
	return e
}

// finished appends, claims and commits an event with a delivery that has ended.
func (s *suite) finished(key, destination string, st state.DeliveryState, change ...func(*state.Delivery)) *event.Event {
	s.Helper()
	e := s.event(acme, key)
	s.append(e)
	c := s.claim(1)[0]
	s.commit(outcome(c, s.owe(e, destination, st, change...)))
	return e
}

// lastsAtMost ends a test that hangs. The longest take some ten seconds, and several times that with the race detector beside others.
const lastsAtMost = 5 * time.Minute

const leaseTime = time.Minute

func (s *suite) claimDue(most int) ([]state.Due, time.Time) {
	s.Helper()
	due, next, err := s.store().ClaimDue(s.ctx, state.ClaimDue{Max: most, Lease: leaseTime})
	s.ok(err)
	return due, next
}

// oneDue leases the only delivery that is due.
func (s *suite) oneDue() state.Due {
	s.Helper()
	due, _ := s.claimDue(10)
	if len(due) != 1 {
		s.Fatalf("%d deliveries are due, want 1", len(due))
	}
	return due[0]
}

func (s *suite) noneDue() {
	s.Helper()
	if due, _ := s.claimDue(10); len(due) > 0 {
		s.Fatalf("%s is due, want nothing", due[0].Delivery.ID)
	}
}

func destinationsOf(due []state.Due) []string {
	var names []string
	for _, d := range due {
		names = append(names, d.Delivery.Destination)
	}
	return names
}

func (s *suite) delivery(id string) *state.Delivery {
	s.Helper()
	d, err := s.store().Delivery(s.ctx, acme, id)
	s.ok(err)
	return d
}

func (s *suite) record(id string) *state.Record {
	s.Helper()
	r, err := s.store().Event(s.ctx, acme, id)
	s.ok(err)
	return r
}

func (s *suite) trim(r state.Retention) *state.Trimmed {
	s.Helper()
	done, err := s.store().Trim(s.ctx, r)
	s.ok(err)
	return done
}

func id(e *event.Event, destination string) string {
	return state.JoinDeliveryID(e.ID, suffix(destination))
}
