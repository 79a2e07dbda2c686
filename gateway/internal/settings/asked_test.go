package settings

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/rules/event"
)

// At most MaxAsked rules and webhooks of a tenant are asked about one event, by whatever pattern they name its type. The refusal says so
// and leads to `events`; what is about other types is allowed, and what makes them fewer.
func TestAskedIsBounded(t *testing.T) {
	t.Parallel()
	b := newBook(t, local(t))
	rule := func(name, events string) Change {
		return Change{Name: "rule/" + name, Spec: []byte(`{"events": [` + events + `], "send": ["hook"]}`)}
	}
	all := []Change{{Name: "webhook/hook", Spec: []byte(`{"url": "https://a.example.com/", "events": ["response.started"], "signature": "none"}`)}}
	for n := range MaxAsked {
		all = append(all, rule(fmt.Sprintf("r%03d", n), `"response.completed"`))
	}
	if _, err := b.Apply(t.Context(), "acme", all, byTest); err != nil {
		t.Fatalf("%d rules: %v", MaxAsked, err)
	}
	for _, events := range []string{`"response.completed"`, `"*"`, `"response.*"`} {
		_, err := b.one(t, rule("more", events), byTest)
		faults, ok := errors.AsType[*FaultsError](err)
		if !ok || len(faults.Faults) != 1 {
			t.Fatalf("one more about %s: %v", events, err)
		}
		f := faults.Faults[0]
		if want := "201 rules and webhooks of the tenant would be asked about `response.completed`; at most 200 are"; f.Message != want || !reflect.DeepEqual(f.Loc, []any{"events"}) {
			t.Errorf("%s: %q at %v", events, f.Message, f.Loc)
		}
	}
	for _, c := range []Change{
		rule("other", `"response.updated"`),
		rule("r000", `"response.updated"`),
		rule("more", `"*"`),
		{Name: "rule/more", Delete: true},
	} {
		if _, err := b.one(t, c, byTest); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// Where more are stored, by an earlier version, all of them decide: none is left out silently.
func TestMoreThanAskedDecide(t *testing.T) {
	t.Parallel()
	base := &config.Config{}
	documents := []config.Document{{Name: "webhook/hook", Spec: []byte(`{"url": "https://a.example.com/", "events": ["response.started"], "signature": "none"}`)}}
	for n := range MaxAsked + 50 {
		documents = append(documents, config.Document{Name: fmt.Sprintf("rule/r%03d", n), Spec: []byte(`{"send": ["hook"]}`), Version: uint64(n + 1)})
	}
	plan := decide.New(base).With(config.Overlay(base, "acme", documents))
	now := clock.System().Now()
	ev, err := event.ParseOne([]byte(`{"type": "response.completed", "id": "a"}`), event.Defaults{Tenant: "acme", Source: "api", Received: now, Verified: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if d := plan.Decide(ev, now); len(d.Owed) != MaxAsked+50 {
		t.Errorf("%d of %d rules decide", len(d.Owed), MaxAsked+50)
	}
}
