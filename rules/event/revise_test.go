package event

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A revision has the same identity and new content, also after decoding.
func TestRevise(t *testing.T) {
	t.Parallel()
	before := sample(t)
	h, d, raw := sampleParts(t)
	h.DedupeKey, h.Verified, h.Source, h.Type = "another", "none", "other", TypeResponseUpdated
	h.Received = h.Received.Add(time.Hour)
	d.Response.Score.NPS, d.Respondent.Email = new(2.0), "jo@example.com"
	d.Warnings = []string{"not counted"}
	today, err := New(h, d, raw)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Revise(before, today)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Revise(first, today)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"type", "respondent.email", "response.score.nps"}, Differences(before, first)); diff != "" {
		t.Error(diff)
	}
	if names := Differences(first, second); names != nil {
		t.Errorf("the same content differs by %v", names)
	}
	for n, ev := range []*Event{before, first, second} {
		if ev.ID != before.ID || ev.DedupeKey != before.DedupeKey || ev.Verified != "hmac" || ev.Source != before.Source ||
			!ev.Received.Equal(before.Received) || string(ev.Raw.Body) != string(before.Raw.Body) || ev.Revision != n {
			t.Errorf("revision %d is %+v", n, ev.Header)
		}
		again, err := Decode(ev.Envelope(), ev.Raw.Body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ev.Header, again.Header); diff != "" {
			t.Errorf("revision %d read back: %s", n, diff)
		}
		loose := &Event{envelope: ev.Envelope()}
		if err := loose.decodeAny(); err != nil || loose.Revision != n {
			t.Errorf("revision %d read in any form: %d, %v", n, loose.Revision, err)
		}
	}
}

// If the body has no time, the event keeps its time with full precision.
func TestReviseKeepsTheTimeOfReceipt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 123_456_789, time.UTC)
	made := func(received time.Time) *Event {
		ev, err := New(Header{Type: TypeResponseCompleted, Time: received, Received: received}, nil, Raw{Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	before := made(at)
	next, err := Revise(before, made(before.Received))
	if err != nil {
		t.Fatal(err)
	}
	if names := Differences(before, next); names != nil {
		t.Errorf("it differs by %v", names)
	}
}
