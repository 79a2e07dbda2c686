package state

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/rules/event"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestDeliveryValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d  Delivery
		ok bool
	}{
		"whole":         {Delivery{ID: "dl_0123_a", EventID: "0123", State: Dead, Destination: "crm"}, true},
		"event unnamed": {Delivery{ID: "dl_0123_a", State: Dropped, Destination: "crm"}, true},
		"other event":   {Delivery{ID: "dl_0123_a", EventID: "4567", State: Dead, Destination: "crm"}, false},
		"no id":         {Delivery{EventID: "0123", State: Dead, Destination: "crm"}, false},
		"no state":      {Delivery{ID: "dl_0123_a", Destination: "crm"}, false},
		"unknown state": {Delivery{ID: "dl_0123_a", State: "asleep", Destination: "crm"}, false},
		"nowhere":       {Delivery{ID: "dl_0123_a", State: Waiting}, false},
	} {
		if err := c.d.Validate(); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeliveryHistory(t *testing.T) {
	t.Parallel()
	log := func(verdicts ...string) (all []Attempt) {
		for _, v := range verdicts {
			all = append(all, Attempt{Verdict: v})
		}
		return all
	}
	for _, c := range []struct {
		d              Delivery
		enters, failed bool
	}{
		{Delivery{State: Waiting}, false, false},
		{Delivery{State: Waiting, Log: log("retry")}, true, true},
		{Delivery{State: Delivered, Log: log("delivered")}, true, false},
		{Delivery{State: Delivered, Log: log("retry", "delivered")}, true, true},
		{Delivery{State: Skipped, Log: log("skipped")}, true, false},
		{Delivery{State: Dead, Log: log("rejected")}, true, true},
		{Delivery{State: Dropped}, true, false},
	} {
		if c.d.EntersHistory() != c.enters || c.d.Failed() != c.failed {
			t.Errorf("%+v: enters history %t, failed %t", c.d, c.d.EntersHistory(), c.d.Failed())
		}
	}
}

func TestReschedule(t *testing.T) {
	t.Parallel()
	before, later := now.Add(-time.Hour), now.Add(time.Hour)
	kept := Delivery{
		ID: "dl_0123_a", EventID: "0123", Destination: "crm", Connector: "hubspot", State: Dead, Reason: "rejected", Attempts: 3, Forgiven: 1,
		Created: before, Updated: before, Log: []Attempt{{N: 3}},
	}
	over := kept
	over.State = Delivered
	given := Delivery{ID: "dl_0123_a", EventID: "0123", Destination: "crm2", Connector: "slack", Reason: "replay", Attempts: 1, Due: later}
	bare := Delivery{ID: "dl_0123_a", Reason: "retry"}

	moved := kept
	moved.State, moved.Reason, moved.Forgiven, moved.Due, moved.Updated, moved.Log = Waiting, "replay", 3, later, now, nil
	owed := given
	owed.State, owed.Attempts, owed.Forgiven, owed.Created, owed.Updated = Waiting, 3, 3, before, now
	first := given
	first.State, first.Forgiven, first.Created, first.Updated = Waiting, 1, now, now
	for name, c := range map[string]struct {
		kept, given *Delivery
		want        *Delivery
	}{
		"a dead letter is moved":              {&kept, &given, &moved},
		"one that ended is owed anew":         {&over, &given, &owed},
		"one that is unknown is owed":         {nil, &given, &first},
		"one that ended, by its id alone":     {&over, &bare, nil},
		"one that is unknown, by its id only": {nil, &bare, nil},
	} {
		got, ok := Reschedule(c.kept, c.given, now)
		if ok != (c.want != nil) {
			t.Errorf("%s: %t", name, ok)
		} else if ok {
			if diff := cmp.Diff(*c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
	if d, _ := Reschedule(&kept, &bare, now); !d.Due.Equal(now) {
		t.Errorf("due %s where nothing is said, want now", d.Due)
	}
}

func TestCheckScheduled(t *testing.T) {
	t.Parallel()
	own, other, bad := Delivery{ID: "dl_0123_a"}, Delivery{ID: "dl_0123_a", Tenant: "other"}, Delivery{ID: "0123"}
	for _, c := range []struct {
		given Delivery
		want  error
	}{{own, nil}, {other, ErrNotFound}, {bad, ErrInvalid}} {
		if err := CheckScheduled("acme", []Delivery{own, c.given}); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.given, err)
		}
	}
}

func TestOutcomeSuffixes(t *testing.T) {
	t.Parallel()
	d := func(id string) Delivery { return Delivery{ID: id, State: Waiting, Destination: "crm"} }
	for name, c := range map[string]struct {
		deliveries []Delivery
		want       []string
	}{
		"all":           {[]Delivery{d("dl_0123_a"), d("dl_0123_b")}, []string{"a", "a", "b"}},
		"twice":         {[]Delivery{d("dl_0123_a"), d("dl_0123_a")}, nil},
		"another's":     {[]Delivery{d("dl_4567_a")}, nil},
		"without state": {[]Delivery{{ID: "dl_0123_a", Destination: "crm"}}, nil},
	} {
		o := Outcome{EventID: "0123", Deliveries: c.deliveries}
		got, err := o.AppendSuffixes([]string{"a"}) // another outcome's may be the same
		if c.want == nil && !errors.Is(err, ErrInvalid) || c.want != nil && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestRevisionValidate(t *testing.T) {
	t.Parallel()
	ev := &event.Event{Header: event.Header{ID: "0123"}}
	owed := Delivery{ID: "dl_0123_a", State: Waiting, Destination: "crm"}
	foreign := Delivery{ID: "dl_4567_a", State: Waiting, Destination: "crm"}
	for name, c := range map[string]struct {
		r  Revision
		ok bool
	}{
		"its own":         {Revision{Event: ev, Deliveries: []Delivery{owed}, Ended: []string{"dl_0123_b"}}, true},
		"another event's": {Revision{Event: ev, Deliveries: []Delivery{foreign}}, false},
		"ends another's":  {Revision{Event: ev, Ended: []string{"dl_4567_b"}}, false},
		"owes nowhere":    {Revision{Event: ev, Deliveries: []Delivery{{ID: "dl_0123_a", State: Waiting}}}, false},
	} {
		if err := c.r.Validate(); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The first revision, as it was taken in, and the newest ones are kept.
func TestTrimFormer(t *testing.T) {
	t.Parallel()
	var all []int
	for n := range MaxFormer + 3 {
		all = TrimFormer(append(all, n))
	}
	if want := []int{0, 4, 5, 6, 7, 8, 9, 10}; !slices.Equal(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
}
