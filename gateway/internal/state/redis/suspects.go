package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// ClaimSuspect claims the next suspect of the first shard that has one. Shards that fail are treated as in Claim.
func (s *store) ClaimSuspect(ctx context.Context) (*state.Claimed, error) {
	s.claims.Lock()
	defer s.claims.Unlock()
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	for _, sh := range s.shards {
		if sh.holdsSuspect() {
			return nil, nil
		}
	}
	first := int(s.firstShard.Add(1))
	var sick error
	answered := false
	for i := range s.shards {
		sh := s.shards[(first+i)%len(s.shards)]
		began := s.clock.Now()
		if began.Before(sh.skipUntil) {
			continue
		}
		c, err := s.suspectOf(ctx, sh)
		switch {
		case err == nil && c != nil:
			return c, nil
		case err == nil:
			answered = true
		case errors.Is(err, state.ErrUnavailable):
			sick = err
			s.skip(sh, began)
		default:
			return nil, fmt.Errorf("claim a suspect: %w", err)
		}
	}
	if sick != nil && !answered {
		return nil, fmt.Errorf("claim a suspect: %w", sick)
	}
	return nil, nil
}

// holdsSuspect reports whether a suspect was handed out and is neither committed nor released.
func (sh *shard) holdsSuspect() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.suspectNumber != 0 && sh.suspect == nil
}

// suspectOf returns a shard's next suspect: one whose answer was lost, or the one that the script claims. The call does not
// end with ctx: this process must know what Redis gave it.
func (s *store) suspectOf(ctx context.Context, sh *shard) (*state.Claimed, error) {
	call, cancel := s.detached(ctx)
	defer cancel()
	if err := s.recoverClaims(call, sh); err != nil {
		return nil, err
	}
	if c := sh.foundSuspect(); c != nil {
		return c, nil
	}
	sh.mu.Lock()
	sh.lostClaim = true // until the answer has arrived
	sh.mu.Unlock()
	got, err := suspectScript.run(call, s, sh.base, holderArgs{s.holder})
	if err != nil && strings.Contains(err.Error(), "NOGROUP") {
		got, err = nil, s.regroup(call, sh)
	}
	if err != nil {
		return nil, err
	}
	var some []state.Claimed
	if entry := asList(got); len(entry) > 0 {
		if some, err = s.decodeClaimed(call, sh, []any{entry}); err != nil {
			return nil, err
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.lostClaim = false
	if len(some) == 0 { // none, or one that cannot be decoded and became a dead letter
		return nil, nil
	}
	_, sh.suspectNumber = s.at(some[0].Position)
	return &some[0], nil
}

// foundSuspect returns a suspect that recoverClaims found.
func (sh *shard) foundSuspect() *state.Claimed {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c := sh.suspect
	sh.suspect = nil
	return c
}
