package redis

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// A node of a Cluster is killed or hangs, and no replica takes its place: events of the other shards are still claimed.
func TestClaimWhereOneShardIsSick(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(n *server){
		"killed": (*server).kill,
		"hangs": func(n *server) {
			if err := n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, node, sick := sickable(t)
			of := func(round string, most int) (events []*event.Event) {
				for i := 0; len(events) < most; i++ {
					if e := made(t, fmt.Sprint(round, i)); !sick[shardOf(acme, e.ResponseID, len(s.shards))] {
						events = append(events, e)
					}
				}
				return events
			}
			first := of("first", 30)
			if _, err := s.Append(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			end(node)
			t.Cleanup(func() { _ = node.cmd.Process.Signal(syscall.SIGCONT) })
			for _, round := range []string{"first", "second"} {
				events := first
				if round == "second" {
					events = of("second", 30)
					until(t, "they are accepted", func() bool { _, err := s.Append(t.Context(), events); return err == nil })
				}
				began, came, calls, faults := time.Now(), 0, 0, []error{}
				for came < len(events) {
					calls++
					some, err := s.Claim(t.Context(), 4, 0)
					if err != nil {
						if !errors.Is(err, state.ErrUnavailable) {
							t.Fatal(err)
						}
						faults = append(faults, err)
					}
					came += len(some)
					for _, c := range some {
						commit(t, s, decided(c))
					}
				}
				t.Logf("%s: shards %v of %d are sick: %d of %d events of the others came in %v and %d calls, of which %d failed", round, sick, len(s.shards),
					came, len(events), time.Since(began).Round(time.Millisecond), calls, len(faults))
				if len(faults) > 0 {
					t.Errorf("%s: %d claims failed while other shards had events: %v", round, len(faults), faults[0])
				}
			}
		})
	}
}
