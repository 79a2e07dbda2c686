package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
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
