package api

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/act"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

const (
	// testsAtOnce is how many tests are waited for at once.
	testsAtOnce = 32
	// testWait is how long the first attempt of a test is waited for; testLook is how often it is looked for at first.
	testWait = 10 * time.Second
	testLook = 10 * time.Millisecond
)

func testRows() []row {
	var rows []row
	for _, kind := range []string{"webhooks", "connections"} {
		rows = append(rows, row{(*API).testNow, route.Route{
			Method: fiber.MethodPost, Path: "/v1/" + kind + "/:name/test", Scope: access.Write, Once: true, TestSend: true,
			For: "send a test delivery the same way as every other, and answer with its first attempt; 202 if that takes longer than 10s",
			In:  route.Optional{Body: view.Test{}}, Out: view.Tested{}, Statuses: []int{fiber.StatusAccepted, fiber.StatusConflict}, Located: true,
		}})
	}
	return rows
}

// testNow sends a test delivery, and waits for its first attempt.
func (a *API) testNow(c *route.Call) error {
	d, err := a.named(c)
	if err != nil {
		return err
	}
	if wanted := c.Route().Path == "/v1/webhooks/:name/test"; wanted != (d.Product == webhookProduct) {
		return answer.NotFound(map[bool]string{true: "webhook", false: "connection"}[wanted])
	}
	var asked view.Test
	if body := c.Body(); len(body) > 0 {
		if err := route.ReadJSON(body, &asked); err != nil {
			return err
		}
	}
	if asked.EventID != "" && (asked.Type != "" || asked.Email != "") {
		return answer.Invalid("an event that was received has a type and a respondent of its own", "event_id")
	}
	if err := a.tests.begin(); err != nil {
		return err
	}
	defer a.tests.end()
	tested := view.Tested{}
	var sent *state.Delivery
	if asked.EventID == "" {
		sent, err = a.actor.Test(d, act.TestOptions{Email: asked.Email, Type: asked.Type})
	} else {
		sent, tested.Matches, err = a.testWith(c, d, asked.EventID)
	}
	if err != nil {
		return actError(err)
	}
	now, attempted, err := a.firstAttempt(c, sent)
	if err != nil {
		return err
	}
	tested.Delivery = view.NewDelivery(now, a.Plan())
	status := fiber.StatusOK
	if !attempted {
		status = fiber.StatusAccepted
		c.Set(fiber.HeaderLocation, "/v1/deliveries/"+now.ID)
		if tested.Hold, err = a.hold(c, d.Name); err != nil {
			return err
		}
	}
	return answer.JSON(c.Ctx, status, tested)
}

// testWith sends an event that was received. It reports whether the webhook's own filter matches it; nil for a destination without one.
func (a *API) testWith(c *route.Call, d *config.Destination, id string) (sent *state.Delivery, matches *bool, err error) {
	record, err := a.Store.Event(c.Base, c.Tenant, id)
	if errors.Is(err, state.ErrNotFound) {
		record, err = a.published(c, id)
	}
	if problem, ok := errors.AsType[*answer.Problem](err); ok {
		problem.Detail[0].Loc = []string{"event_id"}
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range a.Plan().Explain(record.Event) {
		if origin := decide.OriginOf(e.Configured); origin.Kind == state.Webhook && origin.Name == d.Name {
			matches = &e.Matched
		}
	}
	sent, err = a.actor.TestWith(c.Base, d, record)
	return sent, matches, err
}

// firstAttempt waits until a delivery was attempted or has ended, for as long as testWait. It does not wait for a destination that is
// on hold or switched off.
func (a *API) firstAttempt(c *route.Call, d *state.Delivery) (now *state.Delivery, attempted bool, err error) {
	ctx, cancel := context.WithTimeout(c.Base, testWait)
	defer cancel()
	now = d
	for look := testLook; ; look = min(2*look, 50*testLook) {
		switch found, err := a.Store.Delivery(c.Base, c.Tenant, d.ID); {
		case err == nil:
			now = found
		case !errors.Is(err, state.ErrNotFound): // else its event is not decided yet
			return nil, false, err
		}
		if now.State != state.Waiting || now.Attempts > 0 {
			return now, true, nil
		}
		if hold, err := a.hold(c, d.Destination); err != nil || hold != nil {
			return now, false, err
		}
		after, stop := wall.After(look)
		select {
		case <-after:
		case <-ctx.Done():
			stop()
			return now, false, nil
		}
		stop()
	}
}

// tests counts the tests that are waited for. The zero value is ready.
type tests struct{ running atomic.Int32 }

// begin returns nil if one more may be waited for; end must follow. Otherwise it returns the refusal.
func (t *tests) begin() error {
	if t.running.Add(1) > testsAtOnce {
		t.running.Add(-1)
		return answer.Unavailable("other tests are being sent: try again in a moment", answer.DefaultRetryAfter, nil)
	}
	return nil
}

func (t *tests) end() { t.running.Add(-1) }
