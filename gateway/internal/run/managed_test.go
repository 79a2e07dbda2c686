package run

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// call makes one request of the API, and fails the test if it is refused.
func call[T any](s *site, method, path, body string) (v T) {
	s.t.Helper()
	if err := s.client.Do(s.t.Context(), client.Call{Method: method, Path: path, Body: []byte(body), ContentType: "application/json", Into: &v}); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return v
}

// TestWebhookByAPI: webhooks are tested on the way of every delivery; when one that the API made is deleted, what waits for it becomes
// dead letters, and another of its name is not on hold.
func TestWebhookByAPI(t *testing.T) {
	t.Parallel()
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		t.Run(fmt.Sprint(engine), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if engine == config.EngineRedis {
				s.options.Redis = redistest.Start(t).URL()
				s.withKeys(keyOne)
			}
			s.start()
			id := s.publish("first", 3)
			s.delivered(id)
			tested := call[view.Tested](s, http.MethodPost, "/v1/webhooks/hook/test", `{"type": "response.updated"}`)
			if tested.State != "delivered" || tested.Kind != "test" || len(tested.Log) != 1 || tested.Matches != nil {
				t.Errorf("%+v", tested)
			}
			if r := <-s.came; !r.Good {
				t.Error(r.Fault)
			}
			tested = call[view.Tested](s, http.MethodPost, "/v1/webhooks/hook/test", `{"event_id": "`+id+`"}`)
			if tested.State != "delivered" || tested.Event != id || tested.Kind != "test" {
				t.Errorf("%+v", tested)
			}
			<-s.came

			// Nothing is sent to it: the destination of a document cannot be on this machine.
			spec := `{"url": "https://hook.example.com/in", "signature": "none", "events": ["response.completed"], "when": "nps_score > 6"}`
			call[view.Webhook](s, http.MethodPut, "/v1/webhooks/own", spec)
			s.until("it is in use", func() bool {
				return s.client.Do(t.Context(), client.Call{Method: http.MethodPost, Path: "/v1/destinations/own/pause"}) == nil
			})
			waiting := func(n int) {
				t.Helper()
				s.until("they wait", func() bool {
					page, err := s.client.Deliveries(t.Context(), url.Values{"destination": {"own"}, "state": {"waiting"}})
					return err == nil && len(page.Data) == n
				})
			}
			tested = call[view.Tested](s, http.MethodPost, "/v1/webhooks/own/test", `{"event_id": "`+id+`"}`)
			if tested.State != "waiting" || tested.Hold == nil || tested.Matches == nil || *tested.Matches {
				t.Errorf("on hold: %+v", tested)
			}
			s.publish("second", 8)
			waiting(2)
			if deleted := call[view.Deleted](s, http.MethodDelete, "/v1/webhooks/own", ""); deleted.Waiting != 2 {
				t.Errorf("%+v", deleted)
			}
			s.until("they are dead letters", func() bool {
				page, err := s.client.Deliveries(t.Context(), url.Values{"destination": {"own"}, "state": {"dead"}})
				return err == nil && len(page.Data) == 2 && strings.Contains(page.Data[0].Reason, "no longer configured")
			})
			call[view.Webhook](s, http.MethodPut, "/v1/webhooks/own", spec)
			s.until("there is one of the name again, not on hold", func() bool {
				var d view.Destination
				err := s.client.Do(t.Context(), client.Call{Path: "/v1/destinations/own", Into: &d})
				return err == nil && d.Hold == nil
			})
		})
	}
}
