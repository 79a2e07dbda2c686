package compat

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// testsEach is how many tests a tenant may send within testsPer, through each replica; testsAtOnce is how many run at once of all
	// tenants, because each waits for a receiver.
	testsEach   = 10
	testsPer    = time.Minute
	testsAtOnce = 16
	// testTimeout bounds one test.
	testTimeout = 10 * time.Second
	// testName is the webhook's id in a test, and the destination whose connections it uses.
	testName = "test-send"
	// testKeep is how much of an answer's body is read. None of it is shown: an address of somebody else's choice would make this
	// route a way to read what the gateway can reach.
	testKeep = 1 << 10
)

// testText is what a test says of itself.
const testText = "This is a test of surveygate: nobody answered a survey."

// testSend posts a test to an address, without the headers of any webhook, as the platform does.
func (a *API) testSend(c *route.Call) error {
	b, err := read(c.Body(), []string{"url"})
	if err != nil {
		return err
	}
	text := b.url("")
	if err := b.err(); err != nil {
		return err
	}
	policy := a.Plan().Config.Outbound
	address, err := connectors.NewURL(text)
	switch {
	case err != nil:
		return answer.Invalid("`url` "+err.Error(), "url")
	case address.HasHoles():
		return answer.Invalid("a test has no event to fill the holes of `url` with; write an address without `{{ }}`", "url")
	}
	if err := outbound.CheckAddress(address.Secret(), policy, false); err != nil {
		return answer.Invalid(err.Error(), "url")
	}
	now := a.Clock.Now()
	if err := a.tests.begin(c.Tenant, now); err != nil {
		return err
	}
	defer a.tests.end()
	req, err := testRequest(c.Tenant, address, now)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Base, testTimeout)
	defer cancel()
	result := a.Sender.Send(ctx, req, outbound.Attempt{
		DeliveryID: testName, Timeout: testTimeout, Transport: outbound.Fast, Tenant: c.Tenant, Destination: testName, MaxConns: testsEach, Keep: testKeep,
	})
	return testAnswer(c, result)
}

// testRequest builds the request of a test.
func testRequest(tenant string, address connectors.URL, now time.Time) (*connectors.Request, error) {
	connector := &webhook.Connector{URL: address, Preset: webhook.PollarixPreset}
	connector.SetName(testName)
	ev, err := event.New(
		event.Header{ID: event.ID(tenant, event.TestSource, testName), Tenant: tenant, Source: event.TestSource, SourceKind: event.DefaultSource, Type: event.TypeTest, Time: now, Received: now, DedupeKey: testName},
		&event.Data{Survey: event.Survey{ID: "surveygate-test", Title: testText}}, event.Raw{},
	)
	if err != nil {
		return nil, err
	}
	return connector.Build(ev)
}

// testAnswer answers 200 if the request was sent, whatever its receiver says.
func testAnswer(c *route.Call, result outbound.Result) error {
	switch {
	case result.Kind == outbound.Answered:
		return answer.JSON(c.Ctx, fiber.StatusOK, view.TestSent{Sent: true, Status: result.Response.Status})
	case result.Reached:
		return answer.JSON(c.Ctx, fiber.StatusOK, view.TestSent{Sent: true, Problem: result.Err.Error()})
	case result.Kind == outbound.Busy || result.Kind == outbound.Canceled:
		return answer.Unavailable("the test was not sent: "+result.Err.Error(), answer.DefaultRetryAfter, nil)
	}
	return answer.Invalid("the test was not sent: "+result.Err.Error(), "url")
}

// tests counts the tests of tenants. The zero value is ready.
type tests struct {
	mu      sync.Mutex
	running int
	sent    map[string][]time.Time // within testsPer, the oldest first
}

// begin returns nil if a tenant may send a test now; end must follow. Otherwise it returns the refusal.
func (t *tests) begin(tenant string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, times := range t.sent { // at most as many as tenants that sent one within testsPer
		for len(times) > 0 && now.Sub(times[0]) >= testsPer {
			times = times[1:]
		}
		if t.sent[name] = times; len(times) == 0 {
			delete(t.sent, name)
		}
	}
	times := t.sent[tenant]
	switch {
	case len(times) >= testsEach:
		problem := answer.NewProblem(fiber.StatusTooManyRequests, view.RateLimited, fmt.Sprintf("a tenant sends at most %d tests a minute", testsEach))
		problem.RetryAfter = times[0].Add(testsPer).Sub(now)
		return problem
	case t.running >= testsAtOnce:
		return answer.Unavailable("other tests are being sent: try again in a moment", answer.DefaultRetryAfter, nil)
	}
	if t.sent == nil {
		t.sent = map[string][]time.Time{}
	}
	t.sent[tenant] = append(times, now)
	t.running++
	return nil
}

func (t *tests) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
}
