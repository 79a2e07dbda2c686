package embedded

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

var someTime = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func someDelivery(reason string, attempts, maxBatch int) state.Delivery {
	return state.Delivery{
		ID: "dl_e1_suffix", Tenant: "acme", EventID: "e1", Origin: state.Origin{Kind: state.Webhook, Name: "hook"}, Step: "hook",
		Destination: "hook", Connector: "webhook", State: state.Waiting, Reason: reason, Attempts: attempts,
		Created: someTime, Updated: someTime.Add(time.Second), Due: someTime.Add(time.Hour), MaxBatch: maxBatch,
	}
}

// FuzzCodec: records are read back as they were written, and no bytes make a reader panic or return more than they have.
func FuzzCodec(f *testing.F) {
	d := someDelivery("retry", 3, 1)
	f.Add("0123456789abcdef0123456789abcdef", "retry", 3, true, appendOwed(nil, &owed{Delivery: d, suffix: "suffix", failedAt: noTime}))
	f.Add("e\x00\xff", "", 0, false, appendEntry(nil, &d, link{tabFailures, 7, "old"}, 9, true))
	f.Add("", "x", -1, false, appendOutcome(nil, &state.Outcome{Deliveries: []state.Delivery{d}}, 3, []string{"s"}, []link{{}}))
	f.Add("a", "b", 1, true, appendHold(nil, &state.Hold{Kind: "odd", Until: someTime}))
	f.Add("a", "b", 1, true, appendEvent(nil, &terms{tenant: "t", id: "x", persons: [][]byte{{1}}}, []byte("{}"), []byte("raw")))
	f.Fuzz(func(t *testing.T, id, text string, n int, flag bool, bad []byte) {
		d := someDelivery(text, max(n, 0), max(n, 0)%5)
		d.Forgiven = max(n, 0) / 2
		d.EventID, d.ID, d.Destination, d.Leased = id, state.JoinDeliveryID(id, "suffix"), text, flag
		d.Log = []state.Attempt{
			{N: max(n, 0), At: someTime, Took: time.Duration(n), Verdict: text, Status: n, Reason: id, Sent: n, Received: n, Request: []byte(text), Repeat: flag},
			{},
		}
		same := func(what string, got, want any) {
			t.Helper()
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(owed{}, link{}, outcome{}, terms{}, destCounts{})); diff != "" {
				t.Fatalf("%s (-want +got):\n%s", what, diff)
			}
		}
		before := link{tabHistory, int64(n), id}.withDest(text)
		e, err := readEntry("acme", sortKey{at: int64(n), suffix: "suffix"}, appendEntry(nil, &d, before, int64(n), false))
		if err != nil {
			t.Fatal(err)
		}
		same("entry", e.Delivery, d)
		same("link", e.before, before)

		d.Log = nil
		o := &owed{Delivery: d, pos: 7, suffix: "suffix", size: max(n, 0), newest: before, failedAt: int64(n)}
		got, err := readOwed("acme", 7, "suffix", appendOwed(nil, o))
		if err != nil {
			t.Fatal(err)
		}
		same("owed", *got, *o)

		out := state.Outcome{
			Position: 7, Tenant: "acme", EventID: id, Dead: text, At: someTime,
			Rules: []state.RuleOutcome{{Origin: state.Origin{Kind: "odd", Name: text}, Err: id}}, Deliveries: []state.Delivery{d},
		}
		ro, err := readOutcome("acme", id, 7, appendOutcome(nil, &out, uint64(max(n, 0)), []string{"suffix"}, []link{before}))
		if err != nil {
			t.Fatal(err)
		}
		same("outcome", ro.Outcome, out)
		same("links", ro.links, []link{before})

		ev := terms{tenant: text, id: id, kind: text, source: id, survey: text, response: id, received: int64(n), persons: [][]byte{[]byte(text)}}
		gotTerms, envelope, raw, err := readEvent(appendEvent(nil, &ev, []byte(text), bad))
		if err != nil || string(envelope) != text || !bytes.Equal(raw, bad) {
			t.Fatalf("event: %q, %q, %v", envelope, raw, err)
		}
		same("terms", gotTerms, ev)

		for _, s := range []string{id, text} {
			back, rest, ok := cutText(append(appendText(nil, s), "rest"...))
			if !ok || back != s || string(rest) != "rest" {
				t.Fatalf("text %q came back as %q, %q", s, back, rest)
			}
			back, rest, ok = cutID(append(appendID(nil, s), "rest"...))
			if !ok || back != s || string(rest) != "rest" {
				t.Fatalf("id %q came back as %q, %q", s, back, rest)
			}
		}
		if (id < text) != (bytes.Compare(appendText(nil, id), appendText(nil, text)) < 0) {
			t.Fatalf("%q and %q are in another order as keys", id, text)
		}

		// A disk may have any bytes.
		_, _ = readEntry("acme", sortKey{}, bad)
		_, _ = readOwed("acme", 1, "s", bad)
		_, _ = readOutcome("acme", id, 1, bad)
		_, _, _, _ = readEvent(bad)
		_, _ = readTimeline(bad)
		_, _, _ = readIDRecord(bad)
		_, _, _ = readHold(bad)
		_, _, _ = readDest(bad)
		_, _ = readFormerID(bad)
		_, _ = readClaims(bad)
		_, _, _ = readOnce(bad)
		_, _, _ = cutText(bad)
		_, _, _ = cutID(bad)
		_, _ = cutSortKey(bad)
		_, _ = new(counters).read(bad)
		_, _ = readRemovedID(bad)
		_, _ = readShare(bad)
		_ = new(tenantUse).read(bad)
	})
}

// TestKeyOrder: encoded sort keys have the order that due-queues and lists need.
func TestKeyOrder(t *testing.T) {
	t.Parallel()
	places := []sortKey{start, {at: -5, pos: 9}, {at: 0}, {at: 0, pos: 1, suffix: "a"}, {at: 0, pos: 1, suffix: "b"}, {at: 0, pos: 2}, {at: 7, pos: 1}}
	for i, p := range places {
		for k, q := range places {
			byKey := bytes.Compare(p.append(nil), q.append(nil)) < 0
			if byKey != (i < k) || p.less(q) != (i < k) {
				t.Errorf("%v and %v: by key %v, by less %v", p, q, byKey, p.less(q))
			}
		}
		if back, ok := cutSortKey(p.append(nil)); !ok || back != p {
			t.Errorf("%v came back as %v", p, back)
		}
		if !p.less(p.after()) || slices.ContainsFunc(places, func(q sortKey) bool { return p.less(q) && q.less(p.after()) }) {
			t.Errorf("%v is not the next place behind %v", p.after(), p)
		}
	}
}

// TestSmallRecords: records of history and deliveries stay as small as the design assumes.
func TestSmallRecords(t *testing.T) {
	t.Parallel()
	d := someDelivery("", 1, 0)
	d.EventID, d.State, d.Due = "0123456789abcdef0123456789abcdef", state.Delivered, time.Time{}
	d.Log = []state.Attempt{{N: 1, At: someTime, Took: 3 * time.Millisecond, Verdict: "delivered", Status: 200, Sent: 700, Received: 12}}
	size := len(appendEntry(nil, &d, link{}, someTime.UnixNano(), false)) +
		len(listKey(nil, tabHistory, "default", "warehouse", sortKey{suffix: "aaaaaaaaaaaaa"}))
	if size < 100 || size > 350 {
		t.Errorf("a delivery takes %d bytes of history", size)
	}
}
