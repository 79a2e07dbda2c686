package embedded

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// CountedNames returns the names of a kind that were counted on the day of a time or later.
func (s *store) CountedNames(ctx context.Context, tenant string, kind state.StatKind, since time.Time) ([]string, error) {
	if err := s.check(ctx); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	names, err := s.countedSince(tenant, kind, since)
	if err != nil {
		return nil, fmt.Errorf("names of statistics: %w", err)
	}
	return slices.Compact(names), nil
}
