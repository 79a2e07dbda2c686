package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

func awaitWaiters(t *testing.T, cs *connections, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); int(cs.waiting.Load()) != n; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d wait, want %d", cs.waiting.Load(), n)
		}
	}
}

// The next free connection goes to the destination that has the fewest, however long another's wait.
func TestFewestConnectionsFirst(t *testing.T) {
	t.Parallel()
	cs := newConnections(5, func() {}) // 3, and 2 for those that are being made
	ctx := context.Background()
	for range 3 {
		if err := cs.enter(ctx, "slow"); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan string, 3)
	for i, destination := range []string{"slow", "slow", "other"} {
		go func() {
			if err := cs.enter(ctx, destination); err != nil {
				t.Error(err)
			}
			got <- destination
		}()
		awaitWaiters(t, cs, i+1)
	}
	for _, want := range []string{"other", "slow", "slow"} {
		cs.leave("slow")
		if next := <-got; next != want {
			t.Errorf("%s is next, want %s", next, want)
		}
	}
	for _, destination := range []string{"other", "slow", "slow"} {
		cs.leave(destination)
	}
	if cs.free != 3 || len(cs.open) != 0 || len(cs.waiters) != 0 {
		t.Errorf("at the end: %d are free, %v", cs.free, cs.open)
	}
}

// Who gives up waiting takes nothing with him.
func TestWaitingForAConnectionEnds(t *testing.T) {
	t.Parallel()
	cs := newConnections(3, func() {}) // 1
	if err := cs.enter(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := cs.enter(ended, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	late, cancel := context.WithDeadline(context.Background(), expired)
	defer cancel()
	if err := cs.enter(late, "b"); !errors.Is(err, errBusy) {
		t.Errorf("too late: %v", err)
	}
	cs.leave("a")
	if err := cs.enter(context.Background(), "b"); err != nil || cs.free != 0 {
		t.Errorf("%v, %d are free", err, cs.free)
	}
}

// However many are sent at once, by both transports, there are never more connections than the bound; kept ones make room
// for other destinations, and what found none free was not sent.
func TestConnectionsOfAllAreBounded(t *testing.T) {
	t.Parallel()
	for _, transport := range []Transport{Fast, Std} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			var open, most, heard atomic.Int64
			servers := make([]*httptest.Server, 6)
			for i := range servers {
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					heard.Add(1)
					_, _ = io.Copy(io.Discard, r.Body)
				}))
				server.Config.ConnState = countOpen(&open, &most)
				server.Start()
				t.Cleanup(server.Close)
				servers[i] = server
			}
			s := New(Options{Policy: Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true}, MaxConns: 6}) // 4
			t.Cleanup(s.Close)
			var sent atomic.Int64
			var group sync.WaitGroup
			for i := range 240 {
				group.Go(func() {
					server := servers[i%len(servers)]
					for {
						res := s.Send(t.Context(), connectors.Post(server.URL, []byte(`{}`)), Attempt{
							DeliveryID: "dl_1", Transport: transport, Trusted: true, Destination: server.URL, MaxConns: 16, Timeout: time.Minute,
						})
						if res.Kind == Answered {
							sent.Add(1)
							return
						}
						if res.Kind != Busy || res.Reached {
							t.Errorf("%s: %v", res.Kind, res.Err)
							return
						}
					}
				})
			}
			group.Wait()
			// The server sees a connection's end a little later than the gateway.
			if sent.Load() != 240 || most.Load() > 12 {
				t.Errorf("%d were sent, over %d connections at once", sent.Load(), most.Load())
			}
		})
	}
}

// countOpen counts a server's connections.
func countOpen(open, most *atomic.Int64) func(c net.Conn, s http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			n := open.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
		case http.StateClosed:
			open.Add(-1)
		}
	}
}

// A process without descriptors is no fault of the destination.
func TestNoDescriptorIsBusy(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE} {
		err := explain(context.Background(), &phaseError{phaseConnect, errno}, wall.Now().Add(time.Minute), time.Minute)
		var own *Error
		if !errors.As(err, &own) || own.Kind != Busy {
			t.Errorf("%v: %v", errno, err)
		}
	}
}
