package redis

import (
	"errors"
	"slices"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// turnNames is about how many names one page of a round has.
const turnNames = 32

// A round goes over the members of a set that each shard has: of destinations, or of tenants. One call of Trim is too short for
// many of them, so the next call continues behind the last one, in whichever replica. The place is kept in Redis: a replica
// that restarts every minute completes a round too. Names that are there during the whole round are reached, whichever others
// come and go meanwhile (SSCAN).
type roundPlace struct {
	shard  int
	cursor uint64
	last   bool     // no page follows in the shard
	names  []string // of the page that was read, still to be visited
}

func (p *roundPlace) append(b []byte) []byte {
	last := byte(0)
	if p.last {
		last = 1
	}
	b = append(appendUint(appendUint(b, uint64(p.shard)), p.cursor), last)
	for _, name := range p.names {
		b = state.AppendText(b, name)
	}
	return b
}

// readPlace reads a place. One that cannot be read, or of other shards, begins a round.
func readPlace(text string, shards int) (p roundPlace) {
	r := readerOf(text)
	p.shard, p.cursor, p.last = int(r.Uint()), r.Uint(), r.Byte() == 1
	for len(r.Rest) > 0 && !r.Bad() {
		p.names = append(p.names, r.Text())
	}
	if r.Err() != nil || p.shard < 0 || p.shard >= shards {
		return roundPlace{}
	}
	return p
}

func (p *roundPlace) begins() bool {
	return p.shard == 0 && p.cursor == 0 && !p.last && len(p.names) == 0
}

// inTurn continues a round over a set of names, page by page, until the round is complete, or visit leaves names to the next
// call. After an error, the next call continues behind the name that visit could not do, so that it is in nobody's way.
func (t *trimming) inTurn(round, set string, visit func(sh *shard, names []string) (left []string, err error)) error {
	s, at := t.s, t.s.meta+"trim"
	before, err := s.client.HGet(t.ctx, at, round).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return s.fault(err)
	}
	p := readPlace(before, len(s.shards))
	if p.begins() {
		s.pass.begins(round)
	}
	ended, err := t.goRound(&p, set, visit)
	if !s.pass.looked(round, ended) && err == nil {
		t.done.More = true
	}
	if errors.Is(err, state.ErrConflict) {
		return err // another replica trims, from a place of its own
	}
	after := ""
	if !p.begins() {
		after = string(p.append(nil))
	}
	if after == before {
		return err
	}
	// The place is kept also when the process ends.
	ctx, cancel := s.detached(t.ctx)
	defer cancel()
	_, failed := setFieldScript.run(ctx, s, s.meta, setFieldArgs{"trim", round, after})
	return errors.Join(err, failed)
}

// goRound continues a round from a place, and reports whether it came to the round's end.
func (t *trimming) goRound(p *roundPlace, set string, visit func(sh *shard, names []string) (left []string, err error)) (ended bool, err error) {
	shards := t.s.shards
	for {
		if len(p.names) > 0 {
			left, err := visit(shards[p.shard], p.names)
			p.names = left
			if err != nil || len(left) > 0 {
				return false, err
			}
		}
		if p.last {
			p.shard, p.cursor, p.last = p.shard+1, 0, false
		}
		if p.shard == len(shards) {
			*p = roundPlace{}
			return true, nil
		}
		if t.budget <= 0 {
			return false, nil
		}
		t.budget--
		if err := t.goOn(); err != nil {
			return false, err
		}
		names, next, err := t.s.client.SScan(t.ctx, shards[p.shard].base+set, p.cursor, "", turnNames).Result()
		if err != nil {
			return false, t.s.fault(err)
		}
		slices.Sort(names)
		p.names, p.cursor, p.last = slices.Compact(names), next, next == 0
	}
}
