package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/socket"
)

// A gateway that hangs is said in words, and is not one that does not run.
func TestClientOfAGatewayThatHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := socket.Listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it takes no connection: they wait in its queue
	client, err := Dial(Options{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.http.Timeout = 50 * time.Millisecond
	// A change that its caller interrupts may be made all the same, which a list cannot.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt signal received"))
	for method, want := range map[string]bool{"POST": true, "DELETE": true, "GET": false} {
		if err := client.Do(ctx, Call{Method: method, Path: "/v1/replays"}); errors.Is(err, ErrInterrupted) != want || !strings.Contains(err.Error(), "interrupt signal received") {
			t.Errorf("%s: got %v", method, err)
		}
	}
	_, err = client.Deliveries(t.Context(), nil)
	if err == nil || !strings.HasSuffix(err.Error(), socket.Name+": the gateway there gave no answer within 50ms") {
		t.Errorf("got %v", err)
	}
}
