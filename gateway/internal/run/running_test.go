package run

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/deliver"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// refusing is a store that takes no setting.
type refusing struct{ state.Store }

func (refusing) Put(context.Context, string, string, string, []byte, uint64) (uint64, error) {
	return 0, state.ErrUnavailable
}

func (refusing) WriteAll(context.Context, *state.Batch) ([]uint64, error) {
	return nil, state.ErrUnavailable
}

// A configuration that cannot be kept is not used in part: no decision would name it, and its tokens open nothing.
func TestReloadIsWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.life.stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	before := g.plan.Load()
	const token = "another-0123456789-0123456789-0123"
	s.writeText("tokens: [{name: ci, secret: " + token + ", scopes: [read]}]")
	loaded, err := s.options.load()
	if err != nil {
		t.Fatal(err)
	}
	g.store = refusing{g.store}
	g.stored = newStoredGenerations(g.store, g.clock)
	if _, err := g.use(t.Context(), loaded); !errors.Is(err, state.ErrUnavailable) {
		t.Errorf("used: %v", err)
	}
	if g.plan.Load() != before || g.access.Grant([]byte(token)) != nil {
		t.Error("the new configuration is used in part")
	}
	if len(g.access.Grants()) != 1 {
		t.Errorf("%d tokens", len(g.access.Grants()))
	}
}

// A file that changes while the gateway starts is read again.
func TestChangedWhileStarting(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	before := g.plan.Load()
	s.write(10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.serve(ctx) }()
	s.until("the change is seen", func() bool { return g.plan.Load() != before })
	cancel()
	if err := errors.Join(<-ended, g.life.stop(t.Context())); err != nil {
		t.Error(err)
	}
}

// breaking is a store that breaks when it is told to.
type breaking struct {
	state.Store
	broken chan struct{}
	why    error
}

func (b *breaking) Broken() <-chan struct{} { return b.broken }
func (b *breaking) Close() error            { return errors.Join(b.why, b.Store.Close()) }

// A store that only another start mends ends the gateway, and why is the gateway's last word.
func TestStoreBreaks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	b := &breaking{Store: g.store, broken: make(chan struct{}), why: errors.New("the disk failed")}
	g.store = b
	ended := make(chan error, 1)
	go func() { ended <- errors.Join(g.serve(t.Context()), g.life.stop(t.Context())) }()
	close(b.broken)
	select {
	case err := <-ended:
		if !errors.Is(err, b.why) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("it goes on without a store")
	}
}

// blind is a store that cannot say what is on hold, however often it is asked.
type blind struct{ state.Store }

var errBlind = errors.New("record is corrupt")

func (blind) Holds(context.Context, string) ([]state.DestinationOnHold, error) { return nil, errBlind }

// A loop that cannot run ends the gateway, and its reason is the gateway's.
func TestLoopFails(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	o := g.loop.Options
	o.Store = blind{o.Store}
	g.loop = deliver.New(o)
	ended := make(chan error, 1)
	go func() { ended <- g.serve(t.Context()) }()
	select {
	case err := <-ended:
		if !errors.Is(err, errBlind) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("it goes on without its loop")
	}
}
