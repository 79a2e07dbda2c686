package deliver

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// keyed is a product that takes one event at a time and changes a record with it.
type keyed struct {
	product
	key func(ev *event.Event) string
}

func (k *keyed) Key(ev *event.Event) string { return k.key(ev) }

// A record that many deliveries change at once, as an address that a kiosk gives for everybody, takes its turns one
// after the other. Those of all others go on meanwhile, in batches or alone, from the due-queue or from memory.
func TestAHotRecordHurtsNoOther(t *testing.T) {
	t.Parallel()
	const hot, others = 300, 20
	isHot := func(id string) bool { return len(id) <= len("e300") } // the others are e1001 and on
	key := func(ev *event.Event) string {
		if isHot(ev.OrigID) {
			return "kiosk"
		}
		return ev.OrigID
	}
	for name, build := range map[string]connectors.Connector{"alone": &keyed{key: key}, "in batches": &many{key: key}} {
		for _, due := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", due", false: ", new"}[due], func(t *testing.T) {
				t.Parallel()
				with := func(enabled bool) *config.Config {
					d := destination("crm", time.Hour)
					d.Concurrency = 2
					conf := destinations(d)
					d.Enabled = enabled
					conf.Rules = []*config.Rule{ruleTo("crm", build)}
					return conf
				}
				b := prepare(t, with(!due), nil)
				release := make(chan struct{})
				var once sync.Once
				free := func() { once.Do(func() { close(release) }) }
				t.Cleanup(free)
				var mu sync.Mutex
				var came []string
				b.sender = senders(func(_ context.Context, r *connectors.Request, _ outbound.Attempt) outbound.Result {
					ids := []string{strings.TrimPrefix(r.URL, "https://product.example/")}
					if ids[0] == "batch" {
						var t told
						if err := json.Unmarshal(r.Body, &t); err != nil {
							panic(err)
						}
						ids = t.IDs
					}
					if !slices.ContainsFunc(ids, func(id string) bool { return !isHot(id) }) {
						<-release // what goes together with others does not hang
					}
					mu.Lock()
					came = append(came, ids...)
					mu.Unlock()
					return ok()
				})
				b.open()
				ids := b.accept(hot)
				b.n = 1000
				ids = append(ids, b.accept(others)...)
				if due {
					for _, id := range ids {
						b.untilState(id, "crm", state.Waiting)
					}
					b.reload(with(true))
				}
				for _, id := range ids[hot:] {
					b.untilState(id, "crm", state.Delivered)
				}
				free()
				for _, id := range ids {
					b.untilState(id, "crm", state.Delivered)
				}
				mu.Lock()
				defer mu.Unlock()
				var order []string
				for _, id := range came {
					if isHot(id) {
						order = append(order, id)
					}
				}
				if len(came) != hot+others || len(order) != hot {
					t.Fatalf("%d were sent, %d of the hot record; want %d and %d", len(came), len(order), hot+others, hot)
				}
				inOrder := func(a, b string) int {
					if len(a) != len(b) {
						return len(a) - len(b)
					}
					return strings.Compare(a, b)
				}
				if due && !slices.IsSortedFunc(order, inOrder) {
					t.Errorf("the hot record heard in this order: %v", order)
				}
			})
		}
	}
}

// What goes back for others of its record is not claimed again and again: the more there are, the longer they stay, and
// a lane has only so many claimed for nothing.
func TestGoingBackIsBounded(t *testing.T) {
	t.Parallel()
	_, _, l, manual := idle(t, &many{}, &config.Destination{})
	of := record{key: "kiosk"}
	now := manual.Now()
	back := func(busy bool) time.Duration {
		until := l.sendBackUntil(of, busy, now)
		if until.IsZero() {
			return 0
		}
		return until.Sub(now)
	}
	looking := func() bool { n, again := l.dueCapacity(now); return n > 0 || again.IsZero() }

	l.blockedByRecord = maxParked - 1
	if got := back(true); got != 0 {
		t.Errorf("back for %s where there is room", got)
	}
	l.pending, l.blockedByRecord = maxParked, maxParked
	if got := back(false); got != 0 {
		t.Errorf("back for %s where nothing of the record is under way", got)
	}
	for n := range maxSentBack + 1 { // the first look begins the count
		if got := back(true); got != minSendBack {
			t.Fatalf("%d: back for %s, want %s", n, got, minSendBack)
		}
		if n == 0 && !looking() {
			t.Error("one that goes back keeps all others from being claimed")
		}
	}
	if looking() {
		t.Errorf("more is claimed after %d went back", maxSentBack)
	}
	l.pending, l.blockedByRecord = 0, 0
	if got := back(false); got != minSendBack {
		t.Errorf("one that came later goes first: back for %s", got)
	}

	now = now.Add(minSendBack)
	if !looking() {
		t.Error("nothing is claimed any more")
	}
	if got := back(true); got != 0 {
		t.Errorf("back for %s where all went on", got)
	}
	l.pending, l.blockedByRecord = maxParked, maxParked
	if got, want := back(true), 2*minSendBack; got < want || got > want+10*time.Millisecond {
		t.Errorf("back for %s, want about %s: as long as it takes to look at so many", got, want)
	}
	l.gather.sentBack[of] = sentBack{until: now, count: 1 << 30}
	if got := back(true); got != maxSendBack {
		t.Errorf("back for %s, want %s at most", got, maxSendBack)
	}
	now = now.Add(3 * maxSendBack)
	l.sendBackUntil(record{key: "another"}, true, now)
	if n := len(l.gather.sentBack); n != 1 {
		t.Errorf("%d records are remembered, want the one of today", n)
	}
	// All of them are looked through now and then only: many records may be busy, and the lane waits meanwhile.
	l.gather.sentBack[of] = sentBack{until: now.Add(-3 * maxSendBack)}
	for _, want := range []int{3, 3} {
		now = now.Add(time.Second)
		l.sendBackUntil(record{key: "a third"}, true, now)
		if n := len(l.gather.sentBack); n != want {
			t.Errorf("%d records are remembered, want %d: it was looked through a moment ago", n, want)
		}
	}
	now = now.Add(maxSendBack)
	l.sendBackUntil(record{key: "a third"}, true, now)
	if _, kept := l.gather.sentBack[of]; kept {
		t.Error("a record that was quiet for long is remembered")
	}
}
