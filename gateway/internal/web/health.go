package web

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// lagging is from when on events without a decision are worth a warning.
const lagging = time.Minute

// lookFor bounds how long a look at the store may keep a probe waiting.
const lookFor = 2 * time.Second

// alive says that the process answers; that is all a restart could mend.
func (a *App) alive(c *fiber.Ctx) error {
	return answer.Bytes(c, fiber.StatusOK, []byte(`{"status":"alive"}`))
}

// readiness is what readyz answers.
type readiness struct {
	Status string `json:"status"`
	// Reasons are why it is not ready; Warnings what a person should see to.
	Reasons  []string `json:"reasons,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Pending are events without a decision, and how old the oldest is.
	Pending        int64   `json:"pending"`
	OldestPendingS float64 `json:"oldest_pending_s"`
	// Waiting are deliveries to be tried again, Dead those that will not be.
	Waiting        int64   `json:"waiting"`
	OldestWaitingS float64 `json:"oldest_waiting_s"`
	Dead           int64   `json:"dead"`
	Generation     string  `json:"generation"`
}

// ready says whether events can be taken in. Lag is no reason: a gateway that is behind must be left to catch up.
func (a *App) ready(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	now := a.options.Clock.Now()
	h := a.options.Stats.Health(ctx)
	since := func(then time.Time) float64 {
		if then.IsZero() {
			return 0
		}
		return max(now.Sub(then), 0).Round(time.Millisecond).Seconds()
	}
	r := readiness{
		Status: "ready", Warnings: h.Warnings, Pending: h.Pending, OldestPendingS: since(h.Oldest),
		Waiting: h.Waiting, OldestWaitingS: since(h.OldestWaiting), Dead: h.Dead,
		Generation: a.options.Plan().Config.Generation,
	}
	if a.options.Problems != nil {
		r.Warnings = append(slices.Clone(r.Warnings), a.options.Problems()...)
	}
	r.Warnings = append(slices.Clone(r.Warnings), a.tcp.connections.Problems()...)
	r.Warnings = append(r.Warnings, a.socket.connections.Problems()...)
	r.Warnings = append(r.Warnings, a.door.Problems()...)
	if h.Err != nil {
		r.Reasons = append(r.Reasons, "the store cannot make events durable: "+h.Err.Error())
	}
	if a.leaving.Load() || a.door.Draining() {
		r.Reasons = append(r.Reasons, "the gateway is stopping")
	}
	if lag := now.Sub(h.Oldest); !h.Oldest.IsZero() && lag > lagging {
		r.Warnings = append(append([]string{}, r.Warnings...), fmt.Sprintf("%d events wait for their decision, the oldest for %s", h.Pending, lag.Round(time.Second)))
	}
	status := fiber.StatusOK
	if len(r.Reasons) > 0 {
		r.Status, status = "not ready", fiber.StatusServiceUnavailable
	}
	return answer.JSON(c, status, r)
}

func (a *App) metrics(c *fiber.Ctx) error {
	text, err := a.scrapes.text(a.options.Stats.Scrape)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, stats.ContentType)
	return c.Send(text)
}

// scrapes makes one text of the metrics at a time. Who asks before it is begun shares it: nobody needs a token, and many
// that ask at once must not cost more than one.
type scrapes struct {
	running sync.Mutex
	mu      sync.Mutex
	next    *scrape // not begun yet
}

type scrape struct {
	done bool // guarded by scrapes.running, as is the rest
	text []byte
	err  error
}

func (s *scrapes) text(make func() ([]byte, error)) ([]byte, error) {
	s.mu.Lock()
	if s.next == nil {
		s.next = &scrape{}
	}
	mine := s.next
	s.mu.Unlock()
	s.running.Lock()
	defer s.running.Unlock()
	if mine.done {
		return mine.text, mine.err
	}
	s.mu.Lock()
	s.next = nil
	s.mu.Unlock()
	mine.text, mine.err = make()
	mine.done = true
	return mine.text, mine.err
}
