package teams

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/expression"
)

// No digest is larger than what Teams posts.
func TestLongDigestsFit(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"NPS ", "\x01"} {
		c := &Connector{Webhook: connectors.NewSecret(hook), Card: InMessage, Title: expression.MustText(strings.Repeat(piece, maxTitle))}
		for _, d := range connectortest.LongDigests(t) {
			req, err := c.Digest(d)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(req.Body); n > maxBody {
				t.Errorf("%.20q: the body has %d bytes", d.Rule, n)
			}
		}
	}
}
