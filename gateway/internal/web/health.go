package web

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/stats"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// lagging is the age of the oldest undecided event from which on readiness warns.
const lagging = time.Minute

// lookFor bounds how long a probe waits for the store.
const lookFor = 2 * time.Second

// alive answers liveness probes: the process answers. Nothing else can be repaired by a restart.
func (a *App) alive(c *fiber.Ctx) error {
	return answer.Bytes(c, fiber.StatusOK, []byte(`{"status":"alive"}`))
}

// readiness is the answer of /readyz.
type readiness struct {
	Status string `json:"status"`
	// Reasons say why it is not ready; Warnings are what a person should look at.
	Reasons  []string `json:"reasons,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Pending are events without a decision, and how old the oldest is.
	Pending        int64   `json:"pending"`
	OldestPendingS float64 `json:"oldest_pending_s"`
	// Waiting counts deliveries that will be tried, Dead the dead letters.
	Waiting        int64   `json:"waiting"`
	OldestWaitingS float64 `json:"oldest_waiting_s"`
	Dead           int64   `json:"dead"`
	Generation     string  `json:"generation"`
}

// whole reports whether the caller may know the names of all tenants and of what they have: on the control socket, and with a token
// for every tenant that may read. Everybody else is answered as well, without what is not public.
func (a *App) whole(c *fiber.Ctx, open bool) bool {
	if open {
		return true
	}
	grant, _ := a.callers.Known(&c.Request().Header)
	return grant != nil && grant.Tenant == access.AnyTenant && grant.May(access.Read)
}

// ready answers whether events can be accepted. Lag is not a reason to be unready: a gateway that is behind must catch up.
func (a *App) ready(c *fiber.Ctx, whole bool) error {
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
		Status: "ready", Warnings: a.warnings(whole), Pending: h.Pending, OldestPendingS: since(h.Oldest),
		Waiting: h.Waiting, OldestWaitingS: since(h.OldestWaiting), Dead: h.Dead,
		Generation: a.options.Plan().Config.Generation,
	}
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

// warnings are what a person should look at. whole: with the names of all tenants and of what they have.
func (a *App) warnings(whole bool) []string {
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	var problems []view.Warning
	if a.options.Problems != nil {
		problems = a.options.Problems()
	}
	problems = slices.Concat(problems, a.door.Problems())
	all := a.options.Stats.Health(ctx).Warnings
	for _, f := range a.fronts() {
		all = slices.Concat(all, f.connections.Problems())
	}
	return slices.Concat(all, view.Sentences(problems, whole))
}

func (a *App) metrics(c *fiber.Ctx, whole bool) error {
	of := &a.scrapes[0]
	if whole {
		of = &a.scrapes[1]
	}
	text, err := of.text(func() ([]byte, error) { return a.options.Stats.Scrape(whole) })
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, stats.ContentType)
	return c.Send(text)
}

// scrapes renders the metrics once at a time. Requests that come before the next rendering begins share it: a scrape needs no
// token, and many at once must not cost more than one.
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
