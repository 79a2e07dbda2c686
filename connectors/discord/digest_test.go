package discord

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/expression"
)

// No digest is longer than what Discord takes.
func TestLongDigestsFit(t *testing.T) {
	t.Parallel()
	c := &Connector{Webhook: connectors.NewSecret(hook), Title: expression.MustText(strings.Repeat("NPS ", maxTitle))}
	for _, d := range connectortest.LongDigests(t) {
		req, err := c.Digest(d)
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Embeds []struct{ Title, Description string }
		}
		if err := json.Unmarshal(req.Body, &m); err != nil || len(m.Embeds) != 1 {
			t.Fatalf("%d embeds (%v)", len(m.Embeds), err)
		}
		title, text := utf8.RuneCountInString(m.Embeds[0].Title), utf8.RuneCountInString(m.Embeds[0].Description)
		if title > maxTitle || text > maxText {
			t.Errorf("%.20q: a title of %d characters, and a text of %d", d.Rule, title, text)
		}
	}
}
