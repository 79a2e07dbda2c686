package embedded

import (
	"container/heap"
	"context"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// markAhead is by how many events the mark of claims runs ahead, so that one sync serves as many first claims. After a crash at
// most so many unclaimed events have one claim too many, which is not enough to make one of them a suspect.
const markAhead = 4096

// suspect is an event that is only claimed alone.
type suspect struct {
	claims int // that ended without commit or release
	pos    uint64
}

// suspects is a heap: the suspect with the fewest claims is first, and of several the oldest.
type suspects []suspect

func (p suspects) Len() int { return len(p) }

func (p suspects) Less(i, j int) bool {
	if p[i].claims != p[j].claims {
		return p[i].claims < p[j].claims
	}
	return p[i].pos < p[j].pos
}

func (p suspects) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *suspects) Push(x any)   { *p = append(*p, x.(suspect)) }
func (p *suspects) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

// ClaimSuspect claims the next suspect of those that Claim has reached.
func (s *store) ClaimSuspect(ctx context.Context) (*state.Claimed, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	select {
	case <-s.stopped:
		return nil, s.stopReason()
	default:
	}
	for {
		c, bad, err := s.window.takeSuspect()
		if err == nil && bad != nil {
			if err = s.do(ctx, &call{op: bad}); err == nil {
				continue
			}
		}
		if err == nil && c != nil {
			// It may crash the process at once, so this claim is counted on disk before the event is handed out.
			if err = s.do(ctx, &call{op: syncLog{}, sync: true}); err != nil {
				s.window.unclaimAll([]state.Claimed{*c})
			}
		}
		if err != nil {
			return nil, fmt.Errorf("claim a suspect: %w", err)
		}
		return c, nil
	}
}

// takeSuspect claims the next suspect, or returns one that cannot be read. It reads the event under the lock, because only one
// suspect is claimed at a time.
func (w *window) takeSuspect() (c *state.Claimed, bad *unreadableEvent, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.claimedSuspect == 0 && len(w.suspects) > 0 {
		next := w.suspects[0]
		if next.pos < w.low || w.slot(next.pos).state != slotFree {
			heap.Pop(&w.suspects)
			continue
		}
		record, err := w.s.read(w.s.db, posKey(nil, tabEvent, next.pos), nil)
		if err != nil {
			return nil, nil, err
		}
		heap.Pop(&w.suspects)
		ev, err := decodeEvent(record)
		if err != nil {
			return nil, &unreadableEvent{pos: next.pos, reason: "unreadable: " + err.Error()}, nil
		}
		sl := w.slot(next.pos)
		sl.state, sl.record, sl.ev = slotClaimed, true, ev
		w.claimRecords[next.pos] = claims{sl.claims, true}
		w.claimedSuspect = next.pos
		return &state.Claimed{Event: ev, Position: next.pos, Claims: sl.claims + 1}, nil, nil
	}
	return nil, nil, nil
}
