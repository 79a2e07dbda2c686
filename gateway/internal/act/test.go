package act

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// testText is what every test delivery says of itself.
const testText = "This is a test delivery of surveygate: nobody answered a survey."

// Test sends a destination a test delivery: an event of type `test`, which no rule accepts, is kept, queued, sent and recorded
// like every other. It returns the delivery before its first attempt. Email is whose record is written at products that keep
// people; without it those skip the delivery.
func (a *Actor) Test(d *config.Destination, email string) (*state.Delivery, error) {
	email = strings.TrimSpace(email)
	if name, host, ok := strings.Cut(email, "@"); email != "" && (!ok || name == "" || host == "" || strings.ContainsAny(email, " \t\r\n")) {
		return nil, &InvalidError{"email", "this is no e-mail address"}
	}
	started := a.options.Clock.Now()
	body, err := testBody(d.Name, email)
	if err != nil {
		return nil, err
	}
	ev, err := event.ParseOne(body, event.Defaults{Tenant: d.Tenant, Source: event.TestSource, Received: started, Verified: "token"})
	if err != nil {
		return nil, fmt.Errorf("make a test event: %w", err)
	}
	if _, err := a.options.Accept([]*event.Event{ev}, len(body), started); err != nil {
		return nil, err
	}
	delivery := decide.TestDelivery(ev, started)
	delivery.Connector = d.Product
	return &delivery, nil
}

// testBody is the event as somebody would publish it. With an address, it is that of a person who agreed to be contacted.
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
