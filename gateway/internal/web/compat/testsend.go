package compat

import (
	"context"
	"sync/atomic"
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
	// testsAtOnce is how many tests run at once of all tenants, because each waits for a receiver. How many a tenant may send is
	// counted by the guard of the routes, together with its tests of webhooks and connections.
	testsAtOnce = 16
	// testConns bounds a tenant's connections to one receiver of tests.
	testConns = 10
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
	if err := a.tests.begin(); err != nil {
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
		DeliveryID: testName, Timeout: testTimeout, Transport: outbound.Fast, Tenant: c.Tenant, Destination: testName, MaxConns: testConns, Keep: testKeep,
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

// tests counts the tests that run. The zero value is ready.
type tests struct{ running atomic.Int32 }

// begin returns nil if one more test may run; end must follow. Otherwise it returns the refusal.
func (t *tests) begin() error {
	if t.running.Add(1) > testsAtOnce {
		t.running.Add(-1)
		return answer.Unavailable("other tests are being sent: try again in a moment", answer.DefaultRetryAfter, nil)
	}
	return nil
}

func (t *tests) end() { t.running.Add(-1) }
