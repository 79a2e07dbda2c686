package deliver

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// sickList is a store that cannot read the deliveries of one destination.
type sickList struct {
	state.Store
	notes []string
	err   error
}

func (s *sickList) List(context.Context, string, string) (all []state.Setting, err error) {
	for _, name := range s.notes {
		all = append(all, state.Setting{Name: name, Version: 1})
	}
	return all, nil
}

func (s *sickList) Lease(context.Context, string, string, time.Duration) (uint64, error) {
	return 1, nil
}

func (s *sickList) Deliveries(_ context.Context, _ string, q state.DeliveryQuery) (*state.Page[state.Delivery], error) {
	if q.Destination == "a-sick" {
		return nil, s.err
	}
	return &state.Page[state.Delivery]{}, nil
}

func (s *sickList) Delete(_ context.Context, _, _, name string, _ uint64) error {
	s.notes = slices.DeleteFunc(s.notes, func(n string) bool { return n == name })
	return nil
}

// A destination whose deliveries cannot be read keeps no other from being recalled. Without the store, the search ends.
func TestRecallPassesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{1: state.ErrCorrupt, 2: state.ErrUnavailable} {
		store := &sickList{notes: []string{"acme/a-sick", "acme/b"}, err: err}
		l := &Loop{Options: Options{Store: store, Clock: clock.System(), Plan: func() *decide.Plan { return decide.New(&config.Config{}) }}}
		l.missing.init()
		before := noteVersions{}
		for range 2 { // a note is removed by the second search
			if got := l.recall(t.Context(), scope{all: true}, before); !errors.Is(got, err) {
				t.Errorf("got %v, want %v", got, err)
			}
		}
		if len(store.notes) != want {
			t.Errorf("%v: %v are still noted, want %d", err, store.notes, want)
		}
	}
}
