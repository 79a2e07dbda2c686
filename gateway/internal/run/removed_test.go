package run

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
)

// A reload that takes a step away says how many deliveries that ends, and one that is refused says each fault in a line.
func TestReloadSaysWhatItEnds(t *testing.T) {
	t.Parallel()
	said := &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	const delayed = `
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, secrets: ["${HOOK_SECRET}"]}
rules:
  - {name: %s, when: nps_score <= 10, delay: 1h, send: [hook]}
`
	s.writeText(fmt.Sprintf(delayed, s.hook, "low"))
	s.start()
	for i := range 3 {
		s.publish(fmt.Sprint("low-", i), 3)
	}
	s.until("they wait", func() bool {
		page, err := s.client.Deliveries(t.Context(), url.Values{"state": {"waiting"}})
		return err == nil && len(page.Data) == 3
	})
	s.writeText("rules: [{name: x, when: nps_scor <= 3, send: [nobody]}]")
	s.until("each fault has a line", func() bool {
		return strings.Count(said.String(), "the new configuration is refused") >= 2 && strings.Contains(said.String(), "surveygate.yaml:1:25")
	})
	if strings.Contains(said.String(), `\n`) {
		t.Errorf("several lines in one:\n%s", said)
	}
	s.writeText(fmt.Sprintf(delayed, s.hook, "renamed"))
	s.until("it says how many wait", func() bool {
		return strings.Contains(said.String(), "rule=low step=hook destination=hook count=3 more=false")
	})
}
