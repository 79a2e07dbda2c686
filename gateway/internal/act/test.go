package act

import (
	"cmp"
	"context"
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

// TestOptions are what a test delivery is to hold; both may be empty.
type TestOptions struct {
	// Email is whose record is written at products that keep people; without it those skip the delivery.
	Email string
	// Type is the event's; empty: `test`.
	Type string
}

// Test sends a destination a test delivery: an event that no rule is asked about, whatever its type, is kept, queued, sent and
// recorded like every other. It returns the delivery before its first attempt.
func (a *Actor) Test(d *config.Destination, o TestOptions) (*state.Delivery, error) {
	email := strings.TrimSpace(o.Email)
	if o.Type != "" && !event.IsCanonical(o.Type) {
		remedy := ""
		if near := event.Nearest(o.Type, event.Types); near != "" {
			remedy = "; did you mean `" + near + "`?"
		}
		return nil, &InvalidError{"type", "`" + o.Type + "` is not a canonical type" + remedy}
	}
	if name, host, ok := strings.Cut(email, "@"); email != "" && (!ok || name == "" || host == "" || strings.ContainsAny(email, " \t\r\n")) {
		return nil, &InvalidError{"email", "this is no e-mail address"}
	}
	started := a.options.Clock.Now()
	body, err := testBody(d.Name, email, cmp.Or(o.Type, event.TypeTest))
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
	delivery := decide.AloneDelivery(ev, started)
	delivery.Connector = d.Product
	return &delivery, nil
}

// TestWith sends a destination an event that was received, as a delivery of its own: it is marked as a test, and belongs to no rule. It
// returns the delivery before its first attempt.
func (a *Actor) TestWith(ctx context.Context, d *config.Destination, record *state.Record) (*state.Delivery, error) {
	now := a.options.Clock.Now()
	delivery := state.Delivery{
		ID: state.FreshDeliveryID(record.Event.ID), Tenant: d.Tenant, EventID: record.Event.ID, Revision: record.Event.Revision,
		Origin: state.Origin{Kind: state.Test, Name: d.Name}, Step: d.Name, Destination: d.Name, Connector: d.Product,
		State: state.Waiting, Created: now, Updated: now, Due: now,
	}
	return &delivery, a.scheduleOne(ctx, d.Tenant, delivery)
}

// testBody is the event as somebody would publish it. With an address, it is that of a person who agreed to be contacted.
func testBody(destination, email, eventType string) ([]byte, error) {
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
	}{Type: eventType, ID: decide.TestID(destination, rand.Text()), Survey: survey{"surveygate-test", "Test delivery of surveygate"}, Feedback: testText}
	if email != "" {
		body.Respondent = &respondent{email, true}
	}
	return json.Marshal(body)
}
