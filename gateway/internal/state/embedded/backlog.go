package embedded

import (
	"context"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// Backlogs returns what waits for the named destinations. It does not create destinations for unknown names.
func (s *store) Backlogs(ctx context.Context, tenant string, destinations []string) ([]state.Backlog, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	all := make([]state.Backlog, len(destinations))
	for i, name := range destinations {
		all[i].Destination = name
		s.due.mu.Lock()
		d := s.due.dests[destName{tenant, name}]
		if d != nil {
			all[i].Waiting = int(d.counts.waiting)
		}
		s.due.mu.Unlock()
		if d == nil || all[i].Waiting == 0 {
			continue
		}
		at, some, err := s.oldest(d)
		if err != nil {
			return nil, fmt.Errorf("backlogs: %w", err)
		}
		if some {
			all[i].Oldest = fromNanos(at.at)
		}
	}
	return all, nil
}
