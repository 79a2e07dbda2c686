// Command client plays the README's story with a client that is generated from the description of the API: an unhappy customer
// reaches the warehouse, which a file defines, and is explained, a happy one does not, and what waits for a paused receiver is sent when it is resumed.
// Of two who change a webhook, the second is told; what was delivered is delivered again by a job.
//
//	client GATEWAY TOKEN
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"client/api"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := play(ctx, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
	fmt.Println("played")
}

func play(ctx context.Context, gateway, token string) error {
	c, err := api.NewClientWithResponses(gateway, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	var secret api.WebhookDocument_Secrets_Item
	if err := secret.FromWebhookDocumentSecrets0("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="); err != nil {
		return err
	}
	hook, err := c.PutWebhookWithResponse(ctx, "helpdesk", nil, api.WebhookDocument{Url: "https://hook.example.com/in", Events: &[]string{"response.updated"}, Secrets: &[]api.WebhookDocument_Secrets_Item{secret}})
	if err != nil || hook.JSON201 == nil || hook.JSON201.Name != "helpdesk" || hook.JSON201.State != "active" {
		return fmt.Errorf("put a webhook: %w %s", err, hook.Body)
	}
	rule, err := c.PutRuleWithBodyWithResponse(ctx, "detractor", nil, "application/json", strings.NewReader(`{"when": "nps_score <= 6", "send": ["warehouse"]}`))
	if err != nil || rule.JSON201 == nil {
		return fmt.Errorf("put a rule: %w %s", err, rule.Body)
	}
	// A change decides within a second: the first events may come before.
	var unhappy *api.Explanation
	for n := 0; unhappy == nil || len(unhappy.Rules) == 0 || !matched(unhappy); n++ {
		if unhappy, err = decided(ctx, c, fmt.Sprint("unhappy-", n), 3); err != nil {
			return err
		}
	}
	happy, err := decided(ctx, c, "happy", 9)
	if err != nil {
		return err
	}
	if matched(happy) {
		return errors.New("the happy customer matched")
	}
	if _, err := delivery(ctx, c, unhappy.Event.Id, "delivered"); err != nil {
		return err
	}
	// A pause holds what is owed.
	paused, err := c.PauseDestinationWithResponse(ctx, "warehouse", &api.PauseDestinationParams{Reason: text("moving")})
	if err != nil || paused.JSON200 == nil || paused.JSON200.State != "paused" || paused.JSON200.Hold == nil {
		return fmt.Errorf("pause: %w %s", err, paused.Body)
	}
	later, err := decided(ctx, c, "later", 0)
	if err != nil {
		return err
	}
	waiting, err := delivery(ctx, c, later.Event.Id, "waiting")
	if err != nil {
		return err
	}
	one, err := c.GetDeliveryWithResponse(ctx, waiting.Id, nil)
	if err != nil || one.JSON200 == nil || one.JSON200.Hold == nil || one.JSON200.Hold.Kind != "paused" {
		return fmt.Errorf("the waiting delivery: %w %s", err, one.Body)
	}
	if resumed, err := c.ResumeDestinationWithResponse(ctx, "warehouse", nil); err != nil || resumed.JSON200 == nil {
		return fmt.Errorf("resume: %w %s", err, resumed.Body)
	}
	if _, err := delivery(ctx, c, later.Event.Id, "delivered"); err != nil {
		return err
	}
	if err := twoWriters(ctx, c, "helpdesk", hook.HTTPResponse.Header.Get("ETag")); err != nil {
		return err
	}
	if err := again(ctx, c, unhappy.Event.Id); err != nil {
		return err
	}
	// Refusals have types too.
	missing, err := c.GetDestinationWithResponse(ctx, "warehous", nil)
	if err != nil || missing.JSON404 == nil || missing.JSON404.Detail[0].Type != "not_found" {
		return fmt.Errorf("a mistyped name: %w %s", err, missing.Body)
	}
	return nil
}

// twoWriters changes a webhook twice from one version: only the first change is made.
func twoWriters(ctx context.Context, c *api.ClientWithResponses, name, version string) error {
	patch := func(match *string, body string) (*api.PatchWebhookResponse, error) {
		return c.PatchWebhookWithBodyWithResponse(ctx, name, &api.PatchWebhookParams{IfMatch: match}, "application/merge-patch+json", strings.NewReader(body))
	}
	first, err := patch(&version, `{"title":"Help desk"}`)
	if err != nil || first.JSON200 == nil || first.HTTPResponse.Header.Get("ETag") == version {
		return fmt.Errorf("patch from version %s: %w %s", version, err, first.Body)
	}
	second, err := patch(&version, `{"title":"Another"}`)
	if err != nil || second.JSON412 == nil || second.JSON412.Detail[0].Type != "conflict" {
		return fmt.Errorf("patch from version %s, which is no longer there: %w %s", version, err, second.Body)
	}
	one, err := c.GetWebhookWithResponse(ctx, name, nil)
	if err != nil || one.JSON200 == nil || one.HTTPResponse.Header.Get("ETag") != first.HTTPResponse.Header.Get("ETag") {
		return fmt.Errorf("the webhook: %w %s", err, one.Body)
	}
	return nil
}

// again delivers an event's deliveries again, and waits for the job.
func again(ctx context.Context, c *api.ClientWithResponses, event string) error {
	of := api.ReplayOf{Events: &[]string{event}, Destination: text("warehouse")}
	counted, err := c.CreateReplayWithResponse(ctx, nil, api.ReplayRequest{Of: of, DryRun: new(true)})
	if err != nil || counted.JSON200 == nil {
		return fmt.Errorf("count what would be replayed: %w %s", err, counted.Body)
	}
	if would, err := counted.JSON200.AsWouldReplay(); err != nil || would.Would.Deliveries != 1 {
		return fmt.Errorf("count what would be replayed: %w %s", err, counted.Body)
	}
	made, err := c.CreateReplayWithResponse(ctx, &api.CreateReplayParams{IdempotencyKey: text("again")}, api.ReplayRequest{Of: of})
	if err != nil || made.JSON202 == nil {
		return fmt.Errorf("replay: %w %s", err, made.Body)
	}
	job, err := made.JSON202.AsJob()
	if err != nil {
		return fmt.Errorf("replay: %w %s", err, made.Body)
	}
	for {
		now, err := c.GetReplayWithResponse(ctx, job.Id, nil)
		if err != nil || now.JSON200 == nil {
			return fmt.Errorf("the job: %w %s", err, now.Body)
		}
		if now.JSON200.State != "running" {
			if now.JSON200.State != "done" || now.JSON200.Done != 1 {
				return fmt.Errorf("the job ended as %s", now.Body)
			}
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func text(s string) *string { return &s }

func matched(e *api.Explanation) bool {
	for _, rule := range e.Rules {
		if rule.Name == "detractor" {
			return rule.Matched
		}
	}
	return false
}

// decided publishes one response and waits for its decision.
func decided(ctx context.Context, c *api.ClientWithResponses, id string, score float32) (*api.Explanation, error) {
	var body api.PublishEventsJSONRequestBody
	if err := body.FromPublishedEvent(api.PublishedEvent{Type: "response.completed", Id: &id, NpsScore: &score}); err != nil {
		return nil, err
	}
	published, err := c.PublishEventsWithResponse(ctx, nil, body)
	if err != nil || published.JSON200 == nil || published.JSON200.Results[0].Status != "accepted" {
		return nil, fmt.Errorf("publish: %w %s", err, published.Body)
	}
	for {
		explained, err := c.GetEventExplainWithResponse(ctx, id, nil)
		if err != nil || explained.JSON200 == nil {
			return nil, fmt.Errorf("explain: %w %s", err, explained.Body)
		}
		if explained.JSON200.State == "decided" {
			return explained.JSON200, nil
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// delivery waits until an event's only delivery has a state.
func delivery(ctx context.Context, c *api.ClientWithResponses, event, state string) (*api.Delivery, error) {
	for {
		list, err := c.ListDeliveriesWithResponse(ctx, &api.ListDeliveriesParams{Event: &event})
		if err != nil || list.JSON200 == nil {
			return nil, fmt.Errorf("deliveries: %w %s", err, list.Body)
		}
		if len(list.JSON200.Data) == 1 && list.JSON200.Data[0].State == state {
			return &list.JSON200.Data[0], nil
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}
