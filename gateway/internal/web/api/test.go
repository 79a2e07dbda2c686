package api

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
)

// testText is what every test delivery says of itself.
const testText = "This is a test delivery of surveygate: nobody answered a survey."

// test sends a destination a test delivery: an event of type `test` that no rule hears, kept, queued, sent and recorded as
// every other. The answer is the delivery before its first attempt.
func (a *API) test(c *call) error {
	d, err := a.named(c)
	if err != nil {
		return err
	}
	email := strings.TrimSpace(query(c.Ctx, "email"))
	if name, host, ok := strings.Cut(email, "@"); email != "" && (!ok || name == "" || host == "" || strings.ContainsAny(email, " \t\r\n")) {
		return answer.Invalid("this is no e-mail address", "email")
	}
	started := a.Clock.Now()
	body, err := testBody(d.Name, email)
	if err != nil {
		return err
	}
	ev, err := event.ParseOne(body, event.Defaults{Tenant: c.tenant, Source: event.TestSource, Received: started, Verified: "token"})
	if err != nil {
		return fmt.Errorf("make a test event: %w", err)
	}
	if _, err := a.Door.Append([]*event.Event{ev}, len(body), started); err != nil {
		return err
	}
	delivery := decide.TestDelivery(ev, started)
	delivery.Connector = d.Product
	v := view.NewDelivery(&delivery, a.Plan())
	if v.Hold, err = a.hold(c, d.Name); err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, v)
}

// testBody is the event as somebody would publish it. With an address it is somebody's who agreed to be written to.
func testBody(destination, email string) ([]byte, error) {
	type survey struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	type respondent struct {
		Email   string `json:"email"`
		Consent bool   `json:"consent"`
	}
	body := struct {
		Type       string      `json:"type"`
		ID         string      `json:"id"`
		Survey     survey      `json:"survey"`
		Feedback   string      `json:"feedback"`
		Respondent *respondent `json:"respondent,omitempty"`
	}{Type: event.TypeTest, ID: decide.TestID(destination, rand.Text()), Survey: survey{"surveygate-test", "Test delivery of surveygate"}, Feedback: testText}
	if email != "" {
		body.Respondent = &respondent{email, true}
	}
	return json.Marshal(body)
}
