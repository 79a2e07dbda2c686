package slack

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
)

// No digest is longer than what Slack takes.
func TestLongDigestsFit(t *testing.T) {
	t.Parallel()
	c := &Connector{Account: Account{Webhook: connectors.NewSecret("https://hooks.slack.com/services/T0/B0/X")}}
	for _, d := range connectortest.LongDigests(t) {
		req, err := c.Digest(d)
		if err != nil {
			t.Fatal(err)
		}
		type text struct{ Text string }
		var m struct {
			Text   string
			Blocks []struct {
				Type     string
				Text     text
				Elements []text
			}
		}
		if err := json.Unmarshal(req.Body, &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Blocks) > maxBlocks || utf8.RuneCountInString(m.Text) > maxText {
			t.Errorf("%.20q: %d blocks, and a text of %d characters", d.Rule, len(m.Blocks), utf8.RuneCountInString(m.Text))
		}
		for _, b := range m.Blocks {
			limit := map[string]int{"header": maxHeader, "section": maxSection, "context": maxSection}[b.Type]
			for _, text := range append(b.Elements, b.Text) {
				if n := utf8.RuneCountInString(text.Text); n > limit {
					t.Errorf("%.20q: a %s of %d characters", d.Rule, b.Type, n)
				}
			}
		}
	}
}
