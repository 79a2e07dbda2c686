package redis

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// watchers are told of changed settings. Messages only say that something changed: what it was is read from the
// changes by version, so that a message that was missed is made up for within a second. What a slow watcher has not
// received yet is kept once for each name, so that the last change of each always arrives.
type watchers struct {
	mu     sync.Mutex
	all    map[*watcher]struct{}
	closed bool
	ended  sync.WaitGroup
	seen   uint64 // newest version that was told
}

type watcher struct {
	tenant string
	mu     sync.Mutex
	order  []state.Change
	waits  map[state.Change]bool
	wake   chan struct{}
	stop   chan struct{}
}

// Watch receives the kind and name of every change.
func (s *store) Watch(ctx context.Context, tenant string) (<-chan state.Change, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	w := &watcher{tenant: tenant, waits: map[state.Change]bool{}, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	out := make(chan state.Change)
	ws := &s.watch
	ws.mu.Lock()
	if ws.closed {
		ws.mu.Unlock()
		return nil, state.ErrClosed
	}
	if ws.all == nil {
		ws.all = map[*watcher]struct{}{}
	}
	ws.all[w] = struct{}{}
	ws.ended.Add(1)
	ws.mu.Unlock()
	go func() {
		defer ws.ended.Done()
		defer close(out)
		w.run(ctx, out)
		ws.mu.Lock()
		delete(ws.all, w)
		ws.mu.Unlock()
	}()
	return out, nil
}

func (w *watcher) run(ctx context.Context, out chan<- state.Change) {
	for {
		w.mu.Lock()
		var next state.Change
		some := len(w.order) > 0
		if some {
			next = w.order[0]
			w.order = w.order[1:]
			delete(w.waits, next) // from here on a change of that name is news again
		}
		w.mu.Unlock()
		if !some {
			select {
			case <-w.wake:
				continue
			case <-ctx.Done():
			case <-w.stop:
			}
			return
		}
		select {
		case out <- next:
		case <-ctx.Done():
			return
		case <-w.stop:
			return
		}
	}
}

func (ws *watchers) tell(c state.Change) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if w.tenant != "*" && w.tenant != c.Tenant {
			continue
		}
		w.mu.Lock()
		if !w.waits[c] {
			w.waits[c] = true
			w.order = append(w.order, c)
		}
		w.mu.Unlock()
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (ws *watchers) close() {
	ws.mu.Lock()
	ws.closed = true
	for w := range ws.all {
		close(w.stop)
	}
	ws.mu.Unlock()
	ws.ended.Wait()
}

// watchFrom begins behind what changed before.
func (s *store) watchFrom(ctx context.Context) error {
	v, err := s.client.Get(ctx, s.meta+"version").Uint64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return s.fault(err)
	}
	s.watch.seen = v
	return nil
}

// listen hears what other processes say: something can be claimed, or changed. It asks once a second besides, as
// messages are lost while Redis cannot be reached.
func (s *store) listen() {
	channels := []string{s.meta + "changes"}
	for _, sh := range s.shards {
		channels = append(channels, sh.base+"wake")
	}
	sub := s.client.Subscribe(s.ctx, channels...)
	defer sub.Close() //nolint:errcheck // the connection ends either way
	messages := sub.Channel(goredis.WithChannelSize(1024), goredis.WithChannelSendTimeout(time.Millisecond))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		case m, ok := <-messages:
			if !ok {
				return
			}
			if m.Channel != s.meta+"changes" {
				s.nudge()
				continue
			}
		}
		if err := s.changed(s.ctx); err != nil && s.ctx.Err() == nil {
			s.log.Debug("changes of settings cannot be read", "err", err)
		}
	}
}

// changed tells watchers what changed since the last time.
func (s *store) changed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lostAfter)
	defer cancel()
	newest, err := s.client.Get(ctx, s.meta+"version").Uint64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return s.fault(err)
	}
	if newest == s.watch.seen {
		return nil
	}
	if newest < s.watch.seen {
		s.watch.seen = 0 // Redis lost data: everything there is now is news
	}
	all, err := s.client.ZRangeByScoreWithScores(ctx, s.meta+"changed", &goredis.ZRangeBy{
		Min: "(" + strconv.FormatUint(s.watch.seen, 10), Max: "+inf",
	}).Result()
	if err != nil {
		return s.fault(err)
	}
	for _, z := range all {
		name, _ := z.Member.(string)
		r := reader{b: name}
		c := state.Change{Tenant: r.text(), Kind: r.text(), Name: r.text()}
		if r.err() == nil {
			s.watch.tell(c)
		}
		s.watch.seen = max(s.watch.seen, uint64(z.Score))
	}
	return nil
}
