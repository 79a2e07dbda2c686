package redis

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
)

// reading runs a reader until the test ends, and hears what it was given.
func reading(t *testing.T, url string, take func([]Entry) error, change ...func(*StreamOptions)) (stop func()) {
	t.Helper()
	o := StreamOptions{URL: url, Stream: "survey-events"}
	for _, c := range change {
		c(&o)
	}
	s, err := OpenStream(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx, func(_ context.Context, e []Entry) error { return take(e) }); !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			s.Close()
		})
	}
	t.Cleanup(stop)
	return stop
}

type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) add(entries []Entry) {
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

func pending(srv *server) int64 {
	return asInt(asList(srv.do("XPENDING", "survey-events", "surveygate"))[0])
}

func TestStreamIsReadFromItsBeginningAndAcknowledged(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for i := range 300 {
		srv.do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
	}
	var h heard
	reading(t, srv.url(), func(e []Entry) error { h.add(e); return nil })
	until(t, "all were read", func() bool { return h.count() == 300 })
	srv.do("XADD", "survey-events", "*", "event", "300")
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
	srv := start(t)
	srv.do("XADD", "survey-events", "*", "event", "a")
	var h heard
	reading(t, srv.url(), func(e []Entry) error {
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
	srv := start(t)
	srv.do("XGROUP", "CREATE", "survey-events", "surveygate", "0", "MKSTREAM")
	srv.do("XADD", "survey-events", "*", "event", "a")
	srv.do("XREADGROUP", "GROUP", "surveygate", "dead", "STREAMS", "survey-events", ">")
	var h heard
	reading(t, srv.url(), func(e []Entry) error { h.add(e); return nil }, func(o *StreamOptions) { o.Stale = 300 * time.Millisecond })
	until(t, "it was taken over", func() bool { return h.count() == 1 && pending(srv) == 0 })
}

func TestStreamGroupLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	srv := start(t)
	srv.do("XADD", "survey-events", "*", "event", "a")
	var h heard
	reading(t, srv.url(), func(e []Entry) error { h.add(e); return nil })
	until(t, "it was read", func() bool { return h.count() == 1 && pending(srv) == 0 })
	srv.do("DEL", "survey-events")
	srv.do("XADD", "survey-events", "*", "event", "b")
	until(t, "the next is read", func() bool { return h.count() == 2 })
	if _, err := OpenStream(StreamOptions{URL: srv.url()}); err == nil {
		t.Error("a stream without a name was opened")
	}
}

// An entry that ends its reader again and again is given alone from its third time on, and the others go on.
func TestStreamPoisonIsGivenAlone(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for i := range 5 {
		srv.do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
	}
	accepted := map[string]int{}
	var reads []int64 // of the poison, by death
	// untilDeath is a reader that dies of entry 2: then it is true; false when nothing is left.
	untilDeath := func() bool {
		t.Helper()
		s, err := OpenStream(StreamOptions{URL: srv.url(), Stream: "survey-events", Stale: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for {
			entries, err := s.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.Read >= readAlone && len(entries) > 1 {
					t.Errorf("given with others for the time %d: %v", e.Read, entries)
				}
				if e.Fields["event"] == "2" && len(reads) < 6 {
					reads = append(reads, e.Read)
					return true
				}
			}
			if len(entries) == 0 {
				continue
			}
			for _, e := range entries {
				accepted[e.Fields["event"]]++
			}
			if err := s.ack(t.Context(), entries); err != nil {
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

// A reader that stops finishes what it began, and leaves no name behind; those of dead ones are taken out too.
func TestStreamReaderLeaves(t *testing.T) {
	t.Parallel()
	srv := start(t)
	srv.do("XGROUP", "CREATE", "survey-events", "surveygate", "0", "MKSTREAM")
	srv.do("XGROUP", "CREATECONSUMER", "survey-events", "surveygate", "long-gone")
	srv.do("XADD", "survey-events", "*", "event", "a")
	began, finish := make(chan struct{}), make(chan struct{})
	stop := reading(t, srv.url(), func([]Entry) error {
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
	if names := asList(srv.do("XINFO", "CONSUMERS", "survey-events", "surveygate")); len(names) != 1 {
		t.Errorf("%d readers are known, want the silent one only: %v", len(names), names)
	}
	s, err := OpenStream(StreamOptions{URL: srv.url(), Stream: "survey-events"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	srv.do("XADD", "survey-events", "*", "event", "b")
	srv.do("XREADGROUP", "GROUP", "surveygate", "holding", "STREAMS", "survey-events", ">")
	for _, name := range []string{"long-gone", "holding"} {
		s.depart(t.Context(), name)
	}
	if names := asList(srv.do("XINFO", "CONSUMERS", "survey-events", "surveygate")); len(names) != 1 || pending(srv) != 1 {
		t.Errorf("left are %v and %d pending; who holds something must stay", names, pending(srv))
	}
}

// A reader that is told to stop while nothing can be kept gives its entries back: nobody waits until they are stale, and
// that they were given out counts for nothing, as it is no sign of poison.
func TestStreamReaderGivesBack(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for i := range 3 {
		srv.do("XADD", "survey-events", "*", "event", fmt.Sprint(i))
	}
	for range 4 {
		var once sync.Once
		refused := make(chan []Entry, 1)
		stop := reading(t, srv.url(), func(e []Entry) error {
			once.Do(func() { refused <- e })
			return errors.New("full")
		}, func(o *StreamOptions) { o.Stale = time.Hour })
		entries := <-refused
		stop()
		if len(entries) != 3 || entries[0].Read != 1 {
			t.Fatalf("%d entries were given, the first for the %d. time", len(entries), entries[0].Read)
		}
	}
	if n := pending(srv); n != 3 {
		t.Errorf("%d pending", n)
	}
}

// However large entries are, and wherever they come, a read brings no more than its bytes and one entry: the first read
// too, one behind many small ones, and what a dead reader held.
func TestStreamReadsAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	const each, larges, smalls = 4 << 20, 8, 300
	large := strings.Repeat("x", each)
	add := func(srv *server, many int, value string) {
		for range many {
			srv.do("XADD", "survey-events", "*", "event", value)
		}
	}
	for name, lay := range map[string]func(srv *server){
		"at first": func(srv *server) { add(srv, larges, large) },
		"behind small ones": func(srv *server) {
			add(srv, smalls, "small")
			add(srv, larges, large)
		},
		"of a dead reader": func(srv *server) {
			add(srv, larges, large)
			srv.do("XGROUP", "CREATE", "survey-events", "surveygate", "0")
			srv.do("XREADGROUP", "GROUP", "surveygate", "dead", "STREAMS", "survey-events", ">")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t)
			lay(srv)
			var most, all atomic.Int64
			reading(t, srv.url(), func(e []Entry) error {
				size := 0
				for i := range e {
					size += e[i].size()
					if len(e[i].Fields["event"]) == each {
						all.Add(1)
					}
				}
				most.Store(max(most.Load(), int64(size)))
				return nil
			}, func(o *StreamOptions) { o.Stale = 300 * time.Millisecond })
			until(t, "all were read", func() bool { return all.Load() == larges && pending(srv) == 0 })
			if most.Load() > streamBytes+each+1<<10 {
				t.Errorf("%d MiB in one read", most.Load()>>20)
			}
		})
	}
}

// An entry whose answer was lost on its way to a reader that lives is no sign of poison, however often it happens.
func TestStreamAnswersThatAreLostCountOnce(t *testing.T) {
	t.Parallel()
	srv := start(t)
	srv.do("XGROUP", "CREATE", "survey-events", "surveygate", "0", "MKSTREAM")
	id := srv.do("XADD", "survey-events", "*", "event", "a")
	s, err := OpenStream(StreamOptions{URL: srv.url(), Stream: "survey-events", Stale: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	srv.do("XREADGROUP", "GROUP", "surveygate", s.holder, "STREAMS", "survey-events", ">")
	for n := range 8 {
		var entries []Entry
		until(t, "it is given again", func() bool {
			s.looked = time.Time{}
			if entries, err = s.stale(t.Context()); err != nil {
				t.Fatal(err)
			}
			return len(entries) == 1
		})
		if entries[0].Read != 1 {
			t.Fatalf("given for the time %d after %d lost answers", entries[0].Read, n+1)
		}
	}
	// Another reader cannot know that this one lives: it counts.
	srv.do("XCLAIM", "survey-events", "surveygate", "dead", 0, id, "JUSTID")
	until(t, "another's is counted", func() bool {
		s.looked = time.Time{}
		entries, err := s.stale(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(entries) == 1 && entries[0].Read == 2
	})
}

// Who reads hears of a Redis that is gone, and that it is back.
func TestStreamReportsAndGoesOn(t *testing.T) {
	t.Parallel()
	srv := start(t, "--appendonly", "yes", "--appendfsync", "always")
	srv.do("XADD", "survey-events", "*", "event", "a")
	var h heard
	var bad atomic.Bool
	reading(t, srv.url(), func(e []Entry) error { h.add(e); return nil },
		func(o *StreamOptions) { o.Report = func(err error) { bad.Store(err != nil) } })
	until(t, "it was read", func() bool { return h.count() == 1 && pending(srv) == 0 })
	srv.kill()
	until(t, "it says so", bad.Load)
	srv.again()
	srv.do("XADD", "survey-events", "*", "event", "b")
	until(t, "it goes on", func() bool { return h.count() == 2 && !bad.Load() })
}
