package state

import (
	"errors"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
)

func revision(n int) *event.Event { return &event.Event{Header: event.Header{ID: "0123", Revision: n}} }

// The id is a promise to receivers, who know deliveries by it, and engines keep its parts: it must never become another one.
func TestDeliveryIDStays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		revision int
		origin   Origin
		step     string
		want     string
	}{
		{0, Origin{Rule, "detractor"}, "crm.note", "dl_0123_b7lnjsiaipcfp"},
		{1, Origin{Rule, "detractor"}, "crm.note", "dl_0123_7zbfb3ifci7k3"},
		{12, Origin{Rule, "detractor"}, "crm.note", "dl_0123_2y7fxfjpz44jt"},
		{0, Origin{Webhook, "hook"}, "hook", "dl_0123_bhl2f7ivtz2ks"},
		{0, Origin{Test, "crm"}, "crm", "dl_0123_qi26evbblmgsb"},
		{0, Origin{Rule, strings.Repeat("long", 100)}, "", "dl_0123_e7dpwj63qlty4"},
	} {
		if got := DeliveryID(revision(c.revision), c.origin, c.step); got != c.want {
			t.Errorf("revision %d of %v, step %q: %s, want %s", c.revision, c.origin, c.step, got, c.want)
		}
	}
	if got, want := JoinDeliveryID("0123", "b7lnjsiaipcfp"), "dl_0123_b7lnjsiaipcfp"; got != want {
		t.Errorf("joined: %s, want %s", got, want)
	}
	fresh := FreshDeliveryID("0123")
	if event, suffix, ok := SplitDeliveryID(fresh); !ok || event != "0123" || len(suffix) != 13 || fresh == FreshDeliveryID("0123") {
		t.Errorf("fresh: %s", fresh)
	}
}

// Deliveries that differ in anything have different ids.
func TestDeliveryIDsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, o := range []Origin{{Rule, "detractor"}, {Webhook, "detractor"}, {Rule, "detractorc"}} {
		for _, s := range []string{"crm", "rm", "crm.note"} {
			for n := range 3 {
				seen[DeliveryID(revision(n), o, s)] = true
			}
		}
	}
	if len(seen) != 27 {
		t.Errorf("%d ids of 27 deliveries", len(seen))
	}
}

func TestSplitDeliveryID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, event, suffix, leadsTo string }{
		{"dl_0123_abc", "0123", "abc", "0123"},
		{"dl_a_b_abc", "a_b", "abc", "a_b"}, // an event may be named by its source
		{"dl_0123", "", "", "0123"},         // cut short
		{"dl_0123_", "", "", "0123"},
		{"dl_", "", "", ""},
		{"dl__", "", "", "_"},
		{"dl__abc", "", "", "_abc"},
		{"dl_0\x00_abc", "", "", "0\x00"},
		{"x_0123_abc", "", "", "x_0123_abc"},
		{"0123", "", "", "0123"},
		{"", "", "", ""},
	} {
		event, suffix, ok := SplitDeliveryID(c.id)
		if event != c.event || suffix != c.suffix || ok != (c.suffix != "") {
			t.Errorf("%q: %q, %q, %t", c.id, event, suffix, ok)
		}
		if ok && JoinDeliveryID(event, suffix) != c.id {
			t.Errorf("%q does not come back", c.id)
		}
		if got := EventID(c.id); got != c.leadsTo {
			t.Errorf("%q leads to event %q, want %q", c.id, got, c.leadsTo)
		}
		if IsDeliveryID(c.id) != strings.HasPrefix(c.id, "dl_") {
			t.Errorf("%q: is a delivery's: %t", c.id, IsDeliveryID(c.id))
		}
		if s, err := DeliverySuffix(c.id, ""); s != c.suffix || ok != (err == nil) || !ok && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: suffix %q, %v", c.id, s, err)
		}
	}
	if _, err := DeliverySuffix("dl_0123_abc", "other"); !errors.Is(err, ErrInvalid) {
		t.Errorf("the id of another event's delivery: %v", err)
	}
}
