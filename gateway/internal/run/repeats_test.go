package run

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// What strangers' events come to takes two lines of the log, however many they are: the first at once, and how many
// there were at the end.
func TestDeadLettersAreSummedUp(t *testing.T) {
	t.Parallel()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) }))
	t.Cleanup(refuses.Close)
	said := &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	s.hook = refuses.URL
	s.write(10)
	s.start()
	const n = 60
	for i := range n {
		s.publish(fmt.Sprint("e", i), 3)
	}
	s.until("all are dead", func() bool {
		page, err := s.client.Deliveries(t.Context(), url.Values{"state": {"dead"}, "limit": {"200"}})
		return err == nil && len(page.Data) == n
	})
	if got := strings.Count(said.String(), "dead letter"); got != 1 {
		t.Errorf("%d lines:\n%s", got, said)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(said.String(), "dead letter"); got != 2 || !strings.Contains(said.String(), fmt.Sprint("repeated=", n-1)) {
		t.Errorf("%d lines at the end:\n%s", got, said)
	}
}
