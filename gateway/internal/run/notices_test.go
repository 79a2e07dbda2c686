package run

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A destination that refuses everything gets the notice of its dead letters, refuses that too, and no further notice is made. A stop
// makes the notices that wait, so each start shows all that came of the one before.
func TestNoticesCauseNoNotices(t *testing.T) {
	t.Parallel()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	t.Cleanup(refuses.Close)
	s := newSite(t)
	s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, events: [response.completed, "gateway.*"], secrets: [%q], retry: [10ms]}
`, refuses.URL, hookSecret))
	dead := func(n int) {
		t.Helper()
		s.until(fmt.Sprint(n, " dead letters"), func() bool {
			page, err := s.client.Deliveries(t.Context(), url.Values{"state": {"dead"}})
			return err == nil && len(page.Data) >= n
		})
	}
	again := func() {
		t.Helper()
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		s.start()
	}
	s.start()
	s.publish("one", 3)
	dead(1)
	again()
	dead(2) // the notice
	again()
	again()
	page, err := s.client.Events(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for i := range page.Data {
		types = append(types, page.Data[i].Type)
	}
	if got := strings.Join(types, " "); got != "gateway.delivery.dead response.completed" {
		t.Errorf("events: %s", got)
	}
}
