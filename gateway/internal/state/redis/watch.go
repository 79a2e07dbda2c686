package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// A message only says that something changed. What changed is read by version, so a lost message is made up for within
// changesEvery.
const changesEvery = 500 * time.Millisecond

// Watch returns a channel of the kinds and names of changed settings.
func (s *store) Watch(ctx context.Context, tenant string) (<-chan state.Change, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	return s.watchers.Watch(ctx, tenant)
}

// watchFrom begins after all present changes.
func (s *store) watchFrom(ctx context.Context) error {
	v, err := s.client.Get(ctx, s.meta+"version").Uint64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return s.fault(err)
	}
	s.seen = v
	return nil
}

// listen receives messages of other processes: an event can be claimed, or a setting changed. It also reads the changes
// every changesEvery, as messages are lost while Redis cannot be reached.
func (s *store) listen() {
	channels := []string{s.meta + "changes"}
	for _, sh := range s.shards {
		channels = append(channels, sh.base+"wake")
	}
	sub := s.client.Subscribe(s.ctx, channels...)
	defer sub.Close() //nolint:errcheck // the connection ends either way
	messages := sub.Channel(goredis.WithChannelSize(1024), goredis.WithChannelSendTimeout(time.Millisecond))
	tick := time.NewTicker(changesEvery)
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

// changed tells watchers what changed since the last call.
func (s *store) changed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lostAfter)
	defer cancel()
	newest, err := s.client.Get(ctx, s.meta+"version").Uint64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return s.fault(err)
	}
	if newest == s.seen {
		return nil
	}
	if newest < s.seen {
		s.seen = 0 // Redis lost data: watchers are told of everything
	}
	forgotten, err := s.client.Get(ctx, s.meta+"forgotten").Uint64()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return s.fault(err)
	}
	if s.seen < forgotten {
		if err := s.tellAll(ctx); err != nil {
			return err
		}
	}
	all, err := s.client.ZRangeByScoreWithScores(ctx, s.meta+"changed", &goredis.ZRangeBy{
		Min: "(" + strconv.FormatUint(s.seen, 10), Max: "+inf",
	}).Result()
	if err != nil {
		return s.fault(err)
	}
	for _, z := range all {
		name, _ := z.Member.(string)
		r := readerOf(name)
		c := state.Change{Tenant: r.Text(), Kind: r.Text(), Name: r.Text()}
		if r.Err() == nil {
			s.watchers.Notify(c)
		}
		s.seen = max(s.seen, uint64(z.Score))
	}
	return nil
}

// tellAll tells watchers of every setting: this process missed more changes than are kept.
func (s *store) tellAll(ctx context.Context) error {
	prefix := s.meta + "set:"
	master := s.client
	if c, ok := s.client.(*goredis.ClusterClient); ok { // all keys of meta are in one node
		var err error
		if master, err = c.MasterForKey(ctx, s.meta); err != nil {
			return s.fault(err)
		}
	}
	for it := master.ScanType(ctx, 0, globbed(prefix)+"*", 1000, "hash").Iterator(); ; {
		if !it.Next(ctx) {
			return s.fault(it.Err())
		}
		tenant, kind, _ := strings.Cut(strings.TrimPrefix(it.Val(), prefix), ":")
		names, err := s.client.HKeys(ctx, it.Val()).Result()
		if err != nil {
			return s.fault(err)
		}
		for _, name := range names {
			s.watchers.Notify(state.Change{Tenant: unescape(tenant), Kind: unescape(kind), Name: name})
		}
	}
}

// globbed escapes a text for a pattern.
func globbed(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(text)
}
