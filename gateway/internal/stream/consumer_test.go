package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// reading runs a consumer until the test ends, and passes its entries to take.
func reading(t *testing.T, url string, take func([]entry) error, change ...func(*consumerOptions)) (stop func()) {
	t.Helper()
	o := consumerOptions{URL: url, Stream: "survey-events"}
	for _, c := range change {
		c(&o)
	}
	s, err := newConsumer(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.run(ctx, func(_ context.Context, e []entry) error { return take(e) }); !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			s.close()
		})
	}
	t.Cleanup(stop)
	return stop
}

type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) add(entries []entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range entries {
		h.all = append(h.all, e.Fields["event"])
	}
}

func (h *heard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

func pending(srv *redistest.Server) int64 {
	n, _ := srv.Do("XPENDING", "survey-events", "surveygate").([]any)[0].(int64)
	return n
}

func consumersOf(srv *redistest.Server) []any {
	all, _ := srv.Do("XINFO", "CONSUMERS", "survey-events", "surveygate").([]any)
	return all
}

func TestStreamIsReadFromItsBeginningAndAcknowledged(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for i := range 300 {
		srv.Do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
	}
	var h heard
	reading(t, srv.URL(), func(e []entry) error { h.add(e); return nil })
	until(t, "all were read", func() bool { return h.count() == 300 })
	srv.Do("XADD", "survey-events", "*", "event", "300")
	until(t, "the new one was read", func() bool { return h.count() == 301 })
	until(t, "all are acknowledged", func() bool { return pending(srv) == 0 })
	for i, e := range h.all {
		if e != fmt.Sprint(i) {
			t.Fatalf("entry %d is %s", i, e)
		}
	}
}

func TestStreamIsNotAcknowledgedBeforeItIsAccepted(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("XADD", "survey-events", "*", "event", "a")
	var h heard
	reading(t, srv.URL(), func(e []entry) error {
		h.add(e)
		if h.count() < 3 {
			if n := pending(srv); n != 1 {
				t.Errorf("%d pending while it is not accepted", n)
			}
			return errors.New("full")
		}
		return nil
	})
	until(t, "it was accepted", func() bool { return h.count() == 3 })
	until(t, "it is acknowledged", func() bool { return pending(srv) == 0 })
}

func TestStreamOfADeadReaderIsTakenOver(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("XGROUP", "CREATE", "survey-events", "surveygate", "0", "MKSTREAM")
	srv.Do("XADD", "survey-events", "*", "event", "a")
	srv.Do("XREADGROUP", "GROUP", "surveygate", "dead", "STREAMS", "survey-events", ">")
	var h heard
	reading(t, srv.URL(), func(e []entry) error { h.add(e); return nil }, func(o *consumerOptions) { o.Stale, o.Block = 300*time.Millisecond, 50*time.Millisecond })
	until(t, "it was taken over", func() bool { return h.count() == 1 && pending(srv) == 0 })
}

func TestStreamGroupLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("XADD", "survey-events", "*", "event", "a")
	var h heard
	reading(t, srv.URL(), func(e []entry) error { h.add(e); return nil })
	until(t, "it was read", func() bool { return h.count() == 1 && pending(srv) == 0 })
	srv.Do("DEL", "survey-events")
	srv.Do("XADD", "survey-events", "*", "event", "b")
	until(t, "the next is read", func() bool { return h.count() == 2 })
	if _, err := newConsumer(consumerOptions{URL: srv.URL()}); err == nil {
		t.Error("a stream without a name was opened")
	}
}

// An entry that crashes its reader again and again is given alone from its third read on, and does not block the others.
func TestStreamPoisonIsGivenAlone(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for i := range 5 {
		srv.Do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
	}
	accepted := map[string]int{}
	var reads []int64 // of the poison, by death
	// untilDeath runs a consumer that dies of entry 2 and returns true; false when nothing is left.
	untilDeath := func() bool {
		t.Helper()
		s, err := newConsumer(consumerOptions{URL: srv.URL(), Stream: "survey-events", Stale: 50 * time.Millisecond, Block: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		for {
			entries, err := s.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Reads >= readAlone && len(entries) > 1 {
					t.Errorf("given with others for the time %d: %v", e.Reads, entries)
				}
				if e.Fields["event"] == "2" && len(reads) < 6 {
					reads = append(reads, e.Reads)
					return true
				}
			}
			if len(entries) == 0 {
				continue
			}
			for _, e := range entries {
				accepted[e.Fields["event"]]++
			}
			if err := s.acknowledge(t.Context(), entries); err != nil {
				t.Fatal(err)
			}
			if len(accepted) == 5 {
				return false
			}
		}
	}
	for untilDeath() {
	}
	if diff := cmp.Diff([]int64{1, 2, 3, 4, 5, 6}, reads); diff != "" {
		t.Errorf("the poison was given for these times (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"0": 1, "1": 1, "2": 1, "3": 1, "4": 1}, accepted); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
}

// A consumer that stops finishes its entries and leaves its group. Dead consumers are deleted too.
func TestStreamReaderLeaves(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("XGROUP", "CREATE", "survey-events", "surveygate", "0", "MKSTREAM")
	srv.Do("XGROUP", "CREATECONSUMER", "survey-events", "surveygate", "long-gone")
	srv.Do("XADD", "survey-events", "*", "event", "a")
	began, finish := make(chan struct{}), make(chan struct{})
	stop := reading(t, srv.URL(), func([]entry) error {
		close(began)
		<-finish
		return nil
	})
	<-began
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	close(finish)
	<-stopped
	if n := pending(srv); n != 0 {
		t.Errorf("%d pending after an orderly stop", n)
	}
	if names := consumersOf(srv); len(names) != 1 {
		t.Errorf("%d readers are known, want the silent one only: %v", len(names), names)
	}
	s, err := newConsumer(consumerOptions{URL: srv.URL(), Stream: "survey-events"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	srv.Do("XADD", "survey-events", "*", "event", "b")
	srv.Do("XREADGROUP", "GROUP", "surveygate", "holding", "STREAMS", "survey-events", ">")
	for _, name := range []string{"long-gone", "holding"} {
		s.leave(t.Context(), name)
	}
	if names := consumersOf(srv); len(names) != 1 || pending(srv) != 1 {
		t.Errorf("left are %v and %d pending; who holds something must stay", names, pending(srv))
	}
}

// A consumer that stops while nothing can be accepted gives its entries back: the next one need not wait until they are stale,
// and the read does not count, as it is no sign of a crash.
func TestStreamReaderGivesBack(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for i := range 3 {
		srv.Do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
	}
	for range 4 {
		var once sync.Once
		refused := make(chan []entry, 1)
		stop := reading(t, srv.URL(), func(e []entry) error {
			once.Do(func() { refused <- e })
			return errors.New("full")
		}, func(o *consumerOptions) { o.Stale = time.Hour })
		entries := <-refused
		stop()
		if len(entries) != 3 || entries[0].Reads != 1 {
			t.Fatalf("%d entries were given, the first for the %d. time", len(entries), entries[0].Reads)
		}
	}
	if n := pending(srv); n != 3 {
		t.Errorf("%d pending", n)
	}
}

// A read brings no more than readBytes and one entry, however large entries are: the first read, one after many small entries,
// and one that takes over from a dead consumer.
func TestStreamReadsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	const each, larges, smalls = 4 << 20, 8, 300
	large := strings.Repeat("x", each)
	add := func(srv *redistest.Server, many int, value string) {
		for range many {
			srv.Do("XADD", "survey-events", "*", "event", value)
		}
	}
	for name, lay := range map[string]func(srv *redistest.Server){
		"at first": func(srv *redistest.Server) { add(srv, larges, large) },
		"behind small ones": func(srv *redistest.Server) {
			add(srv, smalls, "small")
			add(srv, larges, large)
		},
		"of a dead reader": func(srv *redistest.Server) {
			add(srv, larges, large)
			srv.Do("XGROUP", "CREATE", "survey-events", "surveygate", "0")
			srv.Do("XREADGROUP", "GROUP", "surveygate", "dead", "STREAMS", "survey-events", ">")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t)
			lay(srv)
			var most, all atomic.Int64
			reading(t, srv.URL(), func(e []entry) error {
				size := 0
				for i := range e {
					size += e[i].size()
					if len(e[i].Fields["event"]) == each {
						all.Add(1)
					}
				}
				most.Store(max(most.Load(), int64(size)))
				return nil
			}, func(o *consumerOptions) { o.Stale, o.Block = 300*time.Millisecond, 50*time.Millisecond })
			until(t, "all were read", func() bool { return all.Load() == larges && pending(srv) == 0 })
			if most.Load() > readBytes+each+1<<10 {
				t.Errorf("%d MiB in one read", most.Load()>>20)
			}
		})
	}
}

// Answers that were lost on their way to a living consumer count as one read, however many they are.
func TestStreamAnswersThatAreLostCountOnce(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	srv.Do("XGROUP", "CREATE", "survey-events", "surveygate", "0", "MKSTREAM")
	id := srv.Do("XADD", "survey-events", "*", "event", "a")
	s, err := newConsumer(consumerOptions{URL: srv.URL(), Stream: "survey-events", Stale: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	srv.Do("XREADGROUP", "GROUP", "surveygate", s.name, "STREAMS", "survey-events", ">")
	for n := range 8 {
		var entries []entry
		until(t, "it is given again", func() bool {
			s.checked = time.Time{}
			if entries, err = s.takeOver(t.Context()); err != nil {
				t.Fatal(err)
			}
			return len(entries) == 1
		})
		if entries[0].Reads != 1 {
			t.Fatalf("given for the time %d after %d lost answers", entries[0].Reads, n+1)
		}
	}
	// Another consumer cannot know that this one lives: it counts a read.
	srv.Do("XCLAIM", "survey-events", "surveygate", "dead", 0, id, "JUSTID")
	until(t, "another's is counted", func() bool {
		s.checked = time.Time{}
		entries, err := s.takeOver(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(entries) == 1 && entries[0].Reads == 2
	})
}

// A consumer reports that Redis is down, and that it is up again.
func TestStreamReportsAndGoesOn(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, redistest.Durable...)
	srv.Do("XADD", "survey-events", "*", "event", "a")
	var h heard
	var bad atomic.Bool
	reading(t, srv.URL(), func(e []entry) error { h.add(e); return nil },
		func(o *consumerOptions) { o.Report = func(err error) { bad.Store(err != nil) } })
	until(t, "it was read", func() bool { return h.count() == 1 && pending(srv) == 0 })
	srv.Kill()
	until(t, "it says so", bad.Load)
	srv.Again()
	srv.Do("XADD", "survey-events", "*", "event", "b")
	until(t, "it goes on", func() bool { return h.count() == 2 && !bad.Load() })
}

// A user with few permissions is enough for a stream, with scripts and without: then entries are read one at a time.
func TestStreamOfAUserWithLittle(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string][]any{"scripts": {"+eval", "+evalsha"}, "no scripts": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t)
			srv.Do(append([]any{
				"ACL", "SETUSER", "reader", "on", ">secret", "~survey-events",
				"+xgroup", "+xreadgroup", "+xpending", "+xclaim", "+xack", "+xinfo",
			}, scripts...)...)
			for i := range 20 {
				srv.Do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
			}
			var h heard
			most := 0
			stop := reading(t, strings.Replace(srv.URL(), "redis://", "redis://reader:secret@", 1), func(e []entry) error {
				most = max(most, len(e))
				h.add(e)
				return nil
			})
			until(t, "all were read", func() bool { return h.count() == 20 && pending(srv) == 0 })
			stop()
			if together := most > 1; together != (scripts != nil) {
				t.Errorf("%d were read at once", most)
			}
		})
	}
}
