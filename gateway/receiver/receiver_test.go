package receiver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// post sends one request and returns the status of its answer.
func post(ctx context.Context, url, id, body string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	if id != "" {
		req.Header.Set("webhook-id", id)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// Attempts are counted by the webhook-id, and without one by path and body.
func TestAttempts(t *testing.T) {
	t.Parallel()
	r, err := Listen(t.Context(), Options{
		Listen: "127.0.0.1:0", Style: "none",
		Answer: func(r Received) int { return 500 + r.Attempt },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for i, c := range []struct {
		path, id, body string
		attempt        int
	}{
		{"/in", "a", "1", 1},
		{"/in", "a", "2", 2}, // the same delivery, with a corrected body
		{"/in", "b", "1", 1},
		{"/in", "", "1", 1},
		{"/in", "", "1", 2},
		{"/in", "", "2", 1},
		{"/to", "", "1", 1},
		{"/in", "a", "1", 3},
	} {
		status, err := post(t.Context(), r.URL()+c.path, c.id, c.body)
		if err != nil || status != 500+c.attempt {
			t.Errorf("%d: attempt %d, want %d: %v", i, status-500, c.attempt, err)
		}
	}
}

// The counts of the deliveries that were seen last are kept, and no others.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	a := &attempts{}
	for i := range 2*maxCounted + 1 {
		if n := a.count(&Received{ID: fmt.Sprint(i)}); n != 1 {
			t.Fatalf("delivery %d begins with attempt %d", i, n)
		}
	}
	if len(a.seen) != maxCounted || len(a.order) != maxCounted {
		t.Fatalf("%d deliveries and %d places are kept", len(a.seen), len(a.order))
	}
	for id, want := range map[string]int{fmt.Sprint(2 * maxCounted): 2, fmt.Sprint(maxCounted + 1): 2} {
		if n := a.count(&Received{ID: id}); n != want {
			t.Errorf("delivery %s: attempt %d, want %d", id, n, want)
		}
	}
	if n := a.count(&Received{ID: "0"}); n != 1 {
		t.Errorf("the oldest delivery was not forgotten: attempt %d", n)
	}
}

// An answer waits for the delay. When the sender does not wait, or the receiver ends, there is none: 200 would mean that it was received.
func TestDelay(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	now := clock.NewManual(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	heard := make(chan Received, 10)
	r, err := Listen(ctx, Options{
		Listen: "127.0.0.1:0", Style: "none", Delay: time.Hour, Clock: now,
		Heard: func(r Received) { heard <- r },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	type answer struct {
		status int
		err    error
	}
	answers := make(chan answer, 1)
	send := func(ctx context.Context) {
		go func() {
			status, err := post(ctx, r.URL()+"/in", "a", "{}")
			answers <- answer{status, err}
		}()
		<-now.Set()
	}
	send(t.Context())
	now.Advance(time.Hour - 1)
	select {
	case got := <-answers:
		t.Fatalf("answered before the delay: %+v", got)
	default:
	}
	now.Advance(1)
	if got := <-answers; got.err != nil || got.status != http.StatusOK {
		t.Errorf("%+v", got)
	}
	if got := <-heard; got.Status != http.StatusOK || got.Attempt != 1 {
		t.Errorf("%+v", got)
	}

	impatient, leave := context.WithCancel(t.Context())
	send(impatient)
	leave()
	<-answers
	if got := <-heard; got.Status != 0 || got.Attempt != 2 {
		t.Errorf("answered %d at attempt %d, although the sender is gone", got.Status, got.Attempt)
	}

	send(t.Context())
	end()
	if got := <-answers; got.err == nil {
		t.Errorf("answered %d by a receiver that ended", got.status)
	}
}
