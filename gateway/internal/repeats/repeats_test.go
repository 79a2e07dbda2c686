package repeats

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func begin() (*slog.Logger, *Log, *bytes.Buffer, *clock.Manual) {
	var out bytes.Buffer
	manual := clock.NewManual(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	log, sums := New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}), manual)
	return log, sums, &out, manual
}

func lines(out *bytes.Buffer) []string {
	text := strings.TrimSpace(out.String())
	out.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// A thousand dead letters of a destination and one reason are two lines, and one of another reason is told at once.
func TestRepeatsAreCounted(t *testing.T) {
	t.Parallel()
	log, sums, out, _ := begin()
	dead := func(i int, destination, reason string) {
		log.Warn("dead letter", "tenant", "acme", "event", fmt.Sprint("e", i), "destination", destination, "delivery", fmt.Sprint("d", i), "err", reason)
	}
	for i := range 995 {
		dead(i, "crm", "422")
	}
	dead(1, "crm", "410")
	dead(1, "chat", "422")
	log.Info("destination serves again", "tenant", "acme")
	log.Info("destination serves again", "tenant", "acme")
	want := []string{
		`level=WARN msg="dead letter" tenant=acme event=e0 destination=crm delivery=d0 err=422`,
		`level=WARN msg="dead letter" tenant=acme event=e1 destination=crm delivery=d1 err=410`,
		`level=WARN msg="dead letter" tenant=acme event=e1 destination=chat delivery=d1 err=422`,
		`level=INFO msg="destination serves again" tenant=acme`,
		`level=INFO msg="destination serves again" tenant=acme`,
	}
	if diff := cmp.Diff(want, lines(out)); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	sums.Flush()
	if diff := cmp.Diff([]string{`level=WARN msg="dead letter" tenant=acme destination=crm err=422 repeated=994`}, lines(out)); diff != "" {
		t.Errorf("summed up (-want +got):\n%s", diff)
	}
	dead(996, "crm", "422") // goes on: counted
	dead(997, "crm", "410") // was quiet: told again
	sums.Flush()
	want = []string{
		`level=WARN msg="dead letter" tenant=acme event=e997 destination=crm delivery=d997 err=410`,
		`level=WARN msg="dead letter" tenant=acme destination=crm err=422 repeated=1`,
	}
	if diff := cmp.Diff(want, lines(out)); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

// However many kinds there are, they take few lines and little memory; one tenant's take none from another's.
func TestKindsAreBounded(t *testing.T) {
	t.Parallel()
	log, sums, out, _ := begin()
	of := log.With("tenant", "loud")
	for i := range 10_000 {
		of.Error("refused", "err", fmt.Sprint("reason ", i))
	}
	log.Error("refused", "tenant", "quiet", "err", "a reason")
	if got := lines(out); len(got) != maxPerGroup+1 || !strings.Contains(got[maxPerGroup], "quiet") {
		t.Errorf("%d lines: %v", len(got), got)
	}
	sums.Flush()
	if diff := cmp.Diff([]string{`level=ERROR msg=refused tenant=loud others=true repeated=9984`}, lines(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range 10_000 {
		log.Error("refused", "tenant", fmt.Sprint("t", i), "err", "a reason")
	}
	if n := len(lines(out)); n > maxKinds {
		t.Errorf("%d lines", n)
	}
	if n := len(sums.kinds); n > maxKinds+2 {
		t.Errorf("%d kinds are kept", n)
	}
	sums.Flush()
	sums.Flush()
	if n := len(sums.kinds) + len(sums.each); n > 0 {
		t.Errorf("%d are kept of what has ended", n)
	}
}

// What was counted is written after its time, and when the log ends.
func TestRun(t *testing.T) {
	t.Parallel()
	log, sums, out, manual := begin()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { sums.Run(ctx); close(ended) }()
	for range 3 {
		log.Warn("cannot claim events", "err", "gone")
	}
	<-manual.Set()
	cancel()
	<-ended
	want := []string{`level=WARN msg="cannot claim events" err=gone`, `level=WARN msg="cannot claim events" err=gone repeated=2`}
	if diff := cmp.Diff(want, lines(out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
