package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/statetest"
	"github.com/surveygate/surveygate/rules/event"
)

// childDir makes the test binary a process that gets killed.
const childDir = "SURVEYGATE_STATE_TEST_DIR"

// child is the program of the process that gets killed: several callers append and print each acknowledged key, and a loop
// claims and commits what it can and prints what it committed.
func child() bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	s, err := open(Options{Dir: dir})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	say := func(word, key string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(word, key) // one write per line, so that a kill never leaves half of one
	}
	round := os.Getenv(childDir + "_ROUND")
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%s-%d-%d", round, caller, i)
				if _, err := s.Append(context.Background(), []*event.Event{childEvent(key)}); err != nil {
					say("error", err.Error())
					return
				}
				say("accepted", key)
			}
		})
	}
	for {
		claimed, err := s.Claim(context.Background(), 32, 0)
		if err != nil {
			say("error", err.Error())
			break
		}
		commit := &state.Commit{}
		for i, c := range claimed {
			switch {
			case i%3 == 0:
				commit.Events = append(commit.Events, benchOutcome(c, state.Delivered, time.Time{}))
			case i%3 == 1:
				commit.Events = append(commit.Events, benchOutcome(c, state.Waiting, time.Now()))
			}
		}
		if _, err := s.Commit(context.Background(), commit); err != nil {
			say("error", err.Error())
			break
		}
		for _, o := range commit.Events {
			say(string("committed-"+o.Deliveries[0].State), o.EventID)
		}
	}
	wg.Wait()
	return true
}

func childEvent(key string) *event.Event {
	now := time.Now().UTC()
	e, err := event.New(event.Header{
		ID: event.ID("default", "app", key), Tenant: "default", Source: "app", SourceKind: "api", Type: "response.completed",
		Time: now, Received: now, DedupeKey: key, Verified: "token",
	}, &event.Data{}, event.Raw{ContentType: "application/json", Body: []byte(`{"key":"` + key + `"}`)})
	if err != nil {
		panic(err)
	}
	return e
}

// TestKilled kills the process with SIGKILL at random moments, several times on the same folder: afterwards acknowledged events
// are there exactly once, committed events are not pending, and scheduled deliveries wait.
func TestKilled(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	accepted, finished, scheduled := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for round := range statetest.Few(6, 2) {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run=^$")
		cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s_ROUND=%d", childDir, round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed after a number of lines, so that the moment depends on its work and not on the machine's speed.
		after := 200 + rand.IntN(statetest.Few(3000, 1000))
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			word, key, _ := strings.Cut(lines.Text(), " ")
			switch word {
			case "accepted":
				accepted[key] = true
			case "committed-delivered":
				finished[key] = true
			case "committed-waiting":
				scheduled[key] = true
			default:
				t.Fatalf("round %d: %s", round, lines.Text())
			}
			if n == after {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // the error says that it was killed
	}
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	there := map[string]int{}
	pending := 0
	if err := s.Range(t.Context(), "default", 0, func(r *state.Record) error {
		there[r.Event.DedupeKey]++
		id := r.Event.ID
		if r.Outcome == nil {
			pending++
		}
		switch {
		case r.Outcome == nil && scheduled[id]:
			t.Errorf("%s was scheduled durably and is pending again", r.Event.DedupeKey)
		case scheduled[id] && r.Outcome.Deliveries[0].State != state.Waiting:
			t.Errorf("%s does not wait", r.Event.DedupeKey)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for key := range accepted {
		if there[key] != 1 {
			t.Errorf("%s was acknowledged and is there %d times", key, there[key])
		}
	}
	if len(accepted) < 500 || len(scheduled) == 0 || len(finished) == 0 {
		t.Fatalf("%d acknowledged, %d scheduled, %d finished: too little was tried", len(accepted), len(scheduled), len(finished))
	}
	h := s.Health(t.Context())
	if h.Err != nil || h.Pending != int64(pending) || h.Events != int64(len(there)) {
		t.Fatalf("health says %d pending of %d, there are %d of %d (%v)", h.Pending, h.Events, pending, len(there), h.Err)
	}
	// Every pending event is claimed once; those that were claimed at two or more kills alone.
	claimed := map[string]bool{}
	take := func(some ...state.Claimed) {
		for _, c := range some {
			if claimed[c.Event.ID] {
				t.Fatalf("%s was claimed twice", c.Event.DedupeKey)
			}
			claimed[c.Event.ID] = true
		}
	}
	for len(claimed) < pending {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		some, err := s.Claim(ctx, 256, 0)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		take(some...)
		for {
			c, err := s.ClaimSuspect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c == nil {
				break
			}
			take(*c)
			if _, err := s.Commit(t.Context(), &state.Commit{Events: []state.Outcome{benchOutcome(*c, state.Delivered, time.Time{})}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	due := 0
	for {
		some, _, err := s.ClaimDue(t.Context(), state.ClaimDue{Max: 1000, Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			break
		}
		due += len(some)
	}
	if int64(due) != h.Waiting || due < len(scheduled) {
		t.Fatalf("%d due, health says %d, %d were scheduled", due, h.Waiting, len(scheduled))
	}
}

// TestSecondProcess: only one process at a time can open the folder.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another gateway runs with this data folder") {
		t.Errorf("in this process: %v", err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(string(out), "another gateway runs with this data folder") {
		t.Errorf("in another: %v, %s", err, out)
	}
}
